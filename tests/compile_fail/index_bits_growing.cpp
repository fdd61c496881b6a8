// expect-first: fastalloc: a pool that grows keeps generations in pages of 128 slots; give the index 7 bits or more
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int, fastalloc::BasicGenerations<5, 12>> pool(4);
