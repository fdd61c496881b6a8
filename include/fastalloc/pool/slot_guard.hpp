// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotGuard: what a checks policy and AddressSanitizer do with a slot on its way to a user and back. No data, no lock.
//
//   to the user   prepare()  unpoison, look whether the fill is whole, fill anew
//   back          find()     start of a slot in use? its mark is flipped
//                 retire()   fill, poison
#pragma once

#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/pool/slot_supply.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// KeepsObjects: returned slots hold objects and are not written to. SharedMarks: threads flip marks without a lock.
/// ClearsLinks: a slot that is handed out has no link in it.
template <class Shape, class Checks, bool KeepsObjects, bool SharedMarks, bool ClearsLinks> class SlotGuard {
  /// What the shape says about the bytes of a slot, where it knows them.
  FASTALLOC_ALWAYS_INLINE static std::size_t bytes_of(std::size_t known, std::size_t stride) noexcept {
    return Shape::any_size ? stride : known;
  }

 public:
  /// Makes the bytes of a slot that the caller has ready for an object.
  FASTALLOC_ALWAYS_INLINE static void prepare([[maybe_unused]] Taken taken,
                                              [[maybe_unused]] std::size_t stride) noexcept {
    if constexpr (Shape::poisons) unpoison(taken.slot, bytes_of(Shape::size, stride));
    if constexpr (Checks::verifies_fill && !KeepsObjects) {
      constexpr std::size_t skipped = ClearsLinks ? 0 : Shape::link_size;
      if (!taken.fresh &&
          !is_filled(taken.slot, bytes_of(Shape::payload, stride), fill_dead, Shape::link_offset, skipped))
        report(Error{.code = ErrorCode::invalid_handle, .text = free_slot_written, .address = taken.slot});
    }
    if constexpr (Checks::fills && !KeepsObjects) fill(taken.slot, bytes_of(Shape::payload, stride), fill_new);
  }
  /// Makes the bytes of a slot in which no object is left unusable.
  FASTALLOC_ALWAYS_INLINE static void retire([[maybe_unused]] std::byte* slot,
                                             [[maybe_unused]] std::size_t stride) noexcept {
    if constexpr (Checks::fills && !KeepsObjects) fill(slot, bytes_of(Shape::payload, stride), fill_dead);
    if constexpr (Shape::poisons) poison(slot, bytes_of(Shape::payload, stride));
  }

  /// True when `p` is the start of a slot in use; otherwise the error says what it is. With `take_mark` the slot counts
  /// as returned from then on. Needs what guards the blocks.
  template <class Blocks>
  [[nodiscard]] static bool find(Blocks const& blocks, void const* p, bool take_mark, Error& error) noexcept {
    static_assert(Checks::tracks_slots);
    auto const refuse = [&](ErrorCode code, char const* text) {
      error.code = code;
      error.text = text;
      error.address = p;
      return false;
    };
    auto const* const block = blocks.find(p);
    if (block == nullptr)
      return refuse(ErrorCode::invalid_handle,
                    "the pointer is not from this pool; return it to the pool that handed it out");
    if (block->tail == nullptr) return refuse(ErrorCode::invalid_configuration, other_checks);
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - block->data);
    std::size_t const place = offset / blocks.stride();
    if (offset % blocks.stride() != 0)
      return refuse(ErrorCode::invalid_handle,
                    "the pointer points into the middle of a slot; pass the address that Handle::release() returned");
    // The second look is for pools without a lock, where another thread may have been faster.
    if (SlotMarks::test<SharedMarks>(*block, place)) {
      if (!take_mark || SlotMarks::flip<SharedMarks>(*block, place)) return true;
      SlotMarks::flip<SharedMarks>(*block, place);
    }
    error.indices[error.index_count++] = block->first + place;
    return refuse(ErrorCode::double_free,
                  "the slot is not in use: its object was returned before; let one owner only return it");
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
