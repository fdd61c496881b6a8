// SPDX-License-Identifier: MIT OR Apache-2.0
// TaggedList: the free slots of one block in a list that threads change by compare-and-swap; for LockFree.
//
//   block     | slots | ... | Control | links |      all changing data lie in the block, so processes may share it
//   head      | number | tag | in one word; the tag counts returns: a head whose slot was taken and returned differs.
//             Between two returns the list only gets shorter: no slot comes to its front twice
//   links     number of the next slot, and slots in the list from here on. Links lie beside the slots: a slot may hold
//             an object while another thread reads its link. A number is a place counted from the block's end, from 1;
//             links[0] ends the list. A taken slot links to itself: iterations need not walk the list
//   high_water   slots handed out at least once; those behind were never touched
//
//   high_water == live + size(),    size() == links[head.number].count at every moment, even while threads are inside
//
// So a process killed here leaks one slot, and nothing else. A counter beside the head would be wrong from then on, and
// took one more locked instruction an operation (a pair: 23.7 ns instead of 19.2). Number and tag have 32 bits where 64
// can be swapped, else 16. The tag wraps after 2^32 (2^16) returns: it fails only if a thread sleeps between two
// instructions for exactly a multiple of that. Model: tests/spin/tagged_list.pml. Source: Treiber, "Systems
// programming: coping with parallelism", IBM RJ 5118, 1986.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <atomic>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct DoNotPause {
  void operator()() const noexcept {}
};

using TaggedWord = std::conditional_t<std::atomic<std::uint64_t>::is_always_lock_free, std::uint64_t, std::uint32_t>;

