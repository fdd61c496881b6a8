// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools and threads in great numbers, pools whose memory comes from pools, threads that use a pool when nearly all of
// them is gone, and what runs in the middle of a fork.
#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "concurrency/threads.hpp"

#if defined(__unix__)
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace fastalloc;
using namespace std::chrono_literals;
using test::faults;

namespace {

/// Counts how often it is taken.
class CountingLock {
 public:
  static constexpr bool is_thread_safe = true;
  void lock() noexcept { lock_.lock(), taken.fetch_add(1, std::memory_order_relaxed); }
  void unlock() noexcept { lock_.unlock(); }
  static inline std::atomic<std::size_t> taken{0};

 private:
  AdaptiveLock lock_;
};

template <class Pool> std::size_t count_free(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  while (auto handle = pool.try_allocate()) handles.push_back(std::move(handle));
  return handles.size();
}

}  // namespace

// A thread finds its cache of each pool at once: no lock is taken however many pools are used in turn.
TEST_CASE("many: pools used in turn take no lock once their caches are there") {
  using Pool = ThreadSafePool<long, CountingLock, NoChecks>;
  std::deque<Pool> pools;
  for (int i = 0; i != 600; ++i) pools.emplace_back(100);
  auto const in_turn = [&](int rounds) {
    for (int round = 0; round != rounds; ++round)
      for (Pool& pool : pools) (void)pool.allocate();
  };
  auto const check = [&] {
    in_turn(20);  // every thread gets its caches
    std::size_t const before = CountingLock::taken;
    in_turn(100);
    return CountingLock::taken - before;
  };
  CHECK(check() == 0);
  std::atomic<std::size_t> others{0};
  std::thread([&] { others = check(); }).join();
  CHECK(others == 0);
}

namespace {
/// Room for pools at addresses of which the parts have one first entry in each small table.
template <class Pool> class Colliding {
 public:
  static constexpr std::size_t most = 12;

  Colliding() {
    // Where a pool has its parts is found from the entry of one.
    Pool& first = make(0);
    for (int i = 0; i != 20; ++i) (void)first.try_allocate();
    auto const& table = detail::this_thread().record->table;
    std::size_t hash = 0;
    for (std::size_t i = 0; i != table.size(); ++i) {
      auto const* const parts = table.entries[i].pool.load();
      auto const at = reinterpret_cast<std::byte const*>(parts) - reinterpret_cast<std::byte*>(&first);
      if (parts == nullptr || at < 0 || static_cast<std::size_t>(at) >= sizeof(Pool)) continue;
      offset_ = at;
      hash = detail::PartTable::hash(parts);
    }
    REQUIRE(offset_ >= 0);
    first.~Pool();
    std::size_t last = 0;
    for (std::size_t byte = alignof(Pool); byte + sizeof(Pool) <= memory_.size() && places_.size() != most;
         byte += alignof(Pool)) {
      auto const* const parts = reinterpret_cast<detail::ThreadParts const*>(base() + byte + offset_);
      if (((detail::PartTable::hash(parts) ^ hash) & (255 * sizeof(detail::PartEntry))) != 0 || byte < last) continue;
      places_.push_back(byte);
      last = byte + sizeof(Pool);
    }
    REQUIRE(places_.size() == most);
  }
  Pool& make(std::size_t at) { return *::new (base() + (places_.empty() ? 0 : places_[at])) Pool(100); }
  Pool& operator[](std::size_t at) { return *std::launder(reinterpret_cast<Pool*>(base() + places_[at])); }

 private:
  std::byte* base() {
    auto const address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return memory_.data() + (alignof(Pool) - address % alignof(Pool)) % alignof(Pool);
  }
  std::vector<std::byte> memory_ = std::vector<std::byte>(std::size_t{4} << 20);
  std::vector<std::size_t> places_;
  std::ptrdiff_t offset_ = -1;
};
}  // namespace

