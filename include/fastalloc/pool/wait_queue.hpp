// SPDX-License-Identifier: MIT OR Apache-2.0
// WaitQueue: threads that wait for a slot, first come first served. Each gets its slot handed to it, so nobody can
// snatch it away in between, and none starves.
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
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// How long until `time`, of any clock and representation: at most an hour, so that nothing overflows; 0 when it is
/// over, or not a number. Throws: what Clock::now() throws.
template <class Clock, class Duration>
[[nodiscard]] std::chrono::nanoseconds time_left(std::chrono::time_point<Clock, Duration> const& time) {
  constexpr double most = 3600, least = 1e-6;  // seconds; as a time of day a double has 0.2 microseconds
  auto const now = Clock::now();
  auto const seconds = [](auto const& at) { return std::chrono::duration<double>(at.time_since_epoch()).count(); };
  double const left = seconds(time) - seconds(now);
  if (left > most) return std::chrono::hours(1);
  // Exactly, where the two are near each other and convert without overflow.
  if (!(left > -most) || now >= time) return std::chrono::nanoseconds::zero();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * (left > least ? left : least)));
}

/// While it lives, the thread is not cancelled.
class [[nodiscard]] NotCancelled {
 public:
#if defined(PTHREAD_CANCEL_DISABLE)
  NotCancelled() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NotCancelled() { pthread_setcancelstate(before_, nullptr); }

 private:
  int before_ = 0;

 public:
#else
  NotCancelled() noexcept {}
#endif
  NotCancelled(NotCancelled const&) = delete;
  NotCancelled& operator=(NotCancelled const&) = delete;
};

/// A thread that waits; lives on its stack, until it has left the queue and, where it was served, heard of it.
class Waiter {
 public:
  Taken taken{nullptr, false};  ///< under the lock of the pool
  Waiter* next = nullptr;       ///< in the queue: under the lock of the pool. Then in the list of a thread that serves
  bool is_queued = false;       ///< under the lock of the pool

  /// Ends wait_until(): a slot is there, or the pool ends. No lock may be held. The last that the server does with the
  /// waiter.
  void serve() noexcept {
    std::lock_guard const guard(mutex_);
    served_ = true;
    wake_.notify_one();
  }
  /// Ends wait_until(): the thread gives up.
  void stop() noexcept {
    std::lock_guard const guard(mutex_);
    stopped_ = true;
    wake_.notify_one();
  }
  /// Effects: waits until serve(), stop() or `time`, of any clock and representation. Throws: what Clock::now() throws.
  template <class Clock, class Duration> void wait_until(std::chrono::time_point<Clock, Duration> const& time) {
    for (;;) {
      auto const left = time_left(time);  // the clock is the user's: no lock is held
      std::unique_lock guard(mutex_);
      if (served_ || stopped_ || left <= left.zero()) return;
      wake_.wait_for(guard, left);
    }
  }
  /// Not to be left early: the server still uses the waiter.
  void wait_until_served() noexcept {
    NotCancelled const stays;
    std::unique_lock guard(mutex_);
    while (!served_) wake_.wait(guard);
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool served_ = false;
  bool stopped_ = false;
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
    waiter.is_queued = true;
    *last_ = &waiter;
    last_ = &waiter.next;
    ++inside_;
    count_.fetch_add(1, std::memory_order_seq_cst);  // seq_cst: as in any()
  }
  /// The first one has its slot: it is woken when the lock is free again.
  void hand_over(Waiter& waiter) noexcept {
    remove(waiter);
    waiter.next = std::exchange(served_, &waiter);
  }
  /// The thread of `waiter` goes on, with a slot or without. Returns: true when a server is about to wake it.
  [[nodiscard]] bool leave(Waiter& waiter) noexcept {
    bool const was_served = !waiter.is_queued;
    if (waiter.is_queued) remove(waiter);
    --inside_;
    return was_served;
  }
  [[nodiscard]] bool has_served() const noexcept { return served_ != nullptr; }
  /// Those that were served while the lock was held; for wake(), without the lock.
  [[nodiscard]] Waiter* take_served() noexcept { return std::exchange(served_, nullptr); }
  static void wake(Waiter* list) noexcept {
    while (list != nullptr) std::exchange(list, list->next)->serve();
  }
  /// Effects: all give up. Returns: true when they have left.
  bool dismiss() noexcept {
    while (first_ != nullptr) hand_over(*first_);
    return inside_ == 0;
  }

  /// After a fork: they are not there.
  void forget() noexcept {
    first_ = served_ = nullptr;
    last_ = &first_;
    inside_ = 0;
    count_.store(0, std::memory_order_relaxed);  // relaxed: the only thread there is
  }

 private:
  void remove(Waiter& waiter) noexcept {
    Waiter** at = &first_;
    while (*at != &waiter) at = &(*at)->next;
    *at = waiter.next;
    if (last_ == &waiter.next) last_ = at;
    waiter.is_queued = false;
    count_.fetch_sub(1, std::memory_order_seq_cst);  // seq_cst: as in any()
  }

  Waiter* first_ = nullptr;
  Waiter** last_ = &first_;
  Waiter* served_ = nullptr;  ///< to be woken when the lock is free
  std::uint32_t inside_ = 0;  ///< threads between push() and leave()
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