/// Complexity: pop, push: 1 step (the head), and one more for each other thread that changed the head meanwhile:
/// lock-free, not wait-free. An empty pop() without contention takes 3. for_each: linear. For tests: TagBits, the bits
/// of the tag in use; Pause, called between the load of the head and the swap.
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
    std::atomic<std::size_t> high_water{0};

    FASTALLOC_ALWAYS_INLINE Link& link(Word number) noexcept { return reinterpret_cast<Link*>(this + 1)[number]; }
    FASTALLOC_ALWAYS_INLINE Link const& link(Word number) const noexcept {
      return reinterpret_cast<Link const*>(this + 1)[number];
    }
  };

 public:
  static constexpr bool growing = false;
  static constexpr bool keeps_last_freed = false;
  static constexpr bool owns_bump_pointer = true;  ///< untouched slots are handed out here, too
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
  /// Joins the list that another process bound to this memory.
  void join(std::byte* memory) noexcept {
    // release: pairs with the acquire in control(), for the first allocation from inline storage.
    control_.store(std::launder(reinterpret_cast<Control*>(memory)), std::memory_order_release);
  }

  [[nodiscard]] std::byte* pop(Blocks<false> const& blocks, bool& untouched) noexcept {
    Control* const at = control();
    if (at == nullptr) [[unlikely]]
      return nullptr;
    // seq_cst: acquires the slot's link and all accesses before its return, and follows a waiter's registration
    // (WaitQueue::any).
    Word head = at->head.load(std::memory_order_seq_cst);
    for (;;) {
      while (Word const number = head & low) {
        // relaxed: acquired with the head; if it changed since, so did the head, and the swap fails.
        Word const next = at->link(number).next.load(std::memory_order_relaxed);
        Pause{}();
        // acquire: as above, for the head that a failure loads. A pop publishes nothing.
        if (at->head.compare_exchange_weak(head, head - number + next, std::memory_order_acquire,
                                           std::memory_order_acquire)) {
          untouched = false;
          return mark(*at, number), assume(blocks[0].end - static_cast<std::size_t>(number) * blocks.stride());
        }
      }
      // relaxed: an untouched slot has no history.
      for (std::size_t place = at->high_water.load(std::memory_order_relaxed); place < blocks[0].slot_count;) {
        if (!at->high_water.compare_exchange_weak(place, place + 1, std::memory_order_relaxed)) continue;
        untouched = true;
        std::byte* const slot = blocks[0].data + place * blocks.stride();
        return mark(*at, number_of(slot, blocks)), assume(slot);
      }
      // No untouched slot can appear any more: if the list is empty now, no slot is free at this moment.
      head = at->head.load(std::memory_order_seq_cst);
      if ((head & low) == 0) return nullptr;
    }
  }
  [[nodiscard]] std::byte* pop(Blocks<false> const& blocks) noexcept {
    bool untouched = false;
    return pop(blocks, untouched);
  }

  void push(std::byte* slot, Blocks<false> const& blocks) noexcept {
    Control& at = *control();
    Word const number = number_of(slot, blocks);
    Link& link = at.link(number);
    Word head = at.head.load(std::memory_order_acquire);  // acquire: the count of the slot in front
    do {
      // relaxed: published by the swap, which fails if the head changed since. release: pairs with the acquire in
      // size(), which may read a count newer than its head: the reader then also sees that the counted slots were
      // handed out.
      link.next.store(static_cast<Index>(head & low), std::memory_order_relaxed);
      link.count.store(static_cast<Index>(at.link(head & low).count.load(std::memory_order_relaxed) + 1),
                       std::memory_order_release);
      // seq_cst: releases link and slot to pop(), and precedes the test for waiting threads. acquire: as above.
    } while (!at.head.compare_exchange_weak(head, after(head, number), std::memory_order_seq_cst,
                                            std::memory_order_acquire));
  }

  /// Without other threads: drops the slots in the list. No slot is taken then, and none is in the list.
  void clear(Blocks<false> const& blocks) noexcept {
    Control& at = *control();
    // relaxed, all: no other thread uses the list. The next tag: a head that a thread keeps from before differs.
    for (std::size_t place = 0, n = high_water(); place != n; ++place)
      at.link(static_cast<Word>(blocks[0].slot_count - place)).next.store(0, std::memory_order_relaxed);
    at.head.store(after(at.head.load(std::memory_order_relaxed), 0), std::memory_order_relaxed);
  }
  /// Without other threads, after clear(): all slots are untouched again.
  void restart() noexcept { control()->high_water.store(0, std::memory_order_relaxed); }  // relaxed: as in clear()

  /// True after bind(). Every thread that sees true can read blocks[0].
  [[nodiscard]] bool is_bound() const noexcept { return control() != nullptr; }

  // The functions below are exact when no thread is inside. relaxed, unless stated otherwise: counts.
  [[nodiscard]] std::size_t size() const noexcept {
    Control const* const at = control();
    return at == nullptr ? 0 : size(*at);
  }
  /// Slots that were handed out at least once.
  [[nodiscard]] std::size_t high_water() const noexcept {
    Control const* const at = control();
    return at == nullptr ? 0 : at->high_water.load(std::memory_order_relaxed);
  }
  /// Slots not in the list. The order of the two loads keeps the result from wrapping around, whatever threads do.
  [[nodiscard]] std::size_t live() const noexcept {
    Control const* const at = control();
    if (at == nullptr) return 0;
    std::size_t const returned = size(*at);
    return at->high_water.load(std::memory_order_relaxed) - returned;
  }

  /// Requires: the slot was handed out before. Either result is possible while another thread takes the slot.
  [[nodiscard]] bool is_taken(std::byte const* slot, Blocks<false> const& blocks) const noexcept {
    Word const number = number_of(slot, blocks);
    // acquire: pairs with the release in mark().
    return control()->link(number).next.load(std::memory_order_acquire) == static_cast<Index>(number);
  }
  /// For tests, without other threads: the free slots.
  template <class F> void for_each(F&& f, Blocks<false> const& blocks) const {
    Control const* const at = control();
    if (at == nullptr) return;
    Word number = at->head.load(std::memory_order_acquire) & low;  // acquire: the links
    // relaxed, both: the list may change meanwhile; each link still is the number of a slot, and the walk ends.
    std::size_t left = at->link(number).count.load(std::memory_order_relaxed);
    for (; number != 0 && left != 0; number = at->link(number).next.load(std::memory_order_relaxed), --left)
      f(blocks[0].end - static_cast<std::size_t>(number) * blocks.stride());
  }

 private:
  static Word number_of(std::byte const* slot, Blocks<false> const& blocks) noexcept {
    return static_cast<Word>(blocks.slots_in(static_cast<std::size_t>(blocks[0].end - slot)));
  }
  /// Marks the slot as taken. Threads that still read its link fail at the head, which has changed. release: publishes
  /// that the slot was handed out.
  FASTALLOC_ALWAYS_INLINE static void mark(Control& at, Word number) noexcept {
    at.link(number).next.store(static_cast<Index>(number), std::memory_order_release);
  }
  /// The successor of `head` when a slot is returned: that slot in front, and the next tag.
  static Word after(Word head, Word number) noexcept {
    if constexpr (TagBits == 0) return static_cast<Word>(head - (head & low) + number + (Word{1} << half));
    else return static_cast<Word>(number | (((head >> half) + 1) & tag_mask) << half);
  }
  FASTALLOC_ALWAYS_INLINE static std::byte* assume(std::byte* slot) noexcept {
    FASTALLOC_ASSUME(slot != nullptr);
    return slot;
  }
  static std::size_t size(Control const& at) noexcept {
    // acquire, both: the count, and that the counted slots were handed out.
    return at.link(at.head.load(std::memory_order_acquire) & low).count.load(std::memory_order_acquire);
  }
  /// Null before bind(). acquire: pairs with the release in join(): the list and the blocks.
  [[nodiscard]] Control* control() const noexcept { return control_.load(std::memory_order_acquire); }

  std::atomic<Control*> control_{nullptr};  ///< the address in this process
};

/// Replaces StackAllocator under LockFree.
struct TaggedSlots {
  using takes_any_size = TaggedSlots;
  static constexpr bool uses_granules = true;
  static constexpr bool can_be_joined = true;  ///< processes may share a block: Slots has join()
  template <class Shape> using Slots = TaggedList<Shape>;
};

static_assert(SlotAllocator<TaggedSlots>);
#if ATOMIC_INT_LOCK_FREE == 2  // without it the header can be included, but not used
static_assert(SlotAllocatorState<TaggedList<SlotShape<16, 8, false>>>);
#endif

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
