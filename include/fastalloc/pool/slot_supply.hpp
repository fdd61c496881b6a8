// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotSupply: where slots come from and go back to. Knows neither T nor locks.
//
//   hot_               the slot returned last, handed out first
//   slots_             the other returned slots
//   fresh_..fresh_end  the frontier: slots of the current block that were never handed out
//   pending            slots in further blocks that were never handed out; in each they are the last ones
//
//   total() == live + retired_ + (hot_ ? 1 : 0) + slots_.size() + (fresh_end - fresh_) / stride + pending       (check_invariants)
//
// All is zero at the start, so that a pool in static storage lies in .bss. What only a pool of many blocks needs is in Many.
//
// Slots are taken from slots_ only while hot_ is empty, and from the frontier only while slots_ is empty. So at a peak
// the free slots below the frontier are just the least slots_.size() there was, and the peak needs no counting.
#pragma once

#include <fastalloc/pool/block_store.hpp>
#include <fastalloc/pool/occupancy.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct Taken {
  std::byte* slot;
  bool fresh;  ///< handed out for the first time
};

template <class Shape, class SlotPolicy, class StorageState, class Checks>
class SlotSupply {
 public:
  using Store = BlockStore<Shape, SlotPolicy, StorageState, Checks>;
  using Slots = typename SlotPolicy::template Slots<Shape>;
  using Block = BlockOf<Shape::growing>;
  static constexpr bool growing = Shape::growing;
  static constexpr bool derives_peak = MarksReturns<Slots>;
  static constexpr bool owns_frontier = requires { requires Slots::owns_frontier; };  ///< the allocator does: TaggedList

  constexpr SlotSupply() noexcept = default;
  template <class S> explicit constexpr SlotSupply(S storage) noexcept : blocks_(std::move(storage)) {}

  [[nodiscard]] Store& blocks() noexcept { return blocks_; }
  [[nodiscard]] Store const& blocks() const noexcept { return blocks_; }

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
      if (std::byte* const slot = slots_.take(blocks_); slot != nullptr) return {slot, false};
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
  /// The same, and goes on to the next untouched block.
  Taken take_one() noexcept {
    Taken const taken = take();
    return taken.slot == nullptr && next_block() ? take() : taken;
  }

