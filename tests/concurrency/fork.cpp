// SPDX-License-Identifier: MIT OR Apache-2.0
// After fork() the child has the pool as it was, without the other threads: nothing is locked, and what they did not
// use is free.
#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/fastalloc.hpp>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <new>
#include <optional>
#include <utility>

#include "concurrency/threads.hpp"

#if FASTALLOC_TSAN  // knows no fork of a process with threads
TEST_CASE("fork: not under ThreadSanitizer") { SUCCEED(); }
#else

using namespace fastalloc;
using test::Payload;

#define FORKED_POOLS(T)                                                                         \
  ThreadSafePool<T>, (ThreadSafePool<T, NoChecks>), (ThreadSafePool<T, NoChecks, MutexLock>),   \
      (ThreadSafePool<T, ThreadCache<8>, SpinLock, AtomicStats>), (ThreadSafePool<T, NoCache>), \
      (ThreadSafePool<T, NoCache, MutexLock, NoChecks>), (ThreadSafePool<T, LockFree>),         \
      (ThreadSafePool<T, LockFree, NoChecks>)

// Blocks of the heap in use, by all threads. Counted in this program only.
static std::atomic<long> heap_blocks{0};
[[gnu::noinline]] static void* counted(void* block) {
  if (block == nullptr) std::abort();
  ++heap_blocks;
  return block;
}
[[gnu::noinline]] static void uncounted(void* block) noexcept {
  if (block != nullptr) --heap_blocks;
  std::free(block);
}
void* operator new(std::size_t bytes) { return counted(std::malloc(bytes == 0 ? 1 : bytes)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  auto const unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
}
// All forms: AddressSanitizer has its own for those that a program does not replace.
void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept { return ::operator new(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment, std::nothrow_t const&) noexcept {
  return ::operator new(bytes, alignment);
}
void operator delete(void* block) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t) noexcept { uncounted(block); }
void operator delete(void* block, std::align_val_t) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { uncounted(block); }

namespace {

enum class Ending { well, hung, wrong };

/// Runs f in a forked process, for a minute at most. f returns whether all was well.
template <class F> Ending in_child(F&& f) {
  std::fflush(nullptr);
  ::pid_t const child = ::fork();
  if (child == 0) {
    for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM}) std::signal(signal, SIG_DFL);  // Catch2's handlers
    ::alarm(60);  // for a child that hangs; one on a busy machine has time
    ::_exit(f() ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return Ending::wrong;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return Ending::hung;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Ending::well : Ending::wrong;
}

/// Takes until refused.
template <class Pool> auto take_all(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  while (auto handle = pool.try_allocate(std::uint64_t{1})) handles.push_back(std::move(handle));
  return handles;
}

}  // namespace

TEMPLATE_TEST_CASE("fork: threads that sleep leave their caches to the child, which gets the capacity exactly", "",
                   FORKED_POOLS(Payload)) {
  TestType pool(100);
  std::barrier barrier(3);
  std::thread threads[2];
  for (auto& thread : threads)
    thread = std::thread([&] {
      { auto const all = take_all(pool); }
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    });
  barrier.arrive_and_wait();
  auto const mine = pool.allocate(std::uint64_t{5});
  for (int round = 0; round != 5; ++round) {
    Ending const ending = in_child([&] {
      for (int again = 0; again != 3; ++again) {
        auto const all = take_all(pool);
        if (all.size() != 99 || !pool.is_full() || mine->index() != 5) return false;
      }
      return pool.allocated() == 1 && pool.check_invariants();
    });
    CHECK(ending == Ending::well);
  }
  barrier.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  CHECK(take_all(pool).size() == 99);
}

namespace {

/// A thread whose stack, and what is thread_local there, lie in memory of the test's.
class OnStack {
 public:
  OnStack() = default;
  OnStack(OnStack const&) = delete;
  OnStack& operator=(OnStack const&) = delete;
  ~OnStack() { ::munmap(memory_, bytes); }

  void start(std::function<void()> f) {
    f_ = std::move(f);
    memory_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    bool const well = memory_ != MAP_FAILED && ::pthread_attr_setstack(&attributes, memory_, bytes) == 0 &&
                      ::pthread_create(
                          &thread_, &attributes,
                          [](void* self) -> void* { return static_cast<OnStack*>(self)->f_(), nullptr; }, this) == 0;
    ::pthread_attr_destroy(&attributes);
    if (!well) std::abort();
  }
  void join() { ::pthread_join(thread_, nullptr); }
  /// For a child, where the thread is not: whatever still refers to it finds no address here.
  void overwrite() {
#if !FASTALLOC_ASAN  // which keeps account of that memory
    std::fill_n(static_cast<std::byte*>(memory_), bytes, std::byte{0xA5});
#endif
  }

 private:
  static constexpr std::size_t bytes = std::size_t{1} << 20;
  void* memory_ = MAP_FAILED;
  ::pthread_t thread_{};
  std::function<void()> f_;
};

template <class Pool> constexpr bool is_local = false;
template <class T, class... Ps> constexpr bool is_local<ThreadLocalPool<T, Ps...>> = true;

}  // namespace

TEMPLATE_TEST_CASE("fork: the child forgets the threads that are not there, and keeps no memory of theirs", "",
                   FORKED_POOLS(Payload), ThreadLocalPool<Payload>, (ThreadLocalPool<Payload, NoChecks>)) {
  constexpr std::size_t n = 3;
  // What a process keeps for good, and uses again: a record for each thread that there was at a time, a number for each
  // pool.
  {
    TestType first(100);
    for (int i = 0; i != 20; ++i) (void)first.try_allocate(std::uint64_t{1});
    std::barrier all(n);
    test::run(n, [&](std::size_t) {
      for (int i = 0; i != 20; ++i) (void)first.try_allocate(std::uint64_t{1});
      all.arrive_and_wait();
    });
  }
  std::optional<TestType> pool;
  std::barrier barrier(n + 1);
  OnStack threads[n];
  for (auto& thread : threads)
    thread.start([&] {
      barrier.arrive_and_wait();
      {
        typename TestType::handle_type held[10];
        for (auto& handle : held) handle = pool->try_allocate(std::uint64_t{1});
        barrier.arrive_and_wait();  // so that each has some of its own
      }
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    });
  long const blocks = heap_blocks;
  pool.emplace(100);
  for (int i = 0; i != 3; ++i) barrier.arrive_and_wait();
  auto mine = pool->allocate(std::uint64_t{5});
  for (int round = 0; round != 3; ++round) {
    Ending const ending = in_child([&] {
      for (auto& thread : threads) thread.overwrite();
      for (int again = 0; again != 3; ++again)
        if (take_all(*pool).size() != 99) return false;
      std::thread([&] { (void)take_all(*pool); }).join();
      mine.reset();
      if (!pool->check_invariants()) return false;
      pool.reset();
      // sub-pools of the others may be in any state, and are left alone
      return is_local<TestType> || heap_blocks == blocks;
    });
    CHECK(ending == Ending::well);
  }
  barrier.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  mine.reset();
  pool.reset();
  CHECK(heap_blocks == blocks);
}

TEMPLATE_TEST_CASE("fork: while another thread iterates", "", FORKED_POOLS(Payload),
                   (ThreadSafePool<Payload, FreeListAllocator, NoChecks>),
                   (ThreadSafePool<Payload, BitmapAllocator, NoChecks>)) {
  TestType pool(100);
  std::vector<typename TestType::handle_type> mine;
  for (std::uint64_t i = 0; i != 3; ++i) mine.push_back(pool.allocate(i));
  std::barrier barrier(2);
  OnStack iterating;
  iterating.start([&] {
    bool first = true;
    pool.for_each([&](Payload&) {
      if (!std::exchange(first, false)) return;
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    });
  });
  barrier.arrive_and_wait();
  Ending const ending = in_child([&] {
    iterating.overwrite();
    for (int again = 0; again != 3; ++again) {
      if (take_all(pool).size() != 97) return false;
      std::size_t met = 0;
      pool.for_each([&](Payload&) { ++met; });
      if (met != 3) return false;
    }
    mine.pop_back();
    return pool.allocated() == 2 && pool.check_invariants();
  });
  CHECK(ending == Ending::well);
  barrier.arrive_and_wait();
  iterating.join();
}

// An iteration and a wait close all caches; that those who closed them are not there is no reason to take the lock for
// ever.
TEST_CASE("fork: caches work in the child, whatever other threads did") {
  ThreadSafePool<Payload, NoChecks, test::CountedLock> pool(100);
  auto const mine = pool.allocate(std::uint64_t{5});
  std::barrier barrier(3);
  std::thread iterating[2];
  for (auto& thread : iterating)
    thread = std::thread([&] {
      pool.for_each([&](Payload&) {
        barrier.arrive_and_wait();
        barrier.arrive_and_wait();
      });
    });
  barrier.arrive_and_wait();
  CHECK(in_child([&] { return test::caches_work(pool, std::uint64_t{1}); }) == Ending::well);
  barrier.arrive_and_wait();
  for (auto& thread : iterating) thread.join();
  CHECK(test::caches_work(pool, std::uint64_t{1}));
}

TEMPLATE_TEST_CASE("fork: while other threads hammer the pool", "", FORKED_POOLS(Payload)) {
  constexpr std::size_t n = 3;
  constexpr std::size_t most = 6;  // a thread holds
  constexpr std::size_t capacity = 60;
  TestType pool(capacity);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t me = 0; me != n; ++me)
    threads.emplace_back([&, me] {
      test::Random random(me + 1);
      std::vector<typename TestType::handle_type> held;
      while (!stop) {
        if (held.size() < most && random(2) == 0) {
          if (auto handle = pool.try_allocate(me)) held.push_back(std::move(handle));
        } else if (!held.empty()) {
          held.pop_back();
        }
        if (random(64) == 0) (void)pool.allocated();
        if (random(256) == 0) pool.trim();
      }
    });
  int hung = 0;
  int wrong = 0;
  std::size_t const forks = test::scaled(50, 500);
  for (std::size_t i = 0; i != forks && hung == 0; ++i) {
    Ending const ending = in_child([&] {
      std::size_t got = 0;
      for (int again = 0; again != 3; ++again) {
        auto const all = take_all(pool);
        if (all.size() > capacity || all.size() < capacity - n * (most + 1)) return false;
        if (again != 0 && all.size() != got) return false;
        got = all.size();
      }
      return true;
    });
    hung += ending == Ending::hung ? 1 : 0;
    wrong += ending == Ending::wrong ? 1 : 0;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(hung == 0);
  CHECK(wrong == 0);
  CHECK(pool.allocated() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("fork: while other threads take objects from the heap", "", (ThreadSafePool<int, HeapFallback>),
                   (ThreadSafePool<int, HeapFallback, NoCache, MutexLock>)) {
  TestType pool(1);
  auto const only = pool.allocate(1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int me = 0; me != 3; ++me)
    threads.emplace_back([&] {
      while (!stop) {
        std::vector<typename TestType::handle_type> held;
        while (held.size() != 100) held.push_back(pool.allocate(2));
      }
    });
  std::size_t well = 0;
  std::size_t const forks = test::scaled(100, 500);
  for (std::size_t i = 0; i != forks && well == i; ++i) {
    Ending const ending = in_child([&] { return pool.allocate(3) != nullptr && pool.heap_objects() < 400; });
    well += ending == Ending::well ? 1U : 0U;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(well == forks);
  CHECK(pool.heap_objects() == 0);
}

// The first use of a pool sets things up for the whole process, which takes a while.
TEST_CASE("fork: while threads use a pool for the first time") {
  using Pool = ThreadSafePool<Payload, ThreadCache<37>>;
  for (int round = 0; round != 10; ++round) {
    Ending const ending = in_child([&] {
      Pool pool(60);
      std::atomic<bool> stop{false};
      std::vector<std::thread> threads;
      for (std::uint64_t me = 0; me != 3; ++me)
        threads.emplace_back([&, me] {
          while (!stop) auto const handle = pool.try_allocate(me);
        });
      ::usleep(static_cast<::useconds_t>(round * 20));
      Ending const inner = in_child([&] { return pool.try_allocate(std::uint64_t{1}) != nullptr; });
      stop = true;
      for (auto& thread : threads) thread.join();
      return inner == Ending::well;
    });
    REQUIRE(ending == Ending::well);
  }
}

// A thread that ends a pool may have the record of another one just then, whose thread has ended.
TEST_CASE("fork: while somebody has the lock of a record") {
  ThreadSafePool<Payload> pool(50);
  std::thread([&] { (void)take_all(pool); }).join();
  fastalloc::detail::ThreadRecord* const record = fastalloc::detail::registry.free_records;
  REQUIRE(record != nullptr);
  std::barrier barrier(2);
  std::thread other([&] {
    record->lock.lock();
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
    record->lock.unlock();
  });
  barrier.arrive_and_wait();
  Ending const ending = in_child([&] {
    bool well = false;
    std::thread([&] { well = take_all(pool).size() == 50; }).join();
    return well;
  });
  CHECK(ending == Ending::well);
  barrier.arrive_and_wait();
  other.join();
}

namespace {
/// Holds up whoever asks it for memory while it is closed.
struct Door {
  static inline std::atomic<bool> closed{false};
  static inline std::atomic<bool> met{false};
  static void pass() noexcept {
    while (closed) met = true, std::this_thread::yield();
  }
};
struct SlowStorage : HeapStorage, Door {
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return pass(), HeapStorage::acquire(bytes, alignment);
  }
};
struct SlowResource : std::pmr::memory_resource, Door {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    return pass(), std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override { return this == &other; }
};
}  // namespace

// The thread that is with the storage is not there in the child, which grows all the same.
TEST_CASE("fork: while a thread is with the storage of a pool or the upstream of a resource") {
  auto const in_turn = [](auto&& grow) {
    Door::met = false, Door::closed = true;
    std::thread other([&] { grow(); });
    while (!Door::met) std::this_thread::yield();
    Ending const ending = in_child([&] {
      Door::closed = false;
      return grow();
    });
    Door::closed = false;
    other.join();
    return ending;
  };
  ThreadSafePool<int, SlowStorage, NoCache> plain(
      PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(10)});
  (void)plain.allocate(1);
  CHECK(in_turn([&] { return plain.reserve(plain.capacity() + 10), true; }) == Ending::well);
  ThreadSafePool<int, SlowStorage> cached(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(10)});
  (void)cached.allocate(1);
  CHECK(in_turn([&] { return cached.reserve(cached.capacity() + 10), true; }) == Ending::well);
  SlowResource upstream;
  SynchronizedPoolResource resource(&upstream);
  resource.deallocate(resource.allocate(100), 100);
  CHECK(in_turn([&] { return resource.deallocate(resource.allocate(100'000), 100'000), true; }) == Ending::well);
  CHECK(in_turn([&] {
          std::vector<void*> taken;
          for (int i = 0; i != 3000; ++i) taken.push_back(resource.allocate(64));
          for (void* const p : taken) resource.deallocate(p, 64);
          return taken.size() == 3000;
        }) == Ending::well);
}

// The one that waits is not there in the child, so nothing may be kept for it.
TEMPLATE_TEST_CASE("fork: while a thread waits", "", FORKED_POOLS(int)) {
  std::optional<TestType> pool(std::in_place, 1);
  auto held = pool->allocate();
  test::Asleep asleep;
  std::thread waiter([&] {
    asleep.begin();
    auto const handle = pool->allocate_for(std::chrono::seconds(60));
  });
  asleep.wait();
  Ending const used = in_child([&] {
    held.reset();
    for (int round = 0; round != 3; ++round)
      if (pool->try_allocate() == nullptr) return false;
    if (pool->allocate_for(std::chrono::milliseconds(1)) == nullptr) return false;
    return pool->allocated() == 0;
  });
  CHECK(used == Ending::well);
  Ending const destroyed = in_child([&] {
    held.reset();
    fastalloc::set_error_handler([](Error const&) { ::_exit(3); });
    pool.reset();
    return true;
  });
  CHECK(destroyed == Ending::well);
  held.reset();
  waiter.join();
}

TEST_CASE("fork: children of children, and threads in a child") {
  ThreadSafePool<Payload> pool(50);
  std::thread([&] { (void)take_all(pool); }).join();
  auto const held = pool.allocate(std::uint64_t{1});
  Ending const ending = in_child([&] {
    if (take_all(pool).size() != 49) return false;
    return in_child([&] {
             std::atomic<std::size_t> sum{0};
             test::run(2, [&](std::size_t) { sum += take_all(pool).size() > 0 ? 1U : 0U; });
             return sum > 0 && take_all(pool).size() == 49;
           }) == Ending::well;
  });
  CHECK(ending == Ending::well);
}

TEST_CASE("fork: an inline pool without caches, opened by its first allocation, is not locked in the child") {
  static constinit ThreadSafePool<Payload, InlineStorage<64>, NoCache> pool;
  std::atomic<bool> stop{false};
  std::thread threads[2];
  for (auto& thread : threads)
    thread = std::thread([&] {
      while (!stop) auto const handle = pool.try_allocate(std::uint64_t{1});
    });
  int well = 0;
  for (int i = 0; i != 40; ++i)
    if (in_child([&] { return bool(pool.try_allocate(std::uint64_t{2})); }) == Ending::well) ++well;
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(well == 40);
}

namespace {

/// An owner that has to keep it ends its ownership only when another thread wants the lock, or after two seconds.
class KeptLock {
 public:
  static constexpr bool is_thread_safe = true;
  static inline thread_local bool keeps = false;
  static inline std::atomic<bool> is_kept{false};

  constexpr KeptLock() noexcept = default;
  void lock() noexcept {
    while (held_.exchange(true)) wanted_ = true, std::this_thread::yield();
  }
  void unlock() noexcept {
    if (keeps) {
      is_kept = true;
      auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
      while (!wanted_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    }
    held_ = false;
  }

 private:
  std::atomic<bool> held_{false};
  std::atomic<bool> wanted_{false};
};

constinit ThreadSafePool<Payload, InlineStorage<8>, NoCache, KeptLock> kept_pool;
std::optional<std::thread> user_of_kept_pool;

/// A handler of fork() in which another thread begins the first use of a pool, and is in the middle of it at the fork.
void begin_first_use() {
  if (user_of_kept_pool || KeptLock::is_kept) return;
  user_of_kept_pool.emplace([] {
    KeptLock::keeps = true;
    auto const handle = kept_pool.try_allocate(std::uint64_t{1});
    KeptLock::keeps = false;
  });
  while (!KeptLock::is_kept) std::this_thread::yield();
}

}  // namespace

TEST_CASE("fork: a pool whose first use begins while the fork has begun is not locked in the child") {
  REQUIRE(::pthread_atfork(&begin_first_use, nullptr, nullptr) == 0);
  CHECK(in_child([&] { return bool(kept_pool.try_allocate(std::uint64_t{2})); }) == Ending::well);
  user_of_kept_pool->join();
  user_of_kept_pool.reset();
}

namespace {

/// Objects without data may all be one lock.
struct OneLock {
  static inline std::mutex mutex;
  void lock() { mutex.lock(); }
  void unlock() { mutex.unlock(); }
};

/// A handler that was there before the library's, so that it runs when a fork has all locks.
void (*under_all_locks)() = nullptr;
[[gnu::constructor(101)]] void register_early() {
  ::pthread_atfork(
      [] {
        if (under_all_locks != nullptr) std::exchange(under_all_locks, nullptr)();
      },
      nullptr, nullptr);
}

/// Stands still in acquire(), once it is told to.
struct StandingStorage : HeapStorage {
  static inline std::atomic<bool> stops{false}, stands{false};
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    stands = stops.load();
    while (stops) std::this_thread::yield();
    return HeapStorage::acquire(bytes, alignment);
  }
};
using StandingPool = ThreadSafePool<Payload, StandingStorage>;
StandingPool* standing_pool = nullptr;
bool standing_pool_had_slot = true;
std::size_t standing_pool_gave = 1;

}  // namespace

TEST_CASE("fork: two pools with one lock for both, which a fork takes once") {
  ThreadSafePool<Payload, NoCache, OneLock> one(4);
  ThreadSafePool<Payload, NoCache, OneLock> two(4);
  { auto const a = one.allocate(std::uint64_t{1}), b = two.allocate(std::uint64_t{2}); }
  auto const all_free = [&] { return take_all(one).size() == 4 && take_all(two).size() == 4; };
  for (int i = 0; i != 3; ++i) {
    CHECK(in_child([&] { return all_free() && in_child(all_free) == Ending::well; }) == Ending::well);
    CHECK(all_free());
  }
}

TEST_CASE("fork: a handler under all locks does not wait for a thread that makes the pool grow") {
  StandingPool pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
  std::vector<StandingPool::handle_type> all;
  while (all.size() != 4) all.push_back(pool.allocate(std::uint64_t{1}));
  StandingStorage::stops = true;
  std::thread grower([&] {
    std::vector<StandingPool::handle_type> more;
    for (int i = 0; i != 6; ++i) more.push_back(pool.allocate(std::uint64_t{2}));
  });
  while (!StandingStorage::stands) std::this_thread::yield();
  standing_pool = &pool;
  under_all_locks = [] {
    StandingStorage::stops = false;  // the other thread goes on to the pool's lock, which the fork has
    standing_pool_had_slot = bool(standing_pool->try_allocate(std::uint64_t{3}));
    standing_pool_gave = standing_pool->shrink_to_fit();
  };
  CHECK(in_child([&] { return pool.check_invariants(); }) == Ending::well);
  grower.join();
  CHECK_FALSE(standing_pool_had_slot);
  CHECK(standing_pool_gave == 0);
}
#endif
