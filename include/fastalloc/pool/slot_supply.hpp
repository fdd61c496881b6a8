// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotSupply: a FreeSlots with what concerns all slots at once: the peak, iteration, blocks that come and go. One
// thread at a time uses it; CentralList has the lock.
//
// Slots come from the allocator only while there is no last-freed slot, and from the bump pointer only while the
// allocator is empty. So the free slots below the bump pointer at a peak equal the minimum of slots_.size(): the peak
// needs no counter.
#pragma once

#include <fastalloc/pool/free_slots.hpp>
#include <fastalloc/pool/snapshot.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class Shape, class SlotPolicy, class StorageState, class Checks>
class SlotSupply : public FreeSlots<Shape, SlotPolicy, StorageState, Checks> {
  template <class> friend class Clearing;
  using Free = FreeSlots<Shape, SlotPolicy, StorageState, Checks>;
  using Free::blocks_, Free::bump_, Free::last_freed_, Free::many_, Free::slots_;
  using Free::begin_bump_pointer, Free::flush_last_freed, Free::hand_out, Free::handed_out;

 public:
  using typename Free::Block, typename Free::Links, typename Free::Slots;
  using Free::push, Free::growing, Free::live, Free::next_block, Free::owns_bump_pointer, Free::sync_bump_pointer,
      Free::total, Free::at_bump_end;
  static constexpr bool derives_peak = MarksReturns<Slots>;

  using Free::Free;
  constexpr SlotSupply() noexcept = default;

  /// Takes back an unused slot. An untouched one returns behind the bump pointer, so that the peak stays unchanged.
  /// (Not if cursors read the allocator's bits: they notice changed bits, but not a moved bump pointer.)
  void push_unused(Taken taken) noexcept {
    if constexpr (owns_bump_pointer) return push(taken.slot);  // iterations test every slot anyway
    for (Snapshot* snapshot = snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear(taken.slot);
    if constexpr (growing && !TracksOccupancy<Slots>)
      if (taken.untouched) step_back(taken.slot);
    if (TracksOccupancy<Slots> || !taken.untouched || taken.slot + blocks_.stride() != bump_) return push(taken.slot);
    bump_ = taken.slot;
    if constexpr (Shape::keyed && growing)
      blocks_.keys().unused(bump_, *many_.untouched_block, blocks_.place(*many_.untouched_block, bump_));
  }

  /// Effects: adds a block of `slot_count` slots; with `touch`, touches its pages. On failure nothing changes. `purse`
  /// as in BlockStore.
  bool add(std::size_t slot_count, bool touch, Error& error, Purse* purse = nullptr) noexcept {
    sync_bump_pointer();
    if (!blocks_.add(slot_count, touch, slots_, error, purse)) {
      error.capacity = total() != 0 ? total() : slot_count;
      error.allocated = live();
      return false;
    }
    if constexpr (growing) {
      many_.total += slot_count;
      many_.pending += slot_count;
      if (at_bump_end()) next_block();
    } else {
      begin_bump_pointer();
    }
    return true;
  }

  /// Detaches every block without live objects. With nothing live, keeps the first added block of at most `initial`
  /// slots. Returns: a list linked by Block::next.
  [[nodiscard]] Block* detach_free_blocks(std::size_t initial) noexcept requires growing {
    static_assert(ErasableSlots<Slots>,
                  "fastalloc: shrink_to_fit() needs a slot allocator with erase_if(predicate, blocks); add it, "
                  "or use StackAllocator, FreeListAllocator or BitmapAllocator");
    this->check_links();
    mark();
    peak_floor_ = peak();
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      blocks_[b].marked = blocks_[b].slot_count - blocks_[b].high_water;
    slots_.for_each([&](std::byte* slot) { ++blocks_.find(slot)->marked; }, blocks_);
    if (live() == 0) keep_one(initial);
    auto const goes = [](Block const& block) { return block.marked == block.slot_count; };
    if constexpr (Shape::segment > 1) SegmentStore<typename Free::Store>::keep_groups(blocks_, goes);
    slots_.erase_if([&](std::byte* slot) { return goes(BlockLookup<Shape>::of(blocks_, slot)); }, blocks_);

    Block* gone = nullptr;
    Block** const directory = blocks_.directory();
    std::size_t kept = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      Block* const block = directory[b];
      if (!goes(*block)) {
        directory[kept++] = block;
        continue;
      }
      if (block == many_.untouched_block) many_.untouched_block = nullptr, bump_ = many_.bump_end = nullptr;
      else many_.pending -= block->slot_count - block->high_water;
      many_.total -= block->slot_count;
      if constexpr (Shape::keyed) blocks_.keys().leave(*block, blocks_.stride());
      block->next = std::exchange(gone, block);
    }
    if (gone != nullptr) blocks_.cut_directory(kept, slots_);
    return gone;
  }
  /// Call it afterwards; see BlockStore.
  bool trim_directory(Purse* purse) noexcept requires growing { return blocks_.trim_directory(total(), slots_, purse); }

