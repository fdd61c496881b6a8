// SPDX-License-Identifier: MIT OR Apache-2.0
// MutexLock: std::mutex as a policy.
#pragma once

#include <fastalloc/lock/lock.hpp>

#if !FASTALLOC_HAS_THREADS
#error "fastalloc: MutexLock needs threads, which this standard library lacks; use LockFree or SpinLock"
#endif

#include <mutex>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: several threads share a pool occasionally.
/// Complexity: that of the C library: a dozen or more instructions uncontended, no bound contended.
class MutexLock {
 public:
  static constexpr bool is_thread_safe = true;
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

static_assert(LockPolicy<MutexLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE
