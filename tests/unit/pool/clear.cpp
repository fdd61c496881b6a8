// SPDX-License-Identifier: MIT OR Apache-2.0
// clear(): all objects end in one call, and the pool is as new; in every kind of pool.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <barrier>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if FASTALLOC_ASAN
#include <sanitizer/asan_interface.h>
#endif

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;

namespace {

struct Plain {
  std::uint64_t values[3] = {};
};

/// A slot allocator with no more than it needs: no clear(), no mark.
struct LeastAllocator {
  template <class Shape> class Slots {
   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool keeps_last_freed = true;
    static constexpr std::size_t metadata_bytes(std::size_t slot_count, std::size_t) noexcept {
      return slot_count * sizeof(std::byte*);
    }
    void bind(std::byte* memory, Blocks<growing> const&) noexcept {
      auto** const list = reinterpret_cast<std::byte**>(memory);
      std::copy(list_, list_ + size_, list);
      list_ = list;
    }
    std::byte* pop(Blocks<growing> const&) noexcept { return size_ == 0 ? nullptr : list_[--size_]; }
    void push(std::byte* slot, Blocks<growing> const&) noexcept { list_[size_++] = slot; }
    std::size_t size() const noexcept { return size_; }
    template <class F> void for_each(F&& f, Blocks<growing> const&) const {
      for (std::size_t i = 0; i != size_; ++i) f(list_[i]);
    }

   private:
    std::byte** list_ = nullptr;
    std::size_t size_ = 0;
  };
};
static_assert(!DropsAll<LeastAllocator::Slots<SlotShape<16, 8, true>>>);

constexpr std::size_t room = 300;

template <class Pool> constexpr bool grows = false;
template <class T, class... Ps> constexpr bool grows<GrowingPool<T, Ps...>> = true;

template <class Pool> constexpr bool shrinks = grows<Pool>;
template <class T, class... Ps> constexpr bool shrinks<GrowingPool<T, LeastAllocator, Ps...>> = false;

template <class Pool> Pool make() {
  if constexpr (std::default_initializable<Pool>) return Pool();
  else if constexpr (grows<Pool>) return Pool({.capacity = 40, .growth_strategy = GrowthStrategy::linear(52)});
  else return Pool(room);
}

/// Takes n slots, whose objects nobody owns. Returns: where they are.
template <class Pool> std::vector<typename Pool::value_type*> fill(Pool& pool, std::size_t n) {
  std::vector<typename Pool::value_type*> objects;
  for (std::size_t i = 0; i != n; ++i) objects.push_back(pool.allocate().release());
  return objects;
}
/// Returns some of them, in random order.
template <class Pool, class T> void thin(Pool& pool, std::vector<T*> objects, std::uint32_t seed) {
  std::shuffle(objects.begin(), objects.end(), std::mt19937(seed));
  objects.resize(objects.size() / 3);
  for (T* object : objects) pool.adopt(object).reset();
}

}  // namespace

