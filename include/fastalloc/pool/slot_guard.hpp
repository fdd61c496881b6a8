// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotGuard: the work of the checks policy and of AddressSanitizer on a slot. No data, no lock.
//
//   to the user   prepare()  unpoison, verify the old fill, fill anew
//   back          claim()    is it the start of a slot in use? flips its mark; find() explains a rejection
//                 scrub()   fill, poison
#pragma once

#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/pool/central_list.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Choices: a CoreChoices.
template <class Choices> class SlotGuard {
  using Shape = typename Choices::shape;
  using Checks = typename Choices::checks;
  static constexpr bool KeepsObjects = Choices::keeps_objects;
  static constexpr bool SharedMarks = HasSlowLock<typename Choices::lock>;

 public:
  /// The shape's number of bytes if it knows them, else the stride.
  FASTALLOC_ALWAYS_INLINE static std::size_t bytes_of(std::size_t known, std::size_t stride) noexcept {
    return Shape::any_size ? stride : known;
  }
  /// False if prepare() does nothing, scrub() does nothing.
  static constexpr bool scrubs = (Checks::fills && !KeepsObjects) || (Shape::poisons && FASTALLOC_ASAN);
  static constexpr bool prepares = scrubs || (Checks::verifies_fill && !KeepsObjects);
  /// Prepares the bytes of a slot for an object.
  FASTALLOC_ALWAYS_INLINE static void prepare([[maybe_unused]] Taken taken,
                                              [[maybe_unused]] std::size_t stride) noexcept {
    if constexpr (Shape::poisons) unpoison(taken.slot, bytes_of(Shape::size, stride));
    if constexpr (Checks::verifies_fill && !KeepsObjects) {
      constexpr std::size_t skipped = CentralList<Choices>::Supply::clears_links ? 0 : Shape::link_size;
      if (!taken.untouched &&
          !is_filled(taken.slot, bytes_of(Shape::payload, stride), fill_dead, Shape::link_offset, skipped))
        report(Error{.code = ErrorCode::invalid_handle, .text = free_slot_written, .address = taken.slot});
    }
    if constexpr (Checks::fills && !KeepsObjects) fill(taken.slot, bytes_of(Shape::payload, stride), fill_new);
  }
  /// Makes the bytes of a slot without an object unusable.
  FASTALLOC_ALWAYS_INLINE static void scrub([[maybe_unused]] std::byte* slot,
                                            [[maybe_unused]] std::size_t stride) noexcept {
    if constexpr (Checks::fills && !KeepsObjects) fill(slot, bytes_of(Shape::payload, stride), fill_dead);
    if constexpr (Shape::poisons) poison(slot, bytes_of(Shape::payload, stride));
  }

  /// Returns: true if `p` is the start of a slot in use; the slot then counts as returned. Requires: the blocks' lock.
  template <class Blocks>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool claim(Blocks const& blocks, void const* p) noexcept {
    auto const* const slot = static_cast<std::byte const*>(p);
    BlockOf<Shape::growing> const* block = nullptr;
    if constexpr (SharedMarks) block = blocks.find(slot);
    else block = blocks.find_near(slot);
    if (block == nullptr) return false;
    // For a non-multiple of the stride, the inverse yields a number that is too big, or another slot's.
    std::size_t const place = blocks.place(*block, slot);
    return place < block->slot_count && block->data + place * blocks.stride() == slot &&
           SlotMarks::clear<SharedMarks>(*block, place);
  }

  /// Returns: true if `p` is the start of a slot in use; otherwise sets the error. Refused: claim() returned false,
  /// whatever happened since. Requires: the blocks' lock.
  template <class Blocks>
  [[nodiscard]] static bool find(Blocks const& blocks, void const* p, bool refused, Error& error) noexcept {
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
    if (!refused && SlotMarks::test<SharedMarks>(*block, place)) return true;
    error.indices[error.index_count++] = block->first + place;
    return refuse(ErrorCode::double_free,
                  "the slot is not in use: its object was returned before; let one owner only return it");
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
