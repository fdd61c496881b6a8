// SPDX-License-Identifier: MIT OR Apache-2.0
// With capacity C, threads get exactly C objects before one of them is refused, wherever the free slots lie: in the
// caches of threads that sleep, that ended, or that are just about to use them.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <functional>
#include <latch>
#include <utility>

#include "concurrency/threads.hpp"

using namespace fastalloc;
using test::faults;
using test::Payload;

#define SHARED_POOLS                                                                                                \
  ThreadSafePool<Payload>, (ThreadSafePool<Payload, NoChecks>), (ThreadSafePool<Payload, NoChecks, AtomicStats>),   \
      (ThreadSafePool<Payload, ThreadCache<4>, NoChecks>),                                                          \
      (ThreadSafePool<Payload, ThreadCache<2>, SpinLock, NoChecks>), (ThreadSafePool<Payload, FullChecks>),         \
      (ThreadSafePool<Payload, BitmapAllocator, NoChecks>), (ThreadSafePool<Payload, FreeListAllocator, NoChecks>), \
      (ThreadSafePool<Payload, NoCache>), (ThreadSafePool<Payload, LockFree>),                                      \
      (ThreadSafePool<Payload, LockFree, NoChecks>)

namespace {

template <class Pool> using Handles = std::vector<typename Pool::handle_type>;

/// Takes until it is refused. With `batches` in groups of 7 first.
template <class Pool> void take_all(Pool& pool, Handles<Pool>& mine, std::uint64_t who, bool batches) {
  std::array<typename Pool::handle_type, 7> seven;
  while (batches && pool.try_allocate_batch(seven.size(), seven.begin(), who))
    for (auto& handle : seven) mine.push_back(std::move(handle));
  while (auto handle = pool.try_allocate(who)) mine.push_back(std::move(handle));
}

}  // namespace

TEMPLATE_TEST_CASE("exact: eight threads take until refused, and have the capacity between them", "", SHARED_POOLS) {
  constexpr std::size_t n = 8;
  constexpr std::size_t capacity = 100;
  std::size_t const rounds = test::scaled(300, 10000);
  TestType pool(capacity);
  std::array<Handles<TestType>, n> held;
  std::barrier barrier(n);
  std::atomic<std::size_t> sum{0};
  test::run(n, [&](std::size_t me) {
    test::Random random(me + 1);
    for (std::size_t round = 0; round != rounds; ++round) {
      barrier.arrive_and_wait();
      take_all(pool, held[me], me, (round + me) % 3 == 0);
      sum += held[me].size();
      barrier.arrive_and_wait();
      if (me == 0) {
        faults().expect(sum == capacity,
                        sum < capacity ? "a false full: less than the capacity" : "more than the capacity");
        faults().expect(pool.allocated() == capacity && pool.is_full(), "allocated() is not exact");
        sum = 0;
      }
      for (auto const& handle : held[me]) faults().expect(handle->index() == me, "two threads own one slot");
      barrier.arrive_and_wait();
      // Everybody releases the part of everybody's objects that fell to him; in one round of two somebody gets them
      // all.
      std::size_t const shift = round % 2 == 0 ? 0 : n;
      for (std::size_t other = 0; other != n; ++other)
        for (std::size_t i = 0; i != held[other].size(); ++i)
          if ((shift != 0 ? round / 2 % n : (i * 7 + other + round) % n) == me) held[other][i].reset();
      barrier.arrive_and_wait();
      held[me].clear();
      if (me == 1) faults().expect(pool.allocated() == 0, "allocated() is not 0 at the end of a round");
    }
  });
  test::check_faults();
  CHECK(pool.check_invariants());
  CHECK(Payload::lives() == 0);
}

TEMPLATE_TEST_CASE("exact: one thread's cache holds everything, another one gets it", "", SHARED_POOLS) {
  TestType pool(100);
  std::barrier barrier(3);
  test::run(3, [&](std::size_t me) {
    Handles<TestType> mine;
    for (std::size_t round = 0; round != test::scaled(200, 5000); ++round) {
      if (round % 3 == me) {
        take_all(pool, mine, me, false);
        faults().expect(mine.size() == 100, "slots that another thread keeps are out of reach");
        mine.clear();
      }
      barrier.arrive_and_wait();  // the others sleep here, their caches untouched
    }
  });
  test::check_faults();
  CHECK(pool.allocated() == 0);
}

