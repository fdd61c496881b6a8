// SPDX-License-Identifier: MIT OR Apache-2.0
// Looking: objects by their index: index_bound(), find(), object_at() of a pool that grows, and loops that go on where
// another one stopped. BasicPool declares and documents them.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The slots. Does not depend on T.
template <class Choices> class Looking<PoolCore<Choices>> {
  using Core = PoolCore<Choices>;
  using Central = CentralList<Choices>;
  using Checks = typename Choices::checks;
  using Supply = typename Central::Supply;

 public:
  [[nodiscard]] static std::size_t bound(Central const& central) {
    [[maybe_unused]] auto const guard = central.inside_blocks();
    std::size_t result = central.slots_usable();
    auto const& blocks = central.supply_.blocks();
    for (std::size_t b = 0; b != blocks.count(); ++b) result = greater(result, blocks[b].first + blocks[b].slot_count);
    return result;
  }
  /// Returns: the slot of an index; null if there is none.
  [[nodiscard]] static std::byte* slot_at(Central const& central, std::size_t index) noexcept {
    return at(central, index, [](auto const&, std::size_t) { return true; });
  }
  /// The same if the slot is in use and passes holds(slot), under the lock; else null. Requires: marks, or slots that
  /// track occupancy, and no caches.
  template <class Holds>
  [[nodiscard]] static std::byte* live_at(Central const& central, std::size_t index, Holds&& holds) noexcept {
    auto const is_live = [&](BlockOf<Supply::growing> const& block, std::size_t place) {
      if constexpr (Checks::tracks_slots) {
        return SlotMarks::test<Central::shared_marks>(block, place);
      } else {
        auto& supply = const_cast<Supply&>(central.supply_);
        if constexpr (Supply::Slots::keeps_last_freed) supply.settle();
        std::byte const* const word = block.data + place / word_bits * word_bits * central.stride();
        return (supply.live_word(block, word).bits >> place % word_bits & 1) != 0;
      }
    };
    return at(central, index, [&](BlockOf<Supply::growing> const& block, std::size_t place) {
      return is_live(block, place) && holds(block.data + place * central.stride());
    });
  }
  /// The position of `slot`, or of the next live one; of the first one for null.
  [[nodiscard]] static LiveCursor<Supply> cursor_at(Supply& supply, std::byte const* slot) noexcept {
    if (slot == nullptr) return LiveCursor<Supply>(supply);
    LiveCursor<Supply> cursor;
    cursor.supply_ = &supply;
    std::size_t const stamp = supply.settle();
    auto const* const block = supply.blocks().find(slot);
    cursor.go(cursor.entered(supply, stamp, block, supply.blocks().place(*block, slot)));
    cursor.step();
    return cursor;
  }

 private:
  template <class Passes>
  [[nodiscard]] static std::byte* at(Central const& central, std::size_t index, Passes&& passes) noexcept {
    [[maybe_unused]] auto const guard = central.inside_blocks();
    auto const& blocks = central.supply_.blocks();
    if (central.supply_.total() == 0) return nullptr;
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      auto const& block = blocks[b];
      if (std::size_t const place = index - block.first; place < block.slot_count)
        return passes(block, place) ? block.data + place * central.stride() : nullptr;
    }
    return nullptr;
  }
};

/// A range from a slot to the end of the pool.
template <class Pool, class T> class LiveRest {
 public:
  using iterator = LiveIterator<Pool, T>;
  LiveRest(Pool& pool, std::size_t index) noexcept : pool_(&pool), index_(index) {}
  [[nodiscard]] iterator begin() const noexcept { return Looking<Pool>::template begin<T>(*pool_, index_); }
  [[nodiscard]] iterator end() const noexcept { return {}; }
  [[nodiscard]] bool empty() const noexcept { return begin() == end(); }

 private:
  Pool* pool_;
  std::size_t index_;
};

template <class Derived, class T, class Kind, class... Ps> class Looking<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Slots = Looking<typename Pool::Core>;
  /// So that find() compiles in all builds or in none: not by a checks policy that NDEBUG chose.
  static constexpr bool checks = Pool::Checks::tracks_slots && one_of<typename Pool::Checks, Ps...>;
  static constexpr bool tracks = TracksOccupancy<typename Pool::Supply::Slots> && !Pool::Types::caches::enabled;

 public:
  static constexpr bool finds = checks || tracks;

  [[nodiscard]] static std::size_t bound(Pool const& pool) { return Slots::bound(pool.core_); }
  [[nodiscard]] static std::byte* slot_at(Pool const& pool, std::size_t index) noexcept {
    return Slots::slot_at(pool.core_, index);
  }
  [[nodiscard]] static T* find(Pool const& pool, std::size_t index) noexcept {
    std::byte* const slot = Slots::live_at(pool.core_, index, typename Pool::Holds{pool});
    if (slot == nullptr) return nullptr;
    if constexpr (Pool::Types::spans_processes) unpoison(slot, sizeof(T));
    return Pool::object_in(slot);
  }
  template <class U> [[nodiscard]] static LiveRest<Pool, U> rest(Pool& pool, std::size_t index) noexcept {
    return {pool, index};
  }
  template <class U> [[nodiscard]] static LiveIterator<Pool, U> begin(Pool& pool, std::size_t index) noexcept {
    return LiveIterator<Pool, U>(pool, Slots::cursor_at(pool.core_.supply(), Slots::slot_at(pool.core_, index)));
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#if __STDC_HOSTED__
template <class Pool, class T>
inline constexpr bool std::ranges::enable_view<fastalloc::detail::LiveRest<Pool, T>> = true;
template <class Pool, class T>
inline constexpr bool std::ranges::enable_borrowed_range<fastalloc::detail::LiveRest<Pool, T>> = true;
#endif
