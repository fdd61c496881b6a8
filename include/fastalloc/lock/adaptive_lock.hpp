// SPDX-License-Identifier: MIT OR Apache-2.0
// AdaptiveLock: spins briefly, then sleeps in the kernel until it is woken (std::atomic::wait: a futex on Linux).
//
//   state_   0 free   1 held   2 held, and a thread may be asleep   3 held, and a thread lost too often: see below
//            4 left to the threads that slept
//
// A thread that has been woken needs microseconds to run, in which others take the lock again and again. One that was
// woken wakes_before_turn times in vain stores 3: the next unlock() leaves the lock to the threads that slept (4), and
// the kernel wakes them in FIFO order. Others that come meanwhile let them run. They do not wait for them without end:
// after a fork the child has none of them, and not every lock hears of it.
//
// The tests while spinning become rarer, so that the owner keeps the cache line for several operations. Model:
// tests/spin/lock.pml. Source: Drepper, "Futexes are tricky", 2011, mutex 2; the hand-over: the mutex of Go, 2016.
#pragma once

#include <fastalloc/lock/spin_lock.hpp>

#if !FASTALLOC_HAS_THREADS
#error "fastalloc: AdaptiveLock needs threads, which this standard library lacks; use LockFree or SpinLock"
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default where threads share a pool; critical sections are a few nanoseconds, so it rarely sleeps. 4
/// bytes.
/// Complexity: 1 step each way uncontended, no system call. Contended: spins_before_sleep pauses of the processor, then
/// a sleep; unlock() then makes a system call. No order and no bound among waiting threads. But once one was woken in
/// vain wakes_before_turn times, the next owner is one of those that slept: it or another one.
class AdaptiveLock {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr int spins_before_sleep = 127;  ///< 1 to 9 µs
  static constexpr int wakes_before_turn = 16;    ///< each hand-over costs the time in which a thread wakes up

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
    int expected = 1;
    // release: publishes the writes under the lock to its next owner; pairs with the acquires in try_lock(), change().
    // relaxed: a failure says that there is more to do.
    if (!state_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed)) [[unlikely]]
      unlock_slow();
  }
  /// For the child of a fork, which has no other threads. Effects: forgets those that sleep. Requires: the caller holds
  /// the lock.
  void stay_alone() noexcept { state_.store(1, std::memory_order_relaxed); }  // relaxed: there is only one thread

 private:
  FASTALLOC_COLD void lock_slow() noexcept {
    for (int pauses = 1, sum = 0; sum < spins_before_sleep; sum += pauses, pauses *= 2) {
      for (int i = 0; i != pauses; ++i) detail::pause();
      // relaxed: only hints that a try may succeed.
      if (state_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    }
    int wakes = 0;
    for (int yields = 0;;) {
      int state = state_.load(std::memory_order_relaxed);  // relaxed: as above
      if (state == 0 || (state == 4 && (wakes != 0 || yields == yields_before_theft))) {
        // Stores 2, because other threads may be asleep: unlock() must then wake one.
        if (change(state, 2)) return;
        continue;
      }
      if (state == 4) {
        detail::yield(), ++yields;
        continue;
      }
      int const wanted = wakes >= wakes_before_turn ? 3 : 2;
      if (state < wanted && !change(state, wanted)) continue;
      sleep(state < wanted ? wanted : state);
      ++wakes;
    }
  }
  FASTALLOC_COLD void unlock_slow() noexcept {
    // A sleeper may replace 2 by 3 meanwhile; other threads change nothing while the lock is held.
    int state = 2;
    // release: as in unlock(). relaxed: a failure says that it is 3.
    if (!state_.compare_exchange_strong(state, 0, std::memory_order_release, std::memory_order_relaxed))
      // seq_cst: as a release; and not a plain store on x86. libstdc++'s notify_one() first reads a count of waiting
      // threads, which such a store may let pass: a thread that goes to sleep just then would not be woken.
      state_.store(4, std::memory_order_seq_cst);
    state_.notify_one();
  }
  // acquire: as in try_lock(). relaxed: a failure is followed by another look.
  bool change(int state, int next) noexcept {
    return state_.compare_exchange_strong(state, next, std::memory_order_acquire, std::memory_order_relaxed);
  }
  /// Returns when the state is not `state`, for a moment at least.
  void sleep([[maybe_unused]] int state) noexcept {
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_HAVE_LINUX_FUTEX)
    detail::yield();  // without futexes libstdc++ 12 loses wake-ups (seen with MinGW)
#else
    state_.wait(state, std::memory_order_relaxed);  // relaxed: as in lock_slow()
#endif
  }

  static constexpr int yields_before_theft = 10'000;  ///< some milliseconds

  std::atomic<int> state_{0};
};

static_assert(LockPolicy<AdaptiveLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE
