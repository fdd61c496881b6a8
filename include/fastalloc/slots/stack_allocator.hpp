// SPDX-License-Identifier: MIT OR Apache-2.0
// StackAllocator: the returned slots in an array, last in first out.
//
//   stack_ ....... limit_ ............ top_
//   | returned     | returned          |
//   | before mark  | since the mark    |           size() == top_ - stack_,   low_water() == limit_ - stack_
//
// The array tells which slots come next without touching them: pop() prefetches the slot to be handed out `lookahead`
// calls later, which is eight times faster than following links through cold slots (benchmarks/README.md).
// The mark is free: pop() compares with the end of the array anyway, and limit_ takes its place.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <cstring>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default. Costs 4 bytes a slot in a FixedPool, 8 in a GrowingPool.
/// Complexity: pop, push: 1 step (an entry and the top). pop_many, push_many, for_each, erase_if, drain, and bind
/// after blocks were added: linear in their slots.
struct StackAllocator {
  static constexpr bool is_slot_policy = true;
  using takes_any_size = StackAllocator;  ///< see PoolTypes::shares_code
  static constexpr bool uses_granules = true;
  static constexpr bool can_be_lock_free = true;  ///< as TaggedList

  template <class Shape> class Slots {
    using Code = SlotCode<Shape, Shape::growing>;
    using Entry = typename Code::type;

   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool keeps_last_freed = true;
    /// slots; 16 is up to a fifth slower when 100,000 slots return in random order
    static constexpr std::size_t lookahead = 32;

    static constexpr std::size_t metadata_bytes(std::size_t slot_count, std::size_t) noexcept {
      return slot_count * sizeof(Entry);
    }

    void bind(std::byte* memory, Blocks<growing> const&) noexcept {
      auto* const stack = reinterpret_cast<Entry*>(memory);
      std::size_t const returned = size();
      if (returned != 0) std::memmove(stack, stack_, returned * sizeof(Entry));
      limit_ = stack + (limit_ - stack_);
      top_ = stack + returned;
      stack_ = stack;
    }

    FASTALLOC_ALWAYS_INLINE std::byte* pop(Blocks<growing> const& blocks) noexcept {
      if (FASTALLOC_PREFETCHES && static_cast<std::size_t>(top_ - limit_) > lookahead) [[likely]] {
        Entry const entry = *--top_;
        FASTALLOC_PREFETCH(Code::decode(blocks, top_[-static_cast<std::ptrdiff_t>(lookahead)]));
        return Code::decode(blocks, entry);
      }
      if (top_ == limit_) {
        if (limit_ == stack_) return nullptr;
        --limit_;
      }
      return Code::decode(blocks, *--top_);
    }

    FASTALLOC_ALWAYS_INLINE void pop_many(std::byte** out, std::size_t n, Blocks<growing> const& blocks) noexcept {
      top_ -= n;
      limit_ = limit_ < top_ ? limit_ : top_;
      FASTALLOC_UNROLL for (std::size_t i = 0; i != n; ++i) out[i] = Code::decode(blocks, top_[n - 1 - i]);
    }

    FASTALLOC_ALWAYS_INLINE void push(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      *top_++ = Code::encode(blocks, slot);
    }

    /// at(0) is the next slot to be handed out.
    template <class At>
    FASTALLOC_ALWAYS_INLINE void push_many(At&& at, std::size_t n, Blocks<growing> const& blocks) noexcept {
      for (std::size_t i = 0; i != n; ++i) top_[n - 1 - i] = Code::encode(blocks, at(i));
      top_ += n;
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept {
      return static_cast<std::size_t>(top_ - stack_);
    }

    template <class F> void for_each(F&& f, Blocks<growing> const& blocks) const {
      for (Entry const* entry = stack_; entry != top_; ++entry) f(Code::decode(blocks, *entry));
    }

    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<growing> const& blocks) noexcept {
      Entry* kept = stack_;
      for (Entry const* entry = stack_; entry != top_; ++entry)
        if (!predicate(Code::decode(blocks, *entry))) *kept++ = *entry;
      top_ = limit_ = kept;
    }

    template <class F> void drain(F&& f, Blocks<growing> const& blocks) noexcept {
      for (Entry const* entry = std::exchange(limit_, top_); entry != top_; ++entry) f(Code::decode(blocks, *entry));
    }
    void set_mark() noexcept { limit_ = top_; }
    void clear(Blocks<growing> const&) noexcept { top_ = limit_ = stack_; }
    [[nodiscard]] std::size_t low_water() const noexcept { return static_cast<std::size_t>(limit_ - stack_); }

   private:
    template <class> friend class fastalloc::detail::SavedState;

    Entry* top_ = nullptr;
    Entry* limit_ = nullptr;
    Entry* stack_ = nullptr;
  };
};

static_assert(SlotAllocator<StackAllocator>);
static_assert(SlotAllocatorState<StackAllocator::Slots<SlotShape<16, 8, false>>>);
static_assert(MarksReturns<StackAllocator::Slots<SlotShape<16, 8, true>>>);
static_assert(GivesMany<StackAllocator::Slots<SlotShape<16, 8, false>>>);
static_assert(DropsAll<StackAllocator::Slots<SlotShape<16, 8, true>>>);
static_assert(ErasableSlots<StackAllocator::Slots<SlotShape<16, 8, true>>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
