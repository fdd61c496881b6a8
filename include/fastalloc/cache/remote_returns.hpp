// SPDX-License-Identifier: MIT OR Apache-2.0
// RemoteReturns: slots of a sub-pool returned by other threads, in a list through the slots themselves.
//
//   head_ -> slot -> slot -> null      pushed by one compare-and-swap, taken back all at once by an exchange
//
// There is no ABA problem, because the list is only ever emptied as a whole: a push that succeeds has linked the
// current head. Source: the thread-free lists of mimalloc (Leijen, Zorn and de Moura, "Mimalloc: free list sharding in
// action", 2019). Model: tests/spin/remote_list.pml.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/cache/thread_parts.hpp>
#include <fastalloc/slots/slot_shape.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Requires: Shape::link_size has room for an address. Thread safety: only the owner may call functions other than
/// push().
template <class Shape> class RemoteReturns : public NoCaches {
  static_assert(Shape::link_size >= sizeof(std::byte*));
  using Link = SlotLink<Shape, std::byte*>;

 public:
  using NoCaches::NoCaches;
  bool enter() noexcept { return is_forking(); }

  /// Thread safety: any thread may call it.
  void push(std::byte* slot) noexcept {
    std::byte* head = head_.load(std::memory_order_relaxed);  // relaxed: linked to, not followed
    do {
      Link::store(slot, head);
      // release: publishes the link, and all writes to the slot, to gather(). relaxed: a failure only reloads the head.
    } while (!head_.compare_exchange_weak(head, slot, std::memory_order_release, std::memory_order_relaxed));
  }

  template <class Supply> bool gather(Supply& supply) noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return false;  // relaxed: the exchange reads it again
    // acquire: pairs with the release in push().
    for (std::byte* slot = supply.check_list(head_.exchange(nullptr, std::memory_order_acquire)); slot != nullptr;) {
      std::byte* const next = Link::load(slot);
      supply.clear_link(slot);
      supply.push(slot);
      slot = next;
    }
    return true;
  }
  template <class Supply> void close(Supply& supply) noexcept { gather(supply); }
  template <class Supply> void poll(Supply& supply) noexcept { gather(supply); }

  /// Complexity: linear in the slots of the list.
  template <class Supply> [[nodiscard]] std::size_t cached(Supply const& supply) const noexcept {
    std::size_t count = 0;
    std::size_t const most = supply.total();  // overwritten links may form a cycle
    // acquire: pairs with the release in push(). No thread removes slots meanwhile.
    std::byte* slot = head_.load(std::memory_order_acquire);
    for (; slot != nullptr && supply.is_free(slot) && count != most; slot = Link::load(slot)) ++count;
    return count;
  }

 private:
  std::atomic<std::byte*> head_{nullptr};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
