// expect: a ThreadSafePool with this lock is not safe; leave it out, or write AdaptiveLock, MutexLock, SpinLock or LockFree
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct OneThread {
  static constexpr bool is_thread_safe = false;
  void lock() {}
  void unlock() {}
};
fastalloc::ThreadSafePool<int, OneThread> pool(4);
