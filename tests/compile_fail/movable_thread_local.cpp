// expect-first: fastalloc: the sub-pools of a ThreadLocalPool belong to their threads
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::MovablePool<fastalloc::ThreadLocalPool<int>> pool(4);
