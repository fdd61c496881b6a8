// SPDX-License-Identifier: MIT OR Apache-2.0
// Growth while others go on: the storage runs while the pool's lock is free, one thread at a time is with it, and what
// it gives is used or given back.
#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <latch>
#include <memory>
#include <optional>

#include "concurrency/threads.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;
using test::faults;

namespace {

/// Calls a function of the test before it asks the heap.
struct AskingStorage : HeapStorage {
  static inline std::function<void()> on_acquire;
  static inline std::function<void()> on_release;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    if (on_acquire) on_acquire();
    return HeapStorage::acquire(bytes, alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    if (on_release) on_release();
    HeapStorage::release(block, bytes, alignment);
  }
};

/// Takes its memory from slots of another pool of threads.
struct Chunk {
  explicit Chunk() noexcept {}  // not cleared
  alignas(64) std::byte bytes[16 * 1024];
};
using ChunkPool = ThreadSafePool<Chunk>;
struct ChunkStorage {
  static constexpr bool can_grow = true;
  ChunkPool* pool = nullptr;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > sizeof(Chunk) || alignment > alignof(Chunk)) return nullptr;
    auto chunk = pool->try_allocate();
    return chunk ? chunk.release() : nullptr;
  }
  void release(void* block, std::size_t, std::size_t) noexcept { (void)pool->adopt(static_cast<Chunk*>(block)); }
};

}  // namespace

// The storage of a growing pool asks another thread to use the pool, and waits until it did.
TEMPLATE_TEST_CASE("growth: others use the pool while its storage runs", "", (ThreadSafePool<long, AskingStorage>),
                   (ThreadSafePool<long, AskingStorage, Generations, FullChecks>),
                   (ThreadSafePool<long, AskingStorage, NoCache, MutexLock>),
                   (GrowingPool<long, AskingStorage, AdaptiveLock>),
                   (GrowingPool<long, AskingStorage, MutexLock, BitmapAllocator, BasicStats>)) {
  AskingStorage::on_acquire = nullptr;
  TestType pool(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(64)});
  auto const use = [&] {
    std::thread([&] {
      auto const handle = pool.try_allocate(7);
      faults().expect(static_cast<bool>(handle), "a free slot is to be had");
      faults().expect(!handle || pool.owns(handle.get()), "the pool knows its object");
      faults().expect(pool.capacity() >= 64 && pool.allocated() <= pool.capacity(), "the counts are right");
    }).join();
  };
  int calls = 0;
  AskingStorage::on_acquire = [&] { ++calls, use(); };
  pool.reserve(128);  // slots are free all the while
  CHECK(calls >= 2);  // a block, and its directory
  CHECK(pool.capacity() == 128);
  std::vector<typename TestType::handle_type> handles;
  pool.allocate_batch(100, std::back_inserter(handles), 1);
  pool.reserve(400);
  CHECK(pool.capacity() == 400);
  int released = 0;
  AskingStorage::on_acquire = [&] { use(); };
  AskingStorage::on_release = [&] { ++released, use(); };
  handles.clear();
  handles.push_back(pool.allocate(1));
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(released >= 2);
  AskingStorage::on_acquire = nullptr, AskingStorage::on_release = nullptr;
  CHECK(pool.check_invariants());
  CHECK(pool.allocated() == 1);
  CHECK(faults().first() == "");
}

// Under a lock that masks interrupts memory is acquired, as the lock says: a handler must not find the heap in the
// midst of a change.
namespace {
bool masked = false;
bool mask() noexcept { return std::exchange(masked, true); }
void unmask(bool before) noexcept { masked = before; }
}  // namespace
TEST_CASE("growth: a lock that masks interrupts is held while the storage runs") {
  bool always = true;
  AskingStorage::on_acquire = [&] { always = always && masked; };
  GrowingPool<long, AskingStorage, InterruptLock<mask, unmask>> pool(
      PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
  always = true;  // the first block is the constructor's, with which no handler can meet
  pool.reserve(20);
  AskingStorage::on_acquire = nullptr;
  CHECK(always);
  CHECK_FALSE(masked);
}

TEST_CASE("growth: threads that want more at once wait for one block, and the storage meets one of them at a time") {
  std::atomic<int> inside{0};
  std::atomic<int> calls{0};
  ThreadSafePool<long, AskingStorage, NoCache> pool(
      PoolConfig{.capacity = 8, .growth_strategy = GrowthStrategy::linear(1000)});
  AskingStorage::on_acquire = [&] {
    faults().expect(inside.fetch_add(1) == 0, "one thread is with the storage");
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --inside;
  };
  std::vector<ThreadSafePool<long, AskingStorage, NoCache>::handle_type> handles[8];
  test::run(8, [&](std::size_t t) {
    for (int i = 0; i != 100; ++i) handles[t].push_back(pool.allocate(i));
  });
  AskingStorage::on_acquire = nullptr;
  CHECK(pool.capacity() == 1008);
  CHECK(calls == 2);
  CHECK(faults().first() == "");
}

TEST_CASE("growth: whichever acquisition fails all memory is back or in use, and the next growth succeeds") {
  using Pool = ThreadSafePool<long, test::FailingStorage, Generations>;
  auto& account = test::storage_account();
  for (std::size_t fails_at = 0; fails_at != 8; ++fails_at) {
    account.allow();
    std::size_t const before = account.blocks();
    {
      Pool pool(PoolConfig{.capacity = 200, .growth_strategy = GrowthStrategy::linear(1000)});
      std::vector<Pool::handle_type> handles;
      pool.allocate_batch(200, std::back_inserter(handles), 1);
      for (auto const& handle : handles) (void)pool.key(handle);
      account.fail_after(fails_at);
      std::size_t const blocks = account.blocks();
      auto const more = pool.try_allocate(2);
      std::size_t const held = account.blocks() - blocks;
      if (more) CHECK(pool.capacity() == 1200);
      else CHECK(pool.capacity() == 200);
      if (!more) CHECK(held <= 3);  // memory for generations stays
      CHECK(pool.check_invariants());
      account.allow();
      CHECK(pool.allocate(3));
      CHECK(pool.capacity() == 1200);
    }
    CHECK(account.blocks() == before);
  }
  CHECK(account.check());
}

namespace {
/// Calls a function of the test when it refuses.
struct RefusingStorage : test::FailingStorage {
  static inline std::function<void()> on_refusal;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    void* const memory = test::FailingStorage::acquire(bytes, alignment);
    if (memory == nullptr) on_refusal();
    return memory;
  }
};
}  // namespace
TEMPLATE_TEST_CASE("growth: a request that the storage refuses gets what came back meanwhile", "",
                   (ThreadSafePool<long, RefusingStorage>), (ThreadSafePool<long, RefusingStorage, NoCache>)) {
  TestType pool(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::linear(2)});
  std::vector<typename TestType::handle_type> handles;
  handles.push_back(pool.allocate(1));
  handles.push_back(pool.allocate(2));
  RefusingStorage::on_refusal = [&] { std::thread([&] { handles.clear(); }).join(); };
  test::storage_account().fail_after(0);
  auto const handle = pool.try_allocate(3);
  test::storage_account().allow();
  CHECK(handle != nullptr);
  CHECK(pool.allocated() == 1);
}

// Objects of a lock without data may all stand for one lock, so a pool takes one only.
namespace {
std::mutex the_mutex;
struct GlobalLock {
  void lock() { the_mutex.lock(); }
  void unlock() { the_mutex.unlock(); }
};
}  // namespace
TEST_CASE("growth: a lock that is one for all pools") {
  GrowingPool<int, GlobalLock> pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
  auto const a = pool.allocate(1);
  auto const b = pool.allocate(2);
  CHECK(pool.capacity() == 2);
}

TEST_CASE("growth: pools whose memory comes from pools of threads, used by all threads at once") {
  std::atomic<int> rounds{0};
  test::Stopwatch const watch;
  do {
    SynchronizedPoolResource base;
    SynchronizedPoolResource middle(&base);
    SynchronizedPoolResource top(&middle);
    ChunkPool chunks(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
    ThreadSafePool<long, ChunkStorage> nested(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(64)},
                                              ChunkStorage{&chunks});
    test::run(6, [&](std::size_t t) {
      std::vector<ThreadSafePool<long, ChunkStorage>::handle_type> handles;
      for (int i = 0; i != 200; ++i) {
        void* const p = (t % 2 == 0 ? top : middle).allocate(64 + static_cast<std::size_t>(i) % 512, 8);
        handles.push_back(nested.allocate(i));
        if (i % 3 == 0) handles.erase(handles.begin());
        (t % 2 == 0 ? top : middle).deallocate(p, 64 + static_cast<std::size_t>(i) % 512, 8);
        if (i % 50 == 49) nested.shrink_to_fit(), chunks.shrink_to_fit();
      }
    });
    CHECK(nested.allocated() == 0);
    CHECK(nested.check_invariants());
    ++rounds;
  } while (watch.time() < test::short_slice(0.2));
  CHECK(rounds > 0);
}

namespace {

/// Holds its thread up once it was unlocked, as the scheduler may.
class Gate {
 public:
  static constexpr bool is_thread_safe = true;
  static inline thread_local bool stops = false;
  static inline std::atomic<bool> stopped{false};
  static inline std::atomic<bool> opened{false};
  void lock() noexcept { lock_.lock(); }
  void unlock() noexcept {
    lock_.unlock();
    if (!std::exchange(stops, false)) return;
    stopped = true, stopped.notify_all();
    opened.wait(false);
  }

 private:
  AdaptiveLock lock_;
};

}  // namespace

// A thread finds all slots in use, and is held up. Then the pool grows to its maximum, and a slot comes back into
// another thread's cache.
TEST_CASE(
    "growth: at the maximum slots count that came back to other threads' caches since a request looked for them") {
  bool const batch = GENERATE(false, true);
  using Pool = ThreadSafePool<long, Gate>;
  Pool pool(PoolConfig{.capacity = 1, .max_capacity = 25, .growth_strategy = GrowthStrategy::linear(24)});
  std::vector<Pool::handle_type> handles;
  handles.push_back(pool.allocate(0));
  Gate::stopped = false, Gate::opened = false;
  std::atomic<bool> failed{false};
  std::thread late([&] {
    pool.warm_up();
    Gate::stops = true;
    std::vector<Pool::handle_type> one;
    if (batch) failed = !pool.try_allocate_batch(1, std::back_inserter(one), 1);
    else failed = !pool.try_allocate(1);
  });
  Gate::stopped.wait(false);
  while (handles.size() != 25) handles.push_back(pool.allocate(1));
  // this thread has a cache for sure
  for (int i = 0; i != 10; ++i) handles.pop_back(), handles.push_back(pool.allocate(1));
  handles.pop_back();
  Gate::opened = true, Gate::opened.notify_all();
  late.join();
  CHECK_FALSE(failed);
  CHECK(pool.capacity() == 25);
}

// A pool at its maximum fails only when every slot is in use: what others returned to their caches while it grew
// counts.
TEST_CASE("growth: at the maximum no request fails while a slot is free") {
  std::size_t const threads = 4;
  std::size_t const each = 8;
  test::Stopwatch const watch;
  do {
    ThreadSafePool<long> pool(
        PoolConfig{.capacity = 2, .max_capacity = threads * each, .growth_strategy = GrowthStrategy::linear(2)});
    std::atomic<int> failed{0};
    test::run(threads, [&](std::size_t t) {
      std::vector<ThreadSafePool<long>::handle_type> handles;
      std::vector<ThreadSafePool<long>::handle_type> batch;
      for (std::size_t i = 0; i != 400; ++i) {
        if ((i + t) % 5 == 0 && handles.size() + 3 <= each) {
          if (!pool.try_allocate_batch(3, std::back_inserter(batch), 1)) ++failed;
          for (auto& handle : batch) handles.push_back(std::move(handle));
          batch.clear();
        }
        if (handles.size() != each) {
          handles.push_back(pool.try_allocate(1));
          if (!handles.back()) ++failed, handles.pop_back();
        }
        if (handles.size() == each) handles.resize(i % each);
      }
    });
    CHECK(failed == 0);
    CHECK(pool.check_invariants());
  } while (watch.time() < test::short_slice(0.3));
}

TEST_CASE("growth: a batch finds the slots that went into another thread's cache while the growth function ran") {
  std::barrier asked(2), answered(2), taken(2);
  ThreadSafePool<long> pool(PoolConfig{
      .capacity = 8, .max_capacity = 12, .growth_strategy = GrowthStrategy::custom([&](std::size_t) -> std::size_t {
                                           asked.arrive_and_wait();
                                           answered.arrive_and_wait();
                                           return 4;
                                         })});
  std::thread other([&] {
    asked.arrive_and_wait();
    for (int i = 0; i != 20; ++i) (void)pool.allocate();  // its cache keeps some of the 8
    answered.arrive_and_wait();
    taken.arrive_and_wait();
  });
  std::vector<decltype(pool)::handle_type> batch;
  CHECK(pool.try_allocate_batch(12, std::back_inserter(batch)));
  taken.arrive_and_wait();
  other.join();
  CHECK(batch.size() == 12);
}
