// SPDX-License-Identifier: MIT OR Apache-2.0
// WaitQueue: threads that wait for a slot, in FIFO order. Slots are handed over directly, so no other thread can steal
// one, and no waiting thread starves.
#pragma once

#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/pool/slot_supply.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <version>

#if !defined(__GLIBCXX__)
// libstdc++ has durations and clocks in <mutex>; <chrono> has calendars and formats, too, which take long to compile.
#include <chrono>
#endif

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The time until `time`, on any clock and representation: at most one hour, so that nothing overflows; 0 if it is past
/// or NaN. Throws: as Clock::now().
template <class Clock, class Duration>
[[nodiscard]] std::chrono::nanoseconds time_left(std::chrono::time_point<Clock, Duration> const& time) {
  constexpr double most = 3600, least = 1e-6;  // seconds; a double resolves a time of day to 0.2 microseconds
  auto const now = Clock::now();
  auto const seconds = [](auto const& at) { return std::chrono::duration<double>(at.time_since_epoch()).count(); };
  double const left = seconds(time) - seconds(now);
  if (left > most) return std::chrono::hours(1);
  // Compare exactly if the two are close and convert without overflow.
  if (!(left > -most) || now >= time) return std::chrono::nanoseconds::zero();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * (left > least ? left : least)));
}

/// Disables cancellation of the thread during its lifetime.
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

/// A waiting thread. Lives on its stack until it has left the queue and, if it was served, was notified.
class Waiter {
 public:
  Taken taken{nullptr, false};  ///< guarded by the pool's lock
  Waiter* next = nullptr;       ///< in the queue, guarded by the pool's lock; later in the serving thread's list
  bool is_queued = false;       ///< guarded by the pool's lock

  /// Ends wait_until(): a slot is there, or the pool ends. Call it without a lock. The server's last access.
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
  /// Effects: waits for serve(), stop() or `time`, on any clock and representation. Throws: as Clock::now().
  template <class Clock, class Duration> void wait_until(std::chrono::time_point<Clock, Duration> const& time) {
    for (;;) {
      auto const left = time_left(time);  // the clock is user code: no lock is held
      std::unique_lock guard(mutex_);
      if (served_ || stopped_ || left <= left.zero()) return;
      wake_.wait_for(guard, left);
    }
  }
  /// Cannot be cancelled: the server still uses the waiter.
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

/// All functions but any() need the pool's lock.
class WaitQueue {
 public:
  static constexpr bool enabled = true;
  using Waiter = detail::Waiter;

  // seq_cst: a giver pushes its slot, then reads count_; a waiter increments count_, then looks for a slot.
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
  /// Removes a waiter that has got its slot; it is woken after the unlock.
  void hand_over(Waiter& waiter) noexcept {
    remove(waiter);
    waiter.next = std::exchange(served_, &waiter);
  }
  /// Removes a waiting thread, with a slot or without. Returns: true if a server is about to wake it.
  [[nodiscard]] bool leave(Waiter& waiter) noexcept {
    bool const was_served = !waiter.is_queued;
    if (waiter.is_queued) remove(waiter);
    --inside_;
    return was_served;
  }
  [[nodiscard]] bool has_served() const noexcept { return served_ != nullptr; }
  /// Returns: the waiters served under the lock. Pass them to wake() after the unlock.
  [[nodiscard]] Waiter* take_served() noexcept { return std::exchange(served_, nullptr); }
  static void wake(Waiter* list) noexcept {
    while (list != nullptr) std::exchange(list, list->next)->serve();
  }
  /// Effects: dismisses all waiters. Returns: true if all have left.
  bool dismiss() noexcept {
    while (first_ != nullptr) hand_over(*first_);
    return inside_ == 0;
  }

  /// After a fork: the waiting threads do not exist in the child.
  void forget() noexcept {
    first_ = served_ = nullptr;
    last_ = &first_;
    inside_ = 0;
    count_.store(0, std::memory_order_relaxed);  // relaxed: the child has only this thread
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
  Waiter* served_ = nullptr;  ///< to be woken after the unlock
  std::uint32_t inside_ = 0;  ///< threads between push() and leave()
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
