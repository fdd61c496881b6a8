// expect: LockFree keeps the free slots in a tagged list, which this slot allocator cannot be: .*Leave the slot allocator out .or write StackAllocator., or take AdaptiveLock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::FreeListAllocator, fastalloc::LockFree> pool(4);
