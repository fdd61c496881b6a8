// SPDX-License-Identifier: MIT OR Apache-2.0
// AtomicStats: BasicStats for pools that threads use without holding a lock.
#pragma once

#include <fastalloc/stats/basic_stats.hpp>

#include <atomic>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: in ThreadSafePool. Threads with a cache count in the cache, without a locked instruction; totals, which
/// include ended threads, are exact when no thread is inside an operation; a reset may count an allocation twice that
/// runs meanwhile. The peak is exact while one thread allocates. Otherwise it may count slots in caches as used; it is
/// never below the true peak nor above the capacity.
/// Complexity: 1 step each; fill() and reset() 5. With LockFree, updating the peak repeats for each other thread that
/// raised it meanwhile.
class AtomicStats {
  using Count = std::atomic<std::uint64_t>;
  static constexpr auto relaxed = std::memory_order_relaxed;  // all operations here: counts publish nothing

 public:
  static constexpr bool enabled = true;
  static constexpr bool is_thread_safe = true;

  constexpr AtomicStats() noexcept = default;
  void allocated(std::size_t n) noexcept { allocations_.fetch_add(n, relaxed); }
  void withdrawn() noexcept { allocations_.fetch_sub(1, relaxed); }
  void failed() noexcept { failures_.fetch_add(1, relaxed); }
  void grown() noexcept { growths_.fetch_add(1, relaxed); }
  void note_peak(std::size_t live) noexcept {
    for (std::size_t peak = peak_.load(relaxed); peak < live && !peak_.compare_exchange_weak(peak, live, relaxed);) {}
  }

  /// Requires: out.current_usage is set; out.total_allocations and out.peak_usage hold what was counted elsewhere.
  void fill(PoolStatistics& out) const noexcept {
    out.total_allocations += allocations_.load(relaxed);
    std::uint64_t base = live_at_reset_.load(relaxed);
    if (static_cast<std::int64_t>(out.total_allocations) < 0)  // an object in use at the reset was not built
      base += std::exchange(out.total_allocations, 0);
    // Counts and slots are separate: another thread may be between the two, or (in shared memory) a process died there.
    // Then more objects live than were counted.
    std::uint64_t const begun = out.total_allocations + base;
    out.total_deallocations = begun > out.current_usage ? begun - out.current_usage : 0;
    out.growth_count = growths_.load(relaxed);
    out.allocation_failures = failures_.load(relaxed);
    for (std::size_t const peak : {peak_.load(relaxed), out.current_usage})
      if (peak > out.peak_usage) out.peak_usage = peak;
  }
  void reset(std::size_t live) noexcept {
    for (Count* count : {&allocations_, &failures_, &growths_}) count->store(0, relaxed);
    live_at_reset_.store(live, relaxed);
    peak_.store(live, relaxed);
  }

 private:
  Count allocations_{0};
  Count failures_{0};
  Count growths_{0};
  Count live_at_reset_{0};
  std::atomic<std::size_t> peak_{0};
};

static_assert(StatsPolicy<AtomicStats>);

}  // namespace fastalloc::inline FASTALLOC_MODE
