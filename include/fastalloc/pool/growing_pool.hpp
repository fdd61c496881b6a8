// SPDX-License-Identifier: MIT OR Apache-2.0
// GrowingPool<T, Policies...>: adds blocks of slots when it is full; blocks never move.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: the number of objects has no known bound. Its hot path is that of FixedPool; growth follows
/// PoolConfig::growth_strategy, never past max_capacity. GrowingPool(n) doubles; a PoolConfig without a strategy does
/// not grow.
/// Complexity: that of FixedPool, with log2 b + 1 steps for b blocks where a block is looked for (owns, index_of,
/// BitmapAllocator, checks), and b where the frontier comes to another block. The exception is an allocate() that
/// grows: linear in the free slots and blocks, and the storage's time. Who must not meet it calls reserve() first, and
/// sets max_capacity.
/// Thread safety: that of its lock policy; with NoLock one thread at a time.
template <class T, class... Policies>
class GrowingPool final : public detail::BasicPool<GrowingPool<T, Policies...>, T, detail::GrowingKind, Policies...> {
  using Base = detail::BasicPool<GrowingPool, T, detail::GrowingKind, Policies...>;

 public:
  using Base::Base;
  GrowingPool(FASTALLOC_ADVICE("fastalloc: give a capacity to begin with, as in GrowingPool<T> pool(1000)")) = delete;
  GrowingPool(GrowingPool const&,
              FASTALLOC_ADVICE("fastalloc: pools stay in place; pass a reference or pointer")) = delete;

  /// Effects: adds one block so that the capacity is at least `slots`; nothing when it is already. Works with every
  /// growth strategy. Throws: MaxCapacityExceeded; AllocationFailed, also where so many slots cannot be addressed;
  /// nothing changes then. With pre_initialize the new pages are touched; objects of Recycle are built when their slots
  /// are first handed out: `pool.allocate_batch_handle(pool.available()).reset()` has all of them built, and reset.
  /// Complexity: linear in the free slots and the blocks.
  void reserve(std::size_t slot_count) { Base::reserve_slots(slot_count); }

  /// Effects: gives every wholly free block back to the storage, whatever the order in which objects came back; growth
  /// continues from the capacity that is left. With nothing live the capacity falls to at most the initial one.
  /// Returns: bytes given back. Complexity: linear: 3 n log2 b steps for n free slots and b blocks.
  std::size_t shrink_to_fit() noexcept { return Base::release_free_blocks(); }
};

template <class Init, class Reset>
GrowingPool(PoolConfig const&, Recycle<Init, Reset>)
    -> GrowingPool<std::remove_cvref_t<std::invoke_result_t<Init&>>, Recycle<Init, Reset>>;

}  // namespace fastalloc::inline FASTALLOC_MODE