TEMPLATE_TEST_CASE("many: pools at addresses that collide in the threads' tables", "",
                   (ThreadSafePool<long, CountingLock, NoChecks>), ThreadLocalPool<long>) {
  std::thread([] {  // which has no other pools
    Colliding<TestType> pools;
    constexpr std::size_t n = Colliding<TestType>::most;
    auto const use = [&](std::size_t at, int times) {
      for (int i = 0; i != times; ++i)
        faults().expect(static_cast<bool>(pools[at].try_allocate()), "a pool has no slots");
    };
    auto const use_without_lock = [&](bool (*is_there)(std::size_t)) {
      for (std::size_t at = 0; at != n; ++at)
        if (is_there(at)) use(at, 20);
      std::size_t const before = CountingLock::taken;
      for (int round = 0; round != 10; ++round)
        for (std::size_t at = 0; at != n; ++at)
          if (is_there(at)) use(at, 1);
      faults().expect(CountingLock::taken == before, "a pool beside its first entry takes its lock");
    };
    for (std::size_t at = 0; at != n; ++at) pools.make(at);
    use_without_lock([](std::size_t) { return true; });
    // Every other pool ends: the others are found behind their entries.
    for (std::size_t at = 0; at < n; at += 2) std::destroy_at(&pools[at]);
    use_without_lock([](std::size_t at) { return at % 2 == 1; });
    // New pools at these addresses have no part of an old one, whichever thread made them end.
    for (int round = 0; round != 3; ++round) {
      for (std::size_t at = 0; at < n; at += 2) pools.make(at);
      use_without_lock([](std::size_t) { return true; });
      std::thread([&] {
        for (std::size_t at = 0; at < n; at += 2) std::destroy_at(&pools[at]);
      }).join();
      use_without_lock([](std::size_t at) { return at % 2 == 1; });
    }
    for (std::size_t at = 1; at < n; at += 2) {
      faults().expect(pools[at].allocated() == 0, "a slot is lost");
      std::destroy_at(&pools[at]);
    }
    auto const& table = detail::this_thread().record->table;
    for (std::size_t i = 0; i != table.size(); ++i)
      faults().expect(table.entries[i].pool == nullptr, "an entry of a pool that has ended");
  })
      .join();
  test::check_faults();
}

TEST_CASE("many: a thread that uses one pool after another keeps its small table") {
  std::thread([] {
    for (int i = 0; i != 1000; ++i) {
      auto const pool = std::make_unique<ThreadSafePool<long>>(std::size_t{10});
      auto const other = std::make_unique<ThreadLocalPool<long>>(std::size_t{10});
      for (int use = 0; use != 20; ++use) (void)pool->allocate(), (void)other->allocate();
    }
    faults().expect(detail::this_thread().record->table.size() <= 64, "entries of pools that have ended stay");
  }).join();
  test::check_faults();
}

TEST_CASE("many: a thread that used many pools at a time, and then one after another at ever new addresses") {
  using Pool = ThreadLocalPool<char>;
  std::thread([] {
    {
      std::deque<Pool> pools;
      for (int i = 0; i != 40; ++i) (void)pools.emplace_back(1).allocate();
    }
    auto const& record = *detail::this_thread().record;
    faults().expect(record.table.size() > 64, "there was no large table");
    Pool stays(1);
    (void)stays.allocate();
    std::vector<std::byte> arena(std::size_t{1} << 20);
    test::Random random(7);
    for (int i = 0; i != 20'000; ++i) {
      void* at = arena.data() + random(arena.size() - 2 * sizeof(Pool));
      std::size_t room = 2 * sizeof(Pool);
      auto* const pool = ::new (std::align(alignof(Pool), sizeof(Pool), at, room)) Pool(1);
      (void)pool->allocate();
      pool->~Pool();
    }
    faults().expect(record.used <= detail::PartTable::limit(record.table.size()),
                    "entries of pools that have ended fill the table");
    faults().expect(stays.sub_pools() == 1, "a pool was lost");
  }).join();
  test::check_faults();
}

