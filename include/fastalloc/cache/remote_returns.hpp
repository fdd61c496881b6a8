// SPDX-License-Identifier: MIT OR Apache-2.0
// RemoteReturns: slots of a sub-pool that other threads gave back, in a list through the slots themselves.
//
//   head_ -> slot -> slot -> null      pushed by one compare-and-swap, taken back all at once by an exchange
//
// A list that is only ever emptied as a whole knows no ABA problem: a push that succeeds has linked what is there.
// Source: the thread-free lists of mimalloc (Leijen, Zorn and de Moura, "Mimalloc: free list sharding in action", 2019).
// tests/spin/remote_list.pml is the model of this.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/storage/poison.hpp>

#include <atomic>
#include <cstring>
#include <utility>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Shape::link_size has room for an address. All but push() are the owner's.
template <class Shape>
class RemoteReturns : public NoCaches {
  static_assert(Shape::link_size >= sizeof(std::byte*));

 public:
  using NoCaches::NoCaches;

  /// Any thread's.
  void push(std::byte* slot) noexcept {
    std::byte* head = head_.load(std::memory_order_relaxed);  // relaxed: only linked to
    do {
      link(slot, [&](std::byte* at) { std::memcpy(at, &head, sizeof head); });
      // release: the link, and all that was done to the slot, are seen by gather(). relaxed: a failure only brings the head.
    } while (!head_.compare_exchange_weak(head, slot, std::memory_order_release, std::memory_order_relaxed));
  }

  template <class Depot> bool gather(Depot& depot) noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return false;  // relaxed: the exchange looks again
    // acquire: pairs with the release in push().
    for (std::byte* slot = head_.exchange(nullptr, std::memory_order_acquire); slot != nullptr;) {
      std::byte* const next = follow(slot);
      depot.give(slot);
      slot = next;
    }
    return true;
  }
  template <class Depot> void close(Depot& depot) noexcept { gather(depot); }
  template <class Depot> void poll(Depot& depot) noexcept { gather(depot); }

  /// Complexity: linear.
  [[nodiscard]] std::size_t cached() const noexcept {
    std::size_t count = 0;
    // acquire: pairs with the release in push(). Nobody takes slots away meanwhile.
    for (std::byte* slot = head_.load(std::memory_order_acquire); slot != nullptr; slot = follow(slot)) ++count;
    return count;
  }

 private:
  template <class F> static void link(std::byte* slot, F&& f) noexcept {
    std::byte* const at = slot + Shape::link_offset;
    unpoison(at, sizeof at);
    f(at);
    if constexpr (Shape::poisons) poison(at, sizeof at);
  }
  static std::byte* follow(std::byte* slot) noexcept {
    std::byte* next = nullptr;
    link(slot, [&](std::byte* at) { std::memcpy(&next, at, sizeof next); });
    return next;
  }

  std::atomic<std::byte*> head_{nullptr};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
