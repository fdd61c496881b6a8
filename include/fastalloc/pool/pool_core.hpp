// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolCore: everything about a pool that does not depend on T: blocks, slots, growth, counts, checks.
//
//   hot_               the slot returned last, handed out first
//   slots_             the other returned slots
//   fresh_..fresh_end_ the frontier: slots of the current block that were never handed out
//   pending_           slots in further blocks that were never handed out
//
//   total_ == live + (hot_ ? 1 : 0) + slots_.size() + (fresh_end_ - fresh_) / stride + pending_      (check_invariants)
//
// Each public function takes the lock; none calls user code while it is held. Failures are reported as an Error to the
// caller, which knows T and whether to throw.
#pragma once

#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/occupancy.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/pool/pool_layout.hpp>
#include <fastalloc/stats/basic_stats.hpp>
#include <fastalloc/storage/external_storage.hpp>
#include <fastalloc/storage/poison.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// KeepsObjects: returned slots hold objects and are not written to. Inline: slots of InlineStorage, else 0.
template <class Shape, class SlotPolicy, class StorageState, class Lock, class Stats, class Checks, bool KeepsObjects,
          std::size_t Inline>
class PoolCore {
 public:
  using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
  using Slots = typename Layout::Slots;
  static constexpr bool growing = Shape::growing;

  struct Taken {
    std::byte* slot;
    bool fresh;  ///< handed out for the first time
  };

  constexpr PoolCore() noexcept = default;
  explicit constexpr PoolCore(StorageState storage) noexcept : storage_(std::move(storage)) {}
  PoolCore(PoolCore const&) = delete;
  PoolCore& operator=(PoolCore const&) = delete;

  ~PoolCore() {
    if constexpr (growing) {
      for (std::size_t b = 0; b != blocks_.count(); ++b) {
        Block* const block = &blocks_[b];
        give_back(block->data, block->bytes);  // the Block itself lies in there
      }
      give_back(reinterpret_cast<std::byte*>(blocks_.directory()), directory_bytes_);
    } else {
      give_back(blocks_[0].data, blocks_[0].bytes);
    }
  }

  /// Effects: acquires the first block. Returns: false, with the error, when that cannot be done; nothing is held then.
  bool open(PoolConfig const& config, Error& error) noexcept {
    if (auto const valid = config.validate(); !valid) return error = valid.error(), false;
    if constexpr (Inline != 0) {
      if (config.capacity > Inline) return error = too_small(config, Inline, "InlineStorage<N> has room for fewer slots; raise N"), false;
    }
    stride_alignment_ = config.alignment > Layout::block_alignment ? config.alignment : Layout::block_alignment;
    blocks_.set_stride(Layout::stride(config.alignment));
    if constexpr (growing) config_ = config;
    pre_initialize_ = config.pre_initialize;
    return add_block(config.capacity, error);
  }

  /// Slots that the caller's span has room for. Complexity: a few steps.
  [[nodiscard]] static std::size_t slots_in(std::size_t bytes) noexcept {
    std::size_t n = bytes / Shape::size;
    while (n != 0 && Layout::block(n, Shape::size).bytes > bytes) {
      std::size_t const excess = Layout::block(n, Shape::size).bytes - bytes;
      std::size_t const step = excess / (2 * Shape::size + sizeof(void*));
      n -= step == 0 ? 1 : step;
    }
    return n;
  }

  /// A slot without any slow path: `slot` is null when none is at hand.
  FASTALLOC_ALWAYS_INLINE Taken take() {
    Taken const taken = pick_locked();
    if (taken.slot != nullptr) [[likely]] prepare(taken);
    return taken;
  }

  /// The same, and grows or opens inline storage where that helps. On failure `slot` is null and `error` says why.
  FASTALLOC_COLD Taken take_slow(Error& error) {
    do {
      if (Taken const taken = take(); taken.slot != nullptr) return taken;
    } while (make_room(1, error));
    Guard guard(lock_);
    stats_.failed();
    return {nullptr, false};
  }

  /// Effects: sees to it that `n` slots are at hand. Returns: false, with the error, when that cannot be done.
  FASTALLOC_COLD bool ensure(std::size_t n, Error& error) {
    while (available() < n) {
      if (make_room(n, error)) continue;
      Guard guard(lock_);
      stats_.failed();
      return false;
    }
    return true;
  }

