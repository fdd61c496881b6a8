// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadLocalPool: each thread has a capacity of its own; objects may be released anywhere, and their slots come home.
#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <optional>
#include <utility>

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

#if !FASTALLOC_TSAN
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

using namespace fastalloc;
using test::faults;
using test::Payload;

#define LOCAL_POOLS                                                                                                    \
  ThreadLocalPool<Payload>, (ThreadLocalPool<Payload, NoChecks>), (ThreadLocalPool<Payload, FullChecks, AtomicStats>), \
      (ThreadLocalPool<Payload, FreeListAllocator, NoChecks>), (ThreadLocalPool<Payload, BitmapAllocator, NoChecks>)

namespace {

template <class Pool> using Handles = std::vector<typename Pool::handle_type>;

template <class Pool> Handles<Pool> take_all(Pool& pool, std::uint64_t value = 1) {
  Handles<Pool> handles;
  while (auto handle = pool.try_allocate(value)) handles.push_back(std::move(handle));
  return handles;
}

}  // namespace

TEMPLATE_TEST_CASE("local pool: each thread gets its own capacity exactly", "", LOCAL_POOLS) {
  TestType pool(20);
  CHECK(pool.total_capacity() == 20);
  constexpr std::size_t n = 5;
  std::barrier barrier(n);
  test::run(n, [&](std::size_t me) {
    for (std::size_t round = 0; round != 50; ++round) {
      auto const mine = take_all(pool, me);
      faults().expect(mine.size() == 20, "not the capacity");
      faults().expect(pool.is_full() && pool.allocated() == 20 && pool.available() == 0 && pool.capacity() == 20,
                      "counts are not this thread's");
      barrier.arrive_and_wait();
      for (auto const& handle : mine) faults().expect(handle->index() == me, "two threads own one slot");
      barrier.arrive_and_wait();
    }
    faults().expect(pool.is_empty(), "not empty");
    barrier.arrive_and_wait();
  });
  CHECK(pool.sub_pools() == n);
  CHECK(pool.total_capacity() == n * 20);
  CHECK(pool.total_allocated() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("local pool: slots that other threads return come home, all of them", "", LOCAL_POOLS) {
  TestType pool(30);
  for (int round = 0; round != 100; ++round) {
    auto mine = take_all(pool);
    REQUIRE(mine.size() == 30);
    std::size_t const away = 1 + static_cast<std::size_t>(round) % 30;
    std::thread([&] { mine.resize(30 - away); }).join();
    REQUIRE(pool.allocated() == 30 - away);
    REQUIRE(pool.available() == away);
    REQUIRE(pool.owns(mine.empty() ? nullptr : mine[0].get()) == !mine.empty());
    if (round % 2 == 0) REQUIRE(take_all(pool).size() == away);
    Handles<TestType> batch(away);
    REQUIRE(pool.try_allocate_batch(away, batch.begin(), std::uint64_t{3}));
    REQUIRE(pool.check_invariants());
  }
  CHECK(pool.allocated() == 0);
}

// The owner and others release slots of one sub-pool at the same time, while the owner allocates from it.
TEMPLATE_TEST_CASE("local pool: a producer, and consumers that release", "", LOCAL_POOLS) {
  constexpr std::size_t capacity = 16;
  TestType pool(capacity);
  std::mutex mutex;
  std::deque<typename TestType::handle_type> queue;
  std::atomic<bool> done{false};
  std::vector<std::thread> consumers;
  for (int i = 0; i != 2; ++i)
    consumers.emplace_back([&] {
      while (true) {
        bool const last = done;
        typename TestType::handle_type handle;
        {
          std::lock_guard const guard(mutex);
          if (!queue.empty()) handle = std::move(queue.front()), queue.pop_front();
        }
        if (handle) handle->verify();
        else if (last) return;
      }
    });
  test::Stopwatch const watch;
  std::uint64_t produced = 0;
  std::uint64_t refused = 0;
  while (watch.time() < test::short_slice(0.2) || produced <= capacity) {
    if (auto handle = pool.try_allocate(produced)) {
      if (++produced % 3 == 0) continue;  // released at home
      std::lock_guard const guard(mutex);
      queue.push_back(std::move(handle));
    } else {
      ++refused;
    }
  }
  done = true;
  for (auto& consumer : consumers) consumer.join();
  CHECK(produced > capacity);
  CHECK(pool.allocated() == 0);
  CHECK(take_all(pool).size() == capacity);
  CHECK(pool.check_invariants());
  CHECK(Payload::lives() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE(
    "local pool: what lives on when its thread ends stays; its sub-pool serves another thread when all of that is gone",
    "", LOCAL_POOLS) {
  TestType pool(10);
  Handles<TestType> left;
  std::thread([&] {
    left = take_all(pool, 7);
    left.resize(4);
  }).join();
  CHECK(pool.sub_pools() == 1);
  CHECK(pool.total_allocated() == 4);
  std::thread([&] {
    auto const mine = take_all(pool, 8);
    faults().expect(mine.size() == 10, "what an ended thread left behind takes capacity from another one");
    faults().expect(pool.allocated() == 10, "allocated() counts what is not this thread's");
    left.pop_back();  // abroad here
    faults().expect(pool.available() == 0, "a slot came back to the wrong sub-pool");
  }).join();
  for (auto const& handle : left) CHECK(handle->index() == 7);
  CHECK(pool.sub_pools() == 2);
  CHECK(pool.total_allocated() == 3);
  left.clear();
  CHECK(pool.total_allocated() == 0);
  test::run(2, [&](std::size_t me) { (void)take_all(pool, me); });
  CHECK(take_all(pool).size() == 10);
  CHECK(pool.sub_pools() == 2);
  test::check_faults();
}

TEST_CASE("local pool: threads that come and go share few sub-pools") {
  ThreadLocalPool<Payload, AtomicStats> pool(10);
  for (int round = 0; round != 200; ++round) {
    test::run(2, [&](std::size_t me) {
      for (int i = 0; i != 5; ++i) auto const handle = pool.allocate(me);
    });
    if (pool.total_statistics().total_allocations != 10U * static_cast<unsigned>(round + 1))
      faults().expect(false, "totals are not exact");
  }
  CHECK(pool.sub_pools() <= 2);
  CHECK(pool.total_statistics().total_deallocations == 2000);
  CHECK(pool.total_statistics().current_usage == 0);
  test::check_faults();
}

TEST_CASE("local pool: a question makes no sub-pool") {
  ThreadLocalPool<int, AtomicStats> pool(10);
  auto const held = pool.allocate(1);
  std::thread([&] {
    faults().expect(pool.capacity() == 10 && pool.allocated() == 0 && pool.available() == 10 && pool.is_empty(),
                    "wrong answers");
    faults().expect(pool.statistics().capacity == 10 && pool.statistics().total_allocations == 0, "wrong statistics");
    faults().expect(pool.owns(held.get()), "does not know another thread's object");
    pool.for_each([](int) { faults().expect(false, "meets another thread's object"); });
  }).join();
  CHECK(pool.sub_pools() == 1);
  test::check_faults();
}

TEST_CASE("local pool: release() here, adopt() there; erased handles") {
  ThreadLocalPool<Payload, FullChecks> pool(4);
  auto handle = pool.allocate(std::uint64_t{5});
  std::size_t const index = pool.index_of(handle);
  Payload* const object = handle.release();
  Handle<Payload> erased = pool.allocate(std::uint64_t{6});
  std::thread([&] {
    auto const mine = take_all(pool);
    faults().expect(mine.size() == 4, "another thread's capacity");
    auto adopted = pool.adopt(object);
    faults().expect(adopted && adopted->index() == 5 && pool.index_of(adopted) == index,
                    "adopt() finds another object");
    adopted.reset();
    erased.reset();
    faults().expect(pool.allocated() == 4, "a slot went to the wrong sub-pool");
  }).join();
  CHECK(pool.allocated() == 0);
  CHECK(take_all(pool).size() == 4);
  test::check_faults();
}

TEST_CASE("local pool: misuse abroad is reported, with checks") {
  ThreadLocalPool<Payload, FullChecks> pool(4);
  auto handle = pool.allocate(std::uint64_t{5});
  Payload* const object = handle.get();
  std::thread([&] { handle.reset(); }).join();
  test::RecordedErrors const errors;
  std::thread([&] { faults().expect(pool.adopt(object) == nullptr, "a dead object is adopted"); }).join();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::double_free);
  test::check_faults();
}

TEST_CASE("local pool: grows, reserves and shrinks for each thread") {
  ThreadLocalPool<Payload, NoChecks> pool(
      PoolConfig{.capacity = 4, .max_capacity = 20, .growth_strategy = GrowthStrategy::exponential(2.0)});
  auto mine = take_all(pool);
  CHECK(mine.size() == 20);
  std::thread([&] {
    faults().expect(pool.capacity() == 4, "another thread grew with it");
    pool.reserve(9);
    faults().expect(pool.capacity() == 9, "reserve() is not exact");
    faults().expect(pool.shrink_to_fit() > 0 && pool.capacity() == 4, "does not shrink");
    mine.clear();  // not at home
  }).join();
  CHECK(pool.capacity() == 20);
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(pool.capacity() == 4);
  CHECK(take_all(pool).size() == 20);
  test::check_faults();
}

TEMPLATE_TEST_CASE("local pool: at the address of an old one is another pool", "", LOCAL_POOLS) {
  std::optional<TestType> pool;
  std::barrier barrier(2);
  constexpr std::size_t rounds = 500;
  std::atomic<std::size_t> got{0};
  std::thread worker([&] {
    for (std::size_t round = 0; round != rounds; ++round) {
      barrier.arrive_and_wait();
      got = take_all(*pool).size();
      barrier.arrive_and_wait();
    }
  });
  std::size_t wrong = 0;
  for (std::size_t round = 0; round != rounds; ++round) {
    std::size_t const capacity = 1 + round % 17;
    pool.emplace(capacity);
    if (round % 2 == 0) auto const mine = pool->allocate(std::uint64_t{1});
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
    if (got != capacity) ++wrong;
  }
  worker.join();
  CHECK(wrong == 0);
}

TEST_CASE("local pool: hundreds of pools, in turns") {
  using Pool = ThreadLocalPool<Payload, NoChecks>;
  constexpr std::size_t n = 300;
  std::deque<Pool> pools;
  for (std::size_t i = 0; i != n; ++i) pools.emplace_back(std::size_t{10});
  std::vector<Handles<Pool>> handles(n);
  test::Random random(3);
  std::size_t wrong = 0;
  for (int step = 0; step != 50'000; ++step) {
    std::size_t const at = random(n);
    if (random(2) == 0) {
      auto handle = pools[at].try_allocate(at);
      if ((handle != nullptr) != (handles[at].size() < 10)) ++wrong;
      if (handle) handles[at].push_back(std::move(handle));
    } else if (!handles[at].empty()) {
      handles[at].pop_back();
    }
  }
  for (std::size_t i = 0; i != n; ++i)
    wrong += pools[i].allocated() == handles[i].size() && pools[i].sub_pools() == 1 ? 0U : 1U;
  CHECK(wrong == 0);
  handles.clear();
}

namespace {
template <class Pool> struct LastWill {
  Pool* pool = nullptr;
  typename Pool::handle_type handle;
  std::atomic<std::size_t>* served = nullptr;
  ~LastWill() {
    if (pool == nullptr) return;
    handle.reset();
    auto const one = pool->try_allocate(std::uint64_t{1});
    Handles<Pool> batch(3);
    if (one && pool->try_allocate_batch(3, batch.begin(), std::uint64_t{3})) ++*served;
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

TEMPLATE_TEST_CASE("local pool: thread_local destructors release and allocate, before and after the thread's part ends",
                   "", LOCAL_POOLS) {
  TestType pool(8);
  std::atomic<std::size_t> served{0};
  constexpr std::size_t rounds = 100;
  for (std::size_t round = 0; round != rounds; ++round) {
    test::run(2, [&](std::size_t) {
      auto& before = will_before<TestType>();
      before.pool = &pool;
      before.handle = pool.allocate(std::uint64_t{7});
      before.served = &served;
      auto& after = will_after<TestType>();
      after.pool = &pool;
      after.handle = pool.allocate(std::uint64_t{8});
      after.served = &served;
    });
    REQUIRE(pool.total_allocated() == 0);
  }
  CHECK(served == 2 * 2 * rounds);
  CHECK(pool.sub_pools() <= 5);
  CHECK(take_all(pool).size() == 8);
  test::check_faults();
}

TEST_CASE("local pool: live objects of any thread are reported when the pool ends") {
  test::RecordedErrors const errors;
  {
    ThreadLocalPool<int> pool(10);
    (void)pool.allocate(1).release();
    std::thread([&] { (void)pool.allocate(2).release(); }).join();
  }
  std::size_t allocated = 0;
  for (std::size_t i = 0; i != errors.count(); ++i) {
    CHECK(errors[i].code == ErrorCode::live_handles);
    allocated += errors[i].allocated;
  }
  CHECK(allocated == 2);
}

#if !FASTALLOC_TSAN
// Sub-pools of threads that are not there in the child are left alone there; the child's thread has its own.
TEMPLATE_TEST_CASE("local pool: fork, while other threads use the pool and return this one's objects", "",
                   LOCAL_POOLS) {
  constexpr std::size_t capacity = 40;
  TestType pool(capacity);
  std::mutex mutex;
  Handles<TestType> queue;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::uint64_t me = 0; me != 2; ++me)
    threads.emplace_back([&, me] {
      while (!stop) {
        auto const own = pool.try_allocate(me);
        Handles<TestType> taken;
        {
          std::lock_guard const guard(mutex);
          taken.swap(queue);
        }
      }
    });
  int hung = 0;
  int wrong = 0;
  for (std::size_t i = 0; i != test::scaled(50, 500) && hung == 0; ++i) {
    {
      auto handles = take_all(pool, 9);
      std::lock_guard const guard(mutex);
      for (auto& handle : handles) queue.push_back(std::move(handle));
    }
    std::fflush(nullptr);
    ::pid_t const child = ::fork();
    if (child == 0) {
      std::signal(SIGALRM, SIG_DFL);
      ::alarm(60);  // for a child that hangs; one on a busy machine has time
      // What others held when the process was copied never comes back, the rest is had again and again.
      std::size_t got = 0;
      for (int round = 0; round != 3; ++round) {
        auto const all = take_all(pool, 9);
        if (all.size() > capacity || (round != 0 && all.size() != got)) ::_exit(1);
        got = all.size();
      }
      ::_exit(pool.check_invariants() ? 0 : 1);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child) ++wrong;
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) ++hung;
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ++wrong;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(hung == 0);
  CHECK(wrong == 0);
  queue.clear();
  CHECK(pool.total_allocated() == 0);
}
#endif
