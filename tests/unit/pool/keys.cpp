// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys: they find their object while it lives, and never another one.
#include <fastalloc/fastalloc.hpp>

#include <functional>
#include <iterator>
#include <set>
#include <unordered_set>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

using Counting = test::CountingStorage;

/// Slots of one byte, so that what keys keep in or behind them shows.
struct Byte {
  unsigned char value = 0;
};

struct OnAcquire : Poolable {
  static inline FixedPool<OnAcquire, Generations, BasicStats>* pool = nullptr;
  static inline std::vector<Key> keys;
#if FASTALLOC_EXCEPTIONS
  static inline bool throws = false;
#endif
  void on_acquire() {
    if (pool != nullptr) keys.push_back(pool->key(this));
#if FASTALLOC_EXCEPTIONS
    if (throws) throw 1;
#endif
  }
};

template <class P>
std::vector<typename P::handle_type> fill(P& pool, std::size_t n) {
  std::vector<typename P::handle_type> handles;
  for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate());
  return handles;
}

}  // namespace

TEMPLATE_TEST_CASE("keys: an object is found until it is released, in every kind of pool", "", (FixedPool<Tracked, Generations>),
                   (FixedPool<Tracked, BitmapAllocator, Generations, FullChecks>), (FixedPool<Tracked, FreeListAllocator, Generations, NoChecks>),
                   (FixedPool<Byte, FreeListAllocator, Generations, FullChecks>), (GrowingPool<Byte, FreeListAllocator, Generations, FullChecks>),
                   (GrowingPool<Tracked, Generations, Counting, FullChecks>), (GrowingPool<Tracked, BitmapAllocator, Generations, NoChecks>),
                   (GrowingPool<Tracked, FreeListAllocator, Generations, MutexLock>), (ThreadSafePool<Tracked, Generations>),
                   (ThreadSafePool<Byte, Generations, NoChecks>), (ThreadSafePool<Tracked, Generations, NoCache, FullChecks>),
                   (ThreadSafePool<Tracked, Generations, LockFree, FullChecks>), (ThreadSafePool<Tracked, Generations, LockFree, NoChecks>)) {
  test::Audit audit;
  TestType pool(PoolConfig{.capacity = 100});
  auto handles = fill(pool, 100);
  std::vector<Key> keys;
  for (auto const& handle : handles) keys.push_back(pool.key(handle));
  for (std::size_t i = 0; i != 100; ++i) {
    EXPECT(pool.get(keys[i]) == handles[i].get() && std::as_const(pool).get(keys[i]) == handles[i].get() && pool.contains(keys[i]));
    EXPECT(pool.key(handles[i]) == keys[i]);  // a second key is the same
  }
  CHECK(std::set<Key>(keys.begin(), keys.end()).size() == 100);

  for (std::size_t i = 0; i < 100; i += 2) handles[i].reset();
  for (std::size_t i = 0; i != 100; ++i) EXPECT(pool.get(keys[i]) == (i % 2 != 0 ? handles[i].get() : nullptr));
  for (std::size_t i = 0; i < 100; i += 2) handles[i] = pool.allocate();
  for (std::size_t i = 0; i < 100; i += 2) {
    EXPECT(!pool.contains(keys[i]));  // the slot serves another object now
    Key const anew = pool.key(handles[i]);
    EXPECT(anew != keys[i] && pool.get(anew) == handles[i].get());
  }
  handles.clear();
  for (Key const key : keys) EXPECT(pool.get(key) == nullptr);
  CHECK(pool.check_invariants());
}

