// SPDX-License-Identifier: MIT OR Apache-2.0
// MovablePool of pools that threads share: its owner ends while threads release the last handles.
#include <fastalloc/fastalloc.hpp>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;

namespace {

std::atomic<std::size_t> blocks{0};

/// Counts the blocks of all pools, from any thread.
struct CountedHeap {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    blocks.fetch_add(1);
    return ::operator new(bytes, std::align_val_t{alignment}, std::nothrow);
  }
  void release(void* block, std::size_t, std::size_t alignment) noexcept {
    blocks.fetch_sub(1);
    ::operator delete(block, std::align_val_t{alignment});
  }
};

constexpr std::size_t threads = 3;

/// A round: threads release the handles that they hold, in batches and one by one, when the owner ends.
template <class P, class Own> void race(Own&& own) {
  test::Stopwatch const watch;
  test::RecordedErrors const errors;
  test::Random random(7);
  for (std::size_t round = 0; round != test::scaled(400, 20'000) && watch.time() < test::limit(); ++round) {
    MovablePool<P> pool(64);
    using Kept = decltype(own(pool->allocate(std::uint64_t{1})));
    std::vector<Kept> kept[threads];
    for (auto& list : kept)
      for (std::size_t n = random(12); n != 0; --n) list.push_back(own(pool->allocate(std::uint64_t{n})));
    std::atomic<std::size_t> ready{0};
    test::run(threads + 1, [&](std::size_t i) {
      // Some threads have a cache by then, some none.
      if (i < threads && (round + i) % 2 == 0)
        for (std::size_t n = 0; n != 20; ++n) (void)pool->try_allocate(std::uint64_t{n});
      ready.fetch_add(1);
      while (ready.load() != threads + 1) std::this_thread::yield();
      if (i == threads) return pool.reset();
      for (auto& handle : kept[i]) handle.reset();
    });
    test::faults().expect(blocks.load() == 0, "the last handle did not end the pool");
  }
  CHECK(errors.count() == 0);
  CHECK(test::Payload::lives() == 0);
  test::check_faults();
}

}  // namespace

TEMPLATE_TEST_CASE("movable pool: the owner ends beside the last releases", "",
                   (ThreadSafePool<test::Payload, CountedHeap>), (ThreadSafePool<test::Payload, CountedHeap, NoChecks>),
                   (ThreadSafePool<test::Payload, CountedHeap, NoCache, MutexLock, NoChecks>),
                   (ThreadSafePool<test::Payload, CountedHeap, LockFree, NoChecks>),
                   (GrowingPool<test::Payload, CountedHeap, SpinLock>)) {
  race<TestType>([](auto handle) { return handle; });
}

TEST_CASE("movable pool: the owner ends beside the last shared handles") {
  using P = ThreadSafePool<test::Payload, CountedHeap, AtomicShared>;
  race<P>([](auto handle) { return handle.share(); });
  race<P>([](auto handle) { return handle.share().downgrade(); });
}

TEST_CASE("movable pool: threads that wait leave with empty hands when the owner ends") {
  MovablePool<ThreadSafePool<int, CountedHeap>> pool(1);
  auto handle = pool->allocate(1);
  test::Asleep asleep;
  bool got = true;
  auto* const shared = pool.get();
  std::thread waiter([&] {
    asleep.begin();
    got = shared->allocate_for(std::chrono::hours(1), 2) != nullptr;
  });
  asleep.wait();
  pool.reset();
  waiter.join();
  CHECK_FALSE(got);
  CHECK(blocks.load() != 0);
  handle.reset();
  CHECK(blocks.load() == 0);
}

TEST_CASE("movable pool: a thread with a cache ends after its abandoned pool") {
  std::atomic<int> step{0};
  MovablePool<ThreadSafePool<int, CountedHeap>> pool(100);
  auto handle = pool->allocate(1);
  std::thread other([&] {
    pool->warm_up();
    (void)pool->allocate(2);
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  pool.reset();
  SECTION("the pool ends first") { handle.reset(), step = 2, other.join(); }
  SECTION("the thread ends first") { step = 2, other.join(), handle.reset(); }
  CHECK(blocks.load() == 0);
}
