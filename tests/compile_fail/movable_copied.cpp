// expect: fastalloc: a pool has one owner; std::move\(\) it
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::MovablePool<fastalloc::FixedPool<int>> pool(4);
fastalloc::MovablePool<fastalloc::FixedPool<int>> copy = pool;
