// SPDX-License-Identifier: MIT OR Apache-2.0
// The pools that the model is run against, for one slot allocator: run_pools<SlotPolicy>(run) calls
// run(name, make, plan, operations) for each; make() returns the pool in a std::unique_ptr. The slices of CI take a
// third of them for each slot allocator, so that the three have all.
#pragma once

#include "model/driver.hpp"
#include "support/strict_lock.hpp"

#include <cstddef>
#include <memory>
#include <type_traits>

namespace model {

using fastalloc::BasicStats;
using fastalloc::CompactHandles;
using fastalloc::FixedPool;
using fastalloc::FullChecks;
using fastalloc::GrowingPool;
using fastalloc::GrowthStrategy;
using fastalloc::InlineStorage;
using fastalloc::NoChecks;
using fastalloc::PoolConfig;

/// Whether pool number i is among those of SlotPolicy.
template <class SlotPolicy> constexpr bool takes([[maybe_unused]] std::size_t i) {
#if FASTALLOC_SAMPLE
  return i % 3 == (std::is_same_v<SlotPolicy, fastalloc::StackAllocator>      ? 0
                   : std::is_same_v<SlotPolicy, fastalloc::FreeListAllocator> ? 1
                                                                              : 2);
#else
  return true;
#endif
}

template <class SlotPolicy, class Run> void run_pools(Run&& run) {
  using Recycling = fastalloc::Recycle<Recycled, RefuseSeventh>;
  [[maybe_unused]] auto const fixed = [&](auto type, char const* name, Plan plan, std::size_t operations) {
    using Pool = typename decltype(type)::type;
    run(
        name,
        [=] { return std::make_unique<Pool>(PoolConfig{.capacity = plan.capacity, .alignment = plan.alignment}); },
        plan, operations);
  };
  [[maybe_unused]] auto const growing = [&](auto type, char const* name, Plan plan, std::size_t operations) {
    using Pool = typename decltype(type)::type;
    PoolConfig const config{.capacity = plan.capacity,
                            .max_capacity = plan.max_capacity,
                            .growth_strategy = plan.growth != 0 ? GrowthStrategy::linear(plan.growth)
                                                                : GrowthStrategy::exponential(2.0),
                            .alignment = plan.alignment};
    run(name, [=] { return std::make_unique<Pool>(config); }, plan, operations);
  };

  if constexpr (takes<SlotPolicy>(0)) {
    using Checked = std::type_identity<FixedPool<Object<8>, SlotPolicy, BasicStats, FullChecks>>;
    fixed(Checked{}, "small fixed pool", {.capacity = 7}, 600'000);
    fixed(Checked{}, "fixed pool of 1000", {.capacity = 1000, .alignment = 64, .check_every = 1024}, 600'000);
  }
  if constexpr (takes<SlotPolicy>(1)) {
    using Inside = FixedPool<Object<1>, SlotPolicy, BasicStats, NoChecks, InlineStorage<130>>;
    run(
        "inline pool", [] { return std::make_unique<Inside>(); }, Plan{.capacity = 130, .check_every = 64},
        std::size_t{600'000});
  }
  if constexpr (takes<SlotPolicy>(2)) {
    using Failing = std::type_identity<
        GrowingPool<Object<8>, SlotPolicy, BasicStats, FullChecks, test::FailingStorage, test::StrictLock>>;
    growing(Failing{}, "small growing pool, linear, capped", {.capacity = 3, .max_capacity = 23, .growth = 4}, 600'000);
    growing(Failing{}, "growing pool, exponential", {.capacity = 40, .alignment = 128, .check_every = 32}, 500'000);
  }
  if constexpr (takes<SlotPolicy>(3)) {
    // One thread, whose cache must not show.
    using Shared = std::type_identity<
        fastalloc::ThreadSafePool<Object<8>, SlotPolicy, fastalloc::AtomicStats, NoChecks, test::FailingStorage>>;
    growing(Shared{}, "thread-safe growing pool", {.capacity = 10, .max_capacity = 250, .growth = 20, .check_every = 8},
            500'000);
  }
  if constexpr (takes<SlotPolicy>(4)) {
    using SharedReusing = std::type_identity<
        fastalloc::ThreadSafePool<test::ThrowOnNth, SlotPolicy, fastalloc::AtomicStats, FullChecks, Recycling>>;
    growing(SharedReusing{}, "thread-safe recycling pool",
            {.capacity = 20, .max_capacity = 100, .growth = 30, .alignment = 64}, 300'000);
  }
  if constexpr (takes<SlotPolicy>(5)) {
    using Plain = std::type_identity<GrowingPool<Object<40>, SlotPolicy, BasicStats, NoChecks, CompactHandles>>;
    growing(Plain{}, "big growing pool, exponential, capped, handles of one word",
            {.capacity = 100, .max_capacity = 1500, .check_every = 1024}, 600'000);
  }
  if constexpr (takes<SlotPolicy>(6)) {
    using Dropping = std::type_identity<FixedPool<Inert, SlotPolicy, BasicStats, FullChecks, CompactHandles>>;
    fixed(Dropping{}, "fixed pool of inert objects, handles of one word", {.capacity = 150, .check_every = 32},
          300'000);
  }
  if constexpr (takes<SlotPolicy>(7)) {
    using GrowingDropping = std::type_identity<GrowingPool<Inert, SlotPolicy, BasicStats, NoChecks>>;
    growing(GrowingDropping{}, "growing pool of inert objects",
            {.capacity = 9, .max_capacity = 200, .growth = 30, .check_every = 32}, 300'000);
  }
  if constexpr (takes<SlotPolicy>(8)) {
    using Reusing = std::type_identity<GrowingPool<test::ThrowOnNth, SlotPolicy, BasicStats, FullChecks, Recycling>>;
    growing(Reusing{}, "small recycling pool that grows", {.capacity = 2, .max_capacity = 30, .growth = 3}, 500'000);
    run(
        "recycling pool whose slots lie 256 bytes apart",
        [] {
          return std::make_unique<typename Reusing::type>(PoolConfig{
              .capacity = 70, .max_capacity = 300, .growth_strategy = GrowthStrategy::linear(70), .alignment = 256});
        },
        Plan{.capacity = 70, .max_capacity = 300, .growth = 70, .check_every = 32}, std::size_t{200'000});
  }
  if constexpr (takes<SlotPolicy>(9)) {
    using FixedReusing = std::type_identity<FixedPool<test::ThrowOnNth, SlotPolicy, NoChecks, Recycling>>;
    fixed(FixedReusing{}, "fixed recycling pool", {.capacity = 90, .alignment = 64, .check_every = 64}, 300'000);
  }
}

}  // namespace model
