// SPDX-License-Identifier: MIT OR Apache-2.0
// Threads allocate, hand objects to each other through a mailbox, release what others allocated, and end; over every
// kind of pool that they may share. At the end everything must be back, and every count be exact.
//
// Each scenario runs for 0.3 s, under ThreadSanitizer for 0.6 s, or for FASTALLOC_STRESS_SECONDS.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#if defined(__unix__)
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "concurrency/threads.hpp"

using namespace fastalloc;
using test::faults;
using test::Payload;

namespace {

constexpr std::size_t workers = 4;
constexpr std::size_t most_held = 12;  ///< by one thread

template <class Pool> constexpr bool is_local = false;
template <class T, class... Ps> constexpr bool is_local<ThreadLocalPool<T, Ps...>> = true;

/// Objects wait here for whoever comes by.
template <class Handle> class Mailbox {
 public:
  void swap(std::size_t place, Handle& handle) {
    Cell& cell = cells_[place % cells_.size()];
    std::lock_guard const guard(cell.mutex);
    cell.handle.swap(handle);
  }
  void clear() {
    for (Cell& cell : cells_) {
      std::lock_guard const guard(cell.mutex);
      cell.handle.reset();
    }
  }

 private:
  struct Cell {
    std::mutex mutex;
    Handle handle;
  };
  std::array<Cell, 32> cells_;
};

/// What the test itself counted.
struct Counts {
  std::atomic<std::uint64_t> allocations{0};
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> threads{0};
};

template <class Pool> struct Worker {
  using Handle = typename Pool::handle_type;
  Pool& pool;
  Mailbox<Handle>& mailbox;
  Counts& counts;
  test::Random random;
  std::vector<Handle> held{};
  std::uint64_t allocations = 0;
  std::uint64_t failures = 0;

  template <bool recycles> Handle allocate(std::uint64_t index) {
    if constexpr (recycles) {
      Handle handle = pool.try_allocate();
      if (handle) handle->set(index);
      return handle;
    } else {
      return pool.try_allocate(index);
    }
  }

  template <bool recycles> void batch() {
    if (held.size() + 3 > most_held) return;
    std::array<Handle, 3> handles;
    bool served = false;
    if constexpr (recycles) served = pool.try_allocate_batch(handles.size(), handles.begin());
    else served = pool.try_allocate_batch(handles.size(), handles.begin(), std::uint64_t{7});
    served ? allocations += handles.size() : ++failures;
    for (Handle& handle : handles) {
      faults().expect((handle != nullptr) == served, "a batch was served in part");
      if (handle) held.push_back(std::move(handle));
    }
  }

  void rare() {
    if constexpr (!is_local<Pool>) {
      if constexpr (requires { pool.trim(); }) pool.trim();
      std::size_t const allocated = pool.allocated();
      faults().expect(allocated <= workers * most_held + 32 + workers, "more objects than the test holds");
    }
    if constexpr (requires { pool.shrink_to_fit(); }) pool.shrink_to_fit();
    if (!held.empty()) faults().expect(pool.owns(held.back().get()), "a pool does not know its object");
    if constexpr (requires { pool.statistics(); }) {
      auto const statistics = pool.statistics();
      faults().expect(statistics.current_usage <= statistics.capacity, "more in use than there is");
    }
  }

  template <bool recycles> void operator()() {
    held.reserve(most_held);
    for (std::size_t step = 200 + random(2000); step != 0; --step) {
      std::size_t const dice = random(100);
      if (dice < 40 && held.size() < most_held) {
        std::uint64_t const index = random(1U << 30);
        if (Handle handle = allocate<recycles>(index)) {
          ++allocations;
          faults().expect(handle->index() == index, "an object is not the one that was asked for");
          held.push_back(std::move(handle));
        } else {
          ++failures;
        }
      } else if (dice < 70) {
        Handle handle;
        if (!held.empty() && random(2) == 0) {
          std::swap(held[random(held.size())], held.back());
          handle = std::move(held.back());
          held.pop_back();
        }
        if (handle) handle->verify();
        mailbox.swap(random(32), handle);
        if (!handle) continue;
        handle->verify();
        handle->set(handle->index() + 1);
        if (held.size() < most_held) held.push_back(std::move(handle));
      } else if (dice < 96) {
        if (held.empty()) continue;
        std::swap(held[random(held.size())], held.back());
        held.back()->verify();
        held.pop_back();
      } else if (dice < 99) {
        batch<recycles>();
      } else if (random(8) == 0) {
        rare();
      }
    }
    held.clear();
    counts.allocations += allocations;
    counts.failures += failures;
    ++counts.threads;
  }
};

/// Threads come and go all the time; `workers` of them at once.
template <bool recycles = false, class Pool> void stress(Pool& pool) {
  using Handle = typename Pool::handle_type;
  std::uint64_t const ended = Payload::ends();
  Mailbox<Handle> mailbox;
  Counts counts;
  std::array<std::thread, workers> threads;
  test::Stopwatch const watch;
  std::uint64_t seed = 1;
  // a machine may be too busy for three in that time
  for (int round = 0; round < 3 || watch.time() < test::slice(); ++round) {
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
      thread = std::thread([&, mine = ++seed] {
        Worker<Pool>{pool, mailbox, counts, test::Random(mine)}.template operator()<recycles>();
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  mailbox.clear();

  test::check_faults();
  CHECK(counts.threads > 2 * workers);
  CHECK(counts.allocations > 0);
  CHECK(pool.check_invariants());
  if constexpr (!is_local<Pool>) {
    CHECK(pool.allocated() == 0);
    CHECK(pool.available() == pool.capacity());
  }
  if constexpr (!recycles) CHECK(Payload::ends() - ended == counts.allocations);
  if constexpr (requires { pool.total_allocated(); }) {
    CHECK(pool.total_allocated() == 0);
    // that of an ended thread serves nobody while an object of its lies in the mailbox
    CHECK(pool.sub_pools() <= workers + 1 + 32);
  }
  auto const check_totals = [&](PoolStatistics const& statistics) {
    CHECK(statistics.total_allocations == counts.allocations);
    CHECK(statistics.total_deallocations == counts.allocations);
    CHECK(statistics.allocation_failures == counts.failures);
    CHECK(statistics.current_usage == 0);
    CHECK(statistics.peak_usage >= 1);
    // the capacity, before a growing one shrank
    CHECK(statistics.peak_usage <= (is_local<Pool> ? 100 * (workers + 1) : 100));
  };
  if constexpr (requires { pool.total_statistics(); }) check_totals(pool.total_statistics());
  else if constexpr (requires { pool.statistics(); }) check_totals(pool.statistics());
}

/// All slots are there, each once.
template <bool recycles = false, class Pool> void fill(Pool& pool, std::size_t slots) {
  std::vector<typename Pool::handle_type> handles;
  for (;;) {
    typename Pool::handle_type handle;
    if constexpr (recycles) handle = pool.try_allocate();
    else handle = pool.try_allocate(std::uint64_t{1});
    if (!handle) break;
    handles.push_back(std::move(handle));
  }
  CHECK(handles.size() == slots);
}

}  // namespace

// 60 slots are less than the threads and the mailbox can hold, so each pool is also found full.
TEMPLATE_TEST_CASE("stress: fixed capacity", "", ThreadSafePool<Payload>, (ThreadSafePool<Payload, NoChecks>),
                   (ThreadSafePool<Payload, NoChecks, AtomicStats>), (ThreadSafePool<Payload, NoCache, AtomicStats>),
                   (ThreadSafePool<Payload, NoCache, SpinLock, NoChecks>),
                   (ThreadSafePool<Payload, NoCache, MutexLock, NoChecks, AtomicStats>),
                   (ThreadSafePool<Payload, LockFree>), (ThreadSafePool<Payload, LockFree, NoChecks, AtomicStats>),
                   (ThreadSafePool<Payload, FullChecks, AtomicStats>),
                   (ThreadSafePool<Payload, FreeListAllocator, NoChecks, AtomicStats, CompactHandles>),
                   (ThreadSafePool<Payload, BitmapAllocator, NoChecks, AtomicStats>),
                   (ThreadSafePool<Payload, ThreadCache<2>, SpinLock, NoChecks, AtomicStats>),
                   (FixedPool<Payload, AdaptiveLock, NoChecks>), (FixedPool<Payload, LockFree>)) {
  TestType pool(60);
  stress(pool);
  CHECK(Payload::lives() == 0);
  fill(pool, 60);
}

TEMPLATE_TEST_CASE("stress: inline storage, first used by all threads at once", "",
                   (ThreadSafePool<Payload, InlineStorage<100>>),
                   (ThreadSafePool<Payload, InlineStorage<100>, NoChecks, LockFree>),
                   (ThreadSafePool<Payload, InlineStorage<100>, NoChecks, NoCache, AtomicStats>)) {
  for (int round = 0; round != 50; ++round) {
    TestType pool;
    std::barrier start(workers);
    std::atomic<std::size_t> sum{0};
    test::run(workers, [&](std::size_t) {
      std::vector<typename TestType::handle_type> handles;
      start.arrive_and_wait();
      while (auto handle = pool.try_allocate(std::uint64_t{1})) handles.push_back(std::move(handle));
      sum += handles.size();
      start.arrive_and_wait();
    });
    REQUIRE(sum == 100);
    REQUIRE(pool.allocated() == 0);
  }
  TestType pool;
  stress(pool);
  fill(pool, 100);
}

TEMPLATE_TEST_CASE("stress: growing, shrinking and trimming meanwhile", "",
                   (ThreadSafePool<Payload, NoChecks, AtomicStats>), (ThreadSafePool<Payload, FullChecks>),
                   (ThreadSafePool<Payload, NoCache, AtomicStats>),
                   (ThreadSafePool<Payload, BitmapAllocator, NoChecks, AtomicStats>),
                   (ThreadSafePool<Payload, FreeListAllocator, NoChecks, AtomicStats>),
                   (GrowingPool<Payload, AdaptiveLock, CompactHandles>), (GrowingPool<Payload, MutexLock, NoChecks>)) {
  TestType pool(PoolConfig{.capacity = 8, .max_capacity = 60, .growth_strategy = GrowthStrategy::linear(8)});
  stress(pool);
  CHECK(Payload::lives() == 0);
  CHECK(pool.capacity() <= 60);
  fill(pool, 60);
  pool.shrink_to_fit();
  CHECK(pool.capacity() <= 8);
}

namespace {
template <class... Ps, class Init, class Reset> auto recycling_pool(Init init, Reset reset) {
  return ThreadSafePool<Payload, Recycle<Init, Reset>, Ps...>(PoolConfig{.capacity = 60}, recycle(init, reset));
}
}  // namespace

TEST_CASE("stress: recycled objects") {
  auto const init = [] { return Payload(5); };
  auto const reset = [](Payload& object) {
    object.verify();
    return object.index() % 16 != 0;  // some are destroyed and built anew
  };
  SECTION("cached") {
    auto pool = recycling_pool<NoChecks, AtomicStats>(init, reset);
    stress<true>(pool);
    fill<true>(pool, 60);
  }
  SECTION("without a cache") {
    auto pool = recycling_pool<NoCache>(init, reset);
    stress<true>(pool);
    fill<true>(pool, 60);
  }
  SECTION("lock free") {
    auto pool = recycling_pool<LockFree, AtomicStats>(init, reset);
    stress<true>(pool);
    fill<true>(pool, 60);
  }
  CHECK(Payload::lives() == 0);
}

TEMPLATE_TEST_CASE("stress: a sub-pool for each thread", "", ThreadLocalPool<Payload>,
                   (ThreadLocalPool<Payload, NoChecks, AtomicStats, CompactHandles>),
                   (ThreadLocalPool<Payload, FullChecks>),
                   (ThreadLocalPool<Payload, FreeListAllocator, NoChecks, AtomicStats>),
                   (ThreadLocalPool<Payload, BitmapAllocator, AtomicStats>)) {
  TestType pool(10);  // fewer than a thread may hold
  stress(pool);
  CHECK(Payload::lives() == 0);
  fill(pool, 10);
}

TEST_CASE("stress: a sub-pool for each thread, which grows and shrinks") {
  ThreadLocalPool<Payload, NoChecks, AtomicStats> pool(
      PoolConfig{.capacity = 4, .max_capacity = 10, .growth_strategy = GrowthStrategy::linear(3)});
  stress(pool);
  CHECK(Payload::lives() == 0);
  fill(pool, 10);
}

#if FASTALLOC_EXCEPTIONS && defined(__unix__)
namespace {

/// A storage whose memory is slots of a pool of threads.
struct Chunk {
  explicit Chunk() noexcept {}  // not cleared
  alignas(64) std::byte bytes[8 * 1024];
};
struct ChunkStorage {
  static constexpr bool can_grow = true;
  ThreadSafePool<Chunk>* pool = nullptr;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > sizeof(Chunk) || alignment > alignof(Chunk)) return nullptr;
    return pool->try_allocate().release();
  }
  void release(void* block, std::size_t, std::size_t) noexcept { (void)pool->adopt(static_cast<Chunk*>(block)); }
};
using NestedPool = ThreadSafePool<Payload, ChunkStorage, AtomicStats>;

/// Throws now and then.
struct BrokenClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BrokenClock>;
  static inline std::atomic<int> calls{0};
  static time_point now() {
    if (calls.fetch_add(1) % 3 == 2) throw 1;
    return time_point(std::chrono::steady_clock::now().time_since_epoch());
  }
};

NestedPool* used_by_key = nullptr;
extern "C" void use_by_key(void*) {
  for (std::uint64_t i = 0; i != 20; ++i) auto const handle = used_by_key->try_allocate(i);
}

}  // namespace

// A pool whose memory is another pool's is used by threads that come and go, in the destructors of pthread keys too;
// some wait by a clock that throws, some are cancelled while they wait, some fork.
TEST_CASE("stress: nested pools, keys, clocks that throw, cancellation and forks") {
  ThreadSafePool<Chunk> chunks(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::linear(3)});
  NestedPool pool(PoolConfig{.capacity = 4, .max_capacity = 24, .growth_strategy = GrowthStrategy::linear(4)},
                  ChunkStorage{&chunks});
  used_by_key = &pool;
  ::pthread_key_t key{};
  REQUIRE(::pthread_key_create(&key, &use_by_key) == 0);
  [[maybe_unused]] auto const use_in_child = [&] {
    ::pid_t const child = ::fork();
    if (child == 0) {
      ::alarm(60);
      ::_exit(pool.allocated() <= 24 && chunks.allocated() <= chunks.capacity() && chunks.try_allocate() ? 0 : 1);
    }
    int status = 1;
    faults().expect(child > 0 && ::waitpid(child, &status, 0) == child && status == 0, "a forked child uses the pools");
  };
  std::atomic<bool> stop{false};
  test::run(6, [&](std::size_t me) {
    if (me == 5) {  // the clockwork
      test::Stopwatch const watch;
      for (int round = 0; watch.time() < test::slice(); ++round) {
        std::thread([&] { (void)::pthread_setspecific(key, &pool); }).join();
#if defined(__linux__) && !FASTALLOC_TSAN && !FASTALLOC_ASAN
        std::thread waiting([&] { (void)pool.allocate_for(std::chrono::hours(1), std::uint64_t{1}); });
        ::usleep(static_cast<::useconds_t>(round % 50));
        faults().expect(::pthread_cancel(waiting.native_handle()) == 0, "a thread can be cancelled");
        waiting.join();
#endif
#if !FASTALLOC_TSAN
        if (round % 10 == 0) use_in_child();
#endif
        chunks.trim();
      }
      stop = true;
      return;
    }
    std::vector<NestedPool::handle_type> handles;
    for (std::uint64_t i = 0; !stop; ++i) {
      if (handles.size() != 6) {
        if (auto handle = pool.try_allocate(i)) handles.push_back(std::move(handle));
      }
      if (i % 7 == me) handles.clear();
      if (i % 64 == me) pool.shrink_to_fit(), chunks.shrink_to_fit();
      if (i % 16 == me) {
        try {
          if (auto handle =
                  pool.allocate_until(BrokenClock::time_point(std::chrono::steady_clock::now().time_since_epoch() +
                                                              std::chrono::microseconds(50)),
                                      i))
            handles.push_back(std::move(handle));
        } catch (int) {}
        if (handles.size() > 6) handles.pop_back();
      }
    }
  });
  ::pthread_key_delete(key);
  CHECK(faults().first() == "");
  CHECK(pool.check_invariants());
  CHECK(pool.allocated() == 0);
  CHECK(Payload::lives() == 0);
  fill(pool, 24);
  pool.shrink_to_fit();
  CHECK(pool.capacity() <= 4);
  CHECK(chunks.allocated() <= 2);
}
#endif