// The worst of many distances for a hash by a product; and powers of two.
TEST_CASE("many: pools at equal distances are found near their first entries") {
  using Pool = ThreadLocalPool<char>;
  for (std::size_t const distance : {1344U, 2688U, 4096U, 21440U, 24128U, 42880U, 65536U, 171584U})
    std::thread([distance] {
      std::size_t const n = (std::size_t{16} << 20) / distance < 256 ? (std::size_t{16} << 20) / distance : 256;
      std::vector<std::byte> arena((n + 1) * distance);
      auto* const base =
          arena.data() + (alignof(Pool) - reinterpret_cast<std::uintptr_t>(arena.data()) % alignof(Pool));
      std::vector<Pool*> pools;
      for (std::size_t i = 0; i != n; ++i) pools.push_back(::new (base + i * distance) Pool(1));
      for (Pool* pool : pools) (void)pool->allocate();
      auto const& table = detail::this_thread().record->table;
      std::size_t steps = 0;
      for (std::size_t i = 0; i != table.size(); ++i) {
        auto const* const pool = table.entries[i].pool.load();
        if (pool == nullptr) continue;
        for (auto* entry = &table.first(pool); entry->pool != pool; entry = &table.next(*entry)) ++steps;
      }
      faults().expect(table.live() == n, "a pool has no sub-pool");
      faults().expect(steps < 2 * n, "pools are far from their first entries");
      for (Pool* pool : pools) pool->~Pool();
    }).join();
  test::check_faults();
}

// Addresses are used again; a table must not lead to the pool that was there before.
TEST_CASE("many: beside threads that keep few slots a thread may keep more than its share") {
  constexpr std::size_t idle = 200, held = 100;
  ThreadSafePool<long, CountingLock, NoChecks> pool(8192);  // 20 slots a thread, if each had the same
  std::barrier barrier(idle + 1);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i != idle; ++i)
    threads.emplace_back([&] {
      for (int use = 0; use != 20; ++use) (void)pool.allocate();
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    });
  barrier.arrive_and_wait();
  std::vector<decltype(pool)::handle_type> handles;
  handles.reserve(held);
  auto const take_and_return = [&](int rounds) {
    for (int round = 0; round != rounds; ++round) {
      for (std::size_t i = 0; i != held; ++i) handles.push_back(pool.allocate());
      handles.clear();
    }
  };
  take_and_return(30);
  std::size_t const before = CountingLock::taken;
  take_and_return(100);
  CHECK(CountingLock::taken == before);
  handles.clear();
  barrier.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  CHECK(count_free(pool) == 8192);
}

TEST_CASE("many: pools come and go, in any order, while threads stay") {
  using Pool = ThreadSafePool<test::Payload>;
  constexpr std::size_t n = 40;
  std::vector<std::optional<Pool>> pools(n);
  std::barrier barrier(3);
  constexpr int rounds = 50;
  auto const use = [&] {
    for (auto& pool : pools)
      if (pool.has_value())
        for (std::uint64_t i = 0; i != 20; ++i) (void)pool->try_allocate(i);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t != 2; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round != rounds; ++round) {
        barrier.arrive_and_wait();
        use();
        barrier.arrive_and_wait();
      }
    });
  test::Random random(7);
  for (int round = 0; round != rounds; ++round) {
    for (auto& pool : pools)
      if (random(2) == 0) pool.has_value() ? pool.reset() : void(pool.emplace(8));
    barrier.arrive_and_wait();
    use();
    barrier.arrive_and_wait();
    for (auto& pool : pools)
      if (pool.has_value()) CHECK(pool->allocated() == 0);
  }
  for (auto& thread : threads) thread.join();
  test::check_faults();
}

