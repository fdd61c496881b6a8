// SPDX-License-Identifier: MIT OR Apache-2.0
// WaitQueue: threads and requests (see on_available.hpp) that wait for a slot, in FIFO order. Slots are handed over
// directly, so no other thread can steal one, and none of those that wait starves.
//
//   push -> | queue_ | -> hand_over -> | served_ | -> after the unlock: wake()
//                                      | offered_: slots handed over in which no object is under construction yet |
#pragma once

#include <fastalloc/cache/forks.hpp>
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

/// An entry of a WaitQueue.
class WaitNode {
 public:
  using Served = void (*)(WaitNode&) noexcept;

  Taken taken{nullptr, false};  ///< guarded by the pool's lock
  WaitNode* next = nullptr;     ///< in the queue, guarded by the pool's lock; later in the serving thread's list
  WaitNode* next_offer = nullptr;
  bool is_queued = false;  ///< guarded by the pool's lock
  bool is_due = false;     ///< of a request: its function runs at the next call of served_

  /// True for a request, false for a thread that waits.
  [[nodiscard]] bool is_request() const noexcept { return served_ != nullptr; }

 protected:
  friend class WaitQueue;
  constexpr explicit WaitNode(Served served = nullptr) noexcept : served_(served) {}

 private:
  Served served_;  ///< of a request: called when a slot is there, or the pool ends. The server's last access
};

/// Entries in FIFO order, linked by their member `link`. The initial state is empty.
template <WaitNode* WaitNode::* link> class WaitList {
 public:
  constexpr WaitList() noexcept = default;
  WaitList(WaitList const&) = delete;
  WaitList& operator=(WaitList const&) = delete;

  [[nodiscard]] WaitNode* first() const noexcept { return first_; }
  void append(WaitNode& node) noexcept {
    node.*link = nullptr;
    *std::exchange(last_, &(node.*link)) = &node;
  }
  /// Removes the entry, if it is in the list. Complexity: linear in those before it.
  void remove(WaitNode& node) noexcept {
    WaitNode** at = &first_;
    while (*at != nullptr && *at != &node) at = &((*at)->*link);
    if (*at == nullptr) return;
    *at = node.*link;
    if (last_ == &(node.*link)) last_ = at;
  }
  /// Removes all entries. Returns: the first one.
  WaitNode* take_all() noexcept {
    last_ = &first_;
    return std::exchange(first_, nullptr);
  }
  /// Removes all threads, without a look at what follows them. Returns: the number of requests.
  std::uint32_t keep_requests() noexcept {
    std::uint32_t requests = 0;
    for (last_ = &first_; *last_ != nullptr;) {
      if (!(*last_)->is_request()) *last_ = (*last_)->*link;
      else last_ = &((*last_)->*link), ++requests;
    }
    return requests;
  }

 private:
  WaitNode* first_ = nullptr;
  WaitNode** last_ = &first_;
};

