// expect: a ThreadSafePool with this lock is not safe; leave it out, or write AdaptiveLock, MutexLock, SpinLock or LockFree
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::NoLock> pool(4);
