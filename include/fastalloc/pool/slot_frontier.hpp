// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotFrontier: the source and sink of slots. Knows neither T, locks, peaks nor iterations.
//
//   hot_               the slot returned last, handed out first
//   slots_             the other returned slots
//   fresh_..fresh_end  the frontier: slots of the current block that were never handed out
//   pending            slots of further blocks that were never handed out; the last ones of each block
//
//   total() == live + (hot_ ? 1 : 0) + slots_.size() + (fresh_end - fresh_) / stride + pending
//
// Slots come from slots_ only while hot_ is empty, and from the frontier only while slots_ is empty.
// The initial state is all zeros, so a static pool lies in .bss. Many holds the members of multi-block pools.
#pragma once

#include <fastalloc/pool/block_store.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct Taken {
  std::byte* slot;
  bool fresh;  ///< never handed out before
};

template <class Shape, class SlotPolicy, class StorageState, class Checks> class SlotFrontier {
  template <class> friend class Clearing;

 public:
  using Store = BlockStore<Shape, SlotPolicy, StorageState, Checks>;
  using Slots = typename SlotPolicy::template Slots<Shape>;
  using Block = BlockOf<Shape::growing>;
  static constexpr bool growing = Shape::growing;
  static constexpr bool owns_frontier = Store::owns_frontier;
  using Links = LinkChecks<Shape, Checks::tracks_slots>;
  static constexpr bool checks_own_links = Links::enabled && LinksSlots<Slots>;
  /// True if a slot that leaves a list has no link in it; slot allocators that do not know of checks leave it there.
  static constexpr bool clears_links = Links::enabled && (link_bytes<SlotPolicy>(growing, 1) == 0 || LinksSlots<Slots>);

  constexpr SlotFrontier() noexcept = default;
  template <class S> explicit constexpr SlotFrontier(S storage) : blocks_(std::move(storage)) {}

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Store& blocks() noexcept { return blocks_; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Store const& blocks() const noexcept { return blocks_; }

  FASTALLOC_ALWAYS_INLINE Taken take() noexcept {
    if constexpr (owns_frontier) {
      Taken taken{nullptr, false};
      taken.slot = slots_.take(blocks_, taken.fresh);
      return taken;
    } else {
      if constexpr (Slots::hot_slot) {
        if (std::byte* const slot = hot_; slot != nullptr) {
          hot_ = nullptr;
          return {slot, false};
        }
      }
      if (std::byte* const slot = take_returned(); slot != nullptr) return {slot, false};
      return take_fresh();
    }
  }
  FASTALLOC_ALWAYS_INLINE Taken take_fresh() noexcept requires(!owns_frontier) {
    std::byte* const slot = fresh_;
    if (slot == fresh_end()) return {nullptr, false};
    FASTALLOC_ASSUME(slot != nullptr);
    fresh_ = slot + blocks_.stride();
    note_fresh(slot);
    return {slot, true};
  }
  /// The same, and moves on to the next untouched block.
  Taken take_one() noexcept {
    Taken const taken = take();
    return taken.slot == nullptr && next_block() ? take() : taken;
  }

  /// Takes up to n slots; those from `out[fresh]` on are fresh. Returns: their number.
  FASTALLOC_ALWAYS_INLINE std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    if constexpr (TakesMany<Slots>) {
      cool();
      if (slots_.size() >= n) [[likely]]
        return slots_.take_many(out, n, blocks_), fresh = n;
    }
    return take_some(out, n, fresh);
  }
  std::size_t take_some(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    std::size_t count = 0;
    if constexpr (owns_frontier) {  // other threads return slots meanwhile: fresh ones are gathered at the end
      std::size_t end = n;
      for (Taken taken; count != end && (taken = take()).slot != nullptr;)
        out[taken.fresh ? --end : count++] = taken.slot;
      fresh = count;
      for (; end != n; ++end) out[count++] = out[end];
      return count;
    }
    if (hot_ != nullptr && n != 0) out[count++] = std::exchange(hot_, nullptr);
    for (std::byte* slot; count != n && (slot = take_returned()) != nullptr;) out[count++] = slot;
    fresh = count;
    while (count != n && (!at_frontier_end() || next_block())) {
      std::byte* next = fresh_;
      std::size_t const stride = blocks_.stride();
      for (std::byte* const end = fresh_end(); count != n && next != end; next += stride) {
        note_fresh(next);
        out[count++] = next;
      }
      fresh_ = next;
    }
    return count;
  }

  FASTALLOC_ALWAYS_INLINE void give(std::byte* slot) noexcept {
    if constexpr (Slots::hot_slot) {
      std::byte* const colder = hot_;
      hot_ = slot;
      if (colder != nullptr) slots_.give(colder, blocks_);
    } else {
      slots_.give(slot, blocks_);
    }
  }

  /// Takes back n slots; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void give_many(At&& at, std::size_t n) noexcept {
    if constexpr (GivesMany<Slots>) {
      cool();
      slots_.give_many(at, n, blocks_);
    } else {
      for (std::size_t i = n; i-- != 0;) give(at(i));
    }
  }

  /// The lowest n adjacent slots, of which the last `fresh` are fresh. `data` is null if there are none.
  struct Run {
    std::byte* data;
    std::size_t fresh;
  };
  [[nodiscard]] Run take_run(std::size_t n) noexcept requires TakesRuns<Slots> {
    sync_frontier();
    settle();
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      Block& block = blocks_[b];
      std::size_t const place = slots_.find_run(n, block, blocks_);
      if (place == block.slot_count) continue;
      Run const run{block.data + place * blocks_.stride(), place + n > block.handed ? place + n - block.handed : 0};
      slots_.take_run(place, n - run.fresh, block);
      hand_out(block, run.fresh);
      return run;
    }
    return {nullptr, 0};
  }

  /// Moves the frontier to the block of the lowest index that has fresh slots. Returns: false if there is none.
  bool next_block() noexcept {
    if constexpr (growing) {
      if (many_.pending == 0) return false;
      sync_frontier();
      Block* found = nullptr;
      for (std::size_t b = 0; b != blocks_.count(); ++b) {
        Block& block = blocks_[b];
        if (block.handed != block.slot_count && &block != many_.fresh_block &&
            (found == nullptr || block.first < found->first))
          found = &block;
      }
      many_.fresh_block = found;
      fresh_ = found->data + found->handed * blocks_.stride();  // handed != 0 if a run was taken from the block
      many_.fresh_end = found->end;
      many_.pending -= found->slot_count - found->handed;
      return true;
    }
    return false;
  }
  [[nodiscard]] bool at_frontier_end() const noexcept { return fresh_ == fresh_end(); }

  /// The same for inline storage; cannot fail.
  template <std::size_t InlineSlots> void add_inline() noexcept {
    blocks_.template add_inline<InlineSlots>(slots_);
    begin_frontier();
  }

  [[nodiscard]] std::size_t total() const noexcept {
    if constexpr (owns_frontier) return slots_.is_bound() ? blocks_[0].slot_count : 0;
    else if constexpr (growing) return many_.total;
    else return blocks_[0].slot_count;
  }
  [[nodiscard]] std::size_t live() const noexcept {
    if constexpr (owns_frontier) return slots_.live();
    else return handed_out() - returned();
  }
  /// Slots that were handed out before and are free now.
  [[nodiscard]] std::size_t returned() const noexcept { return slots_.size() + (hot_ != nullptr ? 1 : 0); }
  /// Slots that take() finds, in this block or the next.
  [[nodiscard]] std::size_t at_hand() const noexcept { return total() - live(); }
  /// Brings Block::handed of the current block up to date.
  void sync_frontier() noexcept {
    if constexpr (owns_frontier) {
      blocks_[0].handed = slots_.handed();
    } else if constexpr (growing) {
      if (Block* const block = many_.fresh_block; block != nullptr) block->handed = blocks_.place(*block, fresh_);
    } else {
      blocks_[0].handed = blocks_.place(blocks_[0], fresh_);
    }
  }

  /// If the checks policy asks for it, verifies the links of the first n returned slots, and abandons the slots that
  /// they do not reach. Returns: true if all links were intact.
  bool check_links([[maybe_unused]] std::size_t n = (std::numeric_limits<std::size_t>::max)()) noexcept {
    bool right = true;
    if constexpr (checks_own_links) {
      sync_frontier();
      cool();  // first: the list may lead to the hot slot
      auto const claim = [&](void const* p) noexcept { return Links::claim(blocks_, p); };
      auto const unclaim = [&](std::byte* slot) noexcept { Links::unclaim(blocks_, slot); };
      for (LinksCut cut; (cut = slots_.cut(n, claim, unclaim, blocks_)).broken; right = false)
        Links::write_note(blocks_, cut);
    }
    return right;
  }

  /// See TracksOccupancy.
  std::size_t settle() noexcept {
    cool();
    return slots_.settle(blocks_);
  }

 protected:
  /// Members of a multi-block pool.
  struct Many {
    std::byte* fresh_end = nullptr;
    Block* fresh_block = nullptr;  ///< the block of the frontier
    std::size_t total = 0;         ///< slots
    std::size_t pending = 0;       ///< slots
  };

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* fresh_end() const noexcept {
    if constexpr (growing) return many_.fresh_end;
    else return blocks_[0].end;
  }
  /// Starts the frontier in the single block.
  void begin_frontier() noexcept requires(!growing) {
    if constexpr (!owns_frontier) fresh_ = blocks_[0].data;
  }

  [[nodiscard]] std::size_t handed_out() const noexcept {
    if constexpr (owns_frontier) return slots_.handed();
    else if constexpr (growing)
      return many_.total - many_.pending - blocks_.slots_in(static_cast<std::size_t>(many_.fresh_end - fresh_));
    else return blocks_.slots_in(static_cast<std::size_t>(fresh_ - blocks_[0].data));
  }

  /// Hands out the next n fresh slots of a block. Requires: Block::handed is up to date.
  void hand_out(Block& block, std::size_t n) noexcept {
    for (std::size_t i = 0; i != n; ++i)
      note_fresh(block.data + (block.handed + i) * blocks_.stride(), block, block.handed + i);
    block.handed += n;
    if constexpr (growing)
      if (&block != many_.fresh_block) return void(many_.pending -= n);
    fresh_ += n * blocks_.stride();
  }
  FASTALLOC_ALWAYS_INLINE void note_fresh([[maybe_unused]] std::byte* slot) noexcept {
    Block const* block = nullptr;
    if constexpr (growing) block = many_.fresh_block;
    else block = &blocks_[0];
    note_fresh(slot, *block, Shape::keyed ? blocks_.place(*block, slot) : 0);
  }
  FASTALLOC_ALWAYS_INLINE void note_fresh([[maybe_unused]] std::byte* slot, [[maybe_unused]] Block const& block,
                                          [[maybe_unused]] std::size_t place) noexcept {
    if constexpr (HearsOfFreshSlots<Slots>) slots_.fresh(slot, blocks_);
    if constexpr (Shape::keyed) blocks_.keys().fresh(slot, block, place, blocks_.stride());
    if constexpr (Shape::counted) {  // no object yet, for iterations on other threads
      unpoison(slot + Shape::payload, Shape::size - Shape::payload);
      std::memset(slot + Shape::payload, 0, sizeof(std::uint64_t));
    }
  }

  FASTALLOC_ALWAYS_INLINE std::byte* take_returned() noexcept {
    if constexpr (checks_own_links) {
      check_links(1);
      std::byte* const slot = slots_.take(blocks_);
      if (slot != nullptr && Checks::verifies_fill) Links::clear(slot);
      return slot;
    } else {
      return slots_.take(blocks_);
    }
  }

  /// Effects: moves the hot slot to slots_.
  FASTALLOC_ALWAYS_INLINE void cool() noexcept {
    if (hot_ != nullptr) [[unlikely]]
      slots_.give(std::exchange(hot_, nullptr), blocks_);
  }

  std::byte* hot_ = nullptr;
  Slots slots_{};
  std::byte* fresh_ = nullptr;
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, Many, Nothing> many_{};
  Store blocks_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
