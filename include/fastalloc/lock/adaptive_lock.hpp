// SPDX-License-Identifier: MIT OR Apache-2.0
// AdaptiveLock: spins briefly, then sleeps in the kernel until it is woken (std::atomic::wait: a futex on Linux).
//
//   state_   0 free   1 held   2 held, and a thread may be asleep
//
// Source: Drepper, "Futexes are tricky", 2011, mutex 2; preceded by a spinning phase.
#pragma once

#include <fastalloc/lock/spin_lock.hpp>

#if !FASTALLOC_HAS_THREADS
#error "fastalloc: AdaptiveLock needs threads, which this standard library lacks; use LockFree or SpinLock"
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default where threads share a pool; critical sections are a few nanoseconds, so it rarely sleeps. 4
/// bytes.
/// Complexity: 1 step each way uncontended, no system call. Contended: spins_before_sleep tests, then a sleep; no bound
/// and no order among waiting threads. unlock() then makes a system call.
class AdaptiveLock {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr int spins_before_sleep = 100;  ///< tests

  constexpr AdaptiveLock() noexcept = default;

  FASTALLOC_ALWAYS_INLINE void lock() noexcept {
    if (!try_lock()) [[unlikely]]
      lock_slow();
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool try_lock() noexcept {
    int expected = 0;
    // acquire: pairs with the release in unlock(). relaxed: a failure reads nothing else.
    return state_.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  FASTALLOC_ALWAYS_INLINE void unlock() noexcept {
    // release: publishes the writes under the lock to its next owner; pairs with the acquires in try_lock(),
    // lock_slow().
    if (state_.exchange(0, std::memory_order_release) == 2) [[unlikely]]
      wake();
  }

 private:
  FASTALLOC_COLD void lock_slow() noexcept {
    for (int spins = 0; spins != spins_before_sleep; ++spins) {
      detail::pause();
      // relaxed: only hints that a try may succeed.
      if (state_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    }
    // acquire: as in try_lock(). Stores 2, because other threads may be asleep: unlock() must then wake one.
    while (state_.exchange(2, std::memory_order_acquire) != 0) {
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_HAVE_LINUX_FUTEX)
      detail::yield();  // without futexes libstdc++ 12 loses wake-ups (seen with MinGW)
#else
      state_.wait(2, std::memory_order_relaxed);
#endif
    }
  }
  FASTALLOC_COLD void wake() noexcept { state_.notify_one(); }

  std::atomic<int> state_{0};
};

static_assert(LockPolicy<AdaptiveLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE
