// SPDX-License-Identifier: MIT OR Apache-2.0
// ProcessStats: the statistics of a pool shared by processes. They lie in the span, behind its header, and cover all
// processes: returns are derived from allocations and live objects, so counts of single processes would have no
// meaning.
#pragma once

#include <fastalloc/stats/basic_stats.hpp>

#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Requires: Stats is safe in threads without a lock, and holds no pointers.
template <class Stats> class ProcessStats {
  static_assert(std::is_standard_layout_v<Stats> && std::is_trivially_destructible_v<Stats>,
                "fastalloc: the statistics of a pool in an ExternalStorage with LockFree lie in the span, where other "
                "processes may use them; give the "
                "policy plain members of one access kind, without a destructor, or use AtomicStats");
  static_assert(alignof(Stats) <= 8, "fastalloc: the statistics of a pool in an ExternalStorage with LockFree lie "
                                     "behind the header of the span, at a multiple of 8 bytes; "
                                     "leave a greater alignas out of the policy");

 public:
  /// `joins`: another process created the statistics.
  void bind(std::byte* at, bool joins) noexcept {
    stats_ = joins ? std::launder(reinterpret_cast<Stats*>(at)) : ::new (static_cast<void*>(at)) Stats;
  }

  void allocated(std::size_t n) noexcept { stats_->allocated(n); }
  void withdrawn() noexcept { stats_->withdrawn(); }
  void failed() noexcept { stats_->failed(); }
  void grown() noexcept { stats_->grown(); }
  void note_peak(std::size_t live) noexcept { stats_->note_peak(live); }
  void fill(PoolStatistics& out) const noexcept { stats_->fill(out); }
  auto take_untold() noexcept { return stats_->take_untold(); }
  void reset(std::size_t live) noexcept { stats_->reset(live); }

 private:
  Stats* stats_ = nullptr;  ///< the address in this process
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
