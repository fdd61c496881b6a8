// SPDX-License-Identifier: MIT OR Apache-2.0
// UnrolledLists: the returned slots in lists whose nodes are free slots, each full of addresses of others. One list for
// each part of the address space.
//
//   list -> | link | slot slot slot ...... |      link -> | link | slot slot ... slot |      link -> null
//            chunk   bottom    top      end               every older chunk is full
//
// An unrolled linked list (Shao, Reppy and Appel, "Unrolling lists", 1994): last in first out with 0 bytes a slot, and
// a returned slot is written to only when it becomes a chunk. A chunk holds as many addresses as fit in a slot, less
// one; slots of one word make a plain list. When a chunk itself is handed out, the older one becomes the current chunk,
// and the one before it is prefetched.
//
// A slot belongs to list (address / region) % 32. Slots are taken from one list until it is empty, so what is handed
// out in a row lies close together, in whatever order it came back. With one list for all, a hash table of 8 MB that is
// filled anew would get its nodes from anywhere in the 8 MB.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// When to use: many slots of a size known at run time, in pools that do not check links: a write to a free slot may
/// change the addresses of others. 40 bytes a pool of less than 8 blocks, 1.3 KB a larger one (64-bit machines).
/// Complexity: pop, push: a few steps; every pop of a chunk reads the slot, and the first one from a list looks for it
/// among 32. clear: linear in the lists; for_each, erase_if, and a bind with another number of lists: in the returned
/// slots, too.
struct UnrolledLists {
  static constexpr bool is_slot_policy = true;
  static constexpr std::size_t region = std::size_t{32} << 10;  ///< bytes
  static constexpr std::size_t lists_for(std::size_t blocks) noexcept { return blocks < 8 ? 1 : 32; }

  template <class Shape> class Slots {
    static_assert(Shape::growing && Shape::link_offset == 0, "entries are addresses, and begin where the slot does");
    using InSlot = detail::SlotLink<Shape, std::byte*>;

    struct List {
      std::byte** top = nullptr;     ///< behind the entry to be handed out next
      std::byte** bottom = nullptr;  ///< of the entries of the current chunk
      std::byte** end = nullptr;     ///< of its room
      std::byte* chunk = nullptr;    ///< the current chunk; null if no slot is here
      std::byte* older = nullptr;    ///< its link: the chunk before
    };

   public:
    static constexpr bool growing = true;
    static constexpr bool keeps_last_freed = true;

    static constexpr std::size_t metadata_bytes(std::size_t, std::size_t blocks) noexcept {
      return lists_for(blocks) * sizeof(List);
    }

    /// A null `memory`: the pool holds none, and no slot.
    void bind(std::byte* memory, Blocks<true> const& blocks) noexcept {
      if (memory == reinterpret_cast<std::byte*>(first_)) return;  // it has room for at least as many lists
      Slots moved;
      if (memory != nullptr) {
        std::size_t const count = lists_for(blocks.count());
        for (std::size_t i = 0; i != count; ++i) ::new (static_cast<void*>(memory + i * sizeof(List))) List();
        moved.first_ = moved.current_ = std::launder(reinterpret_cast<List*>(memory));
        moved.last_ = count - 1;
      }
      if (first_ != nullptr && moved.first_ != nullptr && moved.last_ == last_) {
        for (std::size_t i = 0; i <= last_; ++i) moved.first_[i] = first_[i];
        moved.current_ += current_ - first_;
        moved.size_ = size_;
      } else {
        while (std::byte* const slot = pop(blocks)) moved.push(slot, blocks);
      }
      *this = moved;
    }

    FASTALLOC_ALWAYS_INLINE std::byte* pop(Blocks<true> const& blocks) noexcept {
      if (size_ == 0) return nullptr;
      --size_;
      if (current_->top == current_->bottom) return pop_chunk(blocks);
      return load(--current_->top);
    }

    FASTALLOC_ALWAYS_INLINE void push(std::byte* slot, Blocks<true> const& blocks) noexcept {
      ++size_;
      push_to(first_[reinterpret_cast<std::uintptr_t>(slot) / region & last_], slot, blocks);
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept { return size_; }

    template <class F> void for_each(F&& f, Blocks<true> const& blocks) const {
      for (std::size_t i = 0; size_ != 0 && i <= last_; ++i)
        for (List list = first_[i]; std::byte* const slot = pop_from(list, blocks);) f(slot);
    }

    /// Keeps the order.
    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<true> const& blocks) noexcept {
      for (std::size_t i = 0; size_ != 0 && i <= last_; ++i) {
        // A chunk's slot is popped after its entries: writing to popped slots does not change what is still to be read.
        List reversed;
        while (std::byte* const slot = pop_from(first_[i], blocks)) {
          if (predicate(slot)) --size_;
          else push_to(reversed, slot, blocks);
        }
        while (std::byte* const slot = pop_from(reversed, blocks)) push_to(first_[i], slot, blocks);
      }
    }

    void clear(Blocks<true> const&) noexcept {
      size_ = 0;
      for (std::size_t i = 0; first_ != nullptr && i <= last_; ++i) first_[i] = List();
    }

   private:
    static std::byte* load(std::byte* const* entry) noexcept {
      return InSlot::load(reinterpret_cast<std::byte const*>(entry));
    }
    static void store(std::byte** entry, std::byte* slot) noexcept {
      InSlot::store(reinterpret_cast<std::byte*>(entry), slot);
    }
    [[nodiscard]] static std::byte** words(std::byte* chunk) noexcept { return reinterpret_cast<std::byte**>(chunk); }

    FASTALLOC_NOINLINE static void push_chunk(List& list, std::byte* slot, Blocks<true> const& blocks) noexcept {
      store(words(slot), list.chunk);
      list.older = std::exchange(list.chunk, slot);
      list.bottom = list.top = words(slot) + 1;
      list.end = words(slot) + blocks.stride() / sizeof(std::byte*);
    }
    FASTALLOC_ALWAYS_INLINE static void push_to(List& list, std::byte* slot, Blocks<true> const& blocks) noexcept {
      if (list.top == list.end) push_chunk(list, slot, blocks);
      else store(list.top++, slot);
    }

    /// Returns: null if the list is empty.
    static std::byte* pop_from(List& list, Blocks<true> const& blocks) noexcept {
      if (list.top != list.bottom) return load(--list.top);
      std::byte* const slot = std::exchange(list.chunk, list.older);
      if (list.chunk == nullptr) return list = List(), slot;
      list.older = load(words(list.chunk));
      list.bottom = words(list.chunk) + 1;
      list.top = list.end = words(list.chunk) + blocks.stride() / sizeof(std::byte*);
      FASTALLOC_PREFETCH(list.older);
      return slot;
    }
    FASTALLOC_NOINLINE std::byte* pop_chunk(Blocks<true> const& blocks) noexcept {
      while (current_->chunk == nullptr) current_ = current_ == first_ + last_ ? first_ : current_ + 1;
      return pop_from(*current_, blocks);
    }

    List* current_ = nullptr;  ///< the list that slots are taken from; null in a pool without memory
    List* first_ = nullptr;
    std::size_t last_ = 0;  ///< the number of lists, a power of two, less one
    std::size_t size_ = 0;
  };
};

static_assert(SlotAllocator<UnrolledLists>);
static_assert(SlotAllocatorState<UnrolledLists::Slots<SlotShape<16, 8, true>>>);
static_assert(ErasableSlots<UnrolledLists::Slots<SlotShape<16, 8, true>>>);
static_assert(DropsAll<UnrolledLists::Slots<SlotShape<16, 8, true>>>);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