TEST_CASE("many: threads end while the pools end that they used") {
  using Pool = ThreadSafePool<long, ThreadCache<2>>;
  for (int round = 0; round != 100; ++round) {
    std::vector<std::unique_ptr<Pool>> pools;
    for (int i = 0; i != 8; ++i) pools.push_back(std::make_unique<Pool>(8));
    std::barrier barrier(3);
    std::vector<std::thread> threads;
    for (int t = 0; t != 2; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i != 10; ++i)
          for (auto& pool : pools) (void)pool->try_allocate();
        barrier.arrive_and_wait();
      });
    barrier.arrive_and_wait();  // the threads use no pool any more, and end while these do
    pools.clear();
    for (auto& thread : threads) thread.join();
  }
}

// What a thread had of a pool serves the next thread: memory is that of the threads that were there at once.
TEST_CASE("many: threads that follow each other") {
  ThreadSafePool<long, AtomicStats> pool(64);
  for (std::size_t round = 1; round != 200; ++round) {
    std::thread([&] {
      for (int i = 0; i != 20; ++i) (void)pool.allocate();
    }).join();
    REQUIRE(pool.statistics().total_allocations == 20 * round);
  }
  CHECK(pool.allocated() == 0);
  CHECK(count_free(pool) == 64);
}

TEST_CASE("many: each new thread of a ThreadLocalPool has the whole capacity, whatever those that ended left behind") {
  ThreadLocalPool<int> pool(10);
  std::vector<ThreadLocalPool<int>::handle_type> kept;
  std::thread([&] {
    auto const own = pool.allocate(1);
    std::thread([&] {
      for (int i = 0; i != 10; ++i) kept.push_back(pool.allocate(i));
    }).join();
  }).join();
  for (int round = 0; round != 3; ++round) {
    std::size_t had = 0;
    std::thread([&] { had = count_free(pool); }).join();
    CHECK(had == 10);
  }
  std::size_t const before = pool.sub_pools();
  CHECK(before <= 3);
  kept.clear();
  std::thread([&] { (void)pool.allocate(1); }).join();
  CHECK(pool.sub_pools() == before);
}

TEST_CASE("many: threads that follow each other, each leaving an object behind for a while, share few sub-pools") {
  ThreadLocalPool<int> pool(10);
  std::deque<ThreadLocalPool<int>::handle_type> kept;
  for (int i = 0; i != 300; ++i) {
    std::thread([&] { kept.push_back(pool.allocate(i)); }).join();
    if (kept.size() > 20) kept.pop_front();
  }
  CHECK(pool.sub_pools() < 40);
}

// An entry may be that of another pool, whose part is freed meanwhile. For TSan.
TEST_CASE("many: a thread asks one pool while another one ends that it used") {
  using Pool = ThreadSafePool<long>;
  auto const use = [](Pool& pool) {
    for (int i = 0; i != 10; ++i) (void)pool.allocate();
  };
  std::deque<Pool> others;
  std::deque<std::optional<Pool>> ending(16);
  for (auto& pool : ending) use(pool.emplace(10));
  for (int i = 0; i != 16; ++i) use(others.emplace_back(10));
  std::deque<ThreadLocalPool<long>> asked;
  for (int i = 0; i != 16; ++i) (void)asked.emplace_back(10).allocate();
  std::atomic<bool> used{false}, gone{false};
  std::thread thread([&] {
    for (auto& pool : ending) use(*pool);
    used = true;
    do
      for (auto& pool : asked) faults().expect(pool.allocated() == 0, "a thread has the part of another one");
    while (!gone.load(std::memory_order_relaxed));
  });
  while (!used) std::this_thread::yield();
  for (auto& pool : ending) pool.reset();
  gone = true;
  thread.join();
  test::check_faults();
}

