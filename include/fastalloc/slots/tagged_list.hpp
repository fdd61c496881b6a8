// SPDX-License-Identifier: MIT OR Apache-2.0
// TaggedList: the free slots of one block in a list that threads change by compare-and-swap; what LockFree uses.
//
//   head_    | number | tag |     one word; the tag counts changes, so that a head that went and came back is another one
//   next_[]  number of the slot behind, beside the slots: a slot's bytes may be an object's while somebody reads its link
//   fresh_   slots handed out at least once; those behind were never touched
//
//   number == index + 1, or 0 for none, so that an empty list is all zeros
//   fresh_ == live + free_      when no thread is inside
//
// 32 bits each where 64 can be swapped, else 16 bits each. The tag wraps after 2^32 (2^16) changes: a thread would have to
// sleep between two instructions for just as many (more, a multiple of it). tests/spin/tagged_list.pml is the model of this.
// Source: Treiber, "Systems programming: coping with parallelism", IBM RJ 5118, 1986.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <atomic>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct DoNotPause {
  void operator()() const noexcept {}
};

using TaggedWord = std::conditional_t<std::atomic<std::uint64_t>::is_always_lock_free, std::uint64_t, std::uint32_t>;

/// For tests: TagBits, the bits of the tag that are used; Pause, called between the look at the head and the swap.
template <class Shape, int TagBits = 0, class Pause = DoNotPause, class Word = TaggedWord>
class TaggedList {
  using Index = std::conditional_t<sizeof(Word) == 8, std::uint32_t, std::uint16_t>;
  static_assert(std::atomic<Word>::is_always_lock_free, "fastalloc: this processor cannot compare and swap; LockFree needs that. Use a lock");
  static constexpr int half = std::numeric_limits<Word>::digits / 2;
  static constexpr Word number_mask = std::numeric_limits<Index>::max();
  static constexpr Word tag_mask = TagBits == 0 ? number_mask : (Word{1} << TagBits) - 1;

 public:
  static constexpr bool growing = false;
  static constexpr bool hot_slot = false;
  static constexpr bool owns_frontier = true;  ///< fresh slots are here, too
  static constexpr std::size_t max_slots = static_cast<std::size_t>(number_mask);

  static constexpr std::size_t metadata_bytes(std::size_t slots, std::size_t) noexcept { return slots * sizeof(std::atomic<Index>); }

  void bind(std::byte* memory, Blocks<false> const& blocks) noexcept {
    next_ = reinterpret_cast<std::atomic<Index>*>(memory);
    // release: pairs with the acquire in take(), for the first allocation from inline storage.
    slots_.store(blocks[0].slots, std::memory_order_release);
  }

  [[nodiscard]] std::byte* take(Blocks<false> const& blocks, bool& fresh) noexcept {
    std::size_t const slots = slots_.load(std::memory_order_acquire);  // acquire: next_ and the blocks
    // seq_cst: acquires the link of the slot, and all that was done to it before it was given back; and comes after a waiter
    // made itself known (WaitQueue::any).
    Word head = head_.load(std::memory_order_seq_cst);
    for (bool last = false;; last = true) {
      while ((head & number_mask) != 0) {
        auto const place = static_cast<std::size_t>((head & number_mask) - 1);
        // relaxed: came with the head; where it changed since, the tag did, too, and the swap fails.
        Word const next = next_[place].load(std::memory_order_relaxed);
        Pause{}();
        // acquire: as above, for the head that a failure brings. A pop publishes nothing.
        if (head_.compare_exchange_weak(head, next | bump(head), std::memory_order_acquire, std::memory_order_acquire)) {
          free_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a count
          fresh = false;
          return blocks[0].data + place * blocks.stride();
        }
      }
      if (last) return nullptr;
      // relaxed: a fresh slot has no history.
      for (std::size_t place = fresh_.load(std::memory_order_relaxed); place < slots;) {
        if (!fresh_.compare_exchange_weak(place, place + 1, std::memory_order_relaxed)) continue;
        fresh = true;
        return blocks[0].data + place * blocks.stride();
      }
      // There will be no fresh ones any more; so if the list is empty now, too, at this moment nothing is free.
      head = head_.load(std::memory_order_seq_cst);
    }
  }
  [[nodiscard]] std::byte* take(Blocks<false> const& blocks) noexcept {
    bool fresh = false;
    return take(blocks, fresh);
  }

  void give(std::byte* slot, Blocks<false> const& blocks) noexcept {
    std::size_t const place = blocks.index_of(slot);
    free_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count; before the slot can be taken, so that it never wraps
    Word head = head_.load(std::memory_order_relaxed);  // relaxed: only compared
    do {
      next_[place].store(static_cast<Index>(head & number_mask), std::memory_order_relaxed);  // relaxed: published by the swap
      // seq_cst: releases link and slot to take(); and comes before the look for waiting threads.
    } while (!head_.compare_exchange_weak(head, static_cast<Word>(place + 1) | bump(head), std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  // What follows is exact when no thread is inside.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t const free = free_.load(std::memory_order_relaxed);  // relaxed: a count
    return free < handed() ? free : handed();
  }
  [[nodiscard]] std::size_t handed() const noexcept { return fresh_.load(std::memory_order_relaxed); }

  template <class F> void for_each(F&& f, Blocks<false> const& blocks) const {
    Word at = head_.load(std::memory_order_acquire) & number_mask;
    for (std::size_t n = size(); at != 0 && n != 0; at = next_[at - 1].load(std::memory_order_relaxed), --n)
      f(blocks[0].data + static_cast<std::size_t>(at - 1) * blocks.stride());
  }

 private:
  /// The tag of the head after `head`, in its place.
  static Word bump(Word head) noexcept { return static_cast<Word>(((head >> half) + 1) & tag_mask) << half; }

  std::atomic<Word> head_{0};
  std::atomic<std::size_t> fresh_{0};
  std::atomic<std::size_t> free_{0};
  std::atomic<std::size_t> slots_{0};
  std::atomic<Index>* next_ = nullptr;
};

/// What StackAllocator becomes under LockFree.
struct TaggedSlots {
  template <class Shape>
  using Slots = TaggedList<Shape>;
};

static_assert(SlotAllocator<TaggedSlots>);
#if ATOMIC_INT_LOCK_FREE == 2  // else this can be included, and not used
static_assert(SlotAllocatorState<TaggedList<SlotShape<16, 8, false>>>);
#endif

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
