// expect: this storage is one block and cannot grow; use FixedPool with it, or HeapStorage with GrowingPool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int, fastalloc::InlineStorage<4>> pool(4);
