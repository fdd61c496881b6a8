// SPDX-License-Identifier: MIT OR Apache-2.0
// FreeListAllocator: the returned slots in a list whose links lie in the slots themselves.
//
//   head_    -> slot -> slot -> none      returned since the mark
//   reserve_ -> slot -> none              returned before; used when the first list is empty
//
// Links are addresses where a slot can hold one, else 32-bit offsets in granules. The size is counted, not walked.
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: where memory is short. Costs 0 bytes a slot for objects of 4 bytes and more (8 in a GrowingPool on
/// 64-bit machines; smaller objects get slots of that size).
/// Complexity: take, give: 1 step (a link and the head); every take() reads the slot. Linear in their slots: for_each, erase_if, and drain: reset_statistics() and iterations walk
/// what came back since they last did. bind: 1.
struct FreeListAllocator {
  static constexpr bool is_slot_policy = true;
  static constexpr std::size_t link_bytes(bool growing, std::size_t object) noexcept {
    return growing || object >= sizeof(void*) ? sizeof(void*) : sizeof(std::uint32_t);
  }

  template <class Shape>
  class Slots {
    static constexpr bool wide = Shape::growing || Shape::link_size == sizeof(void*);
    static_assert(Shape::link_size >= (wide ? sizeof(void*) : sizeof(std::uint32_t)), "the shape has no room for a link");
    using Code = SlotCode<Shape, wide, true>;
    using Link = typename Code::type;
    using InSlot = detail::SlotLink<Shape, Link>;

   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool hot_slot = true;

    static constexpr std::size_t metadata_bytes(std::size_t, std::size_t) noexcept { return 0; }

    void bind(std::byte*, Blocks<growing> const&) noexcept {}

    FASTALLOC_ALWAYS_INLINE std::byte* take(Blocks<growing> const& blocks) noexcept {
      if (head_ == Code::none) {
        if (reserve_ == Code::none) return nullptr;
        --low_water_;
        return pop(reserve_, blocks);
      }
      return pop(head_, blocks);
    }

    FASTALLOC_ALWAYS_INLINE void give(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      push(head_, slot, blocks);
      ++size_;
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept { return size_; }

    template <class F> void for_each(F&& f, Blocks<growing> const& blocks) const {
      for (Link list : {head_, reserve_}) walk(list, f, blocks);
    }

    /// Complexity: linear in size().
    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<growing> const& blocks) noexcept {
      drain([](std::byte*) {}, blocks);
      size_ = 0;
      Link kept = Code::none;
      std::byte* last = nullptr;
      walk(reserve_, [&](std::byte* slot) {  // the order stays: the one to be handed out next stays first
        if (predicate(slot)) return;
        ++size_;
        if (last == nullptr) kept = Code::encode(blocks, slot);
        if (last != nullptr) InSlot::store(last, Code::encode(blocks, slot));
        last = slot;
      }, blocks);
      if (last != nullptr) InSlot::store(last, Code::none);
      reserve_ = kept;
      low_water_ = size_;
    }

    /// Complexity: linear in the number of slots returned since the last mark.
    template <class F> void drain(F&& f, Blocks<growing> const& blocks) noexcept {
      std::byte* last = nullptr;
      walk(head_, [&](std::byte* slot) { f(last = slot); }, blocks);
      if (last != nullptr) {
        InSlot::store(last, reserve_);
        reserve_ = std::exchange(head_, Code::none);
      }
      low_water_ = size_;
    }
    [[nodiscard]] std::size_t low_water() const noexcept { return low_water_; }

   private:
    FASTALLOC_ALWAYS_INLINE std::byte* pop(Link& list, Blocks<growing> const& blocks) noexcept {
      std::byte* const slot = Code::decode(blocks, list);
      list = InSlot::load(slot);
      --size_;
      return slot;
    }
    FASTALLOC_ALWAYS_INLINE void push(Link& list, std::byte* slot, Blocks<growing> const& blocks) noexcept {
      InSlot::store(slot, list);
      list = Code::encode(blocks, slot);
    }

    template <class F> void walk(Link list, F&& f, Blocks<growing> const& blocks) const {
      while (list != Code::none) {
        std::byte* const slot = Code::decode(blocks, list);
        list = InSlot::load(slot);
        f(slot);
      }
    }

    Link head_ = Code::none;
    Link reserve_ = Code::none;
    std::size_t size_ = 0;
    std::size_t low_water_ = 0;
  };
};

static_assert(SlotAllocator<FreeListAllocator>);
static_assert(SlotAllocatorState<FreeListAllocator::Slots<SlotShape<16, 8, false, 0, 8>>>);
static_assert(MarksReturns<FreeListAllocator::Slots<SlotShape<4, 4, false, 0, 4>>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
