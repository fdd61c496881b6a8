// SPDX-License-Identifier: MIT OR Apache-2.0
// LinkChecks: how a checks policy handles links in free slots that a write to a dead object may have overwritten.
//
//   tail of a block   | marks, lost | note |
//
//   lost   the bit behind the last mark: slots of the block may be in no list any more, and only marks tell which of
//          them are in use
//   note   the finding, until it is reported: lists are walked under locks, and the error handler is not called there
#pragma once

#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

inline constexpr char const* free_slot_written = "a free slot was written to: an object was used after it was returned";
inline constexpr char const* free_slots_lost =
    "a free slot was written to: an object was used after it was returned. It led to other free slots (the requested "
    "number), which are lost, and count as allocated from now on";

/// Enabled: the checks policy tracks slots, and there may be links. Complexity: verifying one address log2 b + 1 steps
/// for b blocks, 1 on average with CompactHandles; a note b steps.
template <class Shape, bool Enabled> struct LinkChecks {
  static constexpr bool enabled = Enabled && Shape::link_size != 0;
  static constexpr std::size_t note_bytes = enabled ? sizeof(LinksCut) : 0;
  static constexpr std::size_t unknown = (std::numeric_limits<std::size_t>::max)();  ///< as LinksCut::lost
  using Link = SlotLink<Shape, std::byte*>;
  /// Other threads may flip marks (ThreadLocalPool), if the processor has threads.
  static constexpr bool shared = AtomicRef<std::uint32_t>::is_always_lock_free;

  /// True when `p`, any pointer, is the start of a slot that is not in use.
  template <class Blocks> [[nodiscard]] static bool is_free(Blocks const& blocks, void const* p) noexcept {
    return free_place(blocks, p) != unknown;
  }

  /// is_free() for a slot handed out before; it then counts as in use until unclaim(). Requires: Block::high_water is
  /// up to date.
  template <class Blocks> [[nodiscard]] static bool claim(Blocks const& blocks, void const* p) noexcept {
    std::size_t const place = free_place(blocks, p);
    if (place == unknown || place >= blocks.find(p)->high_water) return false;
    SlotMarks::flip<shared>(*blocks.find(p), place);
    return true;
  }
  template <class Blocks> static void unclaim(Blocks const& blocks, std::byte* slot) noexcept {
    auto const& block = *blocks.find(slot);
    SlotMarks::flip<shared>(block, blocks.place(block, slot));
  }

  /// Effects: cuts the list from `first` to null, kept by others through free slots, in front of the first entry that
  /// is not a free slot. Returns: its first slot, or null. Requires: free slots that cannot be in the list are claimed.
  template <class Blocks> [[nodiscard]] static std::byte* check_list(std::byte* first, Blocks& blocks) noexcept {
    std::byte* last = nullptr;
    std::byte* slot = first;
    for (; slot != nullptr && claim(blocks, slot); slot = Link::load(slot)) last = slot;
    if (slot != nullptr) {
      write_note(blocks, {true, unknown, last});
      if (last == nullptr) return nullptr;
      Link::store(last, nullptr);
    }
    for (slot = first; slot != nullptr; slot = Link::load(slot)) unclaim(blocks, slot);
    return first;
  }

  /// Effects: fills the link of a slot that left its list like the rest of a free slot.
  static void clear(std::byte* slot) noexcept {
    unpoison(slot + Shape::link_offset, Shape::link_size);
    fill(slot + Shape::link_offset, Shape::link_size, fill_dead);
    if constexpr (Shape::poisons) poison(slot + Shape::link_offset, Shape::link_size);
  }

  /// The first note stays until it is read. Slots may be lost although cut.lost is 0: the slots that took their place
  /// in the list were lost before.
  template <class Blocks> static void write_note(Blocks& blocks, LinksCut const& cut) noexcept {
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      auto const& block = blocks[b];
      if (block.tail == nullptr) continue;
      if (!lost_some(block)) SlotMarks::flip<shared>(block, block.slot_count);
      if (!note_of(block).broken) std::memcpy(note(block), &cut, sizeof cut);
    }
  }
  /// Effects: removes the note. Returns: the note in the block of `slot` or, if that is null, in any block.
  template <class Blocks> [[nodiscard]] static LinksCut read_note(Blocks& blocks, std::byte const* slot) noexcept {
    LinksCut found;
    if (slot != nullptr) found = note_of(*blocks.find(slot));
    else
      for (std::size_t b = 0; b != blocks.count() && !found.broken; ++b) found = note_of(blocks[b]);
    constexpr LinksCut nothing;
    if (found.broken)
      for (std::size_t b = 0; b != blocks.count(); ++b)
        if (blocks[b].tail != nullptr) std::memcpy(note(blocks[b]), &nothing, sizeof nothing);
    return found;
  }
  /// True for a slot that was handed out before, is not in use, and is in no list.
  template <class Blocks> [[nodiscard]] static bool is_lost(Blocks const& blocks, std::byte const* slot) noexcept {
    auto const& block = *blocks.find(slot);
    return block.tail != nullptr && lost_some(block) && !SlotMarks::test<shared>(block, blocks.place(block, slot));
  }

 private:
  template <class Blocks> static std::size_t free_place(Blocks const& blocks, void const* p) noexcept {
    auto const* const block = blocks.find(p);
    if (block == nullptr) return unknown;
    auto const offset = reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(block->data);
    std::size_t const place = offset / blocks.stride();
    return offset % blocks.stride() == 0 && !SlotMarks::test<shared>(*block, place) ? place : unknown;
  }
  static bool lost_some(Block const& block) noexcept { return SlotMarks::test<shared>(block, block.slot_count); }
  static std::byte* note(Block const& block) noexcept { return block.tail + SlotMarks::bytes_for(block.slot_count); }
  static LinksCut note_of(Block const& block) noexcept {
    LinksCut cut;
    if (block.tail != nullptr) std::memcpy(&cut, note(block), sizeof cut);
    return cut;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
