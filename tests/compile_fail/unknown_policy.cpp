// expect: a template argument after T is not a policy. Write one of: StackAllocator, FreeListAllocator, BitmapAllocator
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, double> pool(4);
