// SPDX-License-Identifier: MIT OR Apache-2.0
// UnrolledList: the returned slots in a list whose nodes are free slots, each full of addresses of others.
//
//   chunk_ -> | link | slot slot slot ...... |      link -> | link | slot slot ... slot |      link -> null
//                      bottom_     top_     end_              every older chunk is full
//
// An unrolled linked list (Shao, Reppy and Appel, "Unrolling lists", 1994): the order is that of StackAllocator, with 0
// bytes a slot beside the slots, and a returned slot is written to only when it becomes a chunk. A chunk holds as many
// addresses as fit in a slot, less one; slots of one word make a plain list. When a chunk itself is handed out, the
// older one becomes the current chunk, and the one before it is prefetched.
//
// Random returns of 100,000 slots take 1.6 times as long as with StackAllocator, since the chunks lie where the slots
// do. In exchange a program that frees much does not touch 8 more bytes a slot (benchmarks/README.md, "Clients").
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// When to use: many slots of a size known at run time, in pools that do not check links: a write to a free slot may
/// change the addresses of others.
/// Complexity: pop, push: a few steps; every pop of a chunk reads the slot. bind: 1 step. for_each, erase_if: linear in
/// the returned slots.
struct UnrolledList {
  static constexpr bool is_slot_policy = true;

  template <class Shape> class Slots {
    static_assert(Shape::growing, "entries are addresses");

   public:
    static constexpr bool growing = true;
    static constexpr bool keeps_last_freed = true;

    static constexpr std::size_t metadata_bytes(std::size_t, std::size_t) noexcept { return 0; }
    void bind(std::byte*, Blocks<true> const&) noexcept {}

    FASTALLOC_ALWAYS_INLINE std::byte* pop(Blocks<true> const& blocks) noexcept {
      if (top_ == bottom_) return pop_chunk(blocks);
      return load(--top_);
    }

    FASTALLOC_ALWAYS_INLINE void push(std::byte* slot, Blocks<true> const& blocks) noexcept {
      if (top_ == end_) return push_chunk(slot, blocks);
      store(top_++, slot);
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept {
      std::size_t const here = static_cast<std::size_t>(top_ - bottom_);
      return chunks_ == 0 ? 0 : (chunks_ - 1) * (static_cast<std::size_t>(end_ - bottom_) + 1) + here + 1;
    }

    template <class F> void for_each(F&& f, Blocks<true> const& blocks) const {
      for (Slots rest = *this; std::byte* const slot = rest.pop(blocks);) f(slot);
    }

    /// Keeps the order.
    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<true> const& blocks) noexcept {
      // A chunk's slot is popped after its entries: writing to popped slots does not change what is still to be read.
      Slots reversed;
      while (std::byte* const slot = pop(blocks))
        if (!predicate(slot)) reversed.push(slot, blocks);
      while (std::byte* const slot = reversed.pop(blocks)) push(slot, blocks);
    }

    void clear(Blocks<true> const&) noexcept { *this = Slots(); }

   private:
    static std::byte* load(std::byte* const* entry) noexcept {
      unpoison(entry, sizeof *entry);
      std::byte* slot;
      std::memcpy(&slot, entry, sizeof slot);
      if constexpr (Shape::poisons) poison(entry, sizeof *entry);
      return slot;
    }
    static void store(std::byte** entry, std::byte* slot) noexcept {
      unpoison(entry, sizeof *entry);
      std::memcpy(entry, &slot, sizeof slot);
      if constexpr (Shape::poisons) poison(entry, sizeof *entry);
    }
    [[nodiscard]] static std::byte** words(std::byte* chunk) noexcept { return reinterpret_cast<std::byte**>(chunk); }

    FASTALLOC_NOINLINE void push_chunk(std::byte* slot, Blocks<true> const& blocks) noexcept {
      store(words(slot), chunk_);
      older_ = std::exchange(chunk_, slot);
      ++chunks_;
      bottom_ = top_ = words(slot) + 1;
      end_ = words(slot) + blocks.stride() / sizeof(std::byte*);
    }
    FASTALLOC_NOINLINE std::byte* pop_chunk(Blocks<true> const& blocks) noexcept {
      if (chunks_ == 0) return nullptr;
      std::byte* const slot = std::exchange(chunk_, older_);
      if (--chunks_ == 0) return *this = Slots(), slot;
      older_ = load(words(chunk_));
      bottom_ = words(chunk_) + 1;
      top_ = end_ = words(chunk_) + blocks.stride() / sizeof(std::byte*);
      FASTALLOC_PREFETCH(older_);
      return slot;
    }

    std::byte** top_ = nullptr;     ///< behind the entry to be handed out next
    std::byte** bottom_ = nullptr;  ///< of the entries of the current chunk
    std::byte** end_ = nullptr;     ///< of its room
    std::byte* chunk_ = nullptr;    ///< the current chunk; null if no slot is here
    std::byte* older_ = nullptr;    ///< its link: the chunk before
    std::size_t chunks_ = 0;
  };
};

static_assert(SlotAllocator<UnrolledList>);
static_assert(SlotAllocatorState<UnrolledList::Slots<SlotShape<16, 8, true>>>);
static_assert(ErasableSlots<UnrolledList::Slots<SlotShape<16, 8, true>>>);
static_assert(DropsAll<UnrolledList::Slots<SlotShape<16, 8, true>>>);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