TEMPLATE_TEST_CASE(
    "clear: nothing lives, and slots come in the order of a new pool", "",
    (FixedPool<Plain, FreeListAllocator, FullChecks>), (FixedPool<Plain, BitmapAllocator, NoChecks, BasicStats>),
    (FixedPool<Plain, LockFree, FullChecks, AtomicStats>), (FixedPool<Plain, InlineStorage<room>>),
    (FixedPool<Plain, MutexLock, Generations>), (GrowingPool<Plain, BitmapAllocator, DebugChecks>),
    (GrowingPool<Plain, Shared>), (FixedPool<test::Tracked, LeastAllocator>),
    (GrowingPool<test::Tracked, Generations, AtomicShared>), (ThreadSafePool<Plain, NoCache, NoChecks>),
    (ThreadLocalPool<Plain>)MORE_ROWS(
        (FixedPool<Plain>), (FixedPool<Plain, NoChecks>), (FixedPool<Plain, FullChecks>),
        (FixedPool<Plain, FreeListAllocator, NoChecks>), (FixedPool<Plain, BitmapAllocator, FullChecks>),
        (FixedPool<Plain, LeastAllocator, NoChecks>), (FixedPool<Plain, LeastAllocator, FullChecks, BasicStats>),
        (FixedPool<Plain, LockFree, NoChecks>), (GrowingPool<Plain>), (GrowingPool<Plain, NoChecks, BasicStats>),
        (GrowingPool<Plain, FreeListAllocator, NoChecks>), (GrowingPool<Plain, LeastAllocator, NoChecks>),
        (GrowingPool<Plain, Generations, FullChecks>), (GrowingPool<Plain, Generations, NoChecks>),
        (FixedPool<test::Tracked>), (FixedPool<test::Tracked, NoChecks>),
        (FixedPool<test::Tracked, BitmapAllocator, BasicStats>), (FixedPool<test::Tracked, LockFree, NoChecks>),
        (FixedPool<test::Tracked, FreeListAllocator, FullChecks>), (GrowingPool<test::Tracked>),
        (GrowingPool<test::Tracked, BitmapAllocator, NoChecks>), (ThreadSafePool<test::Tracked, AtomicStats>),
        (ThreadSafePool<Plain>), (ThreadLocalPool<test::Tracked>))) {
  test::Audit audit;
  TestType pool = make<TestType>();
  pool.clear();  // an empty pool; inline storage that is not open yet
  auto const order = fill(pool, room);
  std::size_t const capacity = pool.capacity();
  for (std::uint32_t round = 1; round != 4; ++round) {
    thin(pool, order, round);
    pool.clear();
    CHECK(pool.allocated() == 0);
    CHECK(pool.is_empty());
    CHECK(pool.capacity() == capacity);
    CHECK(pool.check_invariants());
    pool.for_each([](auto&) { FAIL("an object is left"); });
    CHECK(audit.live() == 0);
    auto const again = fill(pool, room);
    // The caches of threads hand out what they took in batches; all slots come, in some order.
    if constexpr (requires { pool.trim(); })
      CHECK(std::set(again.begin(), again.end()) == std::set(order.begin(), order.end()));
    else CHECK(again == order);
    CHECK(pool.check_invariants());
  }
  thin(pool, order, 7);
  fill(pool, 10);
  if constexpr (shrinks<TestType>) {
    pool.clear();
    CHECK(pool.shrink_to_fit() != 0);
    CHECK(pool.check_invariants());
    fill(pool, 100);
  }
  pool.clear();
}

TEST_CASE("clear: objects end in address order, after their keys and hooks") {
  struct Item : Poolable {
    Item(std::vector<int>& list, int number) : log(list), id(number) {}
    ~Item() { log.push_back(id); }
    void on_release() { log.push_back(-id); }
    std::vector<int>& log;
    int id;
  };
  auto const run = [](auto pool) {
    std::vector<int> log;
    std::vector<Key> keys;
    std::vector<std::pair<Item*, int>> live;
    for (int i = 1; i != 50; ++i) {
      auto item = pool->allocate(log, i);
      keys.push_back(pool->key(item));
      if (i % 3 != 0) live.emplace_back(item.get(), i), (void)item.release();
    }
    log.clear();
    std::sort(live.begin(), live.end(), [](auto const& a, auto const& b) { return std::less<>()(a.first, b.first); });
    pool->clear();
    std::vector<int> expected;
    for (auto const& [at, id] : live) expected.insert(expected.end(), {-id, id});
    CHECK(log == expected);
    std::vector<typename std::remove_reference_t<decltype(*pool)>::handle_type> handles;
    for (int i = 0; i != 40; ++i) handles.push_back(pool->allocate(log, i)), (void)pool->key(handles.back());
    for (Key const key : keys) CHECK_FALSE(pool->contains(key));
  };
  run(std::make_unique<FixedPool<Item, Generations>>(100));
  run(std::make_unique<FixedPool<Item, Generations, BitmapAllocator, NoChecks>>(100));
  PoolConfig const growing{.capacity = 10, .growth_strategy = GrowthStrategy::linear(17)};
  run(std::make_unique<GrowingPool<Item, Generations>>(growing));
  run(std::make_unique<GrowingPool<Item, Generations, FreeListAllocator, NoChecks>>(growing));
  run(std::make_unique<ThreadSafePool<Item, Generations>>(growing));
}

TEMPLATE_TEST_CASE("clear: keys of objects without destructors are stale, too", "",
                   (FixedPool<Plain, Generations, LockFree>), (GrowingPool<Plain, Generations, NoChecks>),
                   (GrowingPool<Plain, Generations, FullChecks, BitmapAllocator>),
                   (ThreadSafePool<Plain, Generations>)MORE_ROWS((FixedPool<Plain, Generations>))) {
  TestType pool = make<TestType>();
  std::vector<Key> keys;
  for (int round = 0; round != 5; ++round) {
    for (Plain* object : fill(pool, room)) keys.push_back(pool.key(object));
    for (std::size_t i = keys.size() - room; i != keys.size(); ++i) CHECK(pool.contains(keys[i]));
    pool.clear();
    for (Key const key : keys) CHECK_FALSE(pool.contains(key));
  }
  for (Plain* object : fill(pool, room)) CHECK(pool.key(object));
  for (Key const key : keys) CHECK_FALSE(pool.contains(key));
  pool.clear();
}

TEMPLATE_TEST_CASE("clear: statistics count each object as returned, and keep the peak", "",
                   (FixedPool<Plain, BasicStats, FullChecks>), (FixedPool<Plain, AtomicStats, LockFree>),
                   (ThreadSafePool<Plain, AtomicStats>), (GrowingPool<test::Tracked, BasicStats, BitmapAllocator>),
                   (ThreadLocalPool<Plain, AtomicStats>)MORE_ROWS((FixedPool<Plain, BasicStats>),
                                                                  (FixedPool<Plain, BasicStats, BitmapAllocator>),
                                                                  (GrowingPool<test::Tracked, BasicStats>))) {
  TestType pool = make<TestType>();
  auto const objects = fill(pool, 30);
  thin(pool, objects, 1);
  pool.clear();
  PoolStatistics const after = pool.statistics();
  CHECK(after.total_allocations == 30);
  CHECK(after.total_deallocations == 30);
  CHECK(after.current_usage == 0);
  CHECK(after.peak_usage == 30);
  pool.reset_statistics();
  fill(pool, 7);
  CHECK(pool.statistics().peak_usage == 7);
  pool.clear();
  CHECK(pool.statistics().peak_usage == 7);
  CHECK(pool.statistics().total_deallocations == 7);
  fill(pool, 8);
  CHECK(pool.statistics().peak_usage == 8);
  pool.clear();
}

TEMPLATE_TEST_CASE("clear: a checks policy reports a handle that comes later", "", (FixedPool<Plain, DebugChecks>),
                   (GrowingPool<Plain, FreeListAllocator, DebugChecks>),
                   (GrowingPool<test::Tracked, BitmapAllocator, FullChecks>),
                   (ThreadSafePool<Plain, LockFree, DebugChecks>),
                   (ThreadLocalPool<Plain, FullChecks>)MORE_ROWS((FixedPool<Plain, FullChecks>))) {
  test::RecordedErrors errors;
  TestType pool = make<TestType>();
  {
    auto const late = pool.allocate();
    pool.clear();
    CHECK(errors.count() == 0);
  }
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::double_free);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("clear: FullChecks sees writes to objects that it ended", "",
                   (GrowingPool<Plain, FreeListAllocator, FullChecks>), (FixedPool<Plain, BitmapAllocator, FullChecks>),
                   (FixedPool<test::Tracked, FullChecks>)MORE_ROWS((FixedPool<Plain, FullChecks>))) {
  if (FASTALLOC_ASAN) return;  // it sees the write itself
  test::RecordedErrors errors;
  TestType pool = make<TestType>();
  auto const objects = fill(pool, 20);
  pool.adopt(objects[4]).reset();
  std::memset(reinterpret_cast<unsigned char*>(objects[4]) + 16, 1, 1);  // before
  pool.clear();
  std::memset(reinterpret_cast<unsigned char*>(objects[9]) + 16, 1, 1);  // and after
  fill(pool, 20);
  CHECK(errors.count() == 2);
  errors.clear();
  pool.clear();
  CHECK(errors.count() == 0);
}

TEMPLATE_TEST_CASE(
    "clear: objects that SharedHandles or WeakHandles own stay", "", (FixedPool<Plain, Shared, NoChecks>),
    (GrowingPool<test::Tracked, AtomicShared, FullChecks>), (ThreadSafePool<test::Tracked, AtomicShared, NoChecks>),
    (FixedPool<Plain, AtomicShared, BitmapAllocator, DebugChecks>)MORE_ROWS((FixedPool<Plain, Shared, FullChecks>))) {
  test::Audit audit;
  test::RecordedErrors const errors;
  TestType pool = make<TestType>();
  fill(pool, 10);
  auto shared = pool.allocate().share();
  auto weak = pool.allocate().share().downgrade();  // of a dead object
  fill(pool, 10);
  auto* const object = shared.get();
  pool.clear();
  CHECK(pool.allocated() == 2);
  CHECK(shared.get() == object);
  CHECK(shared.use_count() == 1);
  CHECK(pool.check_invariants());
  if (errors.count() != 0) {
    CHECK(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::live_handles);
    CHECK(errors[0].requested == 2);
  }
  std::size_t seen = 0;
  pool.for_each([&](auto& each) { seen += &each == object; });
  CHECK(seen == 1);
  shared.reset();
  weak.reset();
  CHECK(pool.is_empty());
  auto const first = pool.allocate();
  pool.allocate().reset();
}

TEST_CASE("clear: a checks policy reports the owners of shared objects, others do not") {
  test::RecordedErrors const errors;
  FixedPool<int, Shared, NoChecks> quiet(4);
  FixedPool<int, Shared, DebugChecks> loud(4);
  auto const a = quiet.allocate(1).share();
  auto const b = loud.allocate(1).share();
  quiet.clear();
  CHECK(errors.count() == 0);
  loud.clear();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].to_string().find("destroy or reset() these handles first") != std::string::npos);
}

TEMPLATE_TEST_CASE("clear: recycled objects are reset and kept", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  std::size_t built = 0;
  std::size_t resets = 0;
  auto const init = [&] { return ++built, std::string(100, 'x'); };
  auto const reset = [&](std::string& s) { return ++resets, s != "bad"; };
  FixedPool<std::string, TestType, decltype(recycle(init, reset))> pool(PoolConfig{.capacity = 20},
                                                                        recycle(init, reset));
  auto const order = fill(pool, 10);
  pool.adopt(order[3]).reset();
  *order[5] = "bad";
  resets = 0;
  pool.clear();
  CHECK(resets == 9);
  CHECK(built == 10);
  auto const again = fill(pool, 10);
  CHECK(again == order);
  CHECK(built == 11);
  CHECK(pool.check_invariants());
  fill(pool, 10);
  CHECK(built == 21);
  pool.clear();
}

namespace {

/// Its destructor uses its pool.
template <class... Ps> struct Node;
template <class... Ps> using Nodes = GrowingPool<Node<Ps...>, Ps...>;
template <class... Ps> struct Node : test::Tracked {
  Node() = default;
  explicit Node(Nodes<Ps...>& in) : pool(&in) {}
  ~Node() {
    if (victim != nullptr) pool->adopt(std::exchange(victim, nullptr)).reset();
    if (what == Allocates) {
      auto const other = pool->allocate();
      (void)pool->allocated();
      pool->for_each([](Node& node) { node.verify(); });
    }
    if (what == Leaves) (void)pool->allocate().release();
  }
  enum { Nothing, Allocates, Leaves } what = Nothing;
  Nodes<Ps...>* pool = nullptr;
  Node* victim = nullptr;
};

template <class... Ps> struct With {
  using type = Nodes<Ps...>;
  using node = Node<Ps...>;
};

}  // namespace

TEMPLATE_TEST_CASE("clear: destructors use the pool", "", (With<FreeListAllocator>), (With<BitmapAllocator, NoChecks>),
                   (With<BitmapAllocator, FullChecks>), (With<LeastAllocator, NoChecks>),
                   (With<MutexLock, BasicStats>)MORE_ROWS((With<>), (With<NoChecks>))) {
  using N = typename TestType::node;
  test::Audit audit;
  typename TestType::type pool({.capacity = 8, .growth_strategy = GrowthStrategy::linear(8)});
  std::vector<N*> nodes;
  auto const build = [&] {
    nodes.clear();
    for (int i = 0; i != 40; ++i) nodes.push_back(pool.allocate(pool).release());
  };
  SECTION("they release others, alone and in a chain") {
    build();
    auto const order = nodes;
    std::sort(nodes.begin(), nodes.end(), std::less<>());
    for (std::size_t i = 0; i != 20; i += 2) nodes[i]->victim = nodes[39 - i], nodes[i + 1]->victim = nodes[38 - i];
    pool.clear();
    CHECK(audit.live() == 0);
    CHECK(pool.is_empty());
    CHECK(pool.check_invariants());
    build();
    if (nodes != order) {  // a bitmap of returned slots knows addresses only
      CHECK(std::is_same_v<TestType, With<BitmapAllocator, FullChecks>>);
      CHECK(std::is_sorted(nodes.begin(), nodes.end(), std::less<>()));
    }
    std::sort(nodes.begin(), nodes.end(), std::less<>());
    for (std::size_t i = 1; i != 40; ++i) nodes[i - 1]->victim = nodes[i];  // one chain
    pool.clear();
    CHECK(audit.live() == 0);
  }
  SECTION("they allocate, and release again") {
    build();
    for (N* node : nodes) node->what = N::Allocates;
    pool.clear();
    CHECK(audit.live() == 0);
    CHECK(pool.is_empty());
    CHECK(pool.check_invariants());
  }
  SECTION("they allocate objects that stay") {
    build();
    for (std::size_t i = 0; i < 40; i += 5) nodes[i]->what = N::Leaves;
    pool.clear();
    CHECK(pool.allocated() == audit.live());
    CHECK(audit.live() <= 8);
    CHECK(pool.check_invariants());
    pool.clear();
    CHECK(audit.live() == 0);
    CHECK(pool.is_empty());
  }
}

TEMPLATE_TEST_CASE("clear: inside an iteration, which then ends or goes on with new objects", "",
                   (FixedPool<Plain, FullChecks, FreeListAllocator>), (FixedPool<Plain, LockFree, NoChecks>),
                   (GrowingPool<test::Tracked, BitmapAllocator>), (ThreadSafePool<Plain>), (ThreadLocalPool<Plain>),
                   (FixedPool<Plain, Shared>)MORE_ROWS((FixedPool<Plain>), (FixedPool<Plain, NoChecks>),
                                                       (FixedPool<Plain, BitmapAllocator, NoChecks>),
                                                       (GrowingPool<test::Tracked>))) {
  test::Audit audit;
  TestType pool = make<TestType>();
  fill(pool, room);
  std::size_t seen = 0;
  pool.for_each([&](auto&) {
    if (++seen == 100) pool.clear();
  });
  CHECK(seen == 100);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
  if constexpr (requires { pool.live().begin(); }) {
    fill(pool, room);
    seen = 0;
    for ([[maybe_unused]] auto& object : pool.live())
      if (++seen == 100) pool.clear(), fill(pool, 1);
    CHECK(seen <= 101);  // the new object may lie further on
    CHECK(pool.allocated() == 1);
    pool.clear();
  }
}

TEST_CASE("clear: batches, runs, adopted objects, and a full pool") {
  GrowingPool<Plain, BitmapAllocator, BasicStats> pool({.capacity = 64});
  for (int round = 0; round != 3; ++round) {
    auto run = pool.allocate_n(40);
    auto batch = pool.allocate_batch_handle(20);
    std::vector<decltype(pool)::handle_type> handles;
    pool.allocate_batch(4, std::back_inserter(handles));
    CHECK_FALSE(pool.try_allocate());
    run.reset();
    batch.reset();
    for (auto& handle : handles) (void)handle.release();
    pool.clear();
    CHECK(pool.available() == 64);
    CHECK(pool.allocate_n(64).size() == 64);
  }
}

TEST_CASE("clear: in memory that processes share") {
  using Pool = FixedPool<Plain, ExternalStorage, LockFree, Generations, AtomicStats>;
  alignas(64) static std::byte memory[8192];
  Pool made{std::span<std::byte>(memory)};
  Pool attached{ExternalStorage::attach(memory)};
  auto const order = fill(attached, 20);
  Key const key = made.key(made.object_at(3));
  made.clear();
  CHECK(attached.is_empty());
  CHECK_FALSE(attached.contains(key));
  CHECK(fill(attached, 20) == order);
  attached.clear();
  CHECK(made.statistics().total_deallocations == 40);
}

namespace {
/// Threads may build it at once; Tracked keeps one list.
struct Ending {
  std::uint64_t value = 0;
  ~Ending() { value = 1; }
};
}  // namespace

TEMPLATE_TEST_CASE("clear: slots in the caches of other threads come, too", "", (ThreadSafePool<Plain, NoChecks>),
                   (ThreadSafePool<Ending, FullChecks, AtomicStats>), (ThreadSafePool<Plain, Generations>),
                   (ThreadSafePool<Plain, LockFree>)) {
  TestType pool(500);
  std::barrier step(2);
  std::vector<typename TestType::value_type*> theirs;
  std::thread other([&] {
    for (int round = 0; round != 2; ++round) {
      theirs = fill(pool, 200);
      for (int i = 0; i != 100; ++i) pool.adopt(theirs[theirs.size() - 1]).reset(), theirs.pop_back();
      step.arrive_and_wait();  // it has slots in its cache, and objects
      step.arrive_and_wait();
      CHECK(pool.is_full());
      CHECK_FALSE(pool.try_allocate());
      step.arrive_and_wait();
      step.arrive_and_wait();
    }
  });
  for (int round = 0; round != 2; ++round) {
    auto const mine = fill(pool, 150);
    step.arrive_and_wait();
    CHECK(pool.allocated() == 250);
    pool.clear();
    CHECK(pool.is_empty());
    CHECK(pool.check_invariants());
    auto const all = fill(pool, 500);
    CHECK(std::set(all.begin(), all.end()).size() == 500);
    step.arrive_and_wait();
    step.arrive_and_wait();
    pool.clear();
    CHECK(pool.is_empty());
    step.arrive_and_wait();
  }
  other.join();
  CHECK(pool.is_empty());
}

#if FASTALLOC_ASAN
TEMPLATE_TEST_CASE("clear: AddressSanitizer sees uses of objects that it ended", "", (FixedPool<Plain, NoChecks>),
                   (GrowingPool<Plain, FullChecks, Generations>), (FixedPool<test::Tracked, BitmapAllocator>)) {
  TestType pool = make<TestType>();
  auto const objects = fill(pool, 20);
  for (auto* object : objects) CHECK(__asan_address_is_poisoned(object) == 0);
  pool.clear();
  for (auto* object : objects) CHECK(__asan_address_is_poisoned(object) == 1);
  fill(pool, 20);
  for (auto* object : objects) CHECK(__asan_address_is_poisoned(object) == 0);
  pool.clear();
}
#endif

#if FASTALLOC_EXCEPTIONS
TEST_CASE("clear: what may throw is noexcept(false)") {
  STATIC_REQUIRE(noexcept(std::declval<FixedPool<Plain>&>().clear()));
  STATIC_REQUIRE(noexcept(std::declval<ThreadSafePool<Plain, Generations>&>().clear()));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<FixedPool<std::string>&>().clear()));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<FixedPool<Plain, Shared>&>().clear()));
}
#endif

TEMPLATE_TEST_CASE("clear: reserved keys are cancelled", "",
                   (FixedPool<Plain, Generations, FullChecks, BitmapAllocator>), (GrowingPool<Plain, Generations>),
                   (ThreadSafePool<test::Tracked, Generations>)
                       MORE_ROWS((FixedPool<Plain, Generations>), (FixedPool<test::Tracked, Generations>),
                                 (GrowingPool<test::Tracked, Generations, FullChecks>))) {
  test::Audit const audit;
  TestType pool(4);
  Key const first = pool.reserve_key();
  auto* const object = pool.allocate().release();
  Key const second = pool.reserve_key();
  CHECK(object != nullptr);
  pool.clear();
  CHECK(pool.is_empty());
  CHECK(!pool.try_build(first));
  CHECK(!pool.try_cancel(second));
  CHECK(pool.check_invariants());
  for (int i = 0; i != 4; ++i) CHECK(pool.allocate().release() != nullptr);
  pool.clear();
  CHECK(pool.available() == 4);
}

TEMPLATE_TEST_CASE("clear: pages of generations are opened no more often than there are", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  // The bump pointer's block did not know how many of its slots were handed out since the last look.
  test::Audit const audit;
  {
    using Pool = GrowingPool<test::Tracked, Generations, TestType, NoChecks>;
    Pool pool(200);
    for (int round = 0; round != 5; ++round) {
      std::vector<typename Pool::handle_type> handles;
      std::vector<Key> keys;
      while (!pool.is_full()) {
        handles.push_back(pool.allocate());
        keys.push_back(pool.key(handles.back()));
      }
      bool right = true;
      for (std::size_t i = 0; i != keys.size(); ++i) right = right && pool.get(keys[i]) == handles[i].get();
      CHECK(right);
      for (auto& handle : handles) (void)handle.release();
      pool.clear();
      right = true;
      for (Key const key : keys) right = right && !pool.contains(key);
      CHECK(right);
      CHECK(pool.check_invariants());
    }
  }
}
