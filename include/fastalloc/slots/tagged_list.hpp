// SPDX-License-Identifier: MIT OR Apache-2.0
// TaggedList: the free slots of one block in a list that threads change by compare-and-swap; what LockFree uses.
//
//   block     | slots | ... | Control | links |      all that changes lies in the block: processes may share it
//   head      | number | tag | one word; the tag counts returns, so that a head whose slot went and came back is
//             another one. Between two
//             returns the list only gets shorter: no slot is in front of it twice
//   links     number of the slot behind, and slots of the list from here on; beside the slots: a slot's bytes may be an
//             object's
//             while somebody reads its link. A number is a place counted from the block's end, from 1; links[0] ends
//             the list A slot that is taken links to itself, so that iterations know what is in use without a walk
//             through the list
//   fresh     slots handed out at least once; those behind were never touched
//
//   fresh == live + size(),    size() == links[head.number].count       at every moment, whoever is inside
//
// So who dies inside (a process that is killed) loses the slot it had in hand, and nothing else. A counter beside the
// head would differ from then on; and it took one locked instruction an operation more (a pair: 23.7 ns instead of
// 19.2). 32 bits each where 64 can be swapped, else 16 bits each. The tag wraps after 2^32 (2^16) returns: a thread
// would have to sleep between two instructions for just as many (more, a multiple of it). tests/spin/tagged_list.pml is
// the model of this. Source: Treiber, "Systems programming: coping with parallelism", IBM RJ 5118, 1986.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <atomic>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct DoNotPause {
  void operator()() const noexcept {}
};

using TaggedWord = std::conditional_t<std::atomic<std::uint64_t>::is_always_lock_free, std::uint64_t, std::uint32_t>;

