// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolCore: a SlotSupply with a lock, counts, checks and growth. Does not depend on T.
//
// Each public function takes the lock; none calls user code while it is held. Failures are reported as an Error to the
// caller, which knows T and whether to throw.
#pragma once

#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/pool/slot_supply.hpp>
#include <fastalloc/stats/basic_stats.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// KeepsObjects: returned slots hold objects and are not written to. Inline: slots of InlineStorage, else 0.
template <class Shape, class SlotPolicy, class StorageState, class Lock, class Stats, class Checks, bool KeepsObjects,
          std::size_t Inline>
class PoolCore {
  using Supply = SlotSupply<Shape, SlotPolicy, StorageState, Checks>;
  static constexpr bool growing = Shape::growing;

 public:
  constexpr PoolCore() noexcept = default;
  /// `storage`: a StorageState, or Nothing to have a default constructed one.
  template <class S> explicit constexpr PoolCore(S storage) noexcept : supply_(std::move(storage)) {}
  PoolCore(PoolCore const&) = delete;
  PoolCore& operator=(PoolCore const&) = delete;

  /// Effects: acquires the first block. Returns: false, with the error, when that cannot be done; nothing is held then.
  bool open(PoolConfig const& config, Error& error) noexcept {
    if (auto const valid = config.validate(); !valid) return error = valid.error(), false;
    if (Inline != 0 && config.capacity > Inline) {
      error = Error{.capacity = config.capacity, .limit = Inline, .text = "InlineStorage<N> has room for fewer slots (the limit); raise N"};
      return false;
    }
    supply_.blocks().configure(config.alignment, config.pre_initialize);
    if constexpr (growing) config_ = config;
    return supply_.add(config.capacity, error);
  }

  /// Slots that `bytes` bytes have room for. Complexity: a few steps.
  [[nodiscard]] static std::size_t slots_in(std::size_t bytes) noexcept {
    using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
    std::size_t n = (bytes < Layout::max_fixed_bytes ? bytes : Layout::max_fixed_bytes) / Shape::size;
    while (n != 0 && Layout::block(n, Shape::size).bytes > bytes) {
      std::size_t const step = (Layout::block(n, Shape::size).bytes - bytes) / (2 * Shape::size + sizeof(void*));
      n -= step == 0 ? 1 : step;
    }
    // A step may free more than its slots: whole words of metadata.
    for (auto more = Layout::block(n + 1, Shape::size); more.valid && more.bytes <= bytes; more = Layout::block(n + 1, Shape::size)) ++n;
    return n;
  }

  /// A slot without any slow path: `slot` is null when none is at hand.
  FASTALLOC_ALWAYS_INLINE Taken take() {
    Taken const taken = take_locked();
    if (taken.slot != nullptr) [[likely]] prepare(taken);
    return taken;
  }

  /// The same, and grows or opens inline storage where that helps. On failure `slot` is null and `error` says why.
  FASTALLOC_COLD Taken take_slow(Error& error) {
    do {
      if (Taken const taken = take(); taken.slot != nullptr) return taken;
    } while (make_room(1, error));
    locked([&] { stats_.failed(); });
    return {nullptr, false};
  }

  /// Effects: sees to it that `n` slots are at hand. Returns: false, with the error, when that cannot be done.
  FASTALLOC_COLD bool ensure(std::size_t n, Error& error) {
    while (at_hand() < n) {
      if (make_room(n, error)) continue;
      locked([&] { stats_.failed(); });
      return false;
    }
    return true;
  }

