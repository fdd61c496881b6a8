// SPDX-License-Identifier: MIT OR Apache-2.0
// SpinLock: test and test-and-set, with a pause between tests and a yield when the wait is long.
// Source: Anderson, "The performance of spin lock alternatives for shared-memory multiprocessors", 1990.
#pragma once

#include <fastalloc/lock/lock.hpp>

#include <atomic>

#if FASTALLOC_HAS_THREADS && FASTALLOC_POSIX
#include <sched.h>
#elif FASTALLOC_HAS_THREADS
#include <thread>
#endif

#if defined(_MSC_VER) && !defined(__clang__) && (defined(_M_X64) || defined(_M_IX86))
extern "C" void _mm_pause(void);  // as in <intrin.h>, which is 30,000 lines
#pragma intrinsic(_mm_pause)
#elif defined(_MSC_VER) && !defined(__clang__) && defined(_M_ARM64)
extern "C" void __yield(void);
#pragma intrinsic(__yield)
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Tells the processor that this is a spin-wait loop.
FASTALLOC_ALWAYS_INLINE void pause() noexcept {
#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
  __builtin_ia32_pause();
#elif defined(_MSC_VER) && !defined(__clang__) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(_MSC_VER) && !defined(__clang__) && defined(_M_ARM64)
  __yield();
#elif (defined(__GNUC__) || defined(__clang__)) && (defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7))
  asm volatile("yield");
#endif
}

/// Lets another thread run, if there is an operating system with threads.
inline void yield() noexcept {
#if FASTALLOC_HAS_THREADS && FASTALLOC_POSIX
  sched_yield();
#elif FASTALLOC_HAS_THREADS
  std::this_thread::yield();
#endif
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: where system calls are forbidden and threads do not outnumber processors. 1 byte.
/// Complexity: 1 step each way uncontended. Contended: no bound and no order among waiting threads; others may always
/// win.
class SpinLock {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr int spins_before_yield = 128;  ///< tests; about 2 µs

  constexpr SpinLock() noexcept = default;

  void lock() noexcept {
    while (!try_lock()) {
      // relaxed: only hints that a retry may succeed.
      for (int spins = 0; locked_.load(std::memory_order_relaxed); ++spins) {
        if (spins % spins_before_yield == spins_before_yield - 1) detail::yield();
        else detail::pause();
      }
    }
  }
  [[nodiscard]] bool try_lock() noexcept {
    // acquire: pairs with the release in unlock().
#if defined(__riscv) && defined(__GNUC__)  // without libatomic, which GCC needs for a byte's exchange()
    return !__atomic_test_and_set(&locked_, __ATOMIC_ACQUIRE);
#else
    return !locked_.exchange(true, std::memory_order_acquire);
#endif
  }
  // release: publishes the writes under the lock to its next owner; pairs with the acquire in try_lock().
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

static_assert(LockPolicy<SpinLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE
