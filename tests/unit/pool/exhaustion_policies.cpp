// SPDX-License-Identifier: MIT OR Apache-2.0
// What a pool does when every slot is in use: Evict and HeapFallback.
#include <fastalloc/fastalloc.hpp>

#include <functional>
#include <optional>
#include <vector>

#include "support/audit.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Tracked;

namespace {

/// Pools with HeapFallback: a capacity of 4, and no more.
template <class F> void for_each_pool(F&& f) {
  f.template operator()<FixedPool<Tracked, HeapFallback>>();
  f.template operator()<FixedPool<Tracked, HeapFallback, BitmapAllocator, FullChecks>>();
  f.template operator()<FixedPool<Tracked, HeapFallback, NoChecks, FreeListAllocator, BasicStats>>();
  f.template operator()<FixedPool<Tracked, HeapFallback, InlineStorage<4>>>();
  f.template operator()<GrowingPool<Tracked, HeapFallback>>();
  f.template operator()<ThreadSafePool<Tracked, HeapFallback>>();
  f.template operator()<ThreadSafePool<Tracked, HeapFallback, LockFree>>();
}

}  // namespace

TEST_CASE("HeapFallback: objects above the capacity come from the heap, and go back there") {
  for_each_pool([]<class Pool>() {
    test::Audit const audit;
    Pool pool(PoolConfig{.capacity = 4});
    std::vector<typename Pool::handle_type> handles;
    for (unsigned i = 0; i != 10; ++i) handles.push_back(i % 2 == 0 ? pool.allocate(i) : pool.try_allocate(i));
    EXPECT(pool.allocated() == 4 && pool.heap_objects() == 6 && audit.live() == 10);
    for (unsigned i = 0; i != 10; ++i) EXPECT(handles[i]->value() == i && handles[i]->intact());
    std::size_t visited = 0;
    pool.for_each([&](Tracked&) { ++visited; });
    EXPECT(visited == 4);  // slots only
    EXPECT(pool.index_of(handles[0]) < 4 && pool.index_of(handles[9]) == std::size_t(-1));

    Handle<Tracked> erased = std::move(handles[8]);
    erased.reset();
    Tracked* const released = handles[9].release();
    pool.adopt(released).reset();
    EXPECT(pool.heap_objects() == 4 && audit.live() == 8);
    handles[0].reset();
    handles[8] = pool.allocate(8U);  // a slot is free again
    EXPECT(pool.allocated() == 4 && pool.heap_objects() == 4);
    handles.clear();
    EXPECT(pool.is_empty() && pool.heap_objects() == 0 && audit.live() == 0 && pool.check_invariants());
  });
}

namespace {

struct Derived : Tracked {
  using Tracked::Tracked;
  std::uint64_t more[4] = {};
};
struct alignas(64) Wide {
  explicit Wide(int n) : number(n) {}
  int number;
  std::byte rest[100];
};

}  // namespace

TEST_CASE("HeapFallback: handles to a part, over-aligned objects, constructors that throw") {
  test::Audit const audit;
  FixedPool<Derived, HeapFallback> pool(1);
  auto const first = pool.allocate(1U);
  Handle<Derived> whole = pool.allocate(2U);
  std::uint64_t* const inside = &whole->more[2];
  Handle<std::uint64_t> other(std::move(whole), inside);
  CHECK(pool.heap_objects() == 1);
  other.reset();
  CHECK(pool.heap_objects() == 0);
#if FASTALLOC_EXCEPTIONS
  FixedPool<test::ThrowOnNth, HeapFallback> throwing(1);
  auto const held = throwing.allocate(1U);
  test::fuse().light(1);
  CHECK_THROWS(throwing.allocate(3U));
  test::fuse().put_out();
  CHECK(throwing.heap_objects() == 0);
#endif

  FixedPool<Wide, HeapFallback> wide(1);
  auto const one = wide.allocate(1);
  for (int i = 0; i != 10; ++i) {
    auto const two = wide.allocate(2);
    EXPECT(reinterpret_cast<std::uintptr_t>(two.get()) % 64 == 0 && two->number == 2);
  }
}

