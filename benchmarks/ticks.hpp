// SPDX-License-Identifier: MIT OR Apache-2.0
// Two readings of the time stamp counter around a few instructions. What stands before start() is complete by then and
// what stands between start() and stop() is inside, but for stores, which leave the processor's store buffer later. The
// distance of two readings with nothing in between is not 0: measure that, too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

namespace bench {

struct Ticks {
#if defined(__x86_64__) || defined(__i386__)
  [[gnu::always_inline]] static std::uint64_t start() noexcept {
    asm volatile("" : : : "memory");  // the compiler moves no access across; lfence keeps the processor from it
    _mm_lfence();
    std::uint64_t const now = __rdtsc();
    _mm_lfence();
    asm volatile("" : : : "memory");
    return now;
  }
  [[gnu::always_inline]] static std::uint64_t stop() noexcept {
    asm volatile("" : : : "memory");
    unsigned processor = 0;
    std::uint64_t const now = __rdtscp(&processor);  // waits for what stands before it
    _mm_lfence();
    asm volatile("" : : : "memory");
    return now;
  }
#elif defined(__aarch64__)
  [[gnu::always_inline]] static std::uint64_t start() noexcept {
    std::uint64_t now = 0;
    asm volatile("dsb ishld\n\tisb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(now) : : "memory");
    return now;
  }
  [[gnu::always_inline]] static std::uint64_t stop() noexcept { return start(); }
#else
  static std::uint64_t start() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the compiler moves no access across
    auto const now = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return now;
  }
  static std::uint64_t stop() noexcept { return start(); }
#endif

  /// Nanoseconds of a tick, from a tenth of a second.
  static double nanoseconds() {
    Moment const first = moment();
    while (std::chrono::steady_clock::now() - first.time < std::chrono::milliseconds(100)) {}
    Moment const last = moment();
    return std::chrono::duration<double, std::nano>(last.time - first.time).count() /
           static_cast<double>(last.ticks - first.ticks);
  }

 private:
  struct Moment {
    std::chrono::steady_clock::time_point time;
    std::uint64_t ticks;
  };
  /// Both clocks at once: of several tries the one in which least came in between.
  static Moment moment() {
    Moment best{};
    std::uint64_t least = UINT64_MAX;
    for (int i = 0; i != 20; ++i) {
      std::uint64_t const before = start();
      auto const time = std::chrono::steady_clock::now();
      std::uint64_t const after = stop();
      if (after - before >= least) continue;
      least = after - before;
      best = {time, before + least / 2};
    }
    return best;
  }
};

}  // namespace bench
