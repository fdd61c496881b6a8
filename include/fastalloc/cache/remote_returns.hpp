// SPDX-License-Identifier: MIT OR Apache-2.0
// RemoteReturns: slots of a sub-pool that other threads gave back, in a list through the slots themselves.
//
//   head_ -> slot -> slot -> null      pushed by one compare-and-swap, taken back all at once by an exchange
//
// A list that is only ever emptied as a whole knows no ABA problem: a push that succeeds has linked what is there.
// Source: the thread-free lists of mimalloc (Leijen, Zorn and de Moura, "Mimalloc: free list sharding in action",
// 2019). tests/spin/remote_list.pml is the model of this.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/cache/thread_parts.hpp>
#include <fastalloc/slots/slot_shape.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Shape::link_size has room for an address. All but push() are the owner's.
template <class Shape> class RemoteReturns : public NoCaches {
  static_assert(Shape::link_size >= sizeof(std::byte*));
  using Link = SlotLink<Shape, std::byte*>;

 public:
  using NoCaches::NoCaches;
  bool enter() noexcept { return is_forking(); }

  /// Any thread's.
  void push(std::byte* slot) noexcept {
    std::byte* head = head_.load(std::memory_order_relaxed);  // relaxed: only linked to
    do {
      Link::store(slot, head);
      // release: the link, and all that was done to the slot, are seen by gather(). relaxed: a failure only brings the
      // head.
    } while (!head_.compare_exchange_weak(head, slot, std::memory_order_release, std::memory_order_relaxed));
  }

  template <class Depot> bool gather(Depot& depot) noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return false;  // relaxed: the exchange looks again
    // acquire: pairs with the release in push().
    for (std::byte* slot = depot.check_list(head_.exchange(nullptr, std::memory_order_acquire)); slot != nullptr;) {
      std::byte* const next = Link::load(slot);
      depot.clear_link(slot);
      depot.give(slot);
      slot = next;
    }
    return true;
  }
  template <class Depot> void close(Depot& depot) noexcept { gather(depot); }
  template <class Depot> void poll(Depot& depot) noexcept { gather(depot); }

  /// Complexity: linear.
  template <class Depot> [[nodiscard]] std::size_t cached(Depot const& depot) const noexcept {
    std::size_t count = 0;
    std::size_t const most = depot.total();  // links that were written over may lead in a circle
    // acquire: pairs with the release in push(). Nobody takes slots away meanwhile.
    std::byte* slot = head_.load(std::memory_order_acquire);
    for (; slot != nullptr && depot.is_free(slot) && count != most; slot = Link::load(slot)) ++count;
    return count;
  }

 private:
  std::atomic<std::byte*> head_{nullptr};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
