// SPDX-License-Identifier: MIT OR Apache-2.0
// The statistics axis: the counts that a pool keeps.
//
//   NoStats      nothing, 0 bytes, 0 instructions     default; statistics() does not exist
//   BasicStats   everything in PoolStatistics         one increment an allocation (≤ 2 % on the pair benchmark)
//   AtomicStats  the same, for ThreadSafePool         one more word a thread
//
// Only allocations are counted where they happen. Returns follow from allocations and live objects, the peak from the
// pool's bump pointer; failures and growth are counted on their slow paths.
#pragma once

#include <fastalloc/stats/pool_statistics.hpp>

#include <concepts>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the statistics axis. The pool calls it under its lock.
/// - `S::enabled`: the pool has statistics() and reset_statistics().
/// - `allocated(n)`: n objects were handed out. `withdrawn()`: one of them was not built.
/// - `failed()`: a request found no slot. `grown()`: a block was added.
/// - `fill(statistics)`: writes the totals and counts. `reset(live)`: restarts them, with `live` objects in use.
template <class S>
concept StatsPolicy = std::default_initializable<S> && requires(S s, S const c, PoolStatistics& out, std::size_t n) {
  { S::enabled } -> std::convertible_to<bool>;
  { s.allocated(n) } noexcept;
  { s.withdrawn() } noexcept;
  { s.failed() } noexcept;
  { s.grown() } noexcept;
  { c.fill(out) } noexcept;
  { s.reset(n) } noexcept;
};

/// When to use: where the numbers are not read. Complexity: 0 steps.
struct NoStats {
  static constexpr bool enabled = false;
  static constexpr bool is_thread_safe = true;
  FASTALLOC_ALWAYS_INLINE constexpr void allocated(std::size_t) noexcept {}
  FASTALLOC_ALWAYS_INLINE constexpr void withdrawn() noexcept {}
  constexpr void failed() noexcept {}
  constexpr void grown() noexcept {}
  constexpr void fill(PoolStatistics&) const noexcept {}
  constexpr void reset(std::size_t) noexcept {}
};

/// When to use: in pools of one thread, or under a lock policy. Complexity: 1 step each; fill() and reset() 4. With
/// BitmapAllocator, the peak takes one more step an allocation.
class BasicStats {
 public:
  static constexpr bool enabled = true;
  static constexpr bool is_thread_safe = false;  ///< requires the pool's lock

  FASTALLOC_ALWAYS_INLINE constexpr void allocated(std::size_t n) noexcept { allocations_ += n; }
  FASTALLOC_ALWAYS_INLINE constexpr void withdrawn() noexcept { --(allocations_ != 0 ? allocations_ : live_at_reset_); }
  constexpr void failed() noexcept { ++failures_; }
  constexpr void grown() noexcept { ++growths_; }

  /// Requires: out.current_usage is set.
  constexpr void fill(PoolStatistics& out) const noexcept {
    out.total_allocations = allocations_;
    out.total_deallocations = allocations_ + live_at_reset_ - out.current_usage;
    out.growth_count = growths_;
    out.allocation_failures = failures_;
  }
  constexpr void reset(std::size_t live) noexcept {
    *this = BasicStats{};
    live_at_reset_ = live;
  }

 private:
  std::uint64_t allocations_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t growths_ = 0;
  std::uint64_t live_at_reset_ = 0;
};

static_assert(StatsPolicy<NoStats> && StatsPolicy<BasicStats>);

}  // namespace fastalloc::inline FASTALLOC_MODE
