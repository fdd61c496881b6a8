// SPDX-License-Identifier: MIT OR Apache-2.0
// FixedPool<T, Policies...>: one block of slots that never grows and never moves.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: the number of objects has a known bound.
/// Complexity: every operation is bounded in steps, independent of the capacity (BitmapAllocator: of its levels),
/// except those documented as loops: for_each(), live(), batches, allocate_n(), reset_statistics() with
/// FreeListAllocator, construction and destruction. Releasing a handle: 1 step plus the slot policy's. tests/steps
/// counts the steps. PoolConfig::growth_strategy and max_capacity are validated, then ignored.
/// Thread safety: that of the lock policy; with NoLock, one thread at a time.
template <class T, class... Policies>
class FixedPool final : public detail::BasicPool<FixedPool<T, Policies...>, T, detail::FixedKind, Policies...> {
  using Base = detail::BasicPool<FixedPool, T, detail::FixedKind, Policies...>;

 public:
  using Base::Base;
  FixedPool() requires std::default_initializable<Base> = default;
  FixedPool(FASTALLOC_ADVICE("fastalloc: give a capacity, as in FixedPool<T> pool(1000)"))
      requires(!std::default_initializable<Base>)
      = delete;
  FixedPool(FixedPool const&, FASTALLOC_ADVICE("fastalloc: pools do not move; use MovablePool")) = delete;
};

template <class Init, class Reset>
FixedPool(PoolConfig const&, Recycle<Init, Reset>)
    -> FixedPool<std::remove_cvref_t<std::invoke_result_t<Init&>>, Recycle<Init, Reset>>;

}  // namespace fastalloc::inline FASTALLOC_MODE