// No lock of one pool is held while another one's memory comes and goes.
TEST_CASE("many: a resource whose upstream is a resource, at the first use by several threads") {
  for (int round = 0; round != 100; ++round) {
    SynchronizedPoolResource inner;
    SynchronizedPoolResource outer(PoolResourceOptions{.initial_slots = 1}, &inner);
    test::run(4, [&](std::size_t t) {
      std::vector<void*> blocks;
      for (int i = 0; i != 30; ++i) {
        blocks.push_back(outer.allocate(48));
        blocks.push_back(inner.allocate(48 + 16 * t));
      }
      for (std::size_t i = 0; i != blocks.size(); ++i)
        i % 2 == 0 ? outer.deallocate(blocks[i], 48) : inner.deallocate(blocks[i], 48 + 16 * t);
    });
    CHECK(outer.bytes_in_use() == 0);
  }
}

namespace {
/// Sees whether any pool is in the registry.
class LookingLock {
 public:
  static constexpr bool is_thread_safe = true;
  void lock() noexcept { sees_pools = sees_pools || detail::registry.pools != nullptr; }
  void unlock() noexcept {}
  static inline bool sees_pools = false;
};
}  // namespace

TEST_CASE("many: a pool that no thread used never meets the registry") {
  {
    ThreadSafePool<long, LookingLock> pool(10);
    ThreadLocalPool<long> local(10);
    CHECK(detail::registry.pools == nullptr);
  }
  { ThreadSafePool<long, LookingLock, InlineStorage<10>> pool; }
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS((ThreadSafePool<long, LookingLock>(0)), InvalidConfiguration);
#endif
  CHECK_FALSE(LookingLock::sees_pools);
  {
    ThreadSafePool<long, LookingLock> pool(10);
    (void)pool.allocate();
    CHECK(detail::registry.pools != nullptr);
  }
  CHECK(detail::registry.pools == nullptr);
}

#if defined(__unix__)  // elsewhere a thread may need memory for its first use
TEST_CASE("many: a thread that uses pools a few times has no record, one that uses them often has its caches") {
  using Pool = ThreadSafePool<long>;
  std::deque<Pool> pools;
  for (int i = 0; i != 20; ++i) pools.emplace_back(100);
  auto const use = [&](int uses, std::size_t used, std::size_t caches) {
    std::thread([&] {
      for (int i = 0; i != uses; ++i)
        for (std::size_t pool = 0; pool != used; ++pool) (void)pools[pool].allocate();
      auto const& record = *detail::this_thread().record;
      faults().expect((&record != &detail::no_record) == (caches != 0), "a record without need, or none");
      std::size_t found = 0;
      for (std::size_t i = 0; i != record.table.size(); ++i) found += record.table.entries[i].pool != nullptr ? 1 : 0;
      faults().expect(found == caches, "not as many caches as there should be");
    }).join();
  };
  use(3, 16, 0);
  use(4, 1, 1);  // the eighth operation
  use(4, 16, 16);
  use(4, 20, 20);  // more pools than a thread counts without a record
  for (auto& pool : pools) CHECK(count_free(pool) == 100);
  test::check_faults();
}

TEST_CASE("many: a thread's first use of a pool in the destructor of a pthread key") {
  using Pool = ThreadSafePool<long>;
  using Local = ThreadLocalPool<long>;
  struct Late {
    Pool& pool;
    Local& local;
    Pool::handle_type handle;
  };
  ::pthread_key_t key{};
  REQUIRE(::pthread_key_create(&key, [](void* value) {
            auto* const late = static_cast<Late*>(value);
            for (int i = 0; i != 20; ++i) {
              faults().expect(static_cast<bool>(late->pool.try_allocate()), "a pool refused a thread at its end");
              faults().expect(static_cast<bool>(late->local.try_allocate()),
                              "a ThreadLocalPool refused a thread at its end");
            }
            delete late;
          }) == 0);
  for (int round = 0; round != 20; ++round) {
    Pool pool(10);
    Local local(10);
    std::thread([&] { (void)::pthread_setspecific(key, new Late{pool, local, {}}); }).join();
    std::thread([&] {  // one that used it before, too
      ::pthread_setspecific(key, new Late{pool, local, pool.allocate()});
      for (int i = 0; i != 20; ++i) (void)pool.try_allocate();
    })
        .join();
    CHECK(pool.allocated() == 0);
    CHECK(count_free(pool) == 10);
  }
  CHECK(::pthread_key_delete(key) == 0);
  test::check_faults();
}

