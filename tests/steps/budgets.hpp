// SPDX-License-Identifier: MIT OR Apache-2.0
// How many instructions an operation may take at most, in an optimised build: what was measured (g++ 12, -O2, x86-64),
// and about half as much again for other compilers and processors. A kind that is measured and has no line here is a
// failure.
#pragma once

#include "steps/operations.hpp"

#include <cstring>
#include <string_view>

namespace steps {

/// The bound is most + per_level * levels of the bitmap + locks * what the lock takes.
struct Budget {
  char const* pool;   ///< how the name of the pool begins
  char const* slots;  ///< "" any
  Kind kind;
  std::uint32_t most;
  std::uint32_t per_level = 0;
  std::uint32_t locks = 1;  ///< acquisitions
};

/// The first that fits counts. Named first: what differs from FixedPool, which comes last.
inline constexpr Budget budgets[] = {
    // Pages of 128 generations are written when their first slot is handed out.
    {"GrowingPool, Generations", "", allocate, 128 * 9 + 100},
    {"GrowingPool, Generations", "", refused, 520},
    {"GrowingPool, Generations", "", release, 60},
    {"FixedPool, Generations", "", allocate, 60},
    {"FixedPool, Generations", "", release, 55},
    {"ThreadSafePool, Generations", "", allocate, 3400},
    {"ThreadSafePool, Generations", "", refused, 860},
    {"ThreadSafePool, Generations", "", release, 3000},
    {"", "", key, 40},
    {"", "", get, 32},
    {"FixedPool, Shared", "", release, 60},
    {"ThreadSafePool, AtomicShared", "", release, 90},
    {"", "", share, 30},
    {"", "", copy, 30},
    {"", "", lock, 40},
    {"", "", drop, 30},

    // 16 blocks: some steps for each where the bump pointer comes to the next one; blocks found by binary search.
    {"GrowingPool", "Bitmap", allocate, 500, 50},
    {"GrowingPool", "Bitmap", release, 200, 40},
    {"GrowingPool", "", allocate, 500},
    {"GrowingPool", "", refused, 480},
    {"GrowingPool", "", owns, 120},
    {"GrowingPool", "", index_of, 120},

    // A batch of 128 slots to or from the central list; or all that other caches hold.
    {"ThreadSafePool, NoCache", "", release, 40},
    {"ThreadSafePool, NoCache", "", allocate, 60},
    {"ThreadSafePool", "TaggedList", allocate, 50},
    {"ThreadSafePool", "TaggedList", release, 62},
    {"ThreadSafePool", "TaggedList", usual_release, 62},
    {"ThreadSafePool", "TaggedList", refused, 90},
    {"ThreadSafePool", "", usual_allocate, 35},
    {"ThreadSafePool", "", usual_release, 35},
    {"ThreadSafePool", "Bitmap", allocate, 10000, 400},
    {"ThreadSafePool", "Bitmap", release, 8000, 400},
    {"ThreadSafePool", "", allocate, 4400},
    {"ThreadSafePool", "", release, 2900},
    {"ThreadSafePool", "", refused, 1200},
    {"ThreadSafePool", "", questions, 110},
    {"ThreadSafePool", "", statistics, 250},

    {"ThreadLocalPool", "Bitmap", allocate, 120, 40},
    {"ThreadLocalPool", "Bitmap", release, 60, 40},
    {"ThreadLocalPool", "Bitmap", gather_few, 100 + 60 * few},
    {"ThreadLocalPool", "Bitmap", gather_many, 100 + 60 * many},
    {"ThreadLocalPool", "", allocate, 70},
    {"ThreadLocalPool", "", usual_allocate, 60, 8},
    {"ThreadLocalPool", "", usual_release, 40},
    {"ThreadLocalPool", "", refused, 560},
    {"ThreadLocalPool", "", gather_few, 200 + 22 * few},
    {"ThreadLocalPool", "", gather_many, 200 + 22 * many},

    {"", "", away, 45},
    {"", "TaggedList", allocate, 45},
    {"", "TaggedList", release, 58},
    {"", "TaggedList", usual_allocate, 45},
    {"", "TaggedList", usual_release, 58},
    {"", "Bitmap", allocate, 80, 42},
    {"", "Bitmap", release, 60, 40},
    {"", "Bitmap", usual_allocate, 60},
    {"", "Bitmap", usual_release, 40},
    {"", "", allocate, 40},
    {"", "", release, 24},
    {"", "", usual_allocate, 16},
    {"", "", usual_release, 16},
    {"", "", refused, 100, 0, 5},
    {"", "", questions, 36},
    {"", "", statistics, 80},
    {"", "", reset, 100},
    {"", "", owns, 40},
    {"", "", index_of, 30},
    {"", "", adopt, 24},
};

struct LockCost {
  char const* lock;
  std::uint32_t instructions;  ///< acquire and release, nobody else being there; MutexLock: the C library's
};
inline constexpr LockCost lock_costs[] = {{"SpinLock", 36}, {"AdaptiveLock", 36}, {"MutexLock", 150}};

/// The bound, or 0 where no line fits.
inline std::uint32_t budget(std::string_view pool, std::string_view slots, std::string_view lock_name, Kind kind,
                            std::size_t levels) {
  std::uint32_t lock_cost = 0;
  for (LockCost const& cost : lock_costs)
    if (lock_name == cost.lock) lock_cost = cost.instructions;
  for (Budget const& line : budgets)
    if (line.kind == kind && pool.substr(0, std::strlen(line.pool)) == line.pool &&
        (line.slots[0] == '\0' || slots == line.slots))
      return line.most + line.per_level * static_cast<std::uint32_t>(levels) + line.locks * lock_cost;
  return 0;
}

}  // namespace steps
