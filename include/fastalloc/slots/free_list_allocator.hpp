// SPDX-License-Identifier: MIT OR Apache-2.0
// FreeListAllocator: the returned slots in a list linked through the slots themselves.
//
//   head_ -> slot -> slot -> mark_ -> slot -> none
//            returned since  | returned before          low_water() == slots from mark_ on
//            the mark        | the mark
//
// Links are addresses where a slot has room for one, else 32-bit offsets in granules. size() is counted, not walked.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: where memory is short. Costs 0 bytes a slot for objects of at least 4 bytes (8 in a GrowingPool on
/// 64-bit machines; slots of smaller objects have that size).
/// Complexity: pop, push: 1 step (a link and the head); every pop() reads the slot. bind, set_mark: 1 step. for_each,
/// erase_if, drain: linear in their slots.
struct FreeListAllocator {
  static constexpr bool is_slot_policy = true;
  using takes_any_size = FreeListAllocator;  ///< see PoolTypes::shares_code
  static constexpr bool uses_granules = true;
  static constexpr std::size_t link_bytes(bool growing, std::size_t object) noexcept {
    return growing || object >= sizeof(void*) ? sizeof(void*) : sizeof(std::uint32_t);
  }

  template <class Shape> class Slots {
    static constexpr bool wide = Shape::growing || Shape::link_size == sizeof(void*);
    static_assert(Shape::link_size >= (wide ? sizeof(void*) : sizeof(std::uint32_t)),
                  "the shape has no room for a link");
    using Code = SlotCode<Shape, wide, true>;
    using Link = typename Code::type;
    using InSlot = detail::SlotLink<Shape, Link>;

   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool keeps_last_freed = true;

    static constexpr std::size_t metadata_bytes(std::size_t, std::size_t) noexcept { return 0; }

    void bind(std::byte*, Blocks<growing> const&) noexcept {}

    FASTALLOC_ALWAYS_INLINE std::byte* pop(Blocks<growing> const& blocks) noexcept {
      bool const at_mark = head_ == mark_;
      if (at_mark && head_ == Code::none) return nullptr;
      std::byte* const slot = Code::decode(blocks, head_);
      head_ = InSlot::load(slot);
      if (at_mark) mark_ = head_, --low_water_;
      --size_;
      return slot;
    }

    FASTALLOC_ALWAYS_INLINE void push(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      InSlot::store(slot, head_);
      head_ = Code::encode(blocks, slot);
      ++size_;
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept { return size_; }

    template <class F> void for_each(F&& f, Blocks<growing> const& blocks) const { walk(Code::none, f, blocks); }

    /// Complexity: linear in size().
    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<growing> const& blocks) noexcept {
      size_ = 0;
      Link kept = Code::none;
      std::byte* last = nullptr;
      walk(
          Code::none,
          [&](std::byte* slot) {  // keeps the order: the next slot to be handed out stays first
            if (predicate(slot)) return;
            ++size_;
            if (last == nullptr) kept = Code::encode(blocks, slot);
            if (last != nullptr) InSlot::store(last, Code::encode(blocks, slot));
            last = slot;
          },
          blocks);
      if (last != nullptr) InSlot::store(last, Code::none);
      head_ = kept;
      set_mark();
    }

    /// Complexity: linear in the number of slots returned since the last mark.
    template <class F> void drain(F&& f, Blocks<growing> const& blocks) noexcept {
      walk(mark_, f, blocks);
      set_mark();
    }
    /// drain() with an empty f, in 1 step.
    void set_mark() noexcept {
      mark_ = head_;
      low_water_ = size_;
    }
    [[nodiscard]] std::size_t low_water() const noexcept { return low_water_; }
    void clear(Blocks<growing> const&) noexcept {
      head_ = mark_ = Code::none;
      size_ = low_water_ = 0;
    }

    /// See LinksSlots. Complexity: linear in n.
    template <class Claim, class Unclaim>
    LinksCut cut(std::size_t n, Claim&& claim, Unclaim&& unclaim, Blocks<growing> const& blocks) noexcept {
      LinksCut result;
      std::size_t const since = size_ - low_water_;
      Link link = head_;
      std::size_t seen = 0;
      for (; seen <= n; ++seen) {
        bool const mark_is_right = (seen == since) == (link == mark_);
        bool const at_end = seen == size_;
        if (mark_is_right && at_end == (link == Code::none) && (at_end || claim(Code::address(blocks, link)))) {
          if (at_end) break;
          result.slot = Code::decode(blocks, link);
          link = InSlot::load(result.slot);
          continue;
        }
        bool const goes_on = seen < since || (seen == since && !mark_is_right);  // at the mark
        result.broken = true;
        result.lost = (goes_on ? since : size_) - seen;
        size_ -= result.lost;
        if (!goes_on && (low_water_ -= result.lost) == 0) mark_ = Code::none;
        Link const rest = goes_on ? mark_ : Code::none;
        if (result.slot != nullptr) InSlot::store(result.slot, rest);
        else head_ = rest;
        break;
      }
      link = head_;
      for (std::size_t i = 0; i != seen; ++i) {
        std::byte* const slot = Code::decode(blocks, link);
        link = InSlot::load(slot);
        unclaim(slot);
      }
      return result;
    }

   private:
    template <class F> void walk(Link end, F&& f, Blocks<growing> const& blocks) const {
      for (Link link = head_; link != end;) {
        std::byte* const slot = Code::decode(blocks, link);
        link = InSlot::load(slot);
        f(slot);
      }
    }

    Link head_ = Code::none;
    Link mark_ = Code::none;
    std::size_t size_ = 0;
    std::size_t low_water_ = 0;
  };
};

static_assert(SlotAllocator<FreeListAllocator>);
static_assert(SlotAllocatorState<FreeListAllocator::Slots<SlotShape<16, 8, false, 0, 8>>>);
static_assert(LinksSlots<FreeListAllocator::Slots<SlotShape<16, 8, true, 0, 8>>>);
static_assert(DropsAll<FreeListAllocator::Slots<SlotShape<16, 8, true, 0, 8>>>);
static_assert(MarksReturns<FreeListAllocator::Slots<SlotShape<4, 4, false, 0, 4>>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