TEST_CASE("keys: what names nothing, and a key as a number") {
  FixedPool<int, Generations> pool(10);
  CHECK(pool.get(Key{}) == nullptr);
  auto const handle = pool.allocate(7);
  Key const key = pool.key(handle);
  CHECK(key);
  CHECK_FALSE(Key{});
  CHECK(Key{}.value() == 0);
  CHECK(pool.get(Key{}) == nullptr);
  CHECK(Key::from_value(key.value()) == key);
  CHECK(pool.get(Key::from_value(key.value())) == handle.get());
  // Numbers that nobody made: an index behind the slots, or behind those that were handed out; every generation near the right one.
  CHECK(pool.get(Key(10, key.generation())) == nullptr);
  CHECK(pool.get(Key(0xFFFFFFFF, key.generation())) == nullptr);
  for (std::uint32_t index = 1; index != 10; ++index) CHECK(pool.get(Key(index, key.generation())) == nullptr);
  for (std::uint32_t i = 2; i != 100; ++i) CHECK(pool.get(Key(key.index(), key.generation() + i)) == nullptr);
  // Objects for which no key was made are not found by guessing, either.
  auto const other = pool.allocate(8);
  for (std::uint32_t i = 0; i != 100; ++i) CHECK(pool.get(Key(static_cast<std::uint32_t>(pool.index_of(other)), key.generation() + i - 50)) == nullptr);

  std::unordered_set<Key> const set{key, Key{}, key};
  CHECK(set.size() == 2);
  static_assert(std::is_trivially_copyable_v<Key> && std::three_way_comparable<Key>);
}

TEST_CASE("keys: those of another pool are refused, also of one that was at the same address before") {
  std::optional<FixedPool<int, Generations>> pool;
  std::vector<Key> old;
  for (int level = 0; level != 20; ++level) {
    pool.emplace(8);
    FixedPool<int, Generations> other(8);
    std::vector<FixedPool<int, Generations>::handle_type> handles;
    for (int i = 0; i != 8; ++i) handles.push_back(pool->allocate(i)), (void)pool->key(handles.back());
    auto const stranger = other.allocate(1);
    CHECK(pool->get(other.key(stranger)) == nullptr);
    for (Key const key : old) CHECK(pool->get(key) == nullptr);
    for (auto const& handle : handles) old.push_back(pool->key(handle));
  }
}

TEMPLATE_TEST_CASE("keys: stale for ever, also when the block went away and came again", "", (GrowingPool<Tracked, Generations, Counting, FullChecks>),
                   (GrowingPool<Byte, BitmapAllocator, Generations, Counting, NoChecks>),
                   (GrowingPool<Tracked, FreeListAllocator, Generations, Counting>), (ThreadSafePool<Tracked, Generations, Counting>)) {
  test::Audit audit;
  TestType pool(PoolConfig{.capacity = 70, .growth_strategy = GrowthStrategy::linear(130)});
  std::vector<Key> stale;
  auto const keeper = pool.allocate();  // the first block stays
  Key const kept = pool.key(keeper);
  std::size_t most = 0;
  for (int cycle = 0; cycle != 30; ++cycle) {
    auto handles = fill(pool, 500);
    for (auto const& handle : handles) EXPECT(pool.get(pool.key(handle)) == handle.get());
    for (Key const key : stale) EXPECT(pool.get(key) == nullptr);
    for (std::size_t i = 0; i < handles.size(); i += 7) stale.push_back(pool.key(handles[i]));
    handles.clear();
    EXPECT(pool.shrink_to_fit() > 0);
    for (Key const key : stale) EXPECT(pool.get(key) == nullptr);
    EXPECT(pool.get(kept) == keeper.get());
    EXPECT(pool.check_invariants());
    if (cycle == 1) most = test::storage_account().bytes();
    if (cycle > 1) EXPECT(test::storage_account().bytes() <= most);  // cycles cost no memory
  }
}

TEST_CASE("keys: blocks that come and go in turn use index space again") {
  test::Audit audit;
  GrowingPool<int, Generations, Counting> pool(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(640)});
  auto last = fill(pool, 64);
  std::vector<Key> stale;
  std::uint32_t highest = 0;
  for (int cycle = 0; cycle != 200; ++cycle) {
    auto next = fill(pool, 640);  // a new block while the old one lives; then the old one goes
    for (auto const& handle : next) highest = std::max(highest, pool.key(handle).index());
    stale.push_back(pool.key(last.front()));
    last = std::move(next);
    (void)pool.shrink_to_fit();
    for (Key const key : stale) EXPECT(!pool.contains(key));
  }
  CHECK(highest < 64 + 4 * 640);
}

TEMPLATE_TEST_CASE("keys: a slot whose generations are used up retires", "", (FixedPool<int, BasicGenerations<4>, BasicStats, FullChecks>),
                   (FixedPool<int, BasicGenerations<4>, BitmapAllocator, BasicStats>), (FixedPool<int, BasicGenerations<4>, FreeListAllocator, BasicStats>),
                   (ThreadSafePool<int, BasicGenerations<4>, LockFree, AtomicStats>)) {
  TestType pool(3);
  std::vector<Key> stale;
  std::size_t uses = 0;
  while (auto handle = pool.try_allocate(1)) {
    Key const key = pool.key(handle);
    for (Key const old : stale) EXPECT(old != key && !pool.contains(old));
    EXPECT(pool.contains(key) && pool.allocated() == 1);
    stale.push_back(key);
    ++uses;
    handle.reset();
    EXPECT(pool.capacity() == 3 - uses / 15 && pool.available() == pool.capacity() && pool.is_empty());
  }
  CHECK(uses == 3 * 15);  // 2^4 - 1 objects a slot
  CHECK(pool.statistics().peak_usage == 1);
  CHECK(pool.statistics().capacity == 0);
  CHECK(pool.check_invariants());
  std::size_t met = 0;
  pool.for_each([&](int&) { ++met; });
  CHECK(met == 0);
#if FASTALLOC_EXCEPTIONS
  CHECK(test::caught<PoolExhausted>([&] { (void)pool.allocate(1); }).capacity == 0);
#endif
}

TEMPLATE_TEST_CASE("keys: a pool that can acquire blocks replaces retired slots up to the capacity it began with", "",
                   (GrowingPool<int, BasicGenerations<2>, FullChecks>), (ThreadSafePool<int, BasicGenerations<2>>)) {
  TestType pool(PoolConfig{.capacity = 4});
  std::vector<Key> stale;
  for (int i = 0; i != 300; ++i) {
    auto const handle = pool.allocate(i);
    for (Key const old : stale) EXPECT(!pool.contains(old));
    stale.push_back(pool.key(handle));
    EXPECT(pool.capacity() <= 4);
  }
  CHECK(pool.check_invariants());
  std::vector<typename TestType::handle_type> handles;
  while (auto handle = pool.try_allocate(1)) handles.push_back(std::move(handle));
  CHECK(handles.size() == 4);
}

TEST_CASE("keys: objects without a key wear nothing") {
  FixedPool<int, BasicGenerations<1>> pool(1);
  for (int i = 0; i != 1000; ++i) CHECK(pool.try_allocate(i));
  { auto const handle = pool.allocate(1); CHECK(pool.contains(pool.key(handle))); }
  CHECK(pool.capacity() == 0);
  CHECK_FALSE(pool.try_allocate(1));
}

TEST_CASE("keys: a growing pool grows past retired slots, up to max_capacity objects, and keeps their blocks") {
  test::Audit audit;
  GrowingPool<int, BasicGenerations<1>, BasicStats, Counting> pool(
      PoolConfig{.capacity = 4, .max_capacity = 10, .growth_strategy = GrowthStrategy::linear(3)});
  for (int i = 0; i != 4; ++i) {
    auto const handle = pool.allocate(i);
    (void)pool.key(handle);
  }
  CHECK(pool.capacity() == 0);
  std::vector<decltype(pool)::handle_type> handles;
  while (auto handle = pool.try_allocate(1)) handles.push_back(std::move(handle));
  CHECK(handles.size() == 10);
  CHECK(pool.capacity() == 10);
  CHECK(pool.statistics().peak_usage == 10);
  handles.clear();
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(pool.check_invariants());
  CHECK(pool.try_allocate(1));
}

TEST_CASE("keys: what a failed allocation made is stale") {
  FixedPool<OnAcquire, Generations, BasicStats> pool(2);
  OnAcquire::pool = &pool;
  OnAcquire::keys.clear();
  auto handle = pool.allocate();
  CHECK(pool.get(OnAcquire::keys.at(0)) == handle.get());
#if FASTALLOC_EXCEPTIONS
  OnAcquire::throws = true;
  CHECK_THROWS_AS(pool.allocate(), int);
  OnAcquire::throws = false;
  CHECK_FALSE(pool.contains(OnAcquire::keys.at(1)));
  auto const second = pool.allocate();
  CHECK_FALSE(pool.contains(OnAcquire::keys.at(1)));
  CHECK(pool.get(OnAcquire::keys.at(2)) == second.get());
#endif
  OnAcquire::pool = nullptr;
}