/// A waiting thread. Lives on its stack until it has left the queue and, if it was served, was notified.
class Waiter : public WaitNode {
 public:
  /// Ends wait_until(): a slot is there, or the pool ends. Call it without a lock. The server's last access.
  void notify() noexcept {
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
  /// Effects: waits for notify(), stop() or `time`, on any clock and representation. Throws: as Clock::now().
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

/// All functions but any() and wake() need the pool's lock.
class WaitQueue {
 public:
  static constexpr bool enabled = true;
  using Waiter = detail::Waiter;

  // seq_cst: a giver pushes its slot, then reads count_; a waiter increments count_, then looks for a slot.
  [[nodiscard]] bool any() const noexcept { return count_.load(std::memory_order_seq_cst) != 0; }
  static void yield() noexcept { detail::yield(); }
  [[nodiscard]] static bool is_forking() noexcept { return detail::is_forking(); }
  [[nodiscard]] WaitNode* first() const noexcept { return queue_.first(); }

  void push(WaitNode& node) noexcept {
    node.is_queued = true;
    queue_.append(node);
    if (!node.is_request()) ++inside_;
    count_.fetch_add(1, std::memory_order_seq_cst);  // seq_cst: as in any()
  }
  /// Removes an entry that has got its slot, or none as the pool ends; wake() it after the unlock.
  void hand_over(WaitNode& node) noexcept {
    remove(node);
    served_.append(node);
    if (node.taken.slot != nullptr) offered_.append(node);
  }
  /// Removes a waiting thread, with a slot or without. Returns: true if a server is about to wake it.
  [[nodiscard]] bool leave(Waiter& waiter) noexcept {
    bool const was_served = !waiter.is_queued;
    if (waiter.is_queued) remove(waiter);
    else end_offer(waiter);
    --inside_;
    return was_served;
  }
  /// Removes a request that gives up. Returns: false if it was served, or never was in the queue.
  [[nodiscard]] bool leave(WaitNode& request) noexcept {
    if (!request.is_queued) return false;
    remove(request);
    return true;
  }
  /// From here on the slot that was handed over counts as one that holds an object.
  void end_offer(WaitNode& node) noexcept { offered_.remove(node); }
  /// True for a slot that was handed over and holds no object yet. Complexity: linear in their number.
  [[nodiscard]] bool offers(std::byte const* slot) const noexcept {
    for (WaitNode const* node = offered_.first(); node != nullptr; node = node->next_offer)
      if (node->taken.slot == slot) return true;
    return false;
  }
  [[nodiscard]] bool has_served() const noexcept { return served_.first() != nullptr; }
  /// Returns: the entries served under the lock. Pass them to wake() after the unlock.
  [[nodiscard]] WaitNode* take_served() noexcept { return served_.take_all(); }
  /// The requests that this thread serves while it runs the function of another or holds a turn; null: it does neither.
  using Deferred = WaitList<&WaitNode::next>;
  static Deferred*& deferred() noexcept {
    static thread_local Deferred* current = nullptr;
    return current;
  }
  /// While the outermost one lives, requests that this thread serves wait; then their functions are called.
  class Deferral {
   public:
    Deferral() noexcept : is_outermost_(deferred() == nullptr) {
      if (is_outermost_) deferred() = &list_;
    }
    Deferral(Deferral const&) = delete;
    Deferral& operator=(Deferral const&) = delete;
    ~Deferral() {
      if (!is_outermost_) return;
      // Functions that serve more requests append them here, so a chain takes constant stack.
      while (WaitNode* const node = list_.first()) {
        list_.remove(*node);
        node->is_due = true;
        node->served_(*node);
      }
      deferred() = nullptr;
    }

   private:
    Deferred list_;
    bool is_outermost_;
  };
  static void wake(WaitNode* list) noexcept {
    while (list != nullptr) {
      WaitNode& node = *std::exchange(list, list->next);
      if (node.is_request()) node.served_(node);
      else static_cast<Waiter&>(node).notify();
    }
  }
  /// Effects: dismisses all entries. Returns: true if all threads have left.
  bool dismiss() noexcept {
    while (WaitNode* const node = first()) hand_over(*node);
    return inside_ == 0;
  }

  /// After a fork: the waiting threads do not exist in the child. Returns: the number of requests that still wait.
  std::size_t forget() noexcept {
    (void)take_served();  // there are none: the server takes them before it unlocks
    (void)offered_.keep_requests();
    std::uint32_t const requests = queue_.keep_requests();
    inside_ = 0;
    count_.store(requests, std::memory_order_relaxed);  // relaxed: the child has only this thread
    return requests;
  }

 private:
  void remove(WaitNode& node) noexcept {
    queue_.remove(node);
    node.is_queued = false;
    count_.fetch_sub(1, std::memory_order_seq_cst);  // seq_cst: as in any()
  }

  WaitList<&WaitNode::next> queue_;
  WaitList<&WaitNode::next> served_;         ///< to be woken after the unlock
  WaitList<&WaitNode::next_offer> offered_;  ///< with slots in which no object is under construction yet
  std::uint32_t inside_ = 0;                 ///< threads between push() and leave()
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
