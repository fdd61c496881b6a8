// SPDX-License-Identifier: MIT OR Apache-2.0
// LiveCursor: visits the live slots of a supply in address order, one bitmap word at a time. LiveWalk: visits the
// live slots of any pool, and takes the lock at each step only: by a LiveCursor where there is a bitmap, else by a
// Snapshot.
//
//   block_   | slot | ... | base_ ................... base_ + 63 strides | ...
//                           used_  0 0 0 0 1 1 0 1 ... 1                        live slots not yet visited
//                           slot_          ^ the cursor's position
//
// used_ is valid while the supply is settled as it was at stamp_: a step is then a test, a bit scan and a
// multiplication. Otherwise the cursor finds its place again by address, so the pool may change in any way between two
// steps: slots come and go, the directory moves, the cursor's own block is released.
#pragma once

#include <fastalloc/pool/slot_supply.hpp>
#include <fastalloc/pool/snapshot.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// All functions but slot() need the pool's lock.
template <class Supply> class LiveCursor {
  template <class> friend class Clearing;
  template <class> friend class Looking;
  using Block = BlockOf<Supply::growing>;

 public:
  /// The end position.
  constexpr LiveCursor() noexcept = default;
  /// The position of the first live slot.
  FASTALLOC_ALWAYS_INLINE explicit LiveCursor(Supply& supply) noexcept : supply_(&supply) {
    go(sought(supply, nullptr));
    step();
  }

  /// Returns: the current slot; null at the end.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* slot() const noexcept { return slot_; }

  /// Requires: not at the end.
  FASTALLOC_ALWAYS_INLINE void next() noexcept {
    if (!supply_->is_settled(stamp_)) [[unlikely]]
      go(sought(*supply_, slot_));
    step();
  }

 private:
  // Cold functions take and return values: a cursor whose address is never taken stays in registers.
  struct Place {
    std::size_t stamp;   ///< from Supply::settle()
    Block const* block;  ///< null after the last one
    std::byte* base;
    std::size_t used;
  };
  FASTALLOC_ALWAYS_INLINE void go(Place const& to) noexcept {
    stamp_ = to.stamp;
    block_ = to.block;
    base_ = to.base;
    used_ = to.used;
  }

  /// Returns: the place after `slot`, which may be gone.
  [[nodiscard]] FASTALLOC_COLD static Place sought(Supply& supply, std::byte const* slot) noexcept {
    std::size_t const stamp = supply.settle();
    auto const& blocks = supply.blocks();
    Block const* const block = blocks.behind(slot);
    bool const inside = block != nullptr && blocks.holds(*block, slot);
    // A true division: the slot's block may be gone, and another one may overlap its address range.
    return entered(supply, stamp, block,
                   inside ? static_cast<std::size_t>(slot - block->data) / blocks.stride() + 1 : 0);
  }
  [[nodiscard]] FASTALLOC_COLD static Place entered(Supply& supply, std::size_t stamp, Block const* block,
                                                    std::size_t from) noexcept {
    if (block == nullptr) return {stamp, nullptr, nullptr, 0};
    std::byte* const base = block->data + from / word_bits * word_bits * supply.blocks().stride();
    return {stamp, block, base, supply.live_word(*block, base).bits >> from % word_bits << from % word_bits};
  }

  FASTALLOC_ALWAYS_INLINE void step() noexcept {
    while (used_ == 0) [[unlikely]] {
      if (block_ == nullptr) return void(slot_ = nullptr);
      base_ += word_bits * supply_->blocks().stride();
      auto const word = supply_->live_word(*block_, base_);
      used_ = word.bits;
      if (!word.handed_out) go(entered(*supply_, stamp_, supply_->blocks().behind(block_->end), 0));
    }
    slot_ = base_ + static_cast<std::size_t>(std::countr_zero(used_)) * supply_->blocks().stride();
    FASTALLOC_ASSUME(slot_ != nullptr);
    used_ &= used_ - 1;
  }

  Supply* supply_ = nullptr;
  std::byte* slot_ = nullptr;
  std::size_t used_ = 0;
  std::byte* base_ = nullptr;
  std::size_t stamp_ = 0;
  Block const* block_ = nullptr;
};

/// A walk over the live slots of a CentralList that pass holds(slot), in address order; holds() runs under the lock, so
/// the slot's block exists. Between two steps slots may come and go: the caches of threads are empty during the walk,
/// so a returned slot reaches the central list at once, and is skipped.
template <class Central> class LiveWalk {
  using Supply = typename Central::Supply;
  static constexpr bool has_cursor = TracksOccupancy<typename Supply::Slots>;

 public:
  /// Apart from the walk: a snapshot's address is known to the supply, so what lies beside it is loaded at each step.
  using Place = std::conditional_t<has_cursor, LiveCursor<Supply>, Snapshot>;

  /// Requires: `place` is new, and outlives the walk.
  FASTALLOC_ALWAYS_INLINE LiveWalk(Central& central, Place& place) : central_(central), place_(place) {
    {
      [[maybe_unused]] auto const guard = central.inside_slow();
      central.caches_.close(central.supply_), central.serve();
      if constexpr (!has_cursor) missing_ = central.supply_.begin(place_);
    }
    if constexpr (!has_cursor) {
      while (missing_ != 0 && place_.make_room(missing_)) {
        [[maybe_unused]] auto const guard = central.inside_slow();
        missing_ = central.supply_.begin(place_);  // not 0 if the pool has grown
      }
    }
  }
  LiveWalk(LiveWalk const&) = delete;
  LiveWalk& operator=(LiveWalk const&) = delete;
  FASTALLOC_ALWAYS_INLINE ~LiveWalk() {
    {
      [[maybe_unused]] auto const guard = central_.inside_slow();
      if constexpr (!has_cursor) central_.supply_.end(place_);
      central_.caches_.reopen(central_.supply_);
    }
    central_.report_damage(nullptr);
  }

  /// Returns: 0, or the bytes of a snapshot that could not be allocated; the walk is then at its end.
  [[nodiscard]] std::size_t missing() const noexcept { return missing_; }

  /// Returns: the first slot; null if there is none.
  template <class Holds> [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* first(Holds const& holds) {
    [[maybe_unused]] auto const guard = central_.inside_slow();
    if constexpr (has_cursor) return place_ = LiveCursor<Supply>(central_.supply_), settle(holds);
    else return step(holds);
  }
  template <class Holds> [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* next(Holds const& holds) {
    [[maybe_unused]] auto const guard = central_.inside_slow();
    poll();
    return step(holds);
  }
  /// The parts of next(), for callers that hold the lock.
  FASTALLOC_ALWAYS_INLINE void poll() { central_.caches_.poll(central_.supply_); }
  template <class Holds> [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* step(Holds const& holds) {
    if constexpr (has_cursor) {
      place_.next();
      return settle(holds);
    } else {
      std::byte* slot = central_.supply_.next(place_);
      while (slot != nullptr && !holds(slot)) slot = central_.supply_.next(place_);
      return slot;
    }
  }

 private:
  template <class Holds> FASTALLOC_ALWAYS_INLINE std::byte* settle(Holds const& holds) {
    while (place_.slot() != nullptr && !holds(place_.slot())) place_.next();
    return place_.slot();
  }

  Central& central_;
  Place& place_;
  std::size_t missing_ = 0;  ///< bytes
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
