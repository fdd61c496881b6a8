// SPDX-License-Identifier: MIT OR Apache-2.0
// LinkChecks: what a checks policy does about links that lists keep in free slots, where a write to a dead object meets
// them.
//
//   tail of a block   | marks, lost | note |
//
//   lost   the bit behind the last mark: slots of the block may be in no list any more; only marks tell whether they
//          are in use
//   note   what was found, until somebody reports it: lists are walked under locks, under which nobody is called
#pragma once

#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

inline constexpr char const* free_slot_written =
    "a free slot was written to: somebody used an object after returning it";
inline constexpr char const* free_slots_lost =
    "a free slot was written to: somebody used an object after returning it. It led to other free slots (the requested "
    "number), which are lost, and count as allocated from now on";

/// Enabled: the checks policy tracks slots, and there may be links. Complexity: a look at one address log2 b + 1 steps
/// for b blocks; a note b.
template <class Shape, bool Enabled> struct LinkChecks {
  static constexpr bool enabled = Enabled && Shape::link_size != 0;
  static constexpr std::size_t note_bytes = enabled ? sizeof(LinksCut) : 0;
  static constexpr std::size_t unknown = (std::numeric_limits<std::size_t>::max)();  ///< of LinksCut::lost
  using Link = SlotLink<Shape, std::byte*>;
  /// Other threads may flip marks (ThreadLocalPool), where the processor has threads.
  static constexpr bool shared = AtomicRef<std::uint32_t>::is_always_lock_free;

  /// True when `p`, which may be anything, is the start of a slot that is not in use.
  template <class Blocks> [[nodiscard]] static bool is_free(Blocks const& blocks, void const* p) noexcept {
    return free_place(blocks, p) != unknown;
  }

  /// The same for slots that were handed out; counts as in use until unclaim(). Requires: Block::handed is up to date.
  template <class Blocks> [[nodiscard]] static bool claim(Blocks const& blocks, void const* p) noexcept {
    std::size_t const place = free_place(blocks, p);
    if (place == unknown || place >= blocks.find(p)->handed) return false;
    SlotMarks::flip<shared>(*blocks.find(p), place);
    return true;
  }
  template <class Blocks> static void unclaim(Blocks const& blocks, std::byte* slot) noexcept {
    auto const& block = *blocks.find(slot);
    SlotMarks::flip<shared>(block, blocks.place(block, slot));
  }

  /// A list from `first` to null that others keep through free slots is cut in front of what is none. Returns: its
  /// first slot, or null. Requires: slots that are free, but cannot be in it, are claimed.
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

  /// What was in the slot of a list that it left is as in any other free slot.
  static void clear(std::byte* slot) noexcept {
    unpoison(slot + Shape::link_offset, Shape::link_size);
    fill(slot + Shape::link_offset, Shape::link_size, fill_dead);
    if constexpr (Shape::poisons) poison(slot + Shape::link_offset, Shape::link_size);
  }

  /// The first one stays until it was read. Slots may be lost though none is counted: what took their place in the list
  /// was lost before.
  template <class Blocks> static void write_note(Blocks& blocks, LinksCut const& cut) noexcept {
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      auto const& block = blocks[b];
      if (block.tail == nullptr) continue;
      if (!lost_some(block)) SlotMarks::flip<shared>(block, block.slot_count);
      if (!note_of(block).broken) std::memcpy(note(block), &cut, sizeof cut);
    }
  }
  /// Returns: what a note says that stands in the block of `slot`, or, where that is null, in any; it is gone then.
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
  /// True for a slot that was handed out, and is neither in use nor in a list.
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
