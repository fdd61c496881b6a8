// SPDX-License-Identifier: MIT OR Apache-2.0
// Every feature once, in one program without a test framework: for the targets of tests/portability/run. Prints a line,
// and a line for each expectation that fails; returns 0 when none did.
#if defined(_WIN32)
#include <windows.h>  // with its macros min, max, small, ...
#endif

#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/adapters/unique_ptr.hpp>

#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<memory_resource>)
#include <memory_resource>
#endif
#if defined(__cpp_lib_memory_resource)
#include <fastalloc/adapters/pool_allocator.hpp>
#include <fastalloc/adapters/pool_resource.hpp>

#include <list>
#include <map>
#endif

#if defined(__cpp_impl_coroutine) && __has_include(<coroutine>)
#include <coroutine>
#endif
#if FASTALLOC_HAS_THREADS
#include <chrono>
#include <thread>
#endif

namespace {

using namespace fastalloc;

int failures = 0;
int expectations = 0;
void expect(bool holds, char const* text, int line) {
  ++expectations;
  if (holds) return;
  ++failures;
  std::printf("smoke.cpp:%d: %s\n", line, text);
}
#define EXPECT(condition) expect(static_cast<bool>(condition), #condition, __LINE__)

struct Byte {
  unsigned char value = 1;
};
struct Wide {
  double numbers[5] = {};
  long long number = 0;
};
struct Order {
  int id = 3;
  std::string item = {};
};
constexpr std::size_t count = 600;  // more than two words of any bitmap

/// Fills the pool, frees every other slot, fills it again; the objects must be where they were put.
template <class P> void churn(P& pool, std::size_t n = count) {
  std::vector<typename P::handle_type> handles;
  for (int round = 0; round != 2; ++round) {
    while (handles.size() != n) handles.push_back(pool.try_allocate());
    for (std::size_t i = 0; i < n; i += 2) handles[i] = {};
    for (std::size_t i = 0; i < n; i += 2) EXPECT(handles[i] = pool.try_allocate());
    EXPECT(pool.allocated() == n);
    for (auto const& handle : handles) EXPECT(handle);
    handles.clear();
  }
  EXPECT(pool.allocated() == 0);
}

template <class Slots> void slot_policies() {
  FixedPool<Byte, Slots> bytes(count);
  churn(bytes);
  EXPECT(!bytes.owns(nullptr));
  GrowingPool<Wide, Slots, Generations, BasicStats, FullChecks> pool(10);
  churn(pool);
  auto handle = pool.allocate();
  auto const key = pool.key(handle);
  EXPECT(pool.get(key) == handle.get());
  handle = {};
  EXPECT(pool.get(key) == nullptr);
  EXPECT(pool.shrink_to_fit() != 0);
  EXPECT(pool.statistics().peak_usage == count);
  EXPECT(pool.check_invariants());
}

void storages() {
  alignas(64) static std::byte bytes[20'000];
  {
    FixedPool<Wide, InlineStorage<64>> pool;
    churn(pool, 64);
    FixedPool<Wide, ExternalStorage, BitmapAllocator> external(PoolConfig{.capacity = 100, .alignment = 64},
                                                               ExternalStorage(bytes));
    churn(external, 100);
  }
  using Shared = FixedPool<Wide, ExternalStorage, LockFree, Generations, DebugChecks, AtomicStats>;
  Shared created(PoolConfig{.capacity = 100}, ExternalStorage(bytes));
  auto attached = Shared::try_create(ExternalStorage::attach(bytes));
  EXPECT(attached);
  if (attached) {
    auto handle = created.allocate();
    auto const key = created.key(handle);
    EXPECT(attached->get(key) == handle.get());
    EXPECT(attached->allocated() == 1);
    handle = {};
    EXPECT(attached->get(key) == nullptr);
  }
  churn(created, 100);
#if FASTALLOC_POSIX
  PageStorage const options{{.prefault = true, .numa_node = 0}};
  GrowingPool<Wide, PageStorage> pages(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::exponential(2)},
                                       options);
  churn(pages);
  if (pages.storage().has_note()) EXPECT(!pages.storage().note().to_string().empty());
#endif
  FixedPool<Wide> huge(200'000);  // a block on huge pages
  churn(huge, 1000);
}

void lifetimes() {
  auto pool = FixedPool(PoolConfig{.capacity = 100},
                        recycle([] { return std::string(100, 'x'); }, [](std::string& s) { s.clear(); }));
  churn(pool, 100);
  static NoDestructor<FixedPool<Order, InlineStorage<4>>> lasting;
  auto const order = lasting->allocate(7, "bolts");
  EXPECT(order->id == 7 && order->item == "bolts");
}

FixedPool<int, InlineStorage<8>> bound_pool;

void ownership() {
  FixedPool<Order, Shared> pool(4);
  auto first = pool.allocate(1, "x").share();
  auto const weak = first.downgrade();
  auto second = weak.lock();
  EXPECT(first.use_count() == 2);
  first.reset();
  second.reset();
  EXPECT(weak.expired());

  FixedPool<Order> plain(4);
  auto pointer = to_unique(plain.allocate(2, "y"));
  Handle<Order> erased(to_handle(std::move(pointer)));
  EXPECT(erased->id == 2);
  auto const bound = Bound<bound_pool>::allocate(4);
  EXPECT(*bound == 4 && sizeof bound == sizeof(void*));

  FixedPool<Wide> plain_wide(4);
  FixedPool<Wide, BitmapAllocator> many(100);
  auto const run = many.allocate_n(10);
  auto const batch = many.allocate_batch_handle(20);
  long long seen = 0;
  for (Wide& object : many.live()) object.number = 1;
  many.for_each([&](Wide const& object) { seen += object.number; });
  EXPECT(seen == 30 && run.size() == 10 && batch.size() == 20);
  EXPECT(many.find(3) == &run[3] && many.find(50) == nullptr && many.object_at(4) == &run[4]);
  EXPECT(many.live().from(25).begin().index() == 25 && many.index_bound() == 100);
  Wide* const loose = plain_wide.allocate_for_overwrite().release();
  plain_wide.clear();
  EXPECT(plain_wide.is_empty() && plain_wide.allocate().get() == loose);
}

struct Spark : Pooled<Spark, NoLock> {
  double heat = 1;
};
struct Flame : Spark {
  char more[100] = {};
};

void moving() {
  MovablePool<GrowingPool<Order>> pool(4);
  auto order = pool->allocate(3, "nuts");
  auto moved = std::move(pool);
  EXPECT(!pool && moved->allocated() == 1);
  moved.reset();
  EXPECT(order->item == "nuts");
#if FASTALLOC_HAS_THREADS
  MovablePool<ThreadSafePool<Order>> shared(4);
  order = nullptr;
  auto kept = shared->allocate(4, "bolts");
  shared.reset();
  EXPECT(kept->id == 4);
#endif

  auto* const spark = new Spark;
  auto* const flame = new Flame;
  EXPECT(Spark::allocated() == 1 && Spark::heap_objects() == 1 && spark->heat == 1);
  delete spark;
  delete flame;
  EXPECT(Spark::allocated() == 0 && Spark::heap_objects() == 0);
}

template <std::size_t N> struct Untouched {
  Untouched() noexcept {}
  char bytes[N];
};

void compact_handles() {
  FixedPool<Wide, CompactHandles> small(count);
  churn(small);
  FixedPool<Untouched<17'000'000>, CompactHandles> big(1);
  EXPECT(big.allocate());
  // Any part leads to its slot; with 32-bit sizes the stride times a wrong number may equal the part's offset.
  FixedPool<Untouched<66'666>, CompactHandles, NoChecks> pool(3);
  auto const first = pool.allocate(), second = pool.allocate();
  auto third = pool.allocate();
  for (std::size_t i = 0; i != sizeof third->bytes; ++i) {
    void const* const object = third.get();
    char* const part = &third->bytes[i];
    Handle<char>(std::move(third), part).reset();
    third = pool.allocate();
    EXPECT(third.get() == object);
    if (third.get() != object) return void(third.release());
  }
}

void errors() {
  FixedPool<int> pool(1);
  auto const handle = pool.allocate(1);
  EXPECT(!pool.try_allocate(2));
  EXPECT(!FixedPool<int>::try_create(PoolConfig{.capacity = 0}));
#if FASTALLOC_EXCEPTIONS
  bool thrown = false;
  try {
    (void)pool.allocate(2);
  } catch (PoolExhausted const& error) {
    thrown = std::strstr(error.what(), "capacity 1") != nullptr;
  }
  EXPECT(thrown);
  thrown = false;
  try {
    FixedPool<Wide> big(static_cast<std::size_t>(-1) / 4);
  } catch (std::bad_alloc const&) {
    thrown = true;
  } catch (std::invalid_argument const&) {
    thrown = true;
  }
  EXPECT(thrown);
#endif
}

void reports() {
  GrowingPool<Wide, BasicStats> pool(10);
  churn(pool, 100);
  auto const statistics = pool.statistics();
  auto const again = statistics_from_json(to_json(statistics));
  EXPECT(again && *again == statistics);
  EXPECT(to_prometheus(statistics, "a\"b").find("fastalloc_usage_slots") != std::string::npos);
  EXPECT(!summary(statistics).empty() && !compact_summary(statistics).empty() && !key_value_pairs(statistics).empty());
}

#if defined(__cpp_lib_memory_resource)
void adapters() {
  PoolResource resource;
  {
    std::pmr::list<int> list(&resource);
    std::pmr::vector<std::pmr::string> texts(&resource);
    std::map<int, int, std::less<>, PoolAllocator<std::pair<int const, int>>> map(resource);
    for (int i = 0; i != 1000; ++i) {
      list.push_back(i);
      texts.emplace_back("a text that is long enough to ask for memory");
      map[i] = i;
    }
    EXPECT(std::allocate_shared<Order>(PoolAllocator<Order>(resource))->id == 3);
  }
  EXPECT(resource.bytes_in_use() == 0);
}
#else
void adapters() {}
#endif

#if defined(__cpp_lib_coroutine)
template <class Frame> struct Task {
  struct promise_type : Frame {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  std::coroutine_handle<promise_type> handle;
};
FixedPool<FrameSlot<1024>, InlineStorage<4>> frames;  // -O0 has frames of some 600 bytes

Task<PooledFrame<&frames>> add(int& sum) {
  sum += 1;
  co_await std::suspend_always{};
  sum += 10;
}
template <class P> Task<PooledFrame<>> add_from(P&, int& sum) {
  sum += 100;
  co_return;
}

void coroutines() {
  int sum = 0;
  auto const first = add(sum);
  EXPECT(frames.allocated() == 1);
  first.handle.resume();
  first.handle.resume();
  first.handle.destroy();
  FixedPool<FrameSlot<1024>> pool(1);
  auto const second = add_from(pool, sum);
  EXPECT(pool.allocated() == 1);
  second.handle.resume();
  second.handle.destroy();
  EXPECT(sum == 111 && frames.allocated() == 0 && pool.allocated() == 0);
}
#else
void coroutines() {}
#endif

#if FASTALLOC_HAS_THREADS

template <class F> void in_threads(int n, F const& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i != n; ++i) threads.emplace_back(f);
  for (std::thread& thread : threads) thread.join();
}

template <class... Policies> void shared_by_threads() {
  ThreadSafePool<Wide, Policies...> pool(100);
  in_threads(4, [&] {
    std::vector<typename decltype(pool)::handle_type> handles;
    for (int i = 0; i != 5000; ++i) {
      if (auto handle = pool.try_allocate()) handle->number = i, handles.push_back(std::move(handle));
      if (handles.size() == 20) handles.clear();
    }
  });
  EXPECT(pool.allocated() == 0);
  churn(pool, 100);  // exact: slots that threads kept are found
}

void threads() {
  shared_by_threads<>();
  shared_by_threads<BitmapAllocator, Generations, AtomicStats>();
  shared_by_threads<MutexLock, NoCache>();
  shared_by_threads<SpinLock>();
  shared_by_threads<LockFree, DebugChecks>();

  // The end of a thread is heard of: its sub-pool goes to the next thread.
  ThreadLocalPool<Wide> local(10);
  for (int i = 0; i != 20; ++i) in_threads(1, [&] { churn(local, 10); });
  EXPECT(local.total_capacity() == 10);

  ThreadSafePool<Wide, AtomicShared> counted(4);
  auto shared = counted.allocate().share();
  in_threads(4, [shared, weak = shared.downgrade()] {
    for (int i = 0; i != 1000; ++i) {
      auto const copy = shared;
      EXPECT(weak.lock());
    }
  });
  EXPECT(shared.use_count() == 1);
  shared.reset();

  ThreadSafePool<int> one(1);
  auto held = one.allocate(1);
  EXPECT(!one.allocate_for(std::chrono::milliseconds(1), 2));
  EXPECT(!one.allocate_until(std::chrono::system_clock::now() + std::chrono::milliseconds(1), 2));
  std::thread other([&] { held = {}; });
  auto const waited = one.allocate_for((std::chrono::nanoseconds::max)(), 3);
  other.join();
  EXPECT(waited && *waited == 3);

#if defined(__cpp_lib_memory_resource)
  SynchronizedPoolResource resource;
  in_threads(4, [&] {
    std::pmr::list<int> list(&resource);
    for (int i = 0; i != 2000; ++i) list.push_back(i);
  });
  EXPECT(resource.bytes_in_use() == 0);
#endif
}

#else
void threads() {}
#endif

}  // namespace

int main() {
  slot_policies<StackAllocator>();
  slot_policies<FreeListAllocator>();
  slot_policies<BitmapAllocator>();
  storages();
  lifetimes();
  ownership();
  moving();
  compact_handles();
  errors();
  reports();
  adapters();
  coroutines();
  threads();
  std::printf("smoke: %d of %d expectations failed; threads %d, exceptions %d, pointers of %d bits, a FixedPool<int> "
              "of %d bytes\n",
              failures, expectations, FASTALLOC_HAS_THREADS, FASTALLOC_EXCEPTIONS, static_cast<int>(8 * sizeof(void*)),
              static_cast<int>(sizeof(FixedPool<int>)));
  return failures != 0;
}
