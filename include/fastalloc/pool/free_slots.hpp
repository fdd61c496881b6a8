// SPDX-License-Identifier: MIT OR Apache-2.0
// FreeSlots: what every pop and push of a slot needs. Knows neither T, locks, peaks nor iterations; what concerns all
// slots at once is in SlotSupply.
//
//   last_freed_       the slot returned last, handed out first
//   slots_            the other returned slots
//   bump_..bump_end   the bump pointer: slots of the current block that were never handed out
//   pending           never-handed-out slots of the other blocks; they lie at the end of each block
//
//   total() == live + (last_freed_ ? 1 : 0) + slots_.size() + (bump_end - bump_) / stride + pending
//
// Slots come from slots_ only while last_freed_ is empty, and from the bump pointer only while slots_ is empty.
// The initial state is all zeros, so a static pool lies in .bss. The struct Many has the members of pools of several
// blocks.
#pragma once

#include <fastalloc/pool/block_store.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct Taken {
  std::byte* slot;
  bool untouched;  ///< never handed out before
};

template <class Shape, class SlotPolicy, class StorageState, class Checks> class FreeSlots {
  template <class> friend class Clearing;

 public:
  using Store = BlockStore<Shape, SlotPolicy, StorageState, Checks>;
  using Slots = typename SlotPolicy::template Slots<Shape>;
  using Block = BlockOf<Shape::growing>;
  static constexpr bool growing = Shape::growing;
  static constexpr bool owns_bump_pointer = Store::owns_bump_pointer;
  using Links = LinkChecks<Shape, Checks::tracks_slots>;
  static constexpr bool checks_own_links = Links::enabled && LinksSlots<Slots>;
  /// True if a slot that leaves a list has no link in it; slot allocators that do not know of checks leave it there.
  static constexpr bool clears_links = Links::enabled && (link_bytes<SlotPolicy>(growing, 1) == 0 || LinksSlots<Slots>);

  constexpr FreeSlots() noexcept = default;
  template <class S> explicit constexpr FreeSlots(S storage) : blocks_(std::move(storage)) {}

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Store& blocks() noexcept { return blocks_; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Store const& blocks() const noexcept { return blocks_; }

  FASTALLOC_ALWAYS_INLINE Taken pop() noexcept {
    if constexpr (owns_bump_pointer) {
      Taken taken{nullptr, false};
      taken.slot = slots_.pop(blocks_, taken.untouched);
      return taken;
    } else {
      if constexpr (Slots::keeps_last_freed) {
        if (std::byte* const slot = last_freed_; slot != nullptr) {
          last_freed_ = nullptr;
          return {slot, false};
        }
      }
      if (std::byte* const slot = pop_returned(); slot != nullptr) return {slot, false};
      return pop_untouched();
    }
  }
  FASTALLOC_ALWAYS_INLINE Taken pop_untouched() noexcept requires(!owns_bump_pointer) {
    std::byte* const slot = bump_;
    if (slot == bump_end()) return {nullptr, false};
    FASTALLOC_ASSUME(slot != nullptr);
    bump_ = slot + blocks_.stride();
    note_untouched(slot);
    return {slot, true};
  }
  /// The same, and moves on to the next untouched block.
  Taken pop_one() noexcept {
    Taken const taken = pop();
    return taken.slot == nullptr && next_block() ? pop() : taken;
  }

  /// Takes up to n slots; those from `out[untouched]` on are untouched. Returns: their number.
  FASTALLOC_ALWAYS_INLINE std::size_t pop_many(std::byte** out, std::size_t n, std::size_t& untouched) noexcept {
    if constexpr (TakesMany<Slots>) {
      flush_last_freed();
      if (slots_.size() >= n) [[likely]]
        return slots_.pop_many(out, n, blocks_), untouched = n;
    }
    return pop_some(out, n, untouched);
  }
  std::size_t pop_some(std::byte** out, std::size_t n, std::size_t& untouched) noexcept {
    std::size_t count = 0;
    if constexpr (owns_bump_pointer) {  // other threads return slots meanwhile: untouched ones are gathered at the end
      std::size_t end = n;
      for (Taken taken; count != end && (taken = pop()).slot != nullptr;)
        out[taken.untouched ? --end : count++] = taken.slot;
      untouched = count;
      for (; end != n; ++end) out[count++] = out[end];
      return count;
    }
    if (last_freed_ != nullptr && n != 0) out[count++] = std::exchange(last_freed_, nullptr);
    for (std::byte* slot; count != n && (slot = pop_returned()) != nullptr;) out[count++] = slot;
    untouched = count;
    while (count != n && (!at_bump_end() || next_block())) {
      std::byte* next = bump_;
      std::size_t const stride = blocks_.stride();
      for (std::byte* const end = bump_end(); count != n && next != end; next += stride) {
        note_untouched(next);
        out[count++] = next;
      }
      bump_ = next;
    }
    return count;
  }

  FASTALLOC_ALWAYS_INLINE void push(std::byte* slot) noexcept {
    if constexpr (Slots::keeps_last_freed) {
      std::byte* const colder = last_freed_;
      last_freed_ = slot;
      if (colder != nullptr) slots_.push(colder, blocks_);
    } else {
      slots_.push(slot, blocks_);
    }
  }

  /// Takes back n slots; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void push_many(At&& at, std::size_t n) noexcept {
    if constexpr (GivesMany<Slots>) {
      flush_last_freed();
      slots_.push_many(at, n, blocks_);
    } else {
      for (std::size_t i = n; i-- != 0;) push(at(i));
    }
  }

  /// The lowest n adjacent slots, of which the last `untouched` are untouched. `data` is null if there are none.
  struct Run {
    std::byte* data;
    std::size_t untouched;
  };
  [[nodiscard]] Run pop_run(std::size_t n) noexcept requires TakesRuns<Slots> {
    sync_bump_pointer();
    settle();
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      Block& block = blocks_[b];
      std::size_t const place = slots_.find_run(n, block, blocks_);
      if (place == block.slot_count) continue;
      Run const run{block.data + place * blocks_.stride(),
                    place + n > block.high_water ? place + n - block.high_water : 0};
      slots_.pop_run(place, n - run.untouched, block);
      hand_out(block, run.untouched);
      return run;
    }
    return {nullptr, 0};
  }

  /// Moves the bump pointer to the block of the lowest index that has untouched slots. Returns: false if there is none.
  bool next_block() noexcept {
    if constexpr (growing) {
      if (many_.pending == 0) return false;
      sync_bump_pointer();
      Block* found = nullptr;
      if constexpr (Shape::segment > 1) found = next_in_group();
      for (std::size_t b = found == nullptr ? 0 : blocks_.count(); b != blocks_.count(); ++b) {
        Block& block = blocks_[b];
        if (block.high_water != block.slot_count && &block != many_.untouched_block &&
            (found == nullptr || block.first < found->first))
          found = &block;
      }
      many_.untouched_block = found;
      bump_ = found->data + found->high_water * blocks_.stride();  // != 0 if a run was taken from the block
      many_.bump_end = found->end;
      many_.pending -= found->slot_count - found->high_water;
      return true;
    }
    return false;
  }
  [[nodiscard]] bool at_bump_end() const noexcept { return bump_ == bump_end(); }

  /// Effects: adds the single block of inline storage. Cannot fail.
  template <std::size_t InlineSlots> void add_inline() noexcept {
    blocks_.template add_inline<InlineSlots>(slots_);
    begin_bump_pointer();
  }

  [[nodiscard]] std::size_t total() const noexcept {
    if constexpr (owns_bump_pointer) return slots_.is_bound() ? blocks_[0].slot_count : 0;
    else if constexpr (growing) return many_.total;
    else return blocks_[0].slot_count;
  }
  [[nodiscard]] std::size_t live() const noexcept {
    if constexpr (owns_bump_pointer) return slots_.live();
    else return handed_out() - returned();
  }
  /// Slots that were handed out before and are free now.
  [[nodiscard]] std::size_t returned() const noexcept { return slots_.size() + (last_freed_ != nullptr ? 1 : 0); }
  /// Slots that pop() finds, in this block or the next.
  [[nodiscard]] std::size_t at_hand() const noexcept { return total() - live(); }
  /// Brings Block::high_water of the current block up to date.
  void sync_bump_pointer() noexcept {
    if constexpr (owns_bump_pointer) {
      blocks_[0].high_water = slots_.high_water();
    } else if constexpr (growing) {
      if (Block* const block = many_.untouched_block; block != nullptr)
        block->high_water = blocks_.place(*block, bump_);
    } else {
      blocks_[0].high_water = blocks_.place(blocks_[0], bump_);
    }
  }

  /// If the checks policy asks for it, verifies the links of the first n returned slots, and abandons the slots that
  /// they do not reach. Returns: true if all links were intact.
  bool check_links([[maybe_unused]] std::size_t n = (std::numeric_limits<std::size_t>::max)()) noexcept {
    bool right = true;
    if constexpr (checks_own_links) {
      sync_bump_pointer();
      flush_last_freed();  // first: the list may lead to the last-freed slot
      auto const claim = [&](void const* p) noexcept { return Links::claim(blocks_, p); };
      auto const unclaim = [&](std::byte* slot) noexcept { Links::unclaim(blocks_, slot); };
      for (LinksCut cut; (cut = slots_.cut(n, claim, unclaim, blocks_)).broken; right = false)
        Links::write_note(blocks_, cut);
    }
    return right;
  }

  /// See TracksOccupancy.
  std::size_t settle() noexcept {
    flush_last_freed();
    return slots_.settle(blocks_);
  }

 protected:
  /// Members of a multi-block pool.
  struct Many {
    std::byte* bump_end = nullptr;
    Block* untouched_block = nullptr;  ///< the block of the bump pointer
    std::size_t total = 0;             ///< slots
    std::size_t pending = 0;           ///< slots
  };

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* bump_end() const noexcept {
    if constexpr (growing) return many_.bump_end;
    else return blocks_[0].end;
  }
  /// Starts the bump pointer in the single block.
  void begin_bump_pointer() noexcept requires(!growing) {
    if constexpr (!owns_bump_pointer) bump_ = blocks_[0].data;
  }

  [[nodiscard]] std::size_t handed_out() const noexcept {
    if constexpr (owns_bump_pointer) return slots_.high_water();
    else if constexpr (growing)
      return many_.total - many_.pending - blocks_.slots_in(static_cast<std::size_t>(many_.bump_end - bump_));
    else return blocks_.slots_in(static_cast<std::size_t>(bump_ - blocks_[0].data));
  }

  /// Hands out the next n untouched slots of a block. Requires: Block::high_water is up to date.
  void hand_out(Block& block, std::size_t n) noexcept {
    for (std::size_t i = 0; i != n; ++i)
      note_untouched(block.data + (block.high_water + i) * blocks_.stride(), block, block.high_water + i);
    block.high_water += n;
    if constexpr (growing)
      if (&block != many_.untouched_block) return void(many_.pending -= n);
    bump_ += n * blocks_.stride();
  }
  FASTALLOC_ALWAYS_INLINE void note_untouched([[maybe_unused]] std::byte* slot) noexcept {
    Block const* block = nullptr;
    if constexpr (growing) block = many_.untouched_block;
    else block = &blocks_[0];
    note_untouched(slot, *block, Shape::keyed ? blocks_.place(*block, slot) : 0);
  }
  FASTALLOC_ALWAYS_INLINE void note_untouched([[maybe_unused]] std::byte* slot, [[maybe_unused]] Block const& block,
                                              [[maybe_unused]] std::size_t place) noexcept {
    if constexpr (HearsOfUntouchedSlots<Slots>) slots_.untouched(slot, blocks_);
    if constexpr (Shape::keyed) blocks_.keys().untouched(slot, block, place, blocks_.stride());
    if constexpr (Shape::counted) {  // no object yet, for iterations on other threads
      unpoison(slot + Shape::payload, Shape::size - Shape::payload);
      std::memset(slot + Shape::payload, 0, sizeof(std::uint64_t));
    }
  }

  /// The block behind that of the bump pointer, of the same acquisition, if it is untouched; else null.
  [[nodiscard]] Block* next_in_group() const noexcept requires growing {
    Block* const next = many_.untouched_block != nullptr ? many_.untouched_block->next : nullptr;
    return next != nullptr && next->high_water == 0 ? next : nullptr;
  }

  FASTALLOC_ALWAYS_INLINE std::byte* pop_returned() noexcept {
    if constexpr (checks_own_links) {
      check_links(1);
      std::byte* const slot = slots_.pop(blocks_);
      if (slot != nullptr && Checks::verifies_fill) Links::clear(slot);
      return slot;
    } else {
      return slots_.pop(blocks_);
    }
  }

  /// Effects: moves the last-freed slot to slots_.
  FASTALLOC_ALWAYS_INLINE void flush_last_freed() noexcept {
    if (last_freed_ != nullptr) [[unlikely]]
      slots_.push(std::exchange(last_freed_, nullptr), blocks_);
  }

  std::byte* last_freed_ = nullptr;
  Slots slots_{};
  std::byte* bump_ = nullptr;
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, Many, Nothing> many_{};
  Store blocks_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