/// Complexity: take, give: 1 step (the head), and again for each other thread that changed the head meanwhile: some
/// thread always goes on, no thread has a bound of its own. Alone, an empty take() takes 3. for_each: linear. For
/// tests: TagBits, the bits of the tag that are used; Pause, called between the look at the head and the swap.
template <class Shape, int TagBits = 0, class Pause = DoNotPause, class Word = TaggedWord> class TaggedList {
  using Index = std::conditional_t<sizeof(Word) == 8, std::uint32_t, std::uint16_t>;
  static_assert(std::atomic<Word>::is_always_lock_free,
                "fastalloc: this processor cannot compare and swap; LockFree needs that. Use a lock");
  static constexpr int half = std::numeric_limits<Word>::digits / 2;
  static constexpr Word low = (std::numeric_limits<Index>::max)();  ///< the bits of the number
  static constexpr Word tag_mask = (Word{1} << TagBits) - 1;

  struct Link {
    std::atomic<Index> next{0};   ///< number
    std::atomic<Index> count{0};  ///< slots from here on, this one included
  };
  struct Control {
    std::atomic<Word> head{0};
    std::atomic<std::size_t> fresh{0};

    FASTALLOC_ALWAYS_INLINE Link& link(Word number) noexcept { return reinterpret_cast<Link*>(this + 1)[number]; }
    FASTALLOC_ALWAYS_INLINE Link const& link(Word number) const noexcept {
      return reinterpret_cast<Link const*>(this + 1)[number];
    }
  };

 public:
  static constexpr bool growing = false;
  static constexpr bool hot_slot = false;
  static constexpr bool owns_frontier = true;  ///< fresh slots are here, too
  static constexpr std::size_t max_slots = static_cast<std::size_t>(low);
  static constexpr std::size_t metadata_alignment = alignof(Control);

  static constexpr std::size_t metadata_bytes(std::size_t slot_count, std::size_t) noexcept {
    return sizeof(Control) + (slot_count + 1) * sizeof(Link);
  }

  void bind(std::byte* memory, Blocks<false> const&) noexcept {
    ::new (static_cast<void*>(memory)) Control;
    ::new (static_cast<void*>(memory + sizeof(Control))) Link;
    join(memory);
  }
  /// The list is the one that another process bound to this memory.
  void join(std::byte* memory) noexcept {
    // release: pairs with the acquire in control(), for the first allocation from inline storage.
    control_.store(std::launder(reinterpret_cast<Control*>(memory)), std::memory_order_release);
  }

  [[nodiscard]] std::byte* take(Blocks<false> const& blocks, bool& fresh) noexcept {
    Control* const at = control();
    if (at == nullptr) [[unlikely]]
      return nullptr;
    // seq_cst: acquires the link of the slot, and all that was done to it before it was given back; and comes after a
    // waiter made itself known (WaitQueue::any).
    Word head = at->head.load(std::memory_order_seq_cst);
    for (;;) {
      while (Word const number = head & low) {
        // relaxed: came with the head; where it changed since, the head did, too, and the swap fails.
        Word const next = at->link(number).next.load(std::memory_order_relaxed);
        Pause{}();
        // acquire: as above, for the head that a failure brings. A pop publishes nothing.
        if (at->head.compare_exchange_weak(head, head - number + next, std::memory_order_acquire,
                                           std::memory_order_acquire)) {
          fresh = false;
          return mark(*at, number), assume(blocks[0].end - static_cast<std::size_t>(number) * blocks.stride());
        }
      }
      // relaxed: a fresh slot has no history.
      for (std::size_t place = at->fresh.load(std::memory_order_relaxed); place < blocks[0].slot_count;) {
        if (!at->fresh.compare_exchange_weak(place, place + 1, std::memory_order_relaxed)) continue;
        fresh = true;
        std::byte* const slot = blocks[0].data + place * blocks.stride();
        return mark(*at, number_of(slot, blocks)), assume(slot);
      }
      // There will be no fresh ones any more; so if the list is empty now, too, at this moment nothing is free.
      head = at->head.load(std::memory_order_seq_cst);
      if ((head & low) == 0) return nullptr;
    }
  }
  [[nodiscard]] std::byte* take(Blocks<false> const& blocks) noexcept {
    bool fresh = false;
    return take(blocks, fresh);
  }

  void give(std::byte* slot, Blocks<false> const& blocks) noexcept {
    Control& at = *control();
    Word const number = number_of(slot, blocks);
    Link& link = at.link(number);
    Word head = at.head.load(std::memory_order_acquire);  // acquire: the count of the slot in front
    do {
      // relaxed: published by the swap; where the head changed since, the swap fails. release: pairs with the acquire
      // in size(), which may read a count that is newer than its head: then the slots that it counts were handed out,
      // for the reader too.
      link.next.store(static_cast<Index>(head & low), std::memory_order_relaxed);
      link.count.store(static_cast<Index>(at.link(head & low).count.load(std::memory_order_relaxed) + 1),
                       std::memory_order_release);
      // seq_cst: releases link and slot to take(); and comes before the look for waiting threads. acquire: as above.
    } while (!at.head.compare_exchange_weak(head, after(head, number), std::memory_order_seq_cst,
                                            std::memory_order_acquire));
  }

  /// After bind(), for every thread that sees it, blocks[0] can be read.
  [[nodiscard]] bool is_bound() const noexcept { return control() != nullptr; }

  // What follows is exact when nobody is inside. relaxed, where nothing else is said: counts.
  [[nodiscard]] std::size_t size() const noexcept {
    Control const* const at = control();
    return at == nullptr ? 0 : size(*at);
  }
  /// Slots that were handed out at least once.
  [[nodiscard]] std::size_t handed() const noexcept {
    Control const* const at = control();
    return at == nullptr ? 0 : at->fresh.load(std::memory_order_relaxed);
  }
  /// Those that are not in the list. In this order one number is part of the other, whatever goes on meanwhile.
  [[nodiscard]] std::size_t live() const noexcept {
    Control const* const at = control();
    if (at == nullptr) return 0;
    std::size_t const returned = size(*at);
    return at->fresh.load(std::memory_order_relaxed) - returned;
  }

  /// Requires: the slot was handed out before. A slot that another thread is just taking may be either.
  [[nodiscard]] bool is_taken(std::byte const* slot, Blocks<false> const& blocks) const noexcept {
    Word const number = number_of(slot, blocks);
    // acquire: pairs with the release in mark().
    return control()->link(number).next.load(std::memory_order_acquire) == static_cast<Index>(number);
  }
  /// For tests, alone: the free slots.
  template <class F> void for_each(F&& f, Blocks<false> const& blocks) const {
    Control const* const at = control();
    if (at == nullptr) return;
    Word number = at->head.load(std::memory_order_acquire) & low;  // acquire: the links
    // relaxed, both: the list may change meanwhile; each link is the number of a slot all the same, and the walk ends.
    std::size_t left = at->link(number).count.load(std::memory_order_relaxed);
    for (; number != 0 && left != 0; number = at->link(number).next.load(std::memory_order_relaxed), --left)
      f(blocks[0].end - static_cast<std::size_t>(number) * blocks.stride());
  }

 private:
  static Word number_of(std::byte const* slot, Blocks<false> const& blocks) noexcept {
    return static_cast<Word>(blocks.slots_in(static_cast<std::size_t>(blocks[0].end - slot)));
  }
  /// The slot is taken. Others that still look at its link fail at the head, which has changed. release: that the slot
  /// was handed out.
  FASTALLOC_ALWAYS_INLINE static void mark(Control& at, Word number) noexcept {
    at.link(number).next.store(static_cast<Index>(number), std::memory_order_release);
  }
  /// The head that follows `head` when a slot comes back: that slot in front, and the next tag.
  static Word after(Word head, Word number) noexcept {
    if constexpr (TagBits == 0) return static_cast<Word>(head - (head & low) + number + (Word{1} << half));
    else return static_cast<Word>(number | (((head >> half) + 1) & tag_mask) << half);
  }
  FASTALLOC_ALWAYS_INLINE static std::byte* assume(std::byte* slot) noexcept {
    FASTALLOC_ASSUME(slot != nullptr);
    return slot;
  }
  static std::size_t size(Control const& at) noexcept {
    // acquire, both: the count, and that its slots were handed out.
    return at.link(at.head.load(std::memory_order_acquire) & low).count.load(std::memory_order_acquire);
  }
  /// Null before bind(). acquire: what lies there, and the blocks.
  [[nodiscard]] Control* control() const noexcept { return control_.load(std::memory_order_acquire); }

  std::atomic<Control*> control_{nullptr};  ///< of this process
};

/// What StackAllocator becomes under LockFree.
struct TaggedSlots {
  static constexpr bool can_be_joined = true;  ///< processes may share a block: Slots has join()
  template <class Shape> using Slots = TaggedList<Shape>;
};

static_assert(SlotAllocator<TaggedSlots>);
#if ATOMIC_INT_LOCK_FREE == 2  // else this can be included, and not used
static_assert(SlotAllocatorState<TaggedList<SlotShape<16, 8, false>>>);
#endif

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
