// expect-first: fastalloc: MovablePool<P> holds a pool; write its type, as in MovablePool<GrowingPool<Node>>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::MovablePool<int> pool(4);
