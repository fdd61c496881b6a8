// SPDX-License-Identifier: MIT OR Apache-2.0
// The worst case of each operation, in calls into policies: the most that any of many random and hand-made states asks
// for. tests/steps/machine.cpp counts the same in instructions.
#include "steps/counting.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <random>
#include <thread>
#include <vector>

using namespace fastalloc;
using test::Counting, test::Counts, test::counted, test::counts;

namespace {

struct Item {
  explicit Item(std::uint64_t v = 0) : value(v) {}
  std::uint64_t value;
  std::uint64_t more = 0;
};

/// The most that any operation of a kind asked for.
struct Most {
  std::size_t steps = 0, moved = 0, locks = 0;
  void note(Counts const& c) {
    steps = std::max(steps, c.steps());
    moved = std::max(moved, c.moved);
    locks = std::max(locks, c.locks);
  }
};

struct Walk {
  Most allocate, refused, release, ask;
  bool only_steps = true;
};

/// Random operations that fill and empty a pool several times; each is counted.
template <class Pool> Walk walk(Pool& pool, std::size_t slots, unsigned seed, int operations) {
  Walk result;
  std::mt19937 random(seed);
  std::vector<typename Pool::handle_type> live;
  live.reserve(slots);
  int filling = 1;
  for (int i = 0; i != operations; ++i) {
    if (live.size() == slots) filling = 0;
    if (live.empty()) filling = 1;
    bool const allocates = random() % 8 < (filling != 0 ? 6U : 2U);
    Counts c;
    if (allocates) {
      typename Pool::handle_type handle;
      c = counted([&] { handle = pool.try_allocate(static_cast<std::uint64_t>(i)); });
      (handle ? result.allocate : result.refused).note(c);
      if (handle) live.push_back(std::move(handle));
    } else if (!live.empty()) {
      std::swap(live[random() % live.size()], live.back());
      c = counted([&] { live.back().reset(); });
      result.release.note(c);
      live.pop_back();
    }
    result.only_steps = result.only_steps && c.only_steps();
    if (i % 16 != 0) continue;
    c = counted([&] { (void)pool.capacity(); });
    result.ask.note(c);
    c = counted([&] { (void)pool.allocated(); });
    result.ask.note(c);
    c = counted([&] { (void)pool.statistics(); });
    result.ask.note(c);
    c = counted([&] { (void)pool.owns(&pool); });
    result.ask.note(c);
    result.only_steps = result.only_steps && c.only_steps();
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("an operation asks its policies for at most a few steps, whatever the state", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  for (std::size_t const slots :
       {std::size_t{1}, std::size_t{2}, std::size_t{64}, std::size_t{65}, std::size_t{1000}, std::size_t{5000}}) {
    CAPTURE(slots);
    FixedPool<Item, Counting<TestType>, test::CountingLock, test::CountedStats, test::CountedStorage, NoChecks> pool(
        slots);
    for (unsigned const seed : {1U, 2U, 3U}) {
      Walk const most = walk(pool, slots, seed, 30000);
      CHECK(most.allocate.steps <= 3);  // take, fresh, allocated
      CHECK(most.allocate.locks == 1);
      CHECK(most.release.steps <= 1);  // give
      CHECK(most.release.locks == 1);
      CHECK(most.refused.steps <= 4);  // take; the slow path: take again, failed
      CHECK(most.refused.locks <= 4);
      CHECK(most.ask.steps == 0);
      CHECK(most.ask.locks == 1);
      CHECK(most.only_steps);
    }
  }
}

TEMPLATE_TEST_CASE("a growing pool asks for more only while it grows, and reserve() keeps it from that", "",
                   StackAllocator, FreeListAllocator, BitmapAllocator) {
  using Pool =
      GrowingPool<Item, Counting<TestType>, test::CountingLock, test::CountedStats, test::CountedStorage, NoChecks>;
  Pool pool(PoolConfig{.capacity = 16, .max_capacity = 4000, .growth_strategy = GrowthStrategy::linear(100)});
  std::vector<typename Pool::handle_type> live;
  std::size_t growths = 0;
  while (live.size() != 1000) {
    std::size_t const before = pool.capacity();
    Counts const c = counted([&] { live.push_back(pool.allocate(1U)); });
    if (pool.capacity() == before) {
      REQUIRE(c.only_steps());
      REQUIRE(c.steps() <= 3);
      continue;
    }
    ++growths;
    REQUIRE(c.binds == 1);
    REQUIRE(c.acquired == 2);  // the block, and a directory with the allocator's metadata
    REQUIRE(c.released <= 1);
    REQUIRE(c.looked == 0);
    REQUIRE(c.locks <= 8);  // the turn, and once more for each of the two acquisitions
  }
  CHECK(growths == 10);
  live.clear();
  pool.reserve(4000);
  Walk const most = walk(pool, 4000, 4, 60000);
  CHECK(most.allocate.steps <= 5);  // at the border of two blocks: take, take, fresh, allocated
  CHECK(most.allocate.locks <= 2);
  CHECK(most.release.steps <= 1);
  CHECK(most.refused.locks <= 6);
  CHECK(most.only_steps);
}

TEMPLATE_TEST_CASE("one operation of a ThreadSafePool moves at most half a cache, or empties all of them", "",
                   StackAllocator, FreeListAllocator, BitmapAllocator) {
  using Pool =
      ThreadSafePool<Item, Counting<TestType>, test::CountingLock, AtomicStats, test::CountedStorage, NoChecks>;
  constexpr std::size_t slots = 4096, cache = ThreadCache<>::max_cached;
  Pool pool(slots);
  // One thread: what it needs comes from its own cache or the central list, in batches, until both are empty.
  Walk most;
  for (unsigned const seed : {1U, 2U}) most = walk(pool, slots, seed, 60000);
  CHECK(most.allocate.moved <= cache / 2 + 2);
  CHECK(most.refused.moved <= cache + 3);
  CHECK(most.release.moved <= cache / 2 + 1);
  CHECK(most.allocate.locks <= 2);
  CHECK(most.release.locks <= 1);
  CHECK(most.only_steps);

  // Several: whoever finds the central list empty collects what lies in the others' caches, once.
  constexpr std::size_t threads = 5;
  std::vector<typename Pool::handle_type> live;
  for (std::size_t i = 0; i != slots - threads * cache; ++i) live.push_back(pool.allocate(1U));
  std::mutex together;
  for (std::size_t round = 0; round != 3; ++round) {
    std::vector<std::thread> others;
    std::mutex idle;
    idle.lock();
    std::atomic<std::size_t> ready{0};
    for (std::size_t t = 0; t != threads; ++t)
      others.emplace_back([&] {
        {
          std::scoped_lock const turn(together);
          std::vector<typename Pool::handle_type> mine;
          for (std::size_t i = 0; i != cache / 2; ++i) mine.push_back(pool.allocate(2U));
        }
        ++ready;
        ready.notify_one();
        idle.lock();  // a cache lives as long as its thread
        idle.unlock();
      });
    for (std::size_t seen = 0; (seen = ready.load()) != threads;) ready.wait(seen);
    std::vector<typename Pool::handle_type> rest;
    std::size_t worst = 0;
    for (bool full = false; !full;) {
      typename Pool::handle_type handle;
      Counts const c = counted([&] { handle = pool.try_allocate(3U); });
      REQUIRE(c.only_steps());
      worst = std::max(worst, c.moved);
      full = !handle;
      rest.push_back(std::move(handle));
    }
    CHECK(worst <= (threads + 2) * cache);
    CHECK(pool.allocated() == slots);
    idle.unlock();
    for (std::thread& other : others) other.join();
  }
}

TEST_CASE("a sub-pool that ran dry takes back what others returned, one step a slot, and does so once") {
  using Pool = ThreadLocalPool<Item, Counting<StackAllocator>, test::CountedStats, test::CountedStorage, NoChecks>;
  constexpr std::size_t slots = 3000;
  Pool pool(slots);
  std::vector<Pool::handle_type> live;
  for (std::size_t i = 0; i != slots; ++i) live.push_back(pool.allocate(1U));
  for (std::size_t const returned : {std::size_t{1}, std::size_t{10}, std::size_t{1000}, slots}) {
    std::thread([&] { live.resize(slots - returned); }).join();
    Counts const first = counted([&] { live.push_back(pool.allocate(2U)); });
    CHECK(first.moved >= returned - 1);
    CHECK(first.moved <= returned + 4);
    CHECK(first.only_steps());
    while (live.size() != slots) {
      Counts const c = counted([&] { live.push_back(pool.allocate(3U)); });
      REQUIRE(c.steps() <= 3);
      REQUIRE(c.only_steps());
    }
  }
}

TEMPLATE_TEST_CASE("the last object that a slot has a generation for ends as all others do", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  constexpr std::size_t slots = 500;
  FixedPool<Item, Counting<TestType>, test::CountingLock, test::CountedStats, test::CountedStorage, NoChecks,
            BasicGenerations<1>>
      pool(slots);
  std::vector<typename decltype(pool)::handle_type> live;
  for (std::size_t i = 0; i != slots; ++i) live.push_back(pool.allocate(1U));
  live.resize(slots / 10);  // the others are returned
  Counts const usual = counted([&] { live.pop_back(); });
  auto const last = pool.key(live.back());
  Counts const c = counted([&] { live.pop_back(); });
  CHECK(pool.capacity() == slots);
  CHECK(c.only_steps());
  CHECK(c.steps() == usual.steps());
  CHECK(c.locks == usual.locks);
  CHECK(pool.get(last) == nullptr);
  live.push_back(pool.allocate(1U));
  CHECK_FALSE(pool.key(live.back()));
  CHECK(pool.statistics().peak_usage == slots);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("what loops over slots says so: for_each, shrink_to_fit, reset_statistics, allocate_n", "",
                   StackAllocator, FreeListAllocator, BitmapAllocator) {
  using Pool =
      GrowingPool<Item, Counting<TestType>, test::CountingLock, test::CountedStats, test::CountedStorage, NoChecks>;
  Pool pool(1000);
  std::vector<typename Pool::handle_type> live;
  for (std::size_t i = 0; i != 1000; ++i) live.push_back(pool.allocate(1U));
  live.resize(400);

  // Each returned slot is looked at once at most, and no others.
  CHECK(counted([&] { pool.for_each([](Item&) {}); }).looked <= 600);
  CHECK(counted([&] { pool.reset_statistics(); }).looked <= 1);
  CHECK(counted([&] { pool.reset_statistics(); }).looked <= 1);  // they were looked at before
  Counts const visits = counted([&] { pool.for_each([](Item&) {}); });
  CHECK(visits.looked <= 600);
  CHECK(visits.locks <= 400 + 6);
  CHECK(visits.acquired == 0);
  Counts const shrinks = counted([&] { pool.shrink_to_fit(); });
  CHECK(shrinks.looked >= 600);
  CHECK(shrinks.looked <= 3 * 600);
  if constexpr (std::same_as<TestType, BitmapAllocator>) {
    Counts const run = counted([&] { auto const many = pool.allocate_n(50); });
    CHECK(run.runs == 2);
    CHECK(run.moved <= 51);
  }
}
