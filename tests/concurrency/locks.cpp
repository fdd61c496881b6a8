// SPDX-License-Identifier: MIT OR Apache-2.0
// The lock policies: mutual exclusion, what try_lock() says, and that an AdaptiveLock sleeps.
#include <fastalloc/fastalloc.hpp>

#include <ctime>
#include <type_traits>

#include "concurrency/threads.hpp"
#if FASTALLOC_POSIX
#include "support/death.hpp"
#endif

using namespace fastalloc;

namespace {

/// A user's: BasicLockable, no more.
class TicketLock {
 public:
  void lock() noexcept {
    unsigned const mine = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != mine) std::this_thread::yield();
  }
  void unlock() noexcept { serving_.fetch_add(1, std::memory_order_release); }

 private:
  std::atomic<unsigned> next_{0};
  std::atomic<unsigned> serving_{0};
};

}  // namespace

TEMPLATE_TEST_CASE("locks: one thread at a time", "", SpinLock, AdaptiveLock, MutexLock, std::mutex, TicketLock) {
  TestType lock;
  constexpr std::size_t n = 4;
  constexpr std::size_t rounds = 60'000;
  std::size_t plain = 0;  // what ThreadSanitizer looks at, too
  bool inside = false;
  test::run(n, [&](std::size_t me) {
    test::Random random(me + 1);
    for (std::size_t i = 0; i != rounds; ++i) {
      lock.lock();
      test::faults().expect(!inside, "two threads hold a lock");
      inside = true;
      ++plain;
      if (random(1000) == 0) std::this_thread::yield();
      inside = false;
      lock.unlock();
    }
  });
  CHECK(plain == n * rounds);
  test::check_faults();
}

TEMPLATE_TEST_CASE("locks: guard a pool", "", SpinLock, AdaptiveLock, MutexLock, std::mutex, TicketLock) {
  using test::Payload;
  FixedPool<Payload, TestType> fixed(10);
  ThreadSafePool<Payload, TestType, NoCache> uncached(10);
  ThreadSafePool<Payload, TestType, NoChecks> cached(10);
  auto const use = [](auto& pool) {
    test::run(3, [&](std::size_t me) {
      for (std::uint64_t i = 0; i != 2000; ++i) {
        auto const one = pool.try_allocate(i);
        auto const two = pool.try_allocate(me);
        if (one) test::faults().expect(one->index() == i, "an object is another thread's");
      }
    });
    CHECK(pool.allocated() == 0);
    CHECK(pool.check_invariants());
  };
  use(fixed);
  use(uncached);
  use(cached);
  test::check_faults();
}

TEMPLATE_TEST_CASE("locks: try_lock", "", SpinLock, AdaptiveLock) {
  TestType lock;
  REQUIRE(lock.try_lock());
  CHECK_FALSE(lock.try_lock());
  std::thread([&] { test::faults().expect(!lock.try_lock(), "another thread got a lock that is held"); }).join();
  lock.unlock();
  REQUIRE(lock.try_lock());
  lock.unlock();

  std::size_t plain = 0;
  std::atomic<std::size_t> successes{0};
  test::run(3, [&](std::size_t) {
    for (int i = 0; i != 20'000; ++i) {
      if (!lock.try_lock()) continue;
      ++plain;
      lock.unlock();
      ++successes;
    }
  });
  CHECK(plain == successes);
  test::check_faults();
}

#if defined(CLOCK_THREAD_CPUTIME_ID)
TEST_CASE("locks: who waits long for an AdaptiveLock sleeps, and is woken") {
  AdaptiveLock lock;
  auto const processor_time = [] {
    std::timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  for (std::size_t const waiters : {std::size_t{1}, std::size_t{3}}) {
    std::atomic<std::size_t> begun{0};
    std::atomic<std::size_t> woken{0};
    std::atomic<std::int64_t> most_busy{0};
    lock.lock();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i != waiters; ++i)
      threads.emplace_back([&] {
        ++begun;
        auto const before = processor_time();
        lock.lock();
        auto const busy = (processor_time() - before).count();
        for (std::int64_t most = most_busy; most < busy && !most_busy.compare_exchange_weak(most, busy);) {}
        lock.unlock();
        ++woken;
      });
    while (begun != waiters) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(woken == 0);
    lock.unlock();
    for (auto& thread : threads) thread.join();
    CHECK(woken == waiters);
    CHECK(std::chrono::nanoseconds(most_busy) < std::chrono::milliseconds(10));
  }
  CHECK(lock.try_lock());
  lock.unlock();
}
#endif

// No wake-up is lost where one unlocks while another one goes to sleep.
TEST_CASE("locks: an AdaptiveLock that is held just longer than one spins") {
  AdaptiveLock lock;
  std::size_t plain = 0;
  test::run(3, [&](std::size_t) {
    for (int i = 0; i != 3000; ++i) {
      lock.lock();
      ++plain;
      for (int spins = 0; spins != 600; ++spins) std::atomic_signal_fence(std::memory_order_seq_cst);
      if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
      lock.unlock();
    }
  });
  CHECK(plain == 9000);
}

// Counted in turns of the other thread, not in time. Without the hand-over hundreds to thousands a round.
TEST_CASE("locks: a thread that waits for an AdaptiveLock gets it, however soon the owner takes it again") {
  int turns = 0;
  for (int round = 0; round != 10; ++round) {
    AdaptiveLock lock;
    std::atomic<bool> had{false};
    lock.lock();
    std::thread waiting([&] {
      lock.lock();
      had = true;
      lock.unlock();
    });
    for (; !had && turns != 10'000; ++turns) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      lock.unlock();
      lock.lock();
    }
    lock.unlock();
    waiting.join();
  }
  CHECK(turns >= 10);
  CHECK(turns < 4000);
}

static_assert(sizeof(SpinLock) == 1 && sizeof(AdaptiveLock) == 4 && std::is_empty_v<NoLock>);
static_assert(LockPolicy<TicketLock> && LockPolicy<std::mutex> && LockPolicy<LockFree>);

#if FASTALLOC_CHECK_LOCKS && FASTALLOC_POSIX && !FASTALLOC_TSAN
// All debug builds of these tests check the order of locks: none is taken while another is held.
TEST_CASE("locks: a second lock, or a storage under a lock, ends the program in debug builds of the tests") {
  auto const ends = [](auto&& f) { return !test::run_in_child(f).survived; };
  ThreadSafePool<int> pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
  auto const nested = [&](auto&& f) {
    return ends([&] {
      fastalloc::detail::note_lock();
      f();
    });
  };
  CHECK(nested([&] { (void)pool.capacity(); }));
  CHECK(nested([&] { pool.reserve(10); }));
  CHECK(nested([&] { ThreadLocalPool<int>(1).warm_up(); }));
  CHECK_FALSE(ends([&] { pool.reserve(10); }));
}
#endif
