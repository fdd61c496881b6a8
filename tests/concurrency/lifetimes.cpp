// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools, threads and processes that begin and end in every order. fork.cpp has the processes.
#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using test::faults;
using test::Payload;

#define CACHED_POOLS                                                                                              \
  ThreadSafePool<Payload>, (ThreadSafePool<Payload, NoChecks>), (ThreadSafePool<Payload, NoChecks, AtomicStats>), \
      (ThreadSafePool<Payload, NoCache>), (ThreadSafePool<Payload, LockFree>)

namespace {

template <class Pool> using Handles = std::vector<typename Pool::handle_type>;

/// Takes until refused; releases all. Returns how many there were.
template <class Pool> std::size_t count_free(Pool& pool) {
  Handles<Pool> handles;
  while (auto handle = pool.try_allocate(std::uint64_t{1})) handles.push_back(std::move(handle));
  return handles.size();
}

}  // namespace

TEMPLATE_TEST_CASE("lifetimes: a pool ends before the threads that used it", "", CACHED_POOLS) {
  std::optional<TestType> pool;
  std::barrier barrier(3);
  constexpr int rounds = 200;
  std::thread threads[2];
  for (auto& thread : threads)
    thread = std::thread([&] {
      for (int round = 0; round != rounds; ++round) {
        barrier.arrive_and_wait();
        for (std::uint64_t i = 0; i != 50; ++i) auto const handle = pool->try_allocate(i);
        barrier.arrive_and_wait();  // slots lie in its cache now, and the pool goes away
      }
    });
  for (int round = 0; round != rounds; ++round) {
    pool.emplace(20);
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
    CHECK(pool->allocated() == 0);
    pool.reset();
  }
  for (auto& thread : threads) thread.join();
  test::check_faults();
}