TEST_CASE("HeapFallback: a checks policy reports foreign pointers, and a pool its live heap objects") {
  test::RecordedErrors const errors;
  {
    FixedPool<int, HeapFallback, FullChecks> pool(1);
    auto const one = pool.allocate(1);
    auto two = pool.allocate(2);
    int foreign = 0;
    CHECK(!pool.adopt(&foreign));
    CHECK(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::invalid_handle);
    int* const leaked = two.release();
    CHECK(*leaked == 2);
    CHECK(pool.adopt(leaked));  // and back to the heap at once
    CHECK(pool.heap_objects() == 0);
  }
  int* lost = nullptr;
  std::optional<FixedPool<int, HeapFallback>> pool(std::in_place, 1U);
  {
    auto const one = pool->allocate(1);
    lost = pool->allocate(2).release();
  }
  CHECK(errors.count() == 1);
  pool.reset();
  REQUIRE(errors.count() == 2);
  CHECK(errors[1].code == ErrorCode::live_handles);
  CHECK(errors[1].requested == 1);
  ::operator delete(reinterpret_cast<std::byte*>(lost) - 2 * sizeof(void*));
}

TEST_CASE("Evict: the oldest object makes room, in the order of age") {
  test::Audit const audit;
  OldestFirst<Tracked> queue;
  auto end_one = evict(std::ref(queue));
  FixedPool<Tracked, decltype(end_one), BasicStats> pool(PoolConfig{.capacity = 3}, end_one);
  for (unsigned i = 0; i != 100; ++i) {
    queue.push(pool.allocate(i));
    EXPECT(pool.allocated() == (i < 3 ? i + 1 : 3) && queue.front().value() == (i < 3 ? 0 : i - 2));
  }
  CHECK(queue.size() == 3);
  auto extra = pool.try_allocate(100U);
  CHECK(extra);
  CHECK(queue.size() == 2);
  while (queue.pop()) {}
  CHECK(pool.allocated() == 1);
}

