// SPDX-License-Identifier: MIT OR Apache-2.0
// A thread's cache grows a few times and then allocates nothing, also while all caches are closed; an operator new that
// uses the pool may run whenever the pool allocates. In a program of its own, which counts allocations.
#include <fastalloc/fastalloc.hpp>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "concurrency/threads.hpp"

static std::atomic<long> heap_calls{0};
[[gnu::noinline]] static void* counted(void* block) {
  if (block == nullptr) std::abort();
  ++heap_calls;
  return block;
}
void* operator new(std::size_t bytes) { return counted(std::malloc(bytes == 0 ? 1 : bytes)); }
static void (*during_new)() = nullptr;  ///< called once
// All forms of the unaligned one: AddressSanitizer has its own for those that a program does not replace.
void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept {
  if (auto* const call = std::exchange(during_new, nullptr)) call();
  return ::operator new(bytes);
}
[[gnu::noinline]] static void uncounted(void* block) noexcept { std::free(block); }
void operator delete(void* block) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t) noexcept { uncounted(block); }
// The same of the aligned one, of which parts of threads are.
static void (*during_aligned_new)() = nullptr;  ///< called each time
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  auto const to = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(to, (bytes + to - 1) / to * to));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, std::nothrow_t const&) noexcept {
  if (during_aligned_new != nullptr) during_aligned_new();
  return ::operator new(bytes, alignment);
}
void operator delete(void* block, std::align_val_t) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { uncounted(block); }

using namespace fastalloc;
using test::faults;

namespace {

/// Growth from the initial room to the most slots that a cache may have: 4, 16, 64, 256.
constexpr long most_growths = 4;

/// Gives the thread a small cache, which wants more room.
template <class Pool> void begin(Pool& pool) {
  for (int i = 0; i != 10; ++i) (void)pool.try_allocate(1);
}
template <class Pool> long calls_of_pairs(Pool& pool) {
  long const before = heap_calls;
  for (int i = 0; i != 1000; ++i) (void)pool.try_allocate(2);
  return heap_calls - before;
}

}  // namespace

TEST_CASE("room: a full pool that a thread polls allocates nothing") {
  for (std::size_t const capacity : {4U, 20U, 100U, 1000U, 5000U}) {
    ThreadSafePool<int> pool(capacity);
    long calls = 0;
    std::thread([&] {
      begin(pool);
      std::vector<decltype(pool)::handle_type> all;
      all.reserve(capacity);
      std::thread([&] {
        while (auto handle = pool.try_allocate(3)) all.push_back(std::move(handle));
      }).join();
      calls = calls_of_pairs(pool);
    }).join();
    CHECK(calls <= most_growths);
  }
}

TEST_CASE("room: objects that come and go during an iteration allocate nothing") {
  for (std::size_t const capacity : {4U, 20U, 100U, 1000U, 5000U}) {
    ThreadSafePool<int> pool(capacity);
    auto const one = pool.allocate(4);
    long calls = 0;
    std::thread([&] {
      begin(pool);
      bool done = false;
      pool.for_each([&](int&) {
        if (!std::exchange(done, true)) calls = calls_of_pairs(pool);
      });
    }).join();
    CHECK(calls <= most_growths);
  }
}

TEST_CASE("room: a thread that polls while another one waits allocates nothing") {
  ThreadSafePool<int> pool(1000);
  std::vector<decltype(pool)::handle_type> all;
  all.reserve(1000);
  long calls = 0;
  std::thread([&] {
    begin(pool);
    std::thread([&] {
      while (auto handle = pool.try_allocate(3)) all.push_back(std::move(handle));
    }).join();
    std::thread waiting([&] { (void)pool.allocate_for(std::chrono::minutes(1), 4); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    calls = calls_of_pairs(pool);
    all.clear();
    waiting.join();
  }).join();
  CHECK(calls <= most_growths);
}

TEST_CASE("room: warm_up() allocates the full room during an iteration, too") {
  ThreadSafePool<int> pool(5000);
  auto const one = pool.allocate(4);
  long calls = -1;
  std::thread([&] {
    begin(pool);
    pool.for_each([&](int&) { pool.warm_up(); });
    std::vector<decltype(pool)::handle_type> handles;
    handles.reserve(2000);
    long const before = heap_calls;
    for (int round = 0; round != 10; ++round, handles.clear())
      for (int i = 0; i != 2000; ++i) handles.push_back(pool.allocate(5));
    calls = heap_calls - before;
  }).join();
  CHECK(calls == 0);
}

namespace {
struct Ended {
  int value;
  explicit Ended(int v) : value(v) {}
  ~Ended() { value = 0; }
};
}  // namespace

TEMPLATE_TEST_CASE("room: operator new may use the pool that takes a snapshot", "",
                   (ThreadSafePool<Ended, NoCache, NoChecks>), (ThreadSafePool<Ended, NoChecks>),
                   (GrowingPool<Ended, MutexLock, FreeListAllocator, NoChecks>)) {
  static TestType* pool = nullptr;
  TestType here(100);
  pool = &here;
  auto const grow = [] {  // so that the snapshot needs more room than it asked for
    for (int i = 0; i != 70; ++i) (void)pool->allocate(3).release();
  };
  (void)here.allocate(1).release();
  int met = 0;
  during_new = grow;
  here.for_each([&](Ended&) { ++met; });
  CHECK(met == 71);
  CHECK(during_new == nullptr);
  during_new = [] { (void)pool->try_allocate(4); };
  (void)here.purge();
  during_new = [] { (void)pool->try_allocate(4); };
  here.clear();
  CHECK(during_new == nullptr);
  CHECK(here.allocated() == 0);
}

// Each of them has found room in the thread's table before its part's memory is asked for.
TEST_CASE("room: an operator new that uses a pool that has no part yet, which asks for memory, and so on") {
  static constexpr std::size_t depth = 40;
  static std::vector<std::unique_ptr<ThreadSafePool<int>>> pools;
  static std::size_t at = 0;
  for (std::size_t i = 0; i != depth + 1; ++i) pools.push_back(std::make_unique<ThreadSafePool<int>>(std::size_t{10}));
  std::thread([] {
    for (int use = 0; use != 10; ++use) (void)pools[depth]->allocate(1);
    during_aligned_new = [] {
      if (at == depth) return;
      ThreadSafePool<int>& pool = *pools[at++];
      for (int use = 0; use != 10; ++use) (void)pool.allocate(2);
    };
    for (int use = 0; use != 10; ++use) (void)pools[0]->allocate(3);
    during_aligned_new = nullptr;
    for (int use = 0; use != 20; ++use)
      for (auto& pool : pools) faults().expect(static_cast<bool>(pool->try_allocate(4)), "a slot is lost");
    auto const& record = *detail::this_thread().record;
    faults().expect(record.table.live() == depth + 1, "a pool has no cache");
    faults().expect(!record.is_too_full(), "the table stays too full");
  }).join();
  for (auto& pool : pools) CHECK(pool->allocated() == 0);
  pools.clear();
  test::check_faults();
}
