// SPDX-License-Identifier: MIT OR Apache-2.0
// How a thread of ours waits for another one, and the lock that does so.
#pragma once

#include <atomic>
#include <thread>

namespace bench {

/// Gives the processor away now and then: there may be fewer of them than threads.
class Backoff {
 public:
  void wait() noexcept {
    if (++waits_ % 64 == 0) std::this_thread::yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
  }

 private:
  unsigned waits_ = 0;
};

class Spin {
 public:
  void lock() noexcept {
    Backoff backoff;
    while (locked_.exchange(true, std::memory_order_acquire))
      while (locked_.load(std::memory_order_relaxed)) backoff.wait();
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_ = false;
};

}  // namespace bench