TEST_CASE("Evict: a victim by key, growth first, and what happens when there is none") {
  test::Audit const audit;
  std::vector<Key> keys;
  std::size_t calls = 0;
  auto by_key = evict([&](auto& pool) {
    ++calls;
    if (keys.empty()) return false;
    pool.adopt(pool.get(keys.back())).reset();
    keys.pop_back();
    return true;
  });
  GrowingPool<Tracked, Generations, decltype(by_key)> pool(
      PoolConfig{.capacity = 2, .max_capacity = 4, .growth_strategy = GrowthStrategy::linear(1)}, by_key);
  auto const keep = [&](unsigned number) { keys.push_back(pool.key(pool.allocate(number).release())); };
  for (unsigned i = 0; i != 4; ++i) keep(i);
  CHECK(calls == 0);  // it grew
  auto const fifth = pool.allocate(4U);
  CHECK(calls == 1);
  CHECK(keys.size() == 3);
  keep(9);  // ends the object of the third key, and is it itself
  keys.erase(keys.begin(), keys.end() - 1);
  std::vector<Key> const last = std::exchange(keys, {});
  CHECK(!pool.try_allocate(5U));
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(pool.allocate(5U), MaxCapacityExceeded);
  CHECK(calls == 4);
#endif
  pool.for_each([&](Tracked& object) {
    if (&object != fifth.get()) pool.adopt(&object).reset();
  });
  CHECK(pool.get(last[0]) == nullptr);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("Evict: a function that ends nothing, or throws, changes nothing") {
  std::size_t calls = 0;
  auto liar = evict([&] { return ++calls != 0; });
  FixedPool<int, decltype(liar)> pool(PoolConfig{.capacity = 1}, liar);
  auto const one = pool.allocate(1);
  CHECK_THROWS_AS(pool.allocate(2), PoolExhausted);
  CHECK(calls == static_cast<std::size_t>(decltype(liar)::max_calls));
  auto throwing = evict([]() -> bool { throw 5; });
  ThreadSafePool<int, decltype(throwing)> other(PoolConfig{.capacity = 1}, throwing);
  auto const two = other.allocate(1);
  CHECK_THROWS_AS(other.allocate(2), int);
  CHECK(other.allocated() == 1);
  CHECK(other.check_invariants());
}
#endif

TEST_CASE("Evict: an owner of the oldest moves, and is empty afterwards") {
  FixedPool<int> pool(8);
  OldestFirst<int> queue;
  for (int i = 0; i != 5; ++i) queue.push(pool.allocate(i));
  CHECK(queue.pop());
  OldestFirst<int> moved = std::move(queue);
  CHECK(queue.size() == 0);
  CHECK(!queue.pop());
  queue.push(pool.allocate(7));
  CHECK(moved.size() == 4);
  CHECK(moved.front() == 1);
  moved = std::move(queue);
  CHECK(pool.allocated() == 1);
  CHECK(moved.front() == 7);
  CHECK(queue.size() == 0);
}

TEMPLATE_TEST_CASE("HeapFallback: the last object ends an abandoned pool, wherever it is", "",
                   (FixedPool<Tracked, HeapFallback>), (GrowingPool<Tracked, HeapFallback, FullChecks>),
                   (ThreadSafePool<Tracked, HeapFallback, NoCache>)MORE_ROWS((ThreadSafePool<Tracked, HeapFallback>))) {
  test::RecordedErrors const errors;
  for (bool const slot_first : {true, false}) {
    test::Audit const audit;
    using Movable = MovablePool<TestType>;
    typename Movable::handle_type in_slot, on_heap;
    Handle<Tracked> erased;
    {
      Movable pool(PoolConfig{.capacity = 1});
      in_slot = pool->allocate(1U);
      on_heap = pool->allocate(2U);
      erased = pool->allocate(3U);
      CHECK(pool->heap_objects() == 2);
    }
    CHECK(audit.live() == 3);
    if (slot_first) in_slot.reset();
    on_heap.reset();
    CHECK(erased->value() == 3);
    erased.reset();
    if (!slot_first) CHECK(in_slot->value() == 1);
    in_slot.reset();
    CHECK(audit.live() == 0);
  }
  CHECK(errors.count() == 0);
}

TEST_CASE("Evict: reserve_key() makes room, too") {
  std::vector<Key> keys;
  std::size_t calls = 0;
  auto const by_key = evict([&](auto& pool) {
    ++calls;
    if (keys.empty()) return false;
    pool.adopt(pool.get(keys.back())).reset();
    keys.pop_back();
    return true;
  });
  FixedPool<int, Generations, std::remove_const_t<decltype(by_key)>> pool(PoolConfig{.capacity = 2}, by_key);
  for (int i = 0; i != 2; ++i) keys.push_back(pool.key(pool.allocate(i).release()));
  Key const reserved = pool.reserve_key();
  CHECK(calls == 1);
  CHECK(pool.try_reserve_key() != Key());
  CHECK(calls == 2);
  CHECK(pool.try_reserve_key() == Key());
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(pool.reserve_key(), PoolExhausted);
#endif
  CHECK(*pool.build(reserved, 5) == 5);
}

TEST_CASE("Evict: each thread of a ThreadLocalPool has a copy of the value; pools that need one ask for it") {
  OldestFirst<int> queue;
  auto const end_one = evict([&] { return queue.pop(); });
  using EndOne = std::remove_const_t<decltype(end_one)>;
  ThreadLocalPool<int, EndOne> pool(PoolConfig{.capacity = 2}, end_one);
  for (int i = 0; i != 5; ++i) queue.push(pool.allocate(i));
  CHECK(queue.size() == 2);
  CHECK(queue.front() == 3);
  while (queue.pop()) {}
  STATIC_REQUIRE(!std::is_constructible_v<ThreadLocalPool<int, EndOne>, std::size_t>);
  STATIC_REQUIRE(!std::is_default_constructible_v<FixedPool<int, InlineStorage<2>, EndOne>>);
  FixedPool<int, InlineStorage<2>, EndOne> in_place(PoolConfig{.capacity = 2}, end_one);
  for (int i = 0; i != 5; ++i) queue.push(in_place.allocate(i));
  CHECK(queue.size() == 2);
  while (queue.pop()) {}
}

TEST_CASE("HeapFallback: objects from the heap have PoolConfig::alignment, too") {
  for_each_pool([]<class Pool>() {
    if constexpr (requires { Pool(4); } && !std::is_default_constructible_v<Pool>) {
      Pool pool(PoolConfig{.capacity = 1, .alignment = 256});
      std::vector<typename Pool::handle_type> handles;
      for (unsigned i = 0; i != 20; ++i) {
        handles.push_back(pool.allocate(i));
        EXPECT(reinterpret_cast<std::uintptr_t>(handles[i].get()) % 256 == 0);
      }
      Handle<Tracked> const erased = std::move(handles.back());
    }
  });
}

// --- use of the pool while it evicts

TEMPLATE_TEST_CASE("Evict: requests of the function do not evict, so they end", "", (FixedPool<Tracked, Generations>),
                   (GrowingPool<Tracked, Generations, BitmapAllocator, FullChecks>)) {
  test::Audit const audit;
  std::size_t calls = 0;
  auto const asking = evict([&](auto& pool) {
    ++calls;
    bool const found = pool.try_allocate(7U) || pool.try_reserve_key();
    EXPECT(!found);
    return found;
  });
  auto const run = [&]<template <class, class...> class Pool, class... Ps>(std::type_identity<Pool<Tracked, Ps...>>) {
    Pool<Tracked, Ps..., std::remove_const_t<decltype(asking)>> pool(PoolConfig{.capacity = 2}, asking);
    auto const one = pool.allocate(1U), two = pool.allocate(2U);
    CHECK(!pool.try_allocate(3U));
    CHECK(calls == 1);
#if FASTALLOC_EXCEPTIONS
    CHECK_THROWS_AS(pool.allocate(3U), PoolExhausted);
    CHECK(calls == 2);
#endif
    CHECK(!pool.try_reserve_key());  // and the function is called again afterwards
    CHECK(calls == (FASTALLOC_EXCEPTIONS ? 3 : 2));
    CHECK(pool.check_invariants());
  };
  run(std::type_identity<TestType>());
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("Evict: a function that threw is called again") {
  int calls = 0;
  auto throwing = evict([&]() -> bool {
    if (++calls == 1) throw 5;
    return false;
  });
  FixedPool<int, decltype(throwing)> pool(PoolConfig{.capacity = 1}, throwing);
  auto const one = pool.allocate(1);
  CHECK_THROWS_AS(pool.try_allocate(2), int);
  CHECK(!pool.try_allocate(2));
  CHECK(calls == 2);
}
#endif

namespace {

/// An object that wants another one when it ends.
struct Successor {
  struct World {
    OldestFirst<Successor> queue;
    Handle<Successor> (*make)(World&) = nullptr;
    void* pool = nullptr;
    std::size_t refused = 0, made = 0, ended = 0;
    bool wants = true;
  };
  explicit Successor(World& in) : world(&in) {}
  Successor(Successor const&) = delete;
  Successor& operator=(Successor const&) = delete;
  ~Successor() {
    ++world->ended;
    if (!world->wants) return;
    if (auto next = world->make(*world)) ++world->made, world->queue.push(std::move(next));
    else ++world->refused;
  }
  World* world;
  Tracked tracked{5};
};

}  // namespace

TEST_CASE("Evict: destructors that allocate find no slot below an eviction, and may evict outside of one") {
  test::Audit const audit;
  Successor::World world;
  auto const oldest = evict([&world] { return world.queue.pop(); });
  using Pool = FixedPool<Successor, std::remove_const_t<decltype(oldest)>>;
  constexpr std::size_t count = 1000;
  Pool pool(PoolConfig{.capacity = count}, oldest);
  world.pool = &pool;
  world.make = [](Successor::World& in) -> Handle<Successor> { return static_cast<Pool*>(in.pool)->try_allocate(in); };
  for (std::size_t i = 0; i != count; ++i) world.queue.push(pool.allocate(world));
  world.queue.push(pool.allocate(world));  // one goes; its destructor is refused, and ends no other
  CHECK(world.ended == 1);
  CHECK(world.refused == 1);
  CHECK(world.queue.size() == count);
  {
    Handle<Successor> const held = pool.allocate(world);
    CHECK(world.ended == 2);
  }  // its destructor evicts the oldest, whose destructor is refused
  CHECK(world.ended == 4);
  CHECK(world.made == 1);
  CHECK(world.refused == 3);
  CHECK(pool.allocated() == count - 1);
  CHECK(world.queue.size() == count - 1);

  // The owner ends while destructors look at it and push.
  std::size_t const made = world.made;
  OldestFirst<Successor> few;
  few.push(pool.allocate(world));
  few = OldestFirst<Successor>();
  CHECK(world.made > made);
  {
    OldestFirst<Successor> const all = std::move(world.queue);
    world.make = [](Successor::World& in) -> Handle<Successor> {
      if (in.made % 3 == 0) in.wants = false;
      return static_cast<Pool*>(in.pool)->try_allocate(in);
    };
  }
  CHECK(pool.allocated() == world.queue.size());
  world.wants = false;
  while (world.queue.pop()) {}
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

namespace {

struct Logger {
  explicit Logger(OldestFirst<Logger>*& in) : queue(in) {}
  Logger(Logger const&) = delete;
  Logger& operator=(Logger const&) = delete;
  ~Logger() {
    sizes += queue->size() + 1;
    if (extra) queue->push(std::move(extra));
  }
  OldestFirst<Logger>*& queue;
  Handle<Logger> extra{};
  static inline std::size_t sizes = 0;
};

}  // namespace

TEST_CASE("OldestFirst: destructors may use it while it ends") {
  FixedPool<Logger> pool(10);
  OldestFirst<Logger>* current = nullptr;
  {
    OldestFirst<Logger> queue;
    current = &queue;
    for (int i = 0; i != 4; ++i) queue.push(pool.allocate(current));
    queue.front().extra = pool.allocate(current);
  }
  CHECK(pool.is_empty());
  CHECK(Logger::sizes == 4 + 4 + 3 + 2 + 1);  // the extra one joined
}

TEST_CASE("Evict: victims that have other owners free no slot; with keys, objects that are gone end nothing") {
  test::Audit const audit;
  std::vector<SharedHandle<Tracked>> owners;
  std::size_t calls = 0;
  auto const last_owner = evict([&] {
    ++calls;
    if (owners.empty()) return false;
    owners.pop_back();
    return true;
  });
  FixedPool<Tracked, Shared, Generations, std::remove_const_t<decltype(last_owner)>> pool(PoolConfig{.capacity = 3},
                                                                                          last_owner);
  owners.push_back(pool.allocate(1U).share());
  owners.push_back(owners[0]);
  owners.push_back(pool.allocate(2U).share());
  WeakHandle<Tracked> weak = owners.back().downgrade();
  owners.push_back(pool.allocate(3U).share());
  Key const key = pool.key(owners.back().get());
  auto first = pool.try_allocate(4U);  // the third object goes
  CHECK(first);
  CHECK(calls == 1);
  CHECK(pool.get(key) == nullptr);
  auto second = pool.try_allocate(5U);  // the second one's slot is the WeakHandle's; two owners of the first go
  CHECK(second);
  CHECK(calls == 4);
  CHECK(weak.expired());
  CHECK(!pool.try_allocate(6U));
  weak.reset();
  CHECK(pool.try_allocate(6U));
  CHECK(pool.check_invariants());
}

TEST_CASE("Evict: in for_each() and clear()") {
  test::Audit const audit;
  OldestFirst<Tracked> queue;
  auto const oldest = evict([&] { return queue.pop(); });
  FixedPool<Tracked, BitmapAllocator, std::remove_const_t<decltype(oldest)>> pool(PoolConfig{.capacity = 4}, oldest);
  for (unsigned i = 0; i != 4; ++i) queue.push(pool.allocate(i));
  std::size_t met = 0;
  pool.for_each([&](Tracked const& object) {
    CHECK(object.intact());
    if (++met < 20) queue.push(pool.allocate(unsigned(met)));  // ends the oldest, perhaps this one
  });
  CHECK(met >= 4);
  CHECK(pool.allocated() == 4);
  OldestFirst<Tracked> const gone = std::move(queue);
}

// --- objects from the heap

namespace {

struct EndsTwice {
  explicit EndsTwice(FixedPool<EndsTwice, HeapFallback, FullChecks>* in) : pool(in) {}
  EndsTwice(EndsTwice const&) = delete;
  EndsTwice& operator=(EndsTwice const&) = delete;
  ~EndsTwice() {
    ++ended;
    EXPECT(pool->heap_objects() == heap);
    if (pool->adopt(this)) EXPECT_NOT_REACHED("an object that is being destroyed was adopted");
  }
  FixedPool<EndsTwice, HeapFallback, FullChecks>* pool;
  std::size_t heap = 0;
  static inline int ended = 0;
};

}  // namespace

TEST_CASE("HeapFallback: with a checks policy an object that is being destroyed is no object any more") {
  test::RecordedErrors const errors;
  FixedPool<EndsTwice, HeapFallback, FullChecks> pool(1);
  {
    auto const in_slot = pool.allocate(&pool);
    auto on_heap = pool.allocate(&pool);
    on_heap->heap = 1;  // it counts until it is gone
    on_heap.reset();
    CHECK(EndsTwice::ended == 1);
    REQUIRE(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::invalid_handle);
    CHECK(pool.heap_objects() == 0);
  }
  CHECK(EndsTwice::ended == 2);
  CHECK(errors.count() == 2);
}

TEMPLATE_TEST_CASE("HeapFallback: a checks policy reports what ends twice", "", DebugChecks, FullChecks) {
  test::Audit const audit;
  test::RecordedErrors const errors;
  FixedPool<Tracked, HeapFallback, TestType> pool(1);
  auto const in_slot = pool.allocate(1U);
  auto other = pool.allocate(2U);
  Tracked* const object = pool.allocate(3U).release();
  auto once = pool.adopt(object), twice = pool.adopt(object);
  once.reset();
  twice.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::invalid_handle);
  Handle<std::uint64_t> inside(std::move(other), reinterpret_cast<std::uint64_t*>(other.get()) + 1);
  CHECK(pool.heap_objects() == 1);
}

#if FASTALLOC_EXCEPTIONS
namespace {

/// Its constructor ends the owner of its pool, and throws.
template <class... Ps> struct Killer {
  using Owner = MovablePool<FixedPool<Killer, HeapFallback, test::CountingStorage, Ps...>>;
  explicit Killer(Owner* owner) {
    if (owner == nullptr) return;
    owner->reset();
    throw 5;
  }
  Tracked tracked{1};
};

}  // namespace

TEMPLATE_TEST_CASE("HeapFallback: a constructor that ends its MovablePool, and throws, leaves nothing", "", NoLock,
                   MutexLock) {
  for (std::size_t const held : {0U, 1U, 2U}) {
    test::Audit const audit;
    using Object = Killer<TestType>;
    typename Object::Owner pool(PoolConfig{.capacity = 1});
    std::vector<typename Object::Owner::handle_type> handles;
    for (std::size_t i = 0; i != held; ++i) handles.push_back(pool->allocate(nullptr));
    CHECK_THROWS_AS(pool->allocate(&pool), int);
    CHECK(!pool);
  }
}
#endif

TEST_CASE("HeapFallback: batches, loops, owns() and statistics are about slots; clear() leaves the heap alone") {
  for_each_pool([]<class Pool>() {
    test::Audit const audit;
    Pool pool(PoolConfig{.capacity = 4});
    std::vector<typename Pool::handle_type> slots, heap;
    for (unsigned i = 0; i != 4; ++i) slots.push_back(pool.allocate(i));
    for (unsigned i = 4; i != 7; ++i) heap.push_back(pool.allocate(i));
    EXPECT(pool.owns(slots[0].get()) && !pool.owns(heap[0].get()));
    EXPECT(!pool.try_allocate_batch_handle(1, 9U) && pool.heap_objects() == 3);
    std::vector<typename Pool::handle_type> none;
    EXPECT(!pool.try_allocate_batch(2, std::back_inserter(none), 9U) && none.empty());
    slots.resize(2);
    {
      auto const batch = pool.try_allocate_batch_handle(2, 9U);
      EXPECT(batch.size() == 2 && pool.heap_objects() == 3 && pool.is_full());
      EXPECT(!pool.try_allocate_batch_handle(1, 9U));
    }
    std::size_t met = 0;
    pool.for_each([&](Tracked& object) { met += object.intact() ? 1 : 100; });
    EXPECT(met == 2);
    if constexpr (Pool::has_statistics) {
      auto const statistics = pool.statistics();
      EXPECT(statistics.current_usage == 2 && statistics.total_allocations == 6 && statistics.peak_usage == 4);
      EXPECT(statistics.allocation_failures >= 3);
    }
    for (auto& handle : slots) (void)handle.release();
    pool.clear();
    EXPECT(pool.is_empty() && pool.heap_objects() == 3 && audit.live() == 3);
    slots.clear();
    slots.push_back(pool.allocate(1U));
    EXPECT(pool.owns(slots[0].get()) && heap[2]->value() == 6);
    heap.clear();
    EXPECT(pool.heap_objects() == 0 && pool.check_invariants());
  });
}