  /// Takes up to n slots in one step. Those from `out[fresh]` on are fresh. Returns how many there were.
  FASTALLOC_ALWAYS_INLINE std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) {
    std::size_t const count = locked([&] {
      std::size_t const taken = supply_.take_many(out, n, fresh);
      if constexpr (Checks::tracks_slots)
        for (std::size_t i = 0; i != taken; ++i) mark_taken(out[i]);
      stats_.allocated(taken);
      note_peak();
      return taken;
    });
    if constexpr (Checks::fills || FASTALLOC_ASAN)
      for (std::size_t i = 0; i != count; ++i) prepare({out[i], i >= fresh});
    return count;
  }

  /// Takes back a slot. Requires: check_in_use() marked it, where the checks policy tracks slots.
  FASTALLOC_ALWAYS_INLINE void give(std::byte* slot) noexcept {
    retire(slot);
    Guard guard(lock_);
    supply_.give(slot);
  }

  /// Takes back a slot in which nothing was built after all.
  FASTALLOC_COLD void withdraw(Taken taken) noexcept {
    retire(taken.slot);
    Guard guard(lock_);
    mark_taken(taken.slot);  // flips back
    stats_.withdrawn();
    supply_.give_unused(taken);
  }

  /// True when `p` is the start of a slot in use; otherwise the error says what it is. With `take_mark` the slot counts
  /// as returned from then on.
  [[nodiscard]] bool check_in_use(void const* p, bool take_mark, Error& error) noexcept {
    static_assert(Checks::tracks_slots);
    Guard guard(lock_);
    auto const refuse = [&](ErrorCode code, char const* text) {
      error = describe_here(code, text);
      error.address = p;
      return false;
    };
    Block const* const block = supply_.blocks().find(p);
    if (block == nullptr)
      return refuse(ErrorCode::invalid_handle, "the pointer is not from this pool; return it to the pool that handed it out");
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - block->data);
    std::size_t const place = offset / stride();
    if (offset % stride() != 0)
      return refuse(ErrorCode::invalid_handle,
                    "the pointer points into the middle of a slot; pass the address that Handle::release() returned");
    if (!SlotMarks::test(*block, place)) {
      refuse(ErrorCode::double_free, "the slot is not in use: its object was returned before; let one owner only return it");
      error.indices[error.index_count++] = block->first + place;
      return false;
    }
    if (take_mark) SlotMarks::flip(*block, place);
    return true;
  }

  /// The start of the slot that holds `p`. Requires: one does.
  [[nodiscard]] std::byte* slot_of(void const* p) noexcept {
    Guard guard(lock_);
    std::byte* const data = supply_.blocks().find(p)->data;
    return data + static_cast<std::size_t>(static_cast<std::byte const*>(p) - data) / stride() * stride();
  }

  [[nodiscard]] std::size_t capacity() const { return locked([&] { return slots_total(); }); }
  [[nodiscard]] std::size_t allocated() const { return locked([&] { return supply_.live(); }); }
  [[nodiscard]] std::size_t available() const { return locked([&] { return slots_total() - supply_.live(); }); }
  /// Slots that take() finds without a slow path: none before inline storage is opened.
  [[nodiscard]] std::size_t at_hand() const { return locked([&] { return supply_.total() - supply_.live(); }); }
  [[nodiscard]] bool owns(void const* p) const { return locked([&] { return supply_.blocks().find(p) != nullptr; }); }
  [[nodiscard]] std::size_t index_of(std::byte const* slot) const { return locked([&] { return supply_.blocks().index_of(slot); }); }
  [[nodiscard]] std::size_t stride() const noexcept { return supply_.blocks().stride(); }

  [[nodiscard]] PoolStatistics statistics() const {
    return locked([&] {
      PoolStatistics result{.current_usage = supply_.live(), .peak_usage = supply_.peak(), .capacity = slots_total()};
      stats_.fill(result);
      return result;
    });
  }
  void reset_statistics() {
    Guard guard(lock_);
    supply_.reset_peak();
    stats_.reset(supply_.live());
  }

  /// Effects: adds a block so that the capacity is at least `slots`.
  bool reserve(std::size_t slots, Error& error) {
    Guard guard(lock_);
    if (slots <= supply_.total()) return true;
    if (config_.max_capacity != 0 && slots > config_.max_capacity) return error = at_max(slots), false;
    return add_block(slots - supply_.total(), error);
  }

  /// Takes every wholly free block out of the pool. Returns: a list of them (Block::next), for release_block().
  [[nodiscard]] Block* detach_free_blocks() noexcept {
    return locked([&] { return supply_.detach_free_blocks(config_.capacity); });
  }
  /// Gives the memory of a detached block back. Returns its bytes.
  std::size_t release_block(Block* block) noexcept { return locked([&] { return supply_.blocks().release(block); }); }

  /// Calls f(block) for every block, with Block::handed up to date. For the beginning and the end of the pool: no lock is held.
  template <class F> void for_each_block(F&& f) {
    supply_.sync_frontier();
    for (std::size_t b = 0; b != supply_.blocks().count(); ++b) f(supply_.blocks()[b]);
  }

  /// Calls f(slot) for the live slots in address order until it returns false, without the lock. Slots that come back
  /// meanwhile are skipped. Returns: the bytes that a snapshot needs and that were not to be had, or 0.
  template <class F> std::size_t visit(F&& f) {
    if constexpr (TracksOccupancy<typename Supply::Slots>) {
      auto const next = [&](std::byte* slot) { return locked([&] { return supply_.next_live(slot); }); };
      for (std::byte* slot = next(nullptr); slot != nullptr && f(slot);) slot = next(slot);
    } else {
      Snapshot snapshot;
      if (std::size_t const missing = locked([&] { return supply_.begin(snapshot); }); missing != 0) return missing;
      struct End {
        PoolCore& core;
        Snapshot& snapshot;
        ~End() { core.locked([&] { core.supply_.end(snapshot); }); }
      } const end{*this, snapshot};
      auto const next = [&] { return locked([&] { return supply_.next(snapshot); }); };
      for (std::byte* slot = next(); slot != nullptr && f(slot);) slot = next();
    }
    return 0;
  }

  /// An error with the values of this pool.
  [[nodiscard]] Error describe(ErrorCode code, char const* text) const {
    return locked([&] { return describe_here(code, text); });
  }

  /// True when the pool's own account of its slots is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() {
    return locked([&] { return supply_.check_invariants() && (!Stats::enabled || supply_.peak() >= supply_.live()); });
  }

 private:
  template <class F> FASTALLOC_ALWAYS_INLINE decltype(auto) locked(F&& f) const {
    Guard guard(lock_);
    return f();
  }

  FASTALLOC_ALWAYS_INLINE Taken take_locked() {
    Guard guard(lock_);
    Taken const taken = supply_.take();
    if (taken.slot != nullptr) [[likely]] {
      mark_taken(taken.slot);
      stats_.allocated(1);
      note_peak();
    }
    return taken;
  }

  FASTALLOC_ALWAYS_INLINE void mark_taken([[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Checks::tracks_slots) {
      Block const& block = supply_.blocks().of(slot);
      SlotMarks::flip(block, supply_.blocks().place(block, slot));
    }
  }
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if constexpr (Stats::enabled && !Supply::derives_peak) supply_.note_peak();
  }

  /// Makes the bytes of a slot that the caller has ready for an object. The lock is not held.
  FASTALLOC_ALWAYS_INLINE static void prepare([[maybe_unused]] Taken taken) noexcept {
    unpoison(taken.slot, Shape::size);
    if constexpr (Checks::verifies_fill && !KeepsObjects) {
      if (!taken.fresh && !is_filled(taken.slot, Shape::size, fill_dead, Shape::link_offset, Shape::link_size))
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

  [[nodiscard]] Error describe_here(ErrorCode code, char const* text) const noexcept {
    return Error{.code = code, .capacity = slots_total(), .allocated = supply_.live(), .text = text};
  }
  [[nodiscard]] std::size_t slots_total() const noexcept {
    return Inline != 0 && supply_.total() == 0 ? Inline : supply_.total();
  }

  /// Effects: makes at least one of `n` slots more available, or tells why that cannot be.
  bool make_room(std::size_t n, Error& error) {
    if constexpr (Inline != 0) {
      Guard guard(lock_);
      if (supply_.total() == 0) return open(PoolConfig{.capacity = Inline}, error);
    }
    if constexpr (growing) {
      std::size_t current = 0;
      {
        Guard guard(lock_);
        if (supply_.at_frontier_end() && supply_.next_block()) return true;
        current = supply_.total();
      }
      // The growth function is the user's: no lock is held, and afterwards everything is looked at anew.
      std::size_t wanted = current == 0 ? config_.capacity : config_.growth_strategy.slots_to_add(current);
      // shrink_to_fit may have left less than the pool began with; that much, and no more, is always to be had again.
      bool const refuses = current == 0 ? !config_.growth_strategy.grows() : wanted == 0;
      if (wanted == 0 && current < config_.capacity) wanted = config_.capacity - current;
      Guard guard(lock_);
      std::size_t const at_hand = supply_.total() - supply_.live();
      if (at_hand >= n || supply_.total() != current) return true;
      return grow(refuses && wanted < n - at_hand ? 0 : wanted, n - at_hand, error);
    } else {
      Guard guard(lock_);
      if (supply_.total() - supply_.live() >= n) return true;  // another thread opened the storage, or returned a slot
      error = describe_here(ErrorCode::pool_exhausted,
                       "every slot of this fixed pool is in use; return handles, raise PoolConfig::capacity, or use a GrowingPool");
      error.requested = n;
      return false;
    }
  }

  bool grow(std::size_t wanted, std::size_t needed, Error& error) noexcept {
    std::size_t const total = supply_.total();
    std::size_t const most = config_.max_capacity != 0 ? config_.max_capacity - total : std::numeric_limits<std::size_t>::max();
    if (wanted == 0) {
      error = describe_here(ErrorCode::pool_exhausted,
                       config_.growth_strategy.is_custom()
                           ? "every slot is in use and the custom growth function returned 0; let it return the slots to add"
                           : "every slot is in use and the growth strategy is none(); return handles, or set PoolConfig::growth_strategy");
      error.requested = needed;
      return false;
    }
    if (most < needed) return error = at_max(total + needed), false;
    std::size_t const slots = wanted < needed ? needed : wanted;
    return add_block(slots < most ? slots : most, error);
  }

  bool add_block(std::size_t slots, Error& error) noexcept {
    if (!supply_.add(slots, error)) return false;
    return stats_.grown(), true;
  }

  [[nodiscard]] Error at_max(std::size_t requested) const noexcept {
    Error error = describe_here(ErrorCode::max_capacity_exceeded,
                           "the pool has grown to max_capacity (the limit); return handles, or raise PoolConfig::max_capacity");
    error.requested = requested;
    error.limit = config_.max_capacity;
    return error;
  }

  Supply supply_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Stats stats_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Lock lock_{};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, PoolConfig, Nothing> config_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