  [[nodiscard]] std::size_t peak() const noexcept {
    if constexpr (derives_peak) {
      std::size_t const since = handed_out() - slots_.low_water();
      return since > peak_floor_ ? since : peak_floor_;
    } else {
      return peak_floor_;
    }
  }
  /// Call it after pop() if the peak is not derived.
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if (std::size_t const now = live(); now > peak_floor_) peak_floor_ = now;
  }
  void reset_peak() noexcept {
    mark();
    peak_floor_ = live();
  }

  /// Begins an iteration over the live slots. Returns: 0, or the bytes for which the snapshot must make room first.
  [[nodiscard]] std::size_t begin(Snapshot& snapshot) noexcept {
    sync_bump_pointer();
    if (std::size_t const missing = snapshot.begin(blocks_); missing != 0) return missing;
    if constexpr (owns_bump_pointer) return 0;  // next() tests which slots are taken
    this->check_links();
    mark();
    slots_.for_each([&](std::byte* slot) { snapshot.clear(slot); }, blocks_);
    snapshot.outer = std::exchange(snapshots_, &snapshot);
    return 0;
  }
  [[nodiscard]] std::byte* next(Snapshot& snapshot) noexcept {
    if constexpr (owns_bump_pointer) {
      std::byte* slot = snapshot.next();
      while (slot != nullptr && !slots_.is_taken(slot, blocks_)) slot = snapshot.next();
      return slot;
    }
    bool marked = false;  // true: since the mark, every returned slot was taken again
    if constexpr (derives_peak) marked = last_freed_ == nullptr && slots_.size() == slots_.low_water();
    if (!marked) mark();
    return snapshot.next();
  }
  /// Iterations may end in any order, as several threads may iterate.
  void end(Snapshot& snapshot) noexcept {
    Snapshot** at = &snapshots_;
    while (*at != nullptr && *at != &snapshot) at = &(*at)->outer;
    if (*at != nullptr) *at = snapshot.outer;
  }
  /// After a fork: the iterating threads do not exist in the child.
  void forget_iterations() noexcept { snapshots_ = nullptr; }

  // For lists that others link through returned slots; see LinkChecks. check_list(): linear in all returned slots.
  [[nodiscard]] std::byte* check_list(std::byte* first) noexcept {
    if constexpr (Links::enabled) {
      this->check_links();
      sync_bump_pointer();
      flush_last_freed();
      flip_returned();  // a slot that is free here is in no other list
      first = Links::check_list(first, blocks_);
      flip_returned();
    }
    return first;
  }
  [[nodiscard]] bool is_free([[maybe_unused]] std::byte const* slot) const noexcept {
    if constexpr (Links::enabled) return Links::is_free(blocks_, slot);
    else return true;
  }
  void clear_link([[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Links::enabled && Checks::verifies_fill) Links::clear(slot);
  }

  // For LiveCursor; see TracksOccupancy.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_settled(std::size_t since) const noexcept {
    return (!Slots::keeps_last_freed || last_freed_ == nullptr) && slots_.is_settled(since);
  }
  /// One bit per live slot, for the bitmap word that begins at address `base`. Requires: settled.
  struct LiveWord {
    std::size_t bits;
    bool handed_out;  ///< the word's first slot was handed out, so the word exists
  };
  [[nodiscard]] FASTALLOC_NOINLINE LiveWord live_word(Block const& block, std::byte const* base) const noexcept {
    std::byte const* end = bump_;
    if constexpr (growing)
      if (&block != many_.untouched_block)
        end = block.high_water == block.slot_count ? block.end : block.data + block.high_water * blocks_.stride();
    if (base >= end) return {0, false};
    std::size_t const bits = ~slots_.free_bits(block.word + blocks_.place(block, base) / word_bits, blocks_);
    auto const left = static_cast<std::size_t>(end - base);
    if (left >= word_bits * blocks_.stride()) [[likely]]
      return {bits, true};
    return {bits & ((std::size_t{1} << blocks_.slots_in(left)) - 1), true};
  }

  /// True if the equation in free_slots.hpp holds and every returned slot is valid. Complexity: linear.
  [[nodiscard]] bool check_invariants() noexcept {
    bool inside = this->check_links();
    sync_bump_pointer();
    std::size_t slot_count = 0;
    std::size_t high_water = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      slot_count += blocks_[b].slot_count, high_water += blocks_[b].high_water;
    std::size_t returned = 0;
    slots_.for_each(
        [&](std::byte* slot) {
          ++returned;
          Block const* const block = blocks_.find(slot);
          inside = inside && block != nullptr && blocks_.place(*block, slot) < block->high_water &&
                   static_cast<std::size_t>(slot - block->data) % blocks_.stride() == 0;
        },
        blocks_);
    return inside && slot_count == total() && high_water == handed_out() && returned == slots_.size() &&
           this->returned() <= high_water;
  }

 private:
  template <class> friend class Identities;
  template <class> friend class SavedState;

  /// Effects: moves the last-freed slot to slots_, tells running iterations of returned slots, resets the low-water
  /// mark.
  void mark() noexcept {
    sync_bump_pointer();
    flush_last_freed();
    auto const tell = [&](std::byte* slot) {
      for (Snapshot* snapshot = snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear(slot);
    };
    if constexpr (MarksReturns<Slots>) {
      peak_floor_ = peak();
      if (snapshots_ != nullptr) this->check_links(slots_.size() - slots_.low_water()), slots_.drain(tell, blocks_);
      else if constexpr (requires { slots_.set_mark(); }) slots_.set_mark();
      else slots_.drain([](std::byte*) noexcept {}, blocks_);
    } else {
      if (snapshots_ != nullptr) slots_.for_each(tell, blocks_);  // all of them, since the new ones are not known
    }
  }

  /// Effects: if the bump pointer's block is untouched again, and `slot` is the last one of another block, moves the
  /// bump pointer to the end of that block.
  void step_back(std::byte* slot) noexcept requires growing {
    if (many_.untouched_block == nullptr || bump_ != many_.untouched_block->data) return;
    Block& block = *blocks_.find(slot);
    if (&block == many_.untouched_block || block.high_water != block.slot_count || slot + blocks_.stride() != block.end)
      return;
    many_.untouched_block->high_water = 0;
    many_.pending += many_.untouched_block->slot_count;
    many_.untouched_block = &block;
    bump_ = many_.bump_end = block.end;
  }

  void flip_returned() noexcept {
    slots_.for_each([&](std::byte* slot) { Links::unclaim(blocks_, slot); }, blocks_);
  }

  void keep_one(std::size_t initial) noexcept {
    Block* kept = nullptr;
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      if (std::size_t const came = blocks_.slots_together(blocks_[b]);
          came != 0 && came <= initial && (kept == nullptr || blocks_[b].first < kept->first))
        kept = &blocks_[b];
    if (kept != nullptr) kept->marked = 0;
  }

  std::size_t peak_floor_ = 0;     ///< slots; the peak before the low-water mark was set
  Snapshot* snapshots_ = nullptr;  ///< of running iterations
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
