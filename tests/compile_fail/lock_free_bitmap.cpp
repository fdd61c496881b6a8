// expect: LockFree keeps the free slots in a tagged list, which this slot allocator cannot be: .*Leave the slot allocator out .or write StackAllocator., or take AdaptiveLock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::LockFree, fastalloc::BitmapAllocator> pool(4);
