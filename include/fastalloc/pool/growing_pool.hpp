// SPDX-License-Identifier: MIT OR Apache-2.0
// GrowingPool<T, Policies...>: adds blocks of slots when it is full; blocks never move.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: the number of objects has no known bound. The hot path is FixedPool's; growth follows
/// PoolConfig::growth_strategy and never exceeds max_capacity. GrowingPool(n) doubles; a PoolConfig without a strategy
/// does not grow.
/// Complexity: that of FixedPool, plus log2 b + 1 steps for b blocks where a block is looked up (owns, index_of,
/// BitmapAllocator, checks; 1 with CompactHandles), and b where the bump pointer moves to the next block. An allocate()
/// that grows is linear in the free slots and blocks, plus the storage's time. To avoid it, call reserve() first, and
/// set max_capacity.
/// Thread safety: that of the lock policy; with NoLock, one thread at a time.
template <class T, class... Policies>
class GrowingPool final : public detail::BasicPool<GrowingPool<T, Policies...>, T, detail::GrowingKind, Policies...> {
  using Base = detail::BasicPool<GrowingPool, T, detail::GrowingKind, Policies...>;

 public:
  using Base::Base;
  GrowingPool(FASTALLOC_ADVICE("fastalloc: give a capacity to begin with, as in GrowingPool<T> pool(1000)")) = delete;
  GrowingPool(GrowingPool const&, FASTALLOC_ADVICE("fastalloc: pools do not move; use MovablePool")) = delete;

  /// Effects: adds one block if needed, so that capacity() >= `slot_count`; works with every growth strategy. With
  /// pre_initialize the new pages are touched. Recycle builds an object when its slot is first handed out; to build
  /// and reset all of them now, call `pool.allocate_batch_handle(pool.available()).reset()`.
  /// Throws: MaxCapacityExceeded; AllocationFailed, also if so many slots cannot be addressed. No effect then.
  /// Complexity: linear in the free slots and the blocks.
  void reserve(std::size_t slot_count) { Base::reserve_slots(slot_count); }

  /// Effects: returns every block without live objects to the storage, whatever the order of frees. Growth continues
  /// from the remaining capacity. With no live objects the capacity falls to at most the initial one.
  /// Returns: bytes released. Complexity: linear: 3 n log2 b steps for n free slots and b blocks.
  std::size_t shrink_to_fit() noexcept { return Base::release_free_blocks(); }
};

template <class Init, class Reset>
GrowingPool(PoolConfig const&, Recycle<Init, Reset>)
    -> GrowingPool<std::remove_cvref_t<std::invoke_result_t<Init&>>, Recycle<Init, Reset>>;

}  // namespace fastalloc::inline FASTALLOC_MODE