#if FASTALLOC_EXCEPTIONS
namespace {
struct WornByFailure : Poolable {
  static inline GrowingPool<WornByFailure, BasicGenerations<1>, BasicStats, FullChecks>* pool = nullptr;
  void on_acquire() {
    (void)pool->key(this);
    throw 1;
  }
};
}  // namespace

TEST_CASE("keys: a failed allocation may wear its slot out, too") {
  GrowingPool<WornByFailure, BasicGenerations<1>, BasicStats, FullChecks> pool(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::none()});
  WornByFailure::pool = &pool;
  for (int i = 0; i != 10; ++i) {
    CHECK_THROWS_AS(pool.allocate(), int);
    CHECK(pool.allocated() == 0);
    CHECK(pool.capacity() <= 2);
    CHECK(pool.check_invariants());
  }
  CHECK(pool.statistics().total_allocations == 0);
  std::size_t met = 0;
  pool.for_each([&](WornByFailure&) { ++met; });
  CHECK(met == 0);
}
#endif

TEST_CASE("keys: release() and adopt() leave them valid; an object that ends takes its keys along before its slot is free") {
  FixedPool<int, Generations> pool(2);
  auto handle = pool.allocate(1);
  Key const key = pool.key(handle);
  int* const object = handle.release();
  CHECK(pool.get(key) == object);
  handle = pool.adopt(object);
  CHECK(pool.get(key) == object);
}

TEST_CASE("keys: without memory for generations a pool does not grow, and nothing is lost") {
  test::Audit audit;
  using Pool = GrowingPool<int, Generations, test::FailingStorage>;
  for (std::size_t budget = 0;; ++budget) {
    test::storage_account().fail_after(budget);
    auto pool = Pool::try_create(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(640)});
    if (!pool) {
      CHECK(pool.error().code == ErrorCode::allocation_failed);
      continue;
    }
    std::vector<Pool::handle_type> handles;
    std::vector<Key> keys;
    while (auto handle = pool->try_allocate(1)) {
      keys.push_back(pool->key(handle));
      handles.push_back(std::move(handle));
      if (handles.size() == 2000) break;
    }
    for (std::size_t i = 0; i != handles.size(); ++i) EXPECT(pool->get(keys[i]) == handles[i].get());
    if (handles.size() == 2000) break;
    EXPECT(pool->check_invariants());
    REQUIRE(budget < 50);
  }
  test::storage_account().allow();
}

TEST_CASE("keys: exact bytes, and pages that no slot was handed out from are not written to") {
  CHECK(FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations>::required_bytes(1000) == 8000 + 4000 + 4000);
  CHECK(FixedPool<Byte, ExternalStorage, NoChecks, FreeListAllocator, Generations>::required_bytes(3) == 12 + 12);
  CHECK(FixedPool<Byte, ExternalStorage, NoChecks, Generations>::required_bytes(3) == 4 + 12 + 12);
  std::vector<std::byte> memory(FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations>::required_bytes(1000) + 8, std::byte{0x5A});
  {
    FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations> pool(std::span<std::byte>(memory.data(), memory.size() - 8));
    CHECK(pool.capacity() == 1000);
    auto const handles = fill(pool, 10);
    for (auto const& handle : handles) (void)pool.key(handle);
  }
  for (std::size_t i = 8000 + 40; i != 12000; ++i) EXPECT(memory[i] == std::byte{0x5A});  // words of slots that were never used
  for (std::size_t i = 16000; i != memory.size(); ++i) EXPECT(memory[i] == std::byte{0x5A});
}

namespace {
/// Looks itself up whenever its end is near, by the key that it had, and by one made then.
struct Dying : Poolable {
  Dying() = default;
  Dying(Dying&&) = delete;
  void on_acquire() noexcept {}
  void on_release() noexcept { look(*this); }
  ~Dying() { look(*this); }
  static void look(Dying& object) { Dying::find(object); }
  static inline void (*find)(Dying&) = nullptr;
  static inline int looked = 0;
  static inline int found = 0;
  Key key;
};
struct InitDying {
  Dying operator()() const { return Dying(); }
};
struct ResetDying {
  void operator()(Dying& object) const noexcept { Dying::look(object); }
};
using RecycleDying = Recycle<InitDying, ResetDying>;
}  // namespace

