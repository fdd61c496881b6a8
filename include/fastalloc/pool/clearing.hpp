// SPDX-License-Identifier: MIT OR Apache-2.0
// Clearing: BasicPool::clear(), which declares and documents it.
//
//   objects that end without user code   their slots are dropped, without a look at which are live
//   all others                           released one by one in address order, as handles would release them
//   then, if nothing is live             restart(): the bump pointer is at the first slot again
//                                        reorder(): where slots must count as returned, they come back in descending
//                                        order: for Recycle, whose objects stay, and for checks that verify fills
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The slots. Does not depend on T.
template <class Choices> class Clearing<PoolCore<Choices>> {
  using Core = PoolCore<Choices>;
  using Central = CentralList<Choices>;
  using Supply = typename Central::Supply;
  using Free = typename Supply::Free;
  using Shape = typename Choices::shape;
  using Checks = typename Choices::checks;
  using Bytes = SlotGuard<Choices>;

 public:
  /// Effects: all slots are free. Requires: ending an object runs no user code.
  FASTALLOC_NOINLINE static void drop(Core& core) noexcept {
    inside(core, [](Central& central) {
      auto& blocks = central.supply_.blocks();
      central.supply_.sync_bump_pointer();
      for (std::size_t b = 0; b != blocks.count(); ++b) end_objects(blocks, blocks[b]);
      reset(central);
    });
  }
  /// Effects: restores the order of a new pool if no slot is in use.
  FASTALLOC_NOINLINE static void restore_order(Core& core) noexcept {
    inside(core, [](Central& central) {
      if (central.live() == 0) reset(central);
    });
  }
  /// Calls end(slot) for the live slots that pass holds(slot), in address order, as PoolCore::visit() does, and takes
  /// back those for which it returns true. Returns: 0, or the bytes of a snapshot that could not be allocated.
  template <class Holds, class End> static std::size_t end_each(Central& central, Holds const& holds, End&& end) {
    typename LiveWalk<Central>::Place place;
    LiveWalk<Central> walk(central, place);
    for (std::byte* slot = walk.first(holds); slot != nullptr;) {
      bool const ended = end(slot);
      [[maybe_unused]] auto const guard = central.inside_slow();
      walk.poll();
      if (ended) push(central.supply_, slot, place);
      slot = walk.step(holds);
    }
    return walk.missing();
  }
  /// Cancels the key that is reserved for the slot, which stays taken.
  static void cancel([[maybe_unused]] Central& central, [[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Shape::keyed) {
      [[maybe_unused]] auto const guard = central.inside_slow();
      auto& keys = central.supply_.blocks().keys();
      keys.end_or_cancel(keys.word_at(keys.index(slot, central.supply_.blocks())));
      if constexpr (Checks::tracks_slots) central.flip_mark(slot);
    }
  }
  /// True unless the checks policy knows that the slot's object is being destroyed. Requires: the lock.
  [[nodiscard]] static bool is_marked([[maybe_unused]] Core& core, [[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Checks::tracks_slots) {
      auto const& blocks = core.supply().blocks();
      auto const& block = BlockLookup<Shape>::of(blocks, slot);
      return block.tail == nullptr || SlotMarks::test<Central::shared_marks>(block, blocks.place(block, slot));
    }
    return true;
  }

 private:
  /// Slots must count as returned: they hold objects, or a fill that is verified.
  static constexpr bool keeps_slots = Choices::keeps_objects || Checks::verifies_fill;

  /// Takes back the walk's slot, whose object was live until now; the walk keeps its place.
  static void push(Supply& supply, std::byte* slot, LiveCursor<Supply>& cursor) noexcept {
    bool const settled = supply.is_settled(cursor.stamp_);
    supply.push(slot);
    if (settled) cursor.stamp_ = supply.settle();
  }
  /// The same. If no other slot was returned since the supply's mark, sets the next mark behind this one, so that
  /// next() need not tell the snapshot.
  static void push(Supply& supply, std::byte* slot, [[maybe_unused]] Snapshot& snapshot) noexcept {
    if constexpr (!Free::owns_bump_pointer && requires(typename Supply::Slots& list) { list.set_mark(); }) {
      auto& list = static_cast<Free&>(supply).slots_;
      if (supply.last_freed_ == nullptr && list.size() == list.low_water() && supply.snapshots_ == &snapshot &&
          snapshot.outer == nullptr) {
        supply.peak_floor_ = supply.peak();
        list.push(slot, supply.blocks());
        return list.set_mark();
      }
    }
    supply.push(slot);
  }

  /// Calls f(central list) under the lock, with no slot in a cache; then serves those who wait.
  template <class F> static void inside(Central& central, F&& f) noexcept {
    if constexpr (Central::lock_free) central.collect();
    {
      [[maybe_unused]] auto const guard = central.inside_slow();
      if constexpr (!Central::lock_free) central.collect();
      if (central.supply_.total() == 0) return;  // inline storage that is not open yet
      central.note_peak();
      f(central);
      central.serve();
    }
    central.report_damage(nullptr);
  }

  template <class Blocks> static void end_objects(Blocks& blocks, BlockOf<Shape::growing>& block) noexcept {
    if constexpr (Shape::keyed) blocks.keys().end_all(block, blocks.stride());
    if constexpr (Checks::fills || FASTALLOC_ASAN) {
      for (std::size_t place = 0; place != block.high_water; ++place) {
        std::byte* const slot = block.data + place * blocks.stride();
        if constexpr (Checks::tracks_slots)  // the fill of a free slot stays, to be verified
          if (block.tail != nullptr && !SlotMarks::test<Central::shared_marks>(block, place)) continue;
        if constexpr (Shape::poisons) unpoison(slot, Bytes::bytes_of(Shape::payload, blocks.stride()));
        Bytes::scrub(slot, blocks.stride());
      }
    }
    if constexpr (Checks::tracks_slots)
      if (block.tail != nullptr) std::memset(block.tail, 0, SlotMarks::bytes_for(block.slot_count));
  }

  static void reset(Central& central) noexcept {
    Supply& supply = central.supply_;
    std::size_t const peak = supply.peak();
    for (Snapshot* snapshot = supply.snapshots_; snapshot != nullptr; snapshot = snapshot->outer) snapshot->clear();
    if constexpr (keeps_slots) reorder(supply);
    else restart(supply);
    supply.mark();
    supply.peak_floor_ = peak;
  }

  static void restart(Free& free) noexcept {
    auto& blocks = free.blocks_;
    free.sync_bump_pointer();
    drop_returned(free);
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      if constexpr (Shape::keyed && Shape::growing) blocks.keys().restart(blocks[b], blocks.stride());
      blocks[b].high_water = 0;
    }
    if constexpr (Free::owns_bump_pointer) {
      free.slots_.restart();
    } else if constexpr (Shape::growing) {
      free.many_.pending = free.many_.total;
      free.many_.untouched_block = nullptr;
      free.bump_ = free.many_.bump_end = nullptr;
      free.next_block();
    } else {
      free.bump_ = blocks[0].data;
    }
  }

  static void reorder(Free& free) noexcept {
    auto& blocks = free.blocks_;
    free.sync_bump_pointer();
    drop_returned(free);
    // Block by block, the last one that was added first.
    for (std::size_t end = (std::numeric_limits<std::size_t>::max)(), n = blocks.count(); n != 0; --n) {
      auto* block = &blocks[0];
      for (std::size_t b = 1; b < blocks.count(); ++b)
        if (blocks[b].first < end && (block->first >= end || blocks[b].first > block->first)) block = &blocks[b];
      for (std::size_t place = block->high_water; place-- != 0;) free.push(block->data + place * blocks.stride());
      end = block->first;
    }
  }

  static void drop_returned(Free& free) noexcept {
    free.flush_last_freed();
    if constexpr (DropsAll<typename Free::Slots> && !(Free::checks_own_links && Checks::verifies_fill))
      free.slots_.clear(free.blocks_);
    else
      while (free.pop_returned() != nullptr) {}
  }
};

template <class Derived, class T, class Kind, class... Ps> class Clearing<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Slots = Clearing<typename Pool::Core>;

 public:
  static void run(Pool& pool) noexcept(Pool::clears_at_once) {
    if constexpr (!Pool::clears_at_once) end_each(pool);
    else Slots::drop(pool.core_);
  }

 private:
  static void end_each(Pool& pool) {
    std::size_t owned = 0;
    std::byte* first = nullptr;
    auto const ends = [&](std::byte* slot) {
      if constexpr (Pool::Types::shares) {
        if (Pool::is_shared(Pool::object_in(slot))) {
          if (owned++ == 0) first = slot;
          return false;
        }
      }
      return pool.core_.is_reserved(slot) || (pool.holds_object(slot) && Slots::is_marked(pool.core_, slot));
    };
    std::size_t const missing = Slots::end_each(pool.core_, ends, [&](std::byte* slot) {
      if (pool.core_.is_reserved(slot)) return Slots::cancel(pool.core_, slot), true;
      if (!pool.dispose(Pool::object_in(slot))) return false;
      if constexpr (!Pool::Types::shares) pool.core_.scrub(slot);  // else dispose() has done it
      return true;
    });
    if (missing != 0) fail_memory(pool, missing);
    if (Pool::Checks::tracks_slots && owned != 0) report_owned(pool, first, owned);
    Slots::restore_order(pool.core_);
  }

  [[noreturn]] FASTALLOC_COLD static void fail_memory(Pool& pool, std::size_t missing) {
    Error error = pool.core_.describe(
        ErrorCode::allocation_failed,
        "no memory for the snapshot that clear() needs to find the objects; use BitmapAllocator, which needs none",
        missing);
    error.unit = "bytes";
    pool.fail_typed(error);
  }
  FASTALLOC_COLD static void report_owned(Pool& pool, std::byte* first, std::size_t owned) noexcept {
    Error error = pool.core_.describe(ErrorCode::live_handles,
                                      "clear() ends objects without an owner, and SharedHandles or WeakHandles have "
                                      "some (the requested number), which "
                                      "stay; destroy or reset() these handles first",
                                      owned);
    error.address = first;
    error.indices[error.index_count++] = pool.core_.index_of(first);
    pool.report_as(error, Pool::type);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