  /// Up to n slots; those from `out[fresh]` on are fresh. Returns how many there were.
  FASTALLOC_ALWAYS_INLINE std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    if constexpr (TakesMany<Slots>) {
      cool();
      if (slots_.size() >= n) [[likely]] return slots_.take_many(out, n, blocks_), fresh = n;
    }
    return take_some(out, n, fresh);
  }
  std::size_t take_some(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    std::size_t count = 0;
    if constexpr (owns_frontier) {  // other threads give slots back meanwhile: fresh ones are collected at the end
      std::size_t end = n;
      for (Taken taken; count != end && (taken = take()).slot != nullptr;) out[taken.fresh ? --end : count++] = taken.slot;
      fresh = count;
      for (; end != n; ++end) out[count++] = out[end];
      return count;
    }
    if (hot_ != nullptr && n != 0) out[count++] = std::exchange(hot_, nullptr);
    while (count != n && slots_.size() != 0) out[count++] = slots_.take(blocks_);
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
      std::byte* const colder = std::exchange(hot_, slot);
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

  /// The lowest n adjacent slots; `fresh` of them, the last ones, are. `data` is null when there are none.
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
      if (place == block.slots) continue;
      Run const run{block.data + place * blocks_.stride(), place + n > block.handed ? place + n - block.handed : 0};
      slots_.take_run(place, n - run.fresh, block);
      hand_out(block, run.fresh);
      return run;
    }
    return {nullptr, 0};
  }

  /// A slot that was not used after all; a fresh one goes back behind the frontier, so that the peak is what it was. (Not where cursors
  /// read the allocator's bits: they hear of bits that change, not of the frontier.)
  void give_unused(Taken taken) noexcept {
    if constexpr (owns_frontier) return give(taken.slot);  // iterations look at all that is free, anyhow
    for (Snapshot* snapshot = snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear(taken.slot);
    if (!TracksOccupancy<Slots> && taken.fresh && taken.slot + blocks_.stride() == fresh_) fresh_ = taken.slot;
    else give(taken.slot);
  }

  /// Moves the frontier to the block of the lowest index that has fresh slots. Returns: false when there is none.
  bool next_block() noexcept {
    if constexpr (growing) {
      if (many_.pending == 0) return false;
      sync_frontier();
      Block* found = nullptr;
      for (std::size_t b = 0; b != blocks_.count(); ++b) {
        Block& block = blocks_[b];
        if (block.handed != block.slots && &block != many_.fresh_block && (found == nullptr || block.first < found->first)) found = &block;
      }
      many_.fresh_block = found;
      fresh_ = found->data + found->handed * blocks_.stride();  // not 0 where a run was taken from it
      many_.fresh_end = found->end;
      many_.pending -= found->slots - found->handed;
      return true;
    }
    return false;
  }
  [[nodiscard]] bool at_frontier_end() const noexcept { return fresh_ == fresh_end(); }

  /// Effects: adds a block of `slots` slots; touch: and every page of it. On failure nothing changes.
  bool add(std::size_t slots, bool touch, Error& error) noexcept {
    sync_frontier();
    if (!blocks_.add(slots, touch, slots_, error)) {
      error.capacity = total() != 0 ? usable() : slots;
      error.allocated = live();
      return false;
    }
    if constexpr (growing) {
      many_.total += slots;
      many_.pending += slots;
      if (at_frontier_end()) next_block();
    } else {
      begin_frontier();
    }
    return true;
  }
  /// The same for inline storage, where nothing can fail.
  template <std::size_t InlineSlots> void add_inline() noexcept {
    blocks_.template add_inline<InlineSlots>(slots_);
    begin_frontier();
  }

  /// Takes every wholly free block out. With nothing live the one of at most `initial` slots that came first stays.
  /// Returns: a list by Block::next.
  [[nodiscard]] Block* detach_free_blocks(std::size_t initial) noexcept requires growing {
    static_assert(ErasableSlots<Slots>, "fastalloc: shrink_to_fit() needs a slot allocator with erase_if(predicate, blocks); add it, "
                                        "or use StackAllocator, FreeListAllocator or BitmapAllocator");
    mark();
    peak_floor_ = peak();
    for (std::size_t b = 0; b != blocks_.count(); ++b) blocks_[b].marked = blocks_[b].slots - blocks_[b].handed;
    slots_.for_each([&](std::byte* slot) { ++blocks_.find(slot)->marked; }, blocks_);
    if (live() == 0) keep_one(initial);
    auto const goes = [](Block const& block) { return block.marked == block.slots; };
    slots_.erase_if([&](std::byte* slot) { return goes(blocks_.of(slot)); }, blocks_);

    Block* gone = nullptr;
    Block** const directory = blocks_.directory();
    std::size_t kept = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      Block* const block = directory[b];
      if (!goes(*block)) {
        directory[kept++] = block;
        continue;
      }
      if (block == many_.fresh_block) many_.fresh_block = nullptr, fresh_ = many_.fresh_end = nullptr;
      else many_.pending -= block->slots - block->handed;
      many_.total -= block->slots;
      block->next = std::exchange(gone, block);
    }
    if (gone != nullptr) blocks_.shrink_directory(kept, total(), slots_);
    return gone;
  }

  [[nodiscard]] std::size_t total() const noexcept {
    if constexpr (owns_frontier) return total_.load(std::memory_order_acquire);  // acquire: pairs with the release in add()
    else if constexpr (growing) return many_.total;
    else return blocks_[0].slots;
  }
  [[nodiscard]] std::size_t live() const noexcept {
    if constexpr (owns_frontier) return slots_.live();
    else return handed_out() - returned() - retired_;
  }
  /// A slot that was taken will not be given back: its generations are used up.
  void retire() noexcept {
    if constexpr (owns_frontier) return slots_.retire();
    if constexpr (derives_peak) peak_floor_ = peak();  // counts the slot, which later peaks, from the same low-water mark, do not
    if constexpr (Shape::keyed && !owns_frontier) retired_ = retired_ + 1;  // in two steps, under the lock: a Cortex-M0 cannot add at once
  }
  /// Slots that are, or may be, in use.
  [[nodiscard]] std::size_t usable() const noexcept { return total() - retired(); }
  /// Slots that were handed out before and are free now.
  [[nodiscard]] std::size_t returned() const noexcept { return slots_.size() + (hot_ != nullptr ? 1 : 0); }
  /// Slots that take() finds, in this block or the next.
  [[nodiscard]] std::size_t at_hand() const noexcept { return usable() - live(); }
  [[nodiscard]] std::size_t peak() const noexcept {
    if constexpr (derives_peak) {
      std::size_t const since = handed_out() - slots_.low_water() - retired();
      return since > peak_floor_ ? since : peak_floor_;
    } else {
      return peak_floor_;
    }
  }
  /// Needed after take() where the peak is not derived.
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if (std::size_t const now = live(); now > peak_floor_) peak_floor_ = now;
  }
  void reset_peak() noexcept {
    mark();
    peak_floor_ = live();
  }

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

  /// Begins an iteration over what is live. Returns: the bytes that were not to be had, or 0.
  [[nodiscard]] std::size_t begin(Snapshot& snapshot) noexcept {
    mark();
    if (std::size_t const missing = snapshot.begin(blocks_); missing != 0) return missing;
    slots_.for_each([&](std::byte* slot) { snapshot.clear(slot); }, blocks_);
    snapshot.outer = std::exchange(snapshots_, &snapshot);
    return 0;
  }
  [[nodiscard]] std::byte* next(Snapshot& snapshot) noexcept {
    bool marked = false;  // nothing came back since the mark, but what was taken again
    if constexpr (derives_peak) marked = hot_ == nullptr && slots_.size() == slots_.low_water();
    if (!marked) mark();
    return snapshot.next();
  }
  /// Iterations may end in any order: threads run them side by side.
  void end(Snapshot& snapshot) noexcept {
    Snapshot** at = &snapshots_;
    while (*at != nullptr && *at != &snapshot) at = &(*at)->outer;
    if (*at != nullptr) *at = snapshot.outer;
  }
  /// After a fork: those who iterate are not there.
  void forget_iterations() noexcept { snapshots_ = nullptr; }

  // For LiveCursor; see TracksOccupancy.
  std::size_t settle() noexcept {
    cool();
    return slots_.settle(blocks_);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_settled(std::size_t since) const noexcept {
    return (!Slots::hot_slot || hot_ == nullptr) && slots_.is_settled(since);
  }
  /// A bit for each live slot of the word that begins at address `base`. Requires: settled.
  struct LiveWord {
    std::size_t bits;
    bool handed_out;  ///< the first slot was, so that there is such a word
  };
  [[nodiscard]] FASTALLOC_NOINLINE LiveWord live_word(Block const& block, std::byte const* base) const noexcept {
    std::byte const* end = fresh_;
    if constexpr (growing)
      if (&block != many_.fresh_block) end = block.handed == block.slots ? block.end : block.data + block.handed * blocks_.stride();
    if (base >= end) return {0, false};
    std::size_t const bits = ~slots_.free_bits(block.word + blocks_.place(block, base) / word_bits, blocks_);
    auto const left = static_cast<std::size_t>(end - base);
    if (left >= word_bits * blocks_.stride()) [[likely]] return {bits, true};
    return {bits & ((std::size_t{1} << blocks_.slots_in(left)) - 1), true};
  }

  /// True when the equation at the top of this file holds and every returned slot is one. Complexity: linear.
  [[nodiscard]] bool check_invariants() noexcept {
    sync_frontier();
    std::size_t slots = 0;
    std::size_t handed = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b) slots += blocks_[b].slots, handed += blocks_[b].handed;
    std::size_t returned = 0;
    bool inside = true;
    slots_.for_each([&](std::byte* slot) {
      ++returned;
      Block const* const block = blocks_.find(slot);
      inside = inside && block != nullptr && blocks_.place(*block, slot) < block->handed &&
               static_cast<std::size_t>(slot - block->data) % blocks_.stride() == 0;
    }, blocks_);
    return inside && slots == total() && handed == handed_out() && returned == slots_.size() && this->returned() <= handed;
  }

 private:
  /// Of a pool of many blocks.
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
  /// The one block is there.
  void begin_frontier() noexcept requires(!growing) {
    fresh_ = blocks_[0].data;
    // release: total() finds the block
    if constexpr (owns_frontier) total_.store(blocks_[0].slots, std::memory_order_release);
  }

  [[nodiscard]] std::size_t retired() const noexcept {
    if constexpr (owns_frontier) return slots_.retired();
    else return retired_;
  }
  [[nodiscard]] std::size_t handed_out() const noexcept {
    if constexpr (owns_frontier) return slots_.handed();
    else if constexpr (growing) return many_.total - many_.pending - blocks_.slots_in(static_cast<std::size_t>(many_.fresh_end - fresh_));
    else return blocks_.slots_in(static_cast<std::size_t>(fresh_ - blocks_[0].data));
  }

  /// Hands out the next n fresh slots of a block. Requires: Block::handed is up to date.
  void hand_out(Block& block, std::size_t n) noexcept {
    for (std::size_t i = 0; i != n; ++i) note_fresh(block.data + (block.handed + i) * blocks_.stride(), block, block.handed + i);
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
    if constexpr (Shape::keyed) blocks_.keys().fresh(slot, block, place);
    if constexpr (Shape::counted) {  // no object yet, for iterations that others run
      unpoison(slot + Shape::payload, Shape::size - Shape::payload);
      std::memset(slot + Shape::payload, 0, sizeof(std::uint64_t));
    }
  }

  /// Effects: the hot slot joins the others.
  FASTALLOC_ALWAYS_INLINE void cool() noexcept {
    if (hot_ != nullptr) [[unlikely]] slots_.give(std::exchange(hot_, nullptr), blocks_);
  }

  /// Effects: the hot slot joins the others, running iterations hear what was returned, the low-water mark is set anew.
  void mark() noexcept {
    sync_frontier();
    cool();
    auto const tell = [&](std::byte* slot) {
      for (Snapshot* snapshot = snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear(slot);
    };
    if constexpr (MarksReturns<Slots>) {
      peak_floor_ = peak();
      if (snapshots_ != nullptr) slots_.drain(tell, blocks_);
      else slots_.drain([](std::byte*) noexcept {}, blocks_);  // nothing to do for each: StackAllocator has no loop then
    } else {
      if (snapshots_ != nullptr) slots_.for_each(tell, blocks_);  // which ones are new is not known: all of them
    }
  }

  void keep_one(std::size_t initial) noexcept {
    Block* kept = nullptr;
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      if (blocks_[b].slots <= initial && (kept == nullptr || blocks_[b].first < kept->first)) kept = &blocks_[b];
    if (kept != nullptr) kept->marked = 0;
  }

  std::byte* hot_ = nullptr;
  Slots slots_{};
  std::byte* fresh_ = nullptr;
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, Many, Nothing> many_{};
  Store blocks_{};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<owns_frontier, std::atomic<std::size_t>, Nothing> total_{};  ///< slots
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<Shape::keyed && !owns_frontier, std::atomic<std::size_t>, Constant<0>> retired_{};  ///< slots
  std::size_t peak_floor_ = 0;     ///< slots; the peak before the low-water mark was set
  Snapshot* snapshots_ = nullptr;  ///< of the iterations that run
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