TEMPLATE_TEST_CASE("keys: they end before on_release() and the destructor run, or the reset", "",
                   (FixedPool<Dying, Generations, NoChecks>),
                   (FixedPool<Dying, BitmapAllocator, Generations, FullChecks>), (GrowingPool<Dying, Generations>),
                   (GrowingPool<Dying, FreeListAllocator, Generations, MutexLock>),
                   (ThreadSafePool<Dying, Generations>), (ThreadSafePool<Dying, Generations, NoCache>),
                   (ThreadSafePool<Dying, Generations, LockFree>), (FixedPool<Dying, Generations, Shared, NoChecks>),
                   (FixedPool<Dying, Generations, RecycleDying, NoChecks>),
                   (GrowingPool<Dying, Generations, RecycleDying, FullChecks>),
                   (ThreadSafePool<Dying, Generations, RecycleDying>)) {
  static TestType* pool;
  TestType the_pool(PoolConfig{.capacity = 16});
  pool = &the_pool;
  Dying::looked = Dying::found = 0;
  Dying::find = [](Dying& object) {
    ++Dying::looked;
    Dying::found += pool->get(object.key) != nullptr || pool->contains(object.key);
  };
  std::vector<Key> keys;
  auto const keyed = [&](Dying& object) { keys.push_back(object.key = pool->key(&object)); };
  auto handle = pool->allocate();
  keyed(*handle);
  CHECK(pool->get(keys[0]) == handle.get());
  handle.reset();
  auto batch = pool->allocate_batch_handle(4);
  for (Dying& object : batch) keyed(object);
  batch.reset();
  std::vector<typename TestType::handle_type> handles;
  pool->allocate_batch(4, std::back_inserter(handles));
  for (auto& each : handles) keyed(*each);
  Handle<Dying> erased = std::move(handles.back());
  erased.reset();
  handles.clear();
  if constexpr (std::is_same_v<TestType, FixedPool<Dying, BitmapAllocator, Generations, FullChecks>>) {
    auto const run = pool->allocate_n(3);
    for (Dying& object : run) keyed(object);
  }
  if constexpr (std::is_same_v<TestType, FixedPool<Dying, Generations, Shared, NoChecks>>) {
    auto shared = pool->allocate().share();
    keyed(*shared);
    auto const weak = shared.downgrade();
    shared.reset();
    CHECK(weak.expired());
  }
  CHECK(Dying::looked >= 18);
  CHECK(Dying::found == 0);
  for (Key const key : keys) CHECK_FALSE(pool->contains(key));
  Dying::find = [](Dying&) {};
}

#if FASTALLOC_EXCEPTIONS
namespace {
/// A hook that throws ends the object, too.
struct Refused : Poolable {
  explicit Refused(FixedPool<Refused, Generations>& p) : pool(&p) {}
  void on_acquire() {
    key = pool->key(this);
    CHECK(pool->contains(key));
    throw 1;
  }
  ~Refused() { CHECK_FALSE(pool->contains(key)); }
  FixedPool<Refused, Generations>* pool;
  Key key;
};
}  // namespace

TEST_CASE("keys: those of an object whose on_acquire() throws end before its destructor runs") {
  FixedPool<Refused, Generations> pool(2);
  CHECK_THROWS_AS(pool.allocate(pool), int);
  CHECK_THROWS_AS(pool.allocate_batch_handle(2, std::ref(pool)), int);
  CHECK(pool.is_empty());
}
#endif

namespace {
/// Asks for a key while it is being destroyed.
struct Late {
  static inline FixedPool<Late, BasicGenerations<2>, NoChecks>* pool = nullptr;
  static inline std::vector<Key> keys;
  ~Late() { keys.push_back(pool->key(this)); }
};
}  // namespace

TEST_CASE("keys: one that a destructor makes names no later object, and wakes no slot whose generations are used up") {
  FixedPool<Late, BasicGenerations<2>, NoChecks> pool(1);
  Late::pool = &pool;
  Late::keys.clear();
  for (int i = 0; i != 20; ++i) {
    auto const handle = pool.try_allocate();
    if (!handle) break;
    for (Key const key : Late::keys) CHECK_FALSE(pool.contains(key));
  }
  for (Key const key : Late::keys) CHECK_FALSE(pool.contains(key));
  CHECK(pool.check_invariants());
}
