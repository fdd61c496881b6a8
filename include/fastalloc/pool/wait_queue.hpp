// SPDX-License-Identifier: MIT OR Apache-2.0
// WaitQueue: threads that wait for a slot, first come first served. Each gets its slot handed to it, so nobody can snatch
// it away in between, and none starves.
#pragma once

#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/pool/slot_supply.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <version>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// A thread that waits; lives on its stack.
class Waiter {
 public:
  Taken taken{nullptr, false};  ///< under the lock of the pool
  Waiter* next = nullptr;       ///< under the lock of the pool

  /// Ends wait_until(). Called under the lock of the pool, which the waiter takes before it goes away.
  void wake() noexcept {
    std::lock_guard const guard(mutex_);
    woken_ = true;
    wake_.notify_one();
  }
  template <class Time> void wait_until(Time const& time) {
    std::unique_lock guard(mutex_);
    wake_.wait_until(guard, time, [&] { return woken_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
};

/// All but any() need the lock of the pool.
class WaitQueue {
 public:
  static constexpr bool enabled = true;
  using Waiter = detail::Waiter;

  // seq_cst: a giver puts its slot into the list and then looks here; a waiter comes here and then looks into the list.
  [[nodiscard]] bool any() const noexcept { return count_.load(std::memory_order_seq_cst) != 0; }
  static void yield() noexcept { detail::yield(); }
  [[nodiscard]] Waiter* first() const noexcept { return first_; }

  void push(Waiter& waiter) noexcept {
    Waiter** at = &first_;
    while (*at != nullptr) at = &(*at)->next;
    *at = &waiter;
    ++inside_;
    count_.fetch_add(1, std::memory_order_seq_cst);  // seq_cst: as in any()
  }
  /// The first one has its slot.
  void hand_over(Waiter& waiter) noexcept {
    remove(waiter);
    waiter.wake();
  }
  /// The thread of `waiter` goes on, with a slot or without.
  void leave(Waiter& waiter) noexcept {
    remove(waiter);
    --inside_;
  }
  /// Effects: all give up. Returns: true when they have left.
  bool dismiss() noexcept {
    while (first_ != nullptr) hand_over(*first_);
    return inside_ == 0;
  }

  /// After a fork: they are not there.
  void forget() noexcept {
    first_ = nullptr;
    inside_ = 0;
    count_.store(0, std::memory_order_relaxed);  // relaxed: the only thread there is
  }

 private:
  void remove(Waiter& waiter) noexcept {
    for (Waiter** at = &first_; *at != nullptr; at = &(*at)->next) {
      if (*at != &waiter) continue;
      *at = waiter.next;
      count_.fetch_sub(1, std::memory_order_seq_cst);  // seq_cst: as in any()
      return;
    }
  }

  Waiter* first_ = nullptr;
  std::size_t inside_ = 0;  ///< threads between push() and leave()
  std::atomic<std::size_t> count_{0};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