  /// Takes up to n slots in one step. Those from `out[fresh]` on are fresh. Returns how many there were.
  std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) {
    std::size_t const count = pick_many(out, n, fresh);
    for (std::size_t i = 0; i != count; ++i) prepare({out[i], i >= fresh});
    return count;
  }

  /// Takes back a slot. Requires: it was marked by mark_returned() where the checks policy tracks slots.
  FASTALLOC_ALWAYS_INLINE void give(std::byte* slot) noexcept {
    retire(slot);
    Guard guard(lock_);
    put_back(slot);
  }

  /// Takes back a slot in which nothing was built after all.
  FASTALLOC_COLD void withdraw(Taken taken) noexcept {
    retire(taken.slot);
    Guard guard(lock_);
    if constexpr (Checks::tracks_slots) flip(taken.slot);
    stats_.withdrawn();
    if (taken.fresh && taken.slot + blocks_.stride() == fresh_) {
      fresh_ = taken.slot;  // back behind the frontier, so that the peak is what it was
    } else {
      put_back(taken.slot);
    }
  }

  /// True when `p` is the start of a slot in use; otherwise the error says what it is. With `take_mark` the slot counts
  /// as returned from then on.
  [[nodiscard]] bool check_in_use(void const* p, bool take_mark, Error& error) noexcept {
    static_assert(Checks::tracks_slots);
    Guard guard(lock_);
    error = describe(ErrorCode::invalid_handle, "");
    error.address = p;
    Block const* const block = blocks_.find(p);
    if (block == nullptr)
      return error.text = "the pointer is not from this pool; return it to the pool that handed it out", false;
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - block->data);
    std::size_t const place = offset / blocks_.stride();
    if (offset % blocks_.stride() != 0)
      return error.text = "the pointer points into the middle of a slot; pass the address that Handle::release() returned", false;
    if (!SlotMarks::test(*block, place)) {
      error.code = ErrorCode::double_free;
      error.indices[0] = block->first + place;
      error.index_count = 1;
      error.text = "the slot is not in use: its object was returned before; let one owner only return it";
      return false;
    }
    if (take_mark) SlotMarks::flip(*block, place);
    return true;
  }

  /// The start of the slot that holds `p`. Requires: one does.
  [[nodiscard]] std::byte* slot_of(void const* p) noexcept {
    Guard guard(lock_);
    Block* const block = blocks_.find(p);
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - block->data);
    return block->data + offset / blocks_.stride() * blocks_.stride();
  }

  [[nodiscard]] std::size_t capacity() const {
    Guard guard(lock_);
    return slots_total();
  }
  [[nodiscard]] std::size_t allocated() const {
    Guard guard(lock_);
    return live();
  }
  [[nodiscard]] std::size_t available() const {
    Guard guard(lock_);
    return slots_total() - live();
  }
  [[nodiscard]] bool owns(void const* p) const {
    Guard guard(lock_);
    return blocks_.find(p) != nullptr;
  }
  [[nodiscard]] std::size_t index_of(std::byte const* slot) const {
    Guard guard(lock_);
    return blocks_.index_of(slot);
  }

  [[nodiscard]] PoolStatistics statistics() const {
    Guard guard(lock_);
    PoolStatistics result;
    result.capacity = slots_total();
    result.current_usage = live();
    result.peak_usage = peak();
    stats_.fill(result);
    return result;
  }
  void reset_statistics() {
    Guard guard(lock_);
    mark();
    peak_floor_ = live();
    stats_.reset(live());
  }

  /// Effects: adds a block so that the capacity is at least `slots`.
  bool reserve(std::size_t slots, Error& error)
    requires growing
  {
    Guard guard(lock_);
    if (slots <= total_) return true;
    if (config_.max_capacity != 0 && slots > config_.max_capacity) return error = at_max(slots), false;
    return add_block(slots - total_, error);
  }

  /// Takes every wholly free block out of the pool. Returns: a list of them (Block::next), for release_blocks().
  [[nodiscard]] Block* detach_free_blocks() noexcept
    requires growing
  {
    Guard guard(lock_);
    mark();
    peak_floor_ = peak();
    for (std::size_t b = 0; b != blocks_.count(); ++b) blocks_[b].marked = blocks_[b].slots - blocks_[b].handed;
    slots_.for_each([&](std::byte* slot) { ++blocks_.find(slot)->marked; }, blocks_);
    if (live() == 0) keep_initial_block();
    auto const goes = [](Block const& block) { return block.marked == block.slots; };
    slots_.erase_if([&](std::byte* slot) { return goes(blocks_.of(slot)); }, blocks_);

    Block* gone = nullptr;
    Block** const directory = blocks_.directory();
    std::size_t kept = 0;
    std::size_t const count = blocks_.count();
    for (std::size_t b = 0; b != count; ++b) {
      Block* const block = directory[b];
      if (!goes(*block)) {
        directory[kept++] = block;
        continue;
      }
      if (block == fresh_block_) {
        fresh_ = fresh_end_ = nullptr;
        fresh_block_ = nullptr;
      } else if (block->handed == 0) {
        pending_ -= block->slots;
      }
      total_ -= block->slots;
      block->next = std::exchange(gone, block);
    }
    if (gone != nullptr) shrink_directory(kept);
    return gone;
  }

  /// Gives the memory of a detached block back. Returns its bytes.
  std::size_t release_block(Block* block) noexcept {
    Guard guard(lock_);
    std::size_t const bytes = block->bytes;
    give_back(block->data, bytes);
    return bytes;
  }

  /// Calls f(block) for every block, with Block::handed up to date. For the end of the pool: no lock is held.
  template <class F>
  void for_each_block(F&& f) {
    sync_frontier();
    for (std::size_t b = 0; b != blocks_.count(); ++b) f(blocks_[b]);
  }

  /// Writes the indices of the first live slots; none where the memory for a snapshot is not to be had.
  void first_live(std::size_t* indices, std::size_t most, std::size_t& count) {
    if constexpr (TracksOccupancy<Slots>) {
      for (std::byte* slot = next_live(nullptr); slot != nullptr && count != most; slot = next_live(slot))
        indices[count++] = blocks_.index_of(slot);
    } else {
      Snapshot snapshot;
      if (begin(snapshot) != 0) return;
      for (std::byte* slot = next(snapshot); slot != nullptr && count != most; slot = next(snapshot))
        indices[count++] = blocks_.index_of(slot);
      end(snapshot);
    }
  }

  /// The first block as it is after open(), for objects that are built up front.
  [[nodiscard]] Block const& first_block() const noexcept { return blocks_[0]; }
  [[nodiscard]] std::size_t stride() const noexcept { return blocks_.stride(); }
  [[nodiscard]] StorageState const& storage() const noexcept { return storage_; }

  // Iteration.

  /// The first live slot behind `after` in address order; null when there is none.
  [[nodiscard]] std::byte* next_live(std::byte const* after)
    requires TracksOccupancy<Slots>
  {
    Guard guard(lock_);
    mark();
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      Block const& block = blocks_[b];
      auto const begin = reinterpret_cast<std::uintptr_t>(block.data);
      auto const at = reinterpret_cast<std::uintptr_t>(after);
      std::size_t place = 0;
      if (after != nullptr && at >= begin) {
        if (at >= reinterpret_cast<std::uintptr_t>(block.end)) continue;
        place = blocks_.place(block, after) + 1;
      }
      for (; place < block.handed; place = (place / word_bits + 1) * word_bits) {
        std::size_t const word = place / word_bits;
        std::size_t used = ~slots_.free_bits(block.word + word, blocks_) >> place % word_bits << place % word_bits;
        std::size_t const left = block.handed - word * word_bits;
        if (left < word_bits) used &= (std::size_t{1} << left) - 1;
        if (used != 0)
          return block.data + (word * word_bits + static_cast<std::size_t>(std::countr_zero(used))) * blocks_.stride();
      }
    }
    return nullptr;
  }

  /// Begins an iteration over a snapshot. Returns: the bytes that were not to be had, or 0.
  [[nodiscard]] std::size_t begin(Snapshot& snapshot) {
    Guard guard(lock_);
    mark();
    if (std::size_t const missing = snapshot.begin(blocks_); missing != 0) return missing;
    slots_.for_each([&](std::byte* slot) { snapshot.clear(slot); }, blocks_);
    snapshot.outer = std::exchange(snapshots_, &snapshot);
    return 0;
  }
  [[nodiscard]] std::byte* next(Snapshot& snapshot) {
    Guard guard(lock_);
    mark();
    return snapshot.next();
  }
  /// Iterations may end in any order: threads run them side by side.
  void end(Snapshot& snapshot) noexcept {
    Guard guard(lock_);
    for (Snapshot** at = &snapshots_; *at != nullptr; at = &(*at)->outer) {
      if (*at != &snapshot) continue;
      *at = snapshot.outer;
      return;
    }
  }

  /// An error with the values of this pool.
  [[nodiscard]] Error describe(ErrorCode code, char const* text) const noexcept {
    return Error{.code = code, .capacity = slots_total(), .allocated = live(), .text = text};
  }

  /// True when the equation at the top of this file and those of the slot allocator hold. Complexity: linear.
  [[nodiscard]] bool check_invariants() {
    Guard guard(lock_);
    sync_frontier();
    std::size_t slots = 0;
    std::size_t handed = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b) {
      slots += blocks_[b].slots;
      handed += blocks_[b].handed;
    }
    std::size_t returned = 0;
    bool inside = true;
    slots_.for_each([&](std::byte* slot) {
      ++returned;
      Block const* const block = blocks_.find(slot);
      inside = inside && block != nullptr && blocks_.place(*block, slot) < block->handed &&
               static_cast<std::size_t>(slot - block->data) % blocks_.stride() == 0;
    }, blocks_);
    return inside && slots == total_ && handed == handed_out() && returned == slots_.size() &&
           returned + (hot_ != nullptr) <= handed && (!Stats::enabled || peak() >= live());
  }

 private:
  struct Nothing {
    constexpr Nothing() noexcept = default;
  };

  FASTALLOC_ALWAYS_INLINE Taken pick() noexcept {
    if constexpr (Slots::hot_slot) {
      if (std::byte* const slot = hot_; slot != nullptr) {
        hot_ = nullptr;
        return {slot, false};
      }
    }
    if (std::byte* const slot = slots_.take(blocks_); slot != nullptr) return {slot, false};
    if (std::byte* const slot = fresh_; slot != fresh_end_) {
      fresh_ = slot + blocks_.stride();
      if constexpr (HearsOfFreshSlots<Slots>) slots_.fresh(slot, blocks_);
      return {slot, true};
    }
    return {nullptr, false};
  }

  FASTALLOC_ALWAYS_INLINE Taken pick_locked() {
    Guard guard(lock_);
    Taken const taken = pick();
    if (taken.slot != nullptr) [[likely]] {
      if constexpr (Checks::tracks_slots) flip(taken.slot);
      stats_.allocated(1);
      note_peak();
    }
    return taken;
  }

  std::size_t pick_many(std::byte** out, std::size_t n, std::size_t& fresh) {
    Guard guard(lock_);
    std::size_t count = 0;
    if (hot_ != nullptr && n != 0) out[count++] = std::exchange(hot_, nullptr);
    if constexpr (TakesMany<Slots>) {
      count += slots_.take_many(out + count, n - count, blocks_);
    } else {
      while (count != n && slots_.size() != 0) out[count++] = slots_.take(blocks_);
    }
    fresh = count;
    if (count != n) {
      std::byte* next = fresh_;
      std::size_t const stride = blocks_.stride();
      for (; count != n && (next != fresh_end_ || (fresh_ = next, next_block(next))); next += stride) {
        if constexpr (HearsOfFreshSlots<Slots>) slots_.fresh(next, blocks_);
        out[count++] = next;
      }
      fresh_ = next;
    }
    if constexpr (Checks::tracks_slots)
      for (std::size_t i = 0; i != count; ++i) flip(out[i]);
    stats_.allocated(count);
    note_peak();
    return count;
  }

  /// Makes the bytes of a slot that the caller has ready for an object. The lock is not held.
  FASTALLOC_ALWAYS_INLINE static void prepare([[maybe_unused]] Taken taken) noexcept {
    unpoison(taken.slot, Shape::size);
    if constexpr (Checks::verifies_fill && !KeepsObjects) {
      if (!taken.fresh && !is_filled(taken.slot, Shape::size, fill_dead, Shape::link_offset, link_bytes<SlotPolicy>(growing)))
        report(Error{.code = ErrorCode::invalid_handle,
                     .text = "a free slot was written to: somebody used an object after returning it",
                     .address = taken.slot});
    }
    if constexpr (Checks::fills && !KeepsObjects) fill(taken.slot, Shape::size, fill_new);
  }
  /// Makes the bytes of a slot in which no object is left unusable.
  FASTALLOC_ALWAYS_INLINE static void retire([[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Checks::fills && !KeepsObjects) fill(slot, Shape::size, fill_dead);
    poison(slot, Shape::size);
  }

  FASTALLOC_ALWAYS_INLINE void put_back(std::byte* slot) noexcept {
    if constexpr (Slots::hot_slot) {
      std::byte* const colder = std::exchange(hot_, slot);
      if (colder != nullptr) slots_.give(colder, blocks_);
    } else {
      slots_.give(slot, blocks_);
    }
  }

  void flip(std::byte* slot) noexcept {
    Block const& block = blocks_.of(slot);
    SlotMarks::flip(block, blocks_.place(block, slot));
  }

  [[nodiscard]] std::size_t slots_total() const noexcept { return Inline != 0 && total_ == 0 ? Inline : total_; }
  [[nodiscard]] std::size_t handed_out() const noexcept {
    return total_ - pending_ - blocks_.slots_in(static_cast<std::size_t>(fresh_end_ - fresh_));
  }
  [[nodiscard]] std::size_t live() const noexcept { return handed_out() - slots_.size() - (hot_ != nullptr ? 1 : 0); }

  // Slots are taken from slots_ only while hot_ is empty, so at a peak the free ones are just the least slots_.size().
  [[nodiscard]] std::size_t peak() const noexcept {
    if constexpr (MarksReturns<Slots>) {
      std::size_t const since = handed_out() - slots_.low_water();
      return since > peak_floor_ ? since : peak_floor_;
    } else {
      return peak_floor_;
    }
  }
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if constexpr (Stats::enabled && !MarksReturns<Slots>) {
      if (std::size_t const now = live(); now > peak_floor_) peak_floor_ = now;
    }
  }

  /// Effects: the hot slot joins the others, running iterations hear what was returned, the low-water mark is set anew.
  void mark() noexcept {
    sync_frontier();
    if (hot_ != nullptr) slots_.give(std::exchange(hot_, nullptr), blocks_);
    if constexpr (MarksReturns<Slots>) {
      peak_floor_ = peak();
      slots_.drain([&](std::byte* slot) {
        for (Snapshot* snapshot = snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear(slot);
      }, blocks_);
    }
  }

  /// Brings Block::handed of the current block up to date.
  void sync_frontier() noexcept {
    if constexpr (growing) {
      if (fresh_block_ != nullptr) fresh_block_->handed = blocks_.place(*fresh_block_, fresh_);
    } else {
      if (blocks_.count() != 0) blocks_[0].handed = blocks_.place(blocks_[0], fresh_);
    }
  }

  /// Moves the frontier to the untouched block of the lowest index. Returns: false when there is none.
  bool next_block([[maybe_unused]] std::byte*& next) noexcept {
    if constexpr (growing) {
      if (pending_ == 0) return false;
      sync_frontier();
      Block* found = nullptr;
      for (std::size_t b = 0; b != blocks_.count(); ++b) {
        Block& block = blocks_[b];
        if (block.handed == 0 && &block != fresh_block_ && (found == nullptr || block.first < found->first)) found = &block;
      }
      fresh_block_ = found;
      fresh_ = next = found->data;
      fresh_end_ = found->end;
      pending_ -= found->slots;
      return true;
    } else {
      return false;
    }
  }

  /// Effects: makes at least one of `n` slots more available, or tells why that cannot be.
  bool make_room(std::size_t n, Error& error) {
    if constexpr (Inline != 0) {
      if (total_ == 0) return open(PoolConfig{.capacity = Inline}, error);
    }
    if constexpr (growing) {
      std::size_t current = 0;
      {
        Guard guard(lock_);
        std::byte* unused;
        if (fresh_ == fresh_end_ && next_block(unused)) return true;
        current = total_;
      }
      // The growth function is the user's: no lock is held, and afterwards everything is looked at anew.
      std::size_t const wanted = current == 0 ? config_.capacity : config_.growth_strategy.slots_to_add(current);
      Guard guard(lock_);
      std::size_t const at_hand = total_ - live();
      if (at_hand >= n || total_ != current) return true;
      return grow(wanted, n - at_hand, error);
    } else {
      Guard guard(lock_);
      error = describe(ErrorCode::pool_exhausted, "every slot of this fixed pool is in use; return handles, raise PoolConfig::capacity, or use a GrowingPool");
      error.requested = n;
      return false;
    }
  }

  bool grow(std::size_t wanted, std::size_t needed, Error& error) noexcept {
    std::size_t const most = config_.max_capacity != 0 ? config_.max_capacity - total_ : std::numeric_limits<std::size_t>::max();
    if (wanted == 0) {
      error = describe(ErrorCode::pool_exhausted,
                       config_.growth_strategy.is_custom()
                           ? "every slot is in use and the custom growth function returned 0; let it return the slots to add"
                           : "every slot is in use and the growth strategy is none(); return handles, or set PoolConfig::growth_strategy");
      error.requested = needed;
      return false;
    }
    if (most < needed) return error = at_max(total_ + needed), false;
    std::size_t const slots = wanted < needed ? needed : wanted;
    return add_block(slots < most ? slots : most, error);
  }

  [[nodiscard]] Error at_max(std::size_t requested) const noexcept {
    Error error = describe(ErrorCode::max_capacity_exceeded,
                           "the pool has grown to max_capacity (the limit); return handles, or raise PoolConfig::max_capacity");
    error.requested = requested;
    error.limit = config_.max_capacity;
    return error;
  }

  static Error too_small(PoolConfig const& config, std::size_t slots, char const* text) noexcept {
    return Error{.capacity = config.capacity, .requested = config.capacity, .limit = slots, .text = text};
  }

  /// Effects: acquires a block of `slots` slots and puts it behind the others. On failure nothing changes.
  bool add_block(std::size_t slots, Error& error) noexcept {
    auto const plan = Layout::block(slots, blocks_.stride());
    std::size_t sum = 0;
    if (!plan.valid || !checked_add(total_, slots, sum)) {
      error = describe(ErrorCode::invalid_configuration, "capacity times the size of a slot is more than can be addressed; lower the capacity or the growth");
      error.capacity = slots_total() != 0 ? slots_total() : slots;
      error.requested = slots;
      error.limit = Layout::max_fixed_bytes / blocks_.stride();
      return false;
    }
    std::byte* const data = acquire(plan.bytes, slots, error);
    if (data == nullptr) return false;
    Block const block{.data = data, .end = data + plan.slot_bytes, .slots = slots, .tail = data + plan.tail, .bytes = plan.bytes};
    if constexpr (growing) {
      auto* const record = ::new (static_cast<void*>(data + plan.metadata)) Block(block);
      for (std::size_t b = 0; b != blocks_.count(); ++b)
        if (std::size_t const end = blocks_[b].first + blocks_[b].slots; end > record->first) record->first = end;
      if (!extend_directory(record, error)) return give_back(data, plan.bytes), false;
    } else {
      blocks_[0] = block;
      slots_.bind(data + plan.metadata, blocks_);
      fresh_ = block.data;
      fresh_end_ = block.end;
    }
    if constexpr (Checks::tracks_slots) std::memset(block.tail, 0, SlotMarks::bytes_for(slots));
    if (pre_initialize_) touch(data, plan.bytes);
    poison(data, plan.slot_bytes);
    if (total_ != 0) stats_.grown();
    total_ += slots;
    return true;
  }

  bool extend_directory(Block* record, Error& error) noexcept
    requires growing
  {
    std::size_t const count = blocks_.count() + 1;
    auto const plan = Layout::directory(total_ + record->slots, count);
    std::byte* const memory = acquire(plan.bytes, record->slots, error);
    if (memory == nullptr) return false;
    auto** const entries = reinterpret_cast<Block**>(memory);
    for (std::size_t b = 0; b + 1 != count; ++b) entries[b] = &blocks_[b];
    entries[count - 1] = record;
    if (pre_initialize_) touch(memory + plan.metadata, plan.bytes - plan.metadata);
    replace_directory(memory, plan.bytes, plan.metadata, count);
    pending_ += record->slots;
    std::byte* unused;
    if (fresh_ == fresh_end_) next_block(unused);
    return true;
  }

  /// After blocks went: a directory of the exact size. Where there is no memory for one, the old one stays in use.
  void shrink_directory(std::size_t count) noexcept
    requires growing
  {
    auto const plan = Layout::directory(total_, count);
    Block** const old = blocks_.directory();
    auto* const memory = count == 0 ? nullptr : static_cast<std::byte*>(storage_.acquire(plan.bytes, stride_alignment_));
    if (memory == nullptr && count != 0) {
      blocks_.set_directory(old, count);
      slots_.bind(metadata_, blocks_);
      return;
    }
    for (std::size_t b = 0; b != count; ++b) reinterpret_cast<Block**>(memory)[b] = old[b];
    replace_directory(memory, plan.bytes, plan.metadata, count);
  }

  void replace_directory(std::byte* memory, std::size_t bytes, std::size_t metadata, std::size_t count) noexcept
    requires growing
  {
    sync_frontier();
    auto* const old = reinterpret_cast<std::byte*>(blocks_.directory());
    blocks_.set_directory(reinterpret_cast<Block**>(memory), count);
    metadata_ = memory + metadata;
    slots_.bind(metadata_, blocks_);
    give_back(old, std::exchange(directory_bytes_, bytes));
  }

  /// With nothing live every block is free; the one that the pool began with stays, if it is still there.
  void keep_initial_block() noexcept
    requires growing
  {
    Block* kept = nullptr;
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      if (blocks_[b].slots <= config_.capacity && (kept == nullptr || blocks_[b].first < kept->first)) kept = &blocks_[b];
    if (kept != nullptr) kept->marked = 0;
  }

  [[nodiscard]] std::byte* acquire(std::size_t bytes, std::size_t slots, Error& error) noexcept {
    auto* const memory = static_cast<std::byte*>(storage_.acquire(bytes, stride_alignment_));
    if (memory != nullptr) return memory;
    error = describe(ErrorCode::allocation_failed, "the storage has no memory of the requested size; lower the capacity or the growth, or free memory");
    error.requested = bytes;
    error.unit = "bytes";
    if (error.capacity == 0) error.capacity = slots;
    if constexpr (std::same_as<StorageState, ExternalStorage>) {
      error.limit = storage_.bytes().size();
      error.code = ErrorCode::invalid_configuration;
      error.text = "the span is too small for the requested bytes; pass P::required_bytes(capacity) bytes, or lower the capacity";
      if (!storage_.is_aligned(stride_alignment_)) {
        error.code = ErrorCode::invalid_alignment;
        error.text = "the span does not begin at a multiple of the requested alignment; align it, as in alignas(P::required_alignment())";
        error.requested = stride_alignment_;
        error.limit = 0;
        error.address = storage_.bytes().data();
      }
    } else if constexpr (Inline != 0) {
      error.code = ErrorCode::invalid_alignment;
      error.text = "InlineStorage has no room for the requested bytes at this alignment; give T the alignment (alignas), or use HeapStorage";
    }
    return nullptr;
  }

  void give_back(std::byte* memory, std::size_t bytes) noexcept {
    if (memory == nullptr) return;
    unpoison(memory, bytes);
    storage_.release(memory, bytes, stride_alignment_);
  }

  static void touch(std::byte* memory, std::size_t bytes) noexcept {
    constexpr std::size_t page = 4096;
    for (std::size_t at = 0; at < bytes; at += page) *const_cast<std::byte volatile*>(memory + at) = std::byte{0};
    if (bytes != 0) *const_cast<std::byte volatile*>(memory + bytes - 1) = std::byte{0};
  }

  std::byte* hot_ = nullptr;
  Slots slots_{};
  std::byte* fresh_ = nullptr;
  std::byte* fresh_end_ = nullptr;
  Blocks<growing> blocks_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Stats stats_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Lock lock_{};
  std::size_t total_ = 0;    ///< slots
  std::size_t pending_ = 0;  ///< slots in untouched blocks other than the current one
  std::size_t peak_floor_ = 0;
  Snapshot* snapshots_ = nullptr;
  std::size_t stride_alignment_ = 0;  ///< bytes; what blocks are acquired with
  bool pre_initialize_ = false;
  Block* fresh_block_ = nullptr;     ///< the block of the frontier (growing pools)
  std::size_t directory_bytes_ = 0;  ///< of the directory (growing pools)
  std::byte* metadata_ = nullptr;    ///< of the slot allocator, in the directory (growing pools)
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, PoolConfig, Nothing> config_{};
  FASTALLOC_NO_UNIQUE_ADDRESS StorageState storage_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
