// expect: two slot allocators; keep one of StackAllocator, FreeListAllocator, BitmapAllocator
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::BitmapAllocator, fastalloc::StackAllocator> pool(4);