TEMPLATE_TEST_CASE("exact: a batch gets what lies in others' caches", "", SHARED_POOLS) {
  TestType pool(100);
  Handles<TestType> all;
  std::barrier barrier(2);
  std::thread other([&] {
    {
      Handles<TestType> mine;
      take_all(pool, mine, 1, false);
    }
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
  });
  barrier.arrive_and_wait();
  CHECK_FALSE(pool.try_allocate_batch(101, std::back_inserter(all), std::uint64_t{2}));
  CHECK(pool.try_allocate_batch(100, std::back_inserter(all), std::uint64_t{2}));
  CHECK(all.size() == 100);
  CHECK(pool.try_allocate(std::uint64_t{3}) == nullptr);
  barrier.arrive_and_wait();
  other.join();
}

namespace {

/// Notes who has which slot. For pools of one block.
template <class Pool> class Owners {
 public:
  explicit Owners(Pool& pool) : owners_(pool.capacity()) {
    auto const all = pool.allocate_batch(std::vector<std::uint64_t>(pool.capacity()));
    for (auto const& handle : all)
      if (first_ == nullptr || std::less<>{}(handle.get(), first_)) first_ = handle.get();
  }
  void claim(Payload const* object) {
    faults().expect(owner(object).fetch_add(1, std::memory_order_relaxed) == 0, "two threads own one slot");
  }
  void yield(Payload const* object) { owner(object).fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::atomic<int>& owner(Payload const* object) { return owners_.at(static_cast<std::size_t>(object - first_)); }
  std::vector<std::atomic<int>> owners_;
  Payload const* first_ = nullptr;
};

}  // namespace

// More threads than slots: whoever finds none takes from the others' caches while these use them.
TEMPLATE_TEST_CASE("exact: a slot that is taken from a cache has one owner", "", SHARED_POOLS) {
  for (std::size_t const capacity : {std::size_t{2}, std::size_t{9}}) {
    TestType pool(capacity);
    Owners<TestType> owners(pool);
    test::Stopwatch const watch;
    test::run(3, [&](std::size_t me) {
      Handles<TestType> held;
      while (watch.time() < test::short_slice(0.1)) {
        for (int step = 0; step != 100; ++step) {
          if (auto handle = pool.try_allocate(me)) {
            owners.claim(handle.get());
            held.push_back(std::move(handle));
          }
          if (held.size() <= static_cast<std::size_t>(step) % 4) continue;
          owners.yield(held.back().get());
          held.pop_back();
        }
      }
      for (auto const& handle : held) owners.yield(handle.get());
    });
    CHECK(pool.allocated() == 0);
    CHECK(pool.check_invariants());
  }
  test::check_faults();
}

// Each of n threads holds at most one object, so whoever asks finds that the others hold n - 1 at the most: with n
// slots one is free at every moment, though no one slot need be free for long. Nobody may ever be refused.
TEMPLATE_TEST_CASE("exact: nobody is refused while a slot is free at every moment", "", SHARED_POOLS) {
  auto const [threads, capacity] =
      GENERATE(std::pair<std::size_t, std::size_t>(2, 2), std::pair<std::size_t, std::size_t>(3, 3),
               std::pair<std::size_t, std::size_t>(3, 4));
  CAPTURE(threads, capacity);
  TestType pool(capacity);
  Owners<TestType> owners(pool);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> served{0};
  std::thread clock([&] { std::this_thread::sleep_for(test::short_slice(0.15)), stop = true; });
  test::run(threads, [&](std::size_t me) {
    std::uint64_t mine = 0;
    std::uint64_t not_mine = 0;
    do {
      if (auto const handle = pool.try_allocate(me)) {
        owners.claim(handle.get());
        ++mine;
        owners.yield(handle.get());
      } else {
        ++not_mine;
      }
    } while (!stop.load(std::memory_order_relaxed));
    served += mine;
    refused += not_mine;
  });
  clock.join();
  CHECK(served > 0);
  CHECK(refused == 0);
  test::check_faults();
}

// The same with objects that wander: a thread gives the one it holds to the next, and gets another's; none is on the
// way.
TEMPLATE_TEST_CASE("exact: nobody is refused where objects are handed round", "", SHARED_POOLS) {
  constexpr std::size_t n = 3;
  TestType pool(n);
  std::mutex mutex;  // of `held`
  std::array<typename TestType::handle_type, n> held;
  std::atomic<bool> stop{false};
  std::thread clock([&] { std::this_thread::sleep_for(test::short_slice(0.15)), stop = true; });
  std::atomic<std::uint64_t> refused{0};
  test::run(n, [&](std::size_t me) {
    test::Random random(me + 1);
    while (!stop.load(std::memory_order_relaxed)) {
      // A place holds one object at most, and is empty while its thread asks: so n - 1 are in use then, at most.
      typename TestType::handle_type mine;
      {
        std::lock_guard const guard(mutex);
        std::size_t const other = random(n);
        if (held[other] != nullptr && held[me] != nullptr) held[me].swap(held[other]);
        mine = std::move(held[me]);
      }
      mine.reset();
      if (auto handle = pool.try_allocate(me)) {
        std::lock_guard const guard(mutex);
        held[me] = std::move(handle);
      } else {
        ++refused;
      }
    }
  });
  clock.join();
  CHECK(refused == 0);
  for (auto& handle : held) handle.reset();
  CHECK(pool.allocated() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("exact: a growing pool stops exactly at max_capacity", "", ThreadSafePool<Payload>,
                   (ThreadSafePool<Payload, NoChecks>), (ThreadSafePool<Payload, NoCache>),
                   (GrowingPool<Payload, AdaptiveLock>)) {
  for (std::size_t round = 0; round != test::scaled(100, 3000); ++round) {
    TestType pool(PoolConfig{.capacity = 3, .max_capacity = 50, .growth_strategy = GrowthStrategy::linear(4)});
    std::barrier barrier(4);
    std::atomic<std::size_t> sum{0};
    test::run(4, [&](std::size_t me) {
      Handles<TestType> mine;
      barrier.arrive_and_wait();
      take_all(pool, mine, me, me == 0);
      sum += mine.size();
      barrier.arrive_and_wait();
    });
    REQUIRE(sum == 50);
    REQUIRE(pool.capacity() == 50);
  }
  test::check_faults();
}

TEST_CASE("exact: statistics, also of threads that ended") {
  ThreadSafePool<Payload, AtomicStats, NoChecks> pool(100);
  std::uint64_t expected = 0;
  for (std::size_t round = 1; round != 20; ++round) {
    test::run(round % 5 + 1, [&](std::size_t) {
      for (std::size_t i = 0; i != 100; ++i) auto const handle = pool.allocate(i);
    });
    expected += (round % 5 + 1) * 100;
    auto const statistics = pool.statistics();
    CHECK(statistics.total_allocations == expected);
    CHECK(statistics.total_deallocations == expected);
    CHECK(statistics.current_usage == 0);
    CHECK(statistics.allocation_failures == 0);
    if (round == 10) {
      pool.reset_statistics();
      expected = 0;
      CHECK(pool.statistics().total_allocations == 0);
      CHECK(pool.statistics().total_deallocations == 0);
    }
  }
}

TEMPLATE_TEST_CASE("exact: reset_statistics() begins anew, whatever threads keep for themselves", "",
                   (ThreadSafePool<Payload, AtomicStats, NoChecks>),
                   (ThreadSafePool<Payload, AtomicStats, ThreadCache<4>>),
                   (ThreadSafePool<Payload, AtomicStats, BitmapAllocator, NoChecks>),
                   (ThreadSafePool<Payload, AtomicStats, NoCache>), (ThreadSafePool<Payload, AtomicStats, LockFree>)) {
  TestType pool(40);
  auto const refused = [&] {
    Handles<TestType> all;
    take_all(pool, all, 1, false);  // is refused once
    faults().expect(pool.try_allocate(std::uint64_t{1}) == nullptr, "more than the capacity");
  };
  auto const check = [&](std::size_t live, std::uint64_t begun, std::uint64_t ended, std::size_t peak) {
    auto const statistics = pool.statistics();
    CHECK(statistics.current_usage == live);
    CHECK(statistics.peak_usage == peak);
    CHECK(statistics.total_allocations == begun);
    CHECK(statistics.total_deallocations == ended);
    CHECK(statistics.allocation_failures == 0);
    CHECK(statistics.growth_count == 0);
  };
  std::barrier barrier(2);
  std::thread(refused).join();  // its cache is gone
  std::thread other([&] {       // has a cache, of which little was left once
    for (int i = 0; i != 3; ++i) {
      refused();
      {
        Handles<TestType> few;
        for (std::size_t n = 0; n != 9; ++n) few.push_back(pool.allocate(n));
      }
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    }
  });
  for (std::size_t held : {std::size_t{0}, std::size_t{3}, std::size_t{7}}) {
    barrier.arrive_and_wait();
    Handles<TestType> handles;
    for (std::size_t i = 0; i != held; ++i) handles.push_back(pool.allocate(i));
    CHECK(pool.statistics().allocation_failures != 0);
    CHECK(pool.statistics().peak_usage == 40);
    pool.reset_statistics();
    check(held, 0, 0, held);
    for (int i = 0; i != 2; ++i) handles.push_back(pool.allocate(std::uint64_t{9}));
    check(held + 2, 2, 0, held + 2);
    handles.clear();
    check(0, 2, held + 2, held + 2);
    pool.trim();
    check(0, 2, held + 2, held + 2);
    barrier.arrive_and_wait();
  }
  other.join();
  test::check_faults();
}

TEST_CASE("exact: the peak is never below the true one, nor above the capacity; with one thread it is exact") {
  ThreadSafePool<Payload, AtomicStats, NoChecks> pool(100);
  for (std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{60}, std::size_t{100}}) {
    {
      Handles<decltype(pool)> handles;
      for (std::size_t i = 0; i != most; ++i) handles.push_back(pool.allocate(i));
      CHECK(pool.statistics().peak_usage == most);
    }
    for (int i = 0; i != 50; ++i) auto const one = pool.allocate(std::uint64_t{1});
    CHECK(pool.statistics().peak_usage == most);
  }
  {
    // warm_up() gives a cache that was empty for a while another room.
    ThreadSafePool<Payload, AtomicStats, NoChecks> warm(1000);
    for (int i = 0; i != 20; ++i) auto const one = warm.allocate(std::uint64_t{1});
    warm.reset_statistics();
    {
      Handles<decltype(warm)> handles;
      for (std::size_t i = 0; i != 3; ++i) handles.push_back(warm.allocate(i));
    }
    warm.warm_up();
    CHECK(warm.statistics().peak_usage == 3);
  }
  pool.reset_statistics();
  std::barrier barrier(4);
  test::run(4, [&](std::size_t me) {
    for (int round = 0; round != 100; ++round) {
      Handles<decltype(pool)> handles;
      for (std::size_t i = 0; i != 10; ++i) handles.push_back(pool.allocate(me));
      barrier.arrive_and_wait();
    }
  });
  CHECK(pool.statistics().peak_usage >= 40);
  CHECK(pool.statistics().peak_usage <= 100);
}

TEST_CASE("exact: the peak is not below what one thread had while another one emptied its cache") {
  constexpr int idle = 60, rounds = 2000;
  ThreadSafePool<long, AtomicStats, NoChecks> pool(100'000);  // checks would take the lock for each object
  std::atomic<int> turn{0};                                   // odd: the thread's
  auto const wait_for = [&](int value) {
    for (int looks = 0; turn.load() != value; ++looks)
      if (looks > 1000000) std::this_thread::yield();
  };
  std::latch warmed(idle), end(1);
  std::vector<std::thread> threads;
  for (int i = 0; i != idle; ++i) threads.emplace_back([&] { pool.warm_up(), warmed.count_down(), end.wait(); });
  warmed.wait();
  threads.emplace_back([&] {
    std::vector<decltype(pool)::handle_type> handles;
    handles.reserve(32);
    auto const take_and_return = [&](std::size_t n) {
      while (handles.size() != n) handles.push_back(pool.allocate());
      handles.clear();
    };
    for (int round = 0; round != rounds; ++round) {
      for (int i = 0; i != 20; ++i) take_and_return(32);  // fills the cache
      turn = 4 * round + 1;
      wait_for(4 * round + 2);
      take_and_return(8);
      turn = 4 * round + 3;
      wait_for(4 * round + 4);
    }
  });
  int too_low = 0;
  for (int round = 0; round != rounds; ++round) {
    wait_for(4 * round + 1);
    pool.reset_statistics();  // nothing is in use
    turn = 4 * round + 2;
    for (int i = 0; i != round % 400; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    pool.trim();  // while the thread takes 8 and returns them, in some of the rounds
    wait_for(4 * round + 3);
    if (pool.statistics().peak_usage < 8) ++too_low;
    turn = 4 * round + 4;
  }
  end.count_down();
  for (auto& thread : threads) thread.join();
  CHECK(too_low == 0);
}