// The worker's table still names the part that it had in the pool before, at the same address, of the same type.
TEMPLATE_TEST_CASE("lifetimes: a new pool at the address of an old one is another pool", "", CACHED_POOLS) {
  std::optional<TestType> pool;
  std::barrier barrier(2);
  constexpr std::size_t rounds = 1000;
  std::atomic<std::size_t> got{0};
  std::thread worker([&] {
    for (std::size_t round = 0; round != rounds; ++round) {
      barrier.arrive_and_wait();
      got = count_free(*pool);
      barrier.arrive_and_wait();
    }
  });
  std::size_t wrong = 0;
  for (std::size_t round = 0; round != rounds; ++round) {
    std::size_t const capacity = 1 + round % 17;
    pool.emplace(capacity);
    auto const mine = round % 3 == 0 ? pool->allocate(std::uint64_t{1}) : typename TestType::handle_type{};
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
    if (got != capacity - (mine ? 1 : 0)) ++wrong;
  }
  worker.join();
  CHECK(wrong == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("lifetimes: what ended threads kept is there for others", "", CACHED_POOLS) {
  TestType pool(100);
  for (int round = 0; round != 50; ++round) {
    test::run(3, [&](std::size_t) { (void)count_free(pool); });
    REQUIRE(pool.allocated() == 0);
    REQUIRE(count_free(pool) == 100);
  }
  CHECK(pool.check_invariants());
}

TEST_CASE("lifetimes: statistics keep what threads counted that ended") {
  ThreadSafePool<Payload, AtomicStats, NoChecks> pool(10);
  constexpr int rounds = 100;
  for (int round = 0; round != rounds; ++round) {
    std::thread([&] {
      for (std::uint64_t i = 0; i != 10; ++i) auto const handle = pool.allocate(i);
    }).join();
    REQUIRE(pool.statistics().total_allocations == 10U * static_cast<unsigned>(round + 1));
    REQUIRE(pool.statistics().total_deallocations == 10U * static_cast<unsigned>(round + 1));
  }
  CHECK(pool.statistics().peak_usage >= 1);
}

namespace {

/// Lives in a thread_local: its destructor releases what it holds, and allocates.
template <class Pool> struct LastWill {
  Pool* pool = nullptr;
  typename Pool::handle_type handle;
  std::atomic<std::size_t>* allocated = nullptr;
  ~LastWill() {
    if (pool == nullptr) return;
    handle.reset();
    auto one = pool->try_allocate(std::uint64_t{1});
    auto two = pool->try_allocate(std::uint64_t{2});
    if (one && two) ++*allocated;
    Handles<Pool> batch(3);
    if (pool->try_allocate_batch(3, batch.begin(), std::uint64_t{3})) ++*allocated;
  }
};
template <class Pool> LastWill<Pool>& will_before() {
  thread_local LastWill<Pool> will;
  return will;
}
template <class Pool> LastWill<Pool>& will_after() {
  thread_local LastWill<Pool> will;
  return will;
}

}  // namespace

TEMPLATE_TEST_CASE("lifetimes: thread_local destructors release and allocate, before and after the thread's cache ends",
                   "", CACHED_POOLS) {
  TestType pool(8);
  std::atomic<std::size_t> allocated{0};
  constexpr std::size_t rounds = 100;
  for (std::size_t round = 0; round != rounds; ++round) {
    std::thread([&] {
      auto& before = will_before<TestType>();  // is built before the cache, so it ends after it
      before.pool = &pool;
      before.handle = pool.allocate(std::uint64_t{7});
      before.allocated = &allocated;
      auto& after = will_after<TestType>();
      after.pool = &pool;
      after.handle = pool.allocate(std::uint64_t{8});
      after.allocated = &allocated;
    }).join();
    REQUIRE(pool.allocated() == 0);
  }
  CHECK(allocated == 4 * rounds);
  CHECK(count_free(pool) == 8);
  CHECK(pool.check_invariants());
  test::check_faults();
}

TEST_CASE("lifetimes: the first use of a pool may be in a thread_local destructor") {
  ThreadSafePool<Payload, AtomicStats> pool(8);
  std::atomic<std::size_t> allocated{0};
  std::thread([&] {
    auto& will = will_before<ThreadSafePool<Payload, AtomicStats>>();
    will.pool = &pool;
    will.allocated = &allocated;
  }).join();
  CHECK(allocated == 2);
  CHECK(pool.allocated() == 0);
  CHECK(pool.statistics().total_allocations == 5);
  CHECK(pool.statistics().total_deallocations == 5);
}

TEST_CASE("lifetimes: 5,000 pools at once, used by two threads") {
  using Pool = ThreadSafePool<Payload, NoChecks, ThreadCache<8>>;
  constexpr std::size_t n = 5000;
  std::deque<Pool> pools;
  for (std::size_t i = 0; i != n; ++i) pools.emplace_back(std::size_t{4});
  std::atomic<std::size_t> wrong{0};
  test::run(2, [&](std::size_t me) {
    std::vector<Pool::handle_type> handles;
    for (auto& pool : pools) handles.push_back(pool.allocate(me));
    for (std::size_t i = 0; i != n; ++i) {
      if (handles[i]->index() != me) ++wrong;
      handles[i].reset();
    }
  });
  CHECK(wrong == 0);
  std::size_t full = 0;
  for (auto& pool : pools) full += count_free(pool) == 4 ? 1U : 0U;
  CHECK(full == n);
  pools.clear();
  CHECK(Payload::lives() == 0);
}

TEST_CASE("lifetimes: hundreds of pools, in turns") {
  using Pool = ThreadSafePool<Payload, AtomicStats, NoChecks>;
  constexpr std::size_t n = 300;
  std::deque<Pool> pools;
  for (std::size_t i = 0; i != n; ++i) pools.emplace_back(std::size_t{10});
  std::vector<std::vector<Pool::handle_type>> handles(n);
  std::vector<std::uint64_t> allocations(n);
  test::Random random(3);
  for (int step = 0; step != 100'000; ++step) {
    std::size_t const at = random(n);
    if (random(2) == 0) {
      auto handle = pools[at].try_allocate(at);
      if ((handle != nullptr) != (handles[at].size() < 10)) faults().expect(false, "capacity is not exact");
      if (!handle) continue;
      ++allocations[at];
      handles[at].push_back(std::move(handle));
    } else if (!handles[at].empty()) {
      handles[at].pop_back();
    }
  }
  std::size_t exact = 0;
  for (std::size_t i = 0; i != n; ++i)
    exact += pools[i].allocated() == handles[i].size() && pools[i].statistics().total_allocations == allocations[i]
                 ? 1U
                 : 0U;
  CHECK(exact == n);
  handles.clear();
  test::check_faults();
}

TEST_CASE("lifetimes: pools of pools, and objects that use their own pool when they end") {
  struct Node {
    Handle<Node, ThreadSafePool<Node>> next;
    Handle<std::string> name;
  };
  ThreadSafePool<std::string> names(1000);
  ThreadSafePool<Node> nodes(1000);
  test::run(4, [&](std::size_t) {
    for (int round = 0; round != 50; ++round) {
      ThreadSafePool<Node>::handle_type list;
      for (int i = 0; i != 40; ++i) {
        auto node = nodes.allocate();
        node->name = names.allocate("a text that is long enough for the heap");
        node->next = std::move(list);
        list = std::move(node);
      }
    }
  });
  CHECK(nodes.allocated() == 0);
  CHECK(names.allocated() == 0);
}

TEST_CASE("lifetimes: pools are made and destroyed by many threads at once") {
  test::Stopwatch const watch;
  test::run(4, [&](std::size_t me) {
    while (watch.time() < test::short_slice(0.3)) {
      ThreadSafePool<Payload, NoChecks> mine(3);
      std::thread other([&] { faults().expect(count_free(mine) == 3, "a new pool is not whole"); });
      other.join();
      auto const handle = mine.allocate(me);
      faults().expect(count_free(mine) == 2, "a new pool is not whole");
    }
  });
  test::check_faults();
  CHECK(Payload::lives() == 0);
}

TEST_CASE("lifetimes: live handles of other threads are reported when the pool ends") {
  test::RecordedErrors const errors;
  {
    ThreadSafePool<int> pool(10);
    std::thread([&] {
      for (int i = 0; i != 3; ++i) (void)pool.allocate(i).release();
      auto const gone = pool.allocate(4);
    }).join();
  }
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::live_handles);
  CHECK(errors[0].allocated == 3);
  CHECK(errors[0].index_count == 3);
}