#if !FASTALLOC_TSAN
namespace fork_handlers {
std::optional<ThreadSafePool<long>> pool;
std::optional<ThreadLocalPool<long>> local;
bool used[3] = {};
std::function<void()> before_fork;  ///< instead

template <int which> void use() noexcept {
  if (which == 0 && before_fork) return before_fork();
  if (!pool.has_value()) return;
  ThreadSafePool<long> fresh(10);  // one that is not there before the fork
  std::vector<ThreadSafePool<long>::handle_type> handles;
  for (int i = 0; i != 50; ++i) handles.push_back(pool->try_allocate());  // grows
  for (int i = 0; i != 10; ++i) handles.push_back(fresh.try_allocate());
  for (auto const& handle : handles) faults().expect(static_cast<bool>(handle), "a fork handler was refused");
  std::vector<ThreadLocalPool<long>::handle_type> more;
  for (int i = 0; i != 50; ++i) more.push_back(local->try_allocate());
  used[which] = true;
}
/// Before any pool is there: these handlers run while the pools' own have taken all locks.
[[maybe_unused]] int const registered = ::pthread_atfork(&use<0>, &use<1>, &use<2>);
}  // namespace fork_handlers

TEST_CASE("many: fork handlers that others registered may use pools") {
  PoolConfig const grows{.capacity = 16, .growth_strategy = GrowthStrategy::exponential(2.0)};
  fork_handlers::pool.emplace(grows);
  fork_handlers::local.emplace(PoolConfig{.capacity = 64});
  (void)fork_handlers::pool->allocate();
  ::pid_t const child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(fork_handlers::used[2] && fork_handlers::pool->allocated() == 0 && fork_handlers::pool->try_allocate() &&
                    faults().count() == 0
                ? 0
                : 1);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK((fork_handlers::used[0] && fork_handlers::used[1]));
  CHECK(fork_handlers::pool->allocated() == 0);
  fork_handlers::pool.reset();
  fork_handlers::local.reset();
  test::check_faults();
}

// The thread that forks has all locks, and the thread that ends needs them.
TEMPLATE_TEST_CASE("many: a fork handler destroys a pool which a thread is just leaving", "", ThreadSafePool<long>,
                   (ThreadSafePool<long, MutexLock>), ThreadLocalPool<long>) {
  std::optional<TestType> pool(std::in_place, 32);
  std::barrier used(3), done(2);
  std::atomic<bool> ends{false};
  test::Asleep asleep;
  std::thread ending([&] {
    for (int i = 0; i != 20; ++i) (void)pool->allocate();
    used.arrive_and_wait();
    while (!ends) std::this_thread::sleep_for(1ms);
    asleep.begin();
  });
  std::thread staying([&] {
    for (int i = 0; i != 20; ++i) (void)pool->allocate();
    used.arrive_and_wait();
    done.arrive_and_wait();
    ThreadSafePool<long> other(32);
    for (int i = 0; i != 20; ++i) (void)other.allocate();
  });
  used.arrive_and_wait();
  fork_handlers::before_fork = [&] {
    ends = true;
    asleep.wait();
    ::alarm(20);  // for the parent, too, which would hang here
    pool.reset();
    ::alarm(0);
  };
  ::pid_t const child = ::fork();
  if (child == 0) {
    ::alarm(20);
    TestType fresh(32);
    bool well = false;
    std::thread([&] { well = fresh.allocate() != nullptr; }).join();
    ::_exit(well ? 0 : 1);
  }
  fork_handlers::before_fork = nullptr;
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  done.arrive_and_wait();
  ending.join(), staying.join();
}
#endif
#endif
