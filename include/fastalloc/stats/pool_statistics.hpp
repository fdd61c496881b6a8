// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolStatistics: the numbers that a pool with a statistics policy reports.
//
//   current_usage == live objects == total_allocations - total_deallocations + (live objects at the last reset)
#pragma once

#include <fastalloc/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fastalloc::inline FASTALLOC_STATE {

/// A slot is in use from the moment it is taken. A throwing constructor leaves all counts as before, except the peak
/// with BitmapAllocator, LockFree and thread caches.
struct PoolStatistics {
  std::uint64_t total_allocations = 0;    ///< objects handed out
  std::uint64_t total_deallocations = 0;  ///< objects returned
  std::size_t current_usage = 0;          ///< slots in use
  std::size_t peak_usage = 0;             ///< slots; the highest current_usage
  std::size_t capacity = 0;               ///< slots
  std::uint64_t growth_count = 0;         ///< blocks added after construction
  std::uint64_t allocation_failures = 0;  ///< requests that found no slot
  std::string_view name = {};             ///< PoolConfig::name; valid while the pool lives

  /// Percent of the capacity in use; 0 when the capacity is 0.
  [[nodiscard]] double utilization_rate() const noexcept { return percent(current_usage); }
  /// Percent of the capacity in use at the peak; 0 when the capacity is 0.
  [[nodiscard]] double peak_utilization_rate() const noexcept { return percent(peak_usage); }
  /// Fraction of requests served, 0 to 1; 0 when there were none.
  [[nodiscard]] double hit_rate() const noexcept {
    double const served = static_cast<double>(total_allocations);
    return served == 0 ? 0.0 : served / (served + static_cast<double>(allocation_failures));
  }
  /// Slots not in use.
  [[nodiscard]] std::size_t available() const noexcept {
    return capacity > current_usage ? capacity - current_usage : 0;
  }

  /// Effects: adds the statistics of another pool; the peak becomes the sum of both peaks.
  PoolStatistics& operator+=(PoolStatistics const& other) noexcept {
    total_allocations += other.total_allocations;
    total_deallocations += other.total_deallocations;
    current_usage += other.current_usage;
    peak_usage += other.peak_usage;
    capacity += other.capacity;
    growth_count += other.growth_count;
    allocation_failures += other.allocation_failures;
    return *this;
  }
  friend bool operator==(PoolStatistics const&, PoolStatistics const&) = default;

 private:
  [[nodiscard]] double percent(std::size_t slot_count) const noexcept {
    return capacity == 0 ? 0.0 : 100.0 * static_cast<double>(slot_count) / static_cast<double>(capacity);
  }
};

}  // namespace fastalloc::inline FASTALLOC_STATE
