// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys: they find their object while it lives, and never another one.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
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

template <class P> std::vector<typename P::handle_type> fill(P& pool, std::size_t n) {
  std::vector<typename P::handle_type> handles;
  for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate());
  return handles;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "keys: an object is found until it is released, in every kind of pool", "",
    (FixedPool<Tracked, BitmapAllocator, Generations, FullChecks>),
    (GrowingPool<Tracked, Generations, Counting, FullChecks>),
    (GrowingPool<Tracked, FreeListAllocator, Generations, MutexLock>), (ThreadSafePool<Byte, Generations, NoChecks>),
    (ThreadSafePool<Tracked, Generations, NoCache, FullChecks>),
    (ThreadSafePool<Tracked, Generations, LockFree, FullChecks>)
        MORE_ROWS((FixedPool<Tracked, Generations>), (FixedPool<Tracked, FreeListAllocator, Generations, NoChecks>),
                  (FixedPool<Byte, FreeListAllocator, Generations, FullChecks>),
                  (GrowingPool<Byte, FreeListAllocator, Generations, FullChecks>),
                  (GrowingPool<Tracked, BitmapAllocator, Generations, NoChecks>),
                  (ThreadSafePool<Tracked, Generations>), (ThreadSafePool<Tracked, Generations, LockFree, NoChecks>))) {
  test::Audit audit;
  std::size_t const alignment = GENERATE(0U, 64U);  // slots further apart than they are long
  PoolConfig config{.capacity = 100, .alignment = alignment};
  if constexpr (requires(TestType& p) { p.shrink_to_fit(); })
    config = {.capacity = 30, .growth_strategy = GrowthStrategy::linear(7), .alignment = alignment};
  TestType pool(config);
  auto handles = fill(pool, 100);
  std::vector<Key> keys;
  for (auto const& handle : handles) keys.push_back(pool.key(handle));
  for (std::size_t i = 0; i != 100; ++i) {
    EXPECT(pool.get(keys[i]) == handles[i].get() && std::as_const(pool).get(keys[i]) == handles[i].get() &&
           pool.contains(keys[i]));
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
  // Numbers that nobody made: an index behind the slots, or behind those that were handed out; every generation near
  // the right one.
  CHECK(pool.get(Key(10, key.generation())) == nullptr);
  CHECK(pool.get(Key(0xFFFFFFFF, key.generation())) == nullptr);
  for (std::uint32_t index = 1; index != 10; ++index) CHECK(pool.get(Key(index, key.generation())) == nullptr);
  for (std::uint32_t i = 2; i != 100; ++i) CHECK(pool.get(Key(key.index(), key.generation() + i)) == nullptr);
  // Objects for which no key was made are not found by guessing, either.
  auto const other = pool.allocate(8);
  for (std::uint32_t i = 0; i != 100; ++i)
    CHECK(pool.get(Key(static_cast<std::uint32_t>(pool.index_of(other)), key.generation() + i - 50)) == nullptr);

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

TEMPLATE_TEST_CASE("keys: stale for ever, also when the block went away and came again", "",
                   (GrowingPool<Tracked, Generations, Counting, FullChecks>),
                   (GrowingPool<Byte, BitmapAllocator, Generations, Counting, NoChecks>),
                   (GrowingPool<Tracked, FreeListAllocator, Generations, Counting>),
                   (ThreadSafePool<Tracked, Generations, Counting>)) {
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
  auto const slots = std::size_t{GENERATE(640U, 650U, 20U)};
  GrowingPool<int, Generations, Counting> pool(
      PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(slots)});
  auto last = fill(pool, 64);
  std::vector<Key> stale;
  std::uint32_t highest = 0;
  for (int cycle = 0; cycle != 200; ++cycle) {
    auto next = fill(pool, slots);  // a new block while the old one lives; then the old one goes
    for (auto const& handle : next) highest = std::max(highest, pool.key(handle).index());
    stale.push_back(pool.key(last.front()));
    last = std::move(next);
    (void)pool.shrink_to_fit();
    for (Key const key : stale) EXPECT(!pool.contains(key));
  }
  CHECK(highest < 2 * 128 + 3 * slots);
}

TEMPLATE_TEST_CASE(
    "keys: a slot whose generations are used up serves on, and its objects get the key that names nothing", "",
    (FixedPool<int, BasicGenerations<4>, BasicStats, FullChecks>),
    (FixedPool<int, BasicGenerations<4>, BitmapAllocator, BasicStats>),
    (FixedPool<int, BasicGenerations<4>, FreeListAllocator, BasicStats>),
    (ThreadSafePool<int, BasicGenerations<4>, LockFree, AtomicStats>),
    (GrowingPool<int, BasicGenerations<4>, BasicStats, FullChecks>),
    (ThreadSafePool<int, BasicGenerations<4>, AtomicStats, NoCache>)) {
  TestType pool(PoolConfig{.capacity = 3, .max_capacity = 3});
  std::vector<Key> stale;
  typename TestType::handle_type others[2];
  for (std::size_t slot = 0; slot != 3; ++slot) {  // one after the other: the slot that came back last is the next
    for (std::size_t use = 0; use != 100; ++use) {
      auto handle = pool.try_allocate(1);
      REQUIRE(handle);
      Key const key = pool.key(handle);
      EXPECT((key == Key{}) == (use >= 15));  // 2^4 - 1 objects a slot
      EXPECT(pool.key(handle) == key && pool.contains(key) == (use < 15));
      for (Key const old : stale) EXPECT(old != key && !pool.contains(old));
      if (key) stale.push_back(key);
      EXPECT(pool.allocated() == slot + 1 && pool.capacity() == 3 && pool.index_of(handle) < 3);
    }
    for (std::uint32_t generation = 0; generation != 64; ++generation)
      EXPECT(!pool.contains(Key(static_cast<std::uint32_t>(slot), generation)));
    if (slot != 2) others[slot] = pool.allocate(2);
  }
  CHECK(stale.size() == 3 * 15);
  CHECK(pool.statistics().peak_usage == 3);
  CHECK(pool.statistics().growth_count == 0);
  CHECK(pool.check_invariants());
  std::size_t met = 0;
  pool.for_each([&](int const& value) { met += value == 2; });
  CHECK(met == 2);
}

TEMPLATE_TEST_CASE("keys: few generations cost no memory, and shrinking gives blocks back as ever", "",
                   (GrowingPool<int, BasicGenerations<2>, Counting>),
                   (ThreadSafePool<int, BasicGenerations<2>, Counting>)) {
  test::Audit audit;
  TestType pool(PoolConfig{.capacity = 1, .max_capacity = 2, .growth_strategy = GrowthStrategy::linear(1)});
  auto const hold = pool.allocate(0);
  (void)pool.try_allocate(0);
  std::size_t const bytes = test::storage_account().bytes();
  std::size_t const acquired = test::storage_account().acquired();
  for (int i = 0; i != 1000; ++i) {
    auto const handle = pool.try_allocate(i);
    REQUIRE(handle);
    (void)pool.key(handle);
  }
  CHECK(test::storage_account().bytes() == bytes);
  CHECK(test::storage_account().acquired() == acquired);
  CHECK(pool.capacity() == 2);
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(pool.capacity() == 1);
}

TEST_CASE("keys: objects without a key use no generations up") {
  FixedPool<int, BasicGenerations<1>> pool(1);
  for (int i = 0; i != 1000; ++i) CHECK(pool.try_allocate(i));
  {
    auto const handle = pool.allocate(1);
    CHECK(pool.contains(pool.key(handle)));
  }
  auto const handle = pool.allocate(1);
  CHECK_FALSE(pool.key(handle));
}

TEST_CASE("keys: a write to a dead object is noticed where the slot's generations are used up, too") {
  test::RecordedErrors errors;
  FixedPool<int, BasicGenerations<1>, FullChecks> pool(1);
  int* object = nullptr;
  for (int i = 0; i != 2; ++i) {
    auto handle = pool.allocate(1);
    CHECK(static_cast<bool>(pool.key(handle)) == (i == 0));
    object = handle.get();
  }
#if FASTALLOC_ASAN
  CHECK(object != nullptr);
#else
  *object = 7;
  (void)pool.allocate(1);
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::invalid_handle);
#endif
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
struct KeyedThenThrows : Poolable {
  static inline GrowingPool<KeyedThenThrows, BasicGenerations<1>, BasicStats, FullChecks>* pool = nullptr;
  static inline std::vector<Key> keys;
  void on_acquire() {
    keys.push_back(pool->key(this));
    throw 1;
  }
};
}  // namespace

TEST_CASE("keys: a failed allocation may use a slot's generations up, too") {
  GrowingPool<KeyedThenThrows, BasicGenerations<1>, BasicStats, FullChecks> pool(
      PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::none()});
  KeyedThenThrows::pool = &pool;
  KeyedThenThrows::keys.clear();
  for (int i = 0; i != 10; ++i) {
    CHECK_THROWS_AS(pool.allocate(), int);
    CHECK((pool.allocated() == 0 && pool.capacity() == 2 && pool.check_invariants()));
    for (Key const key : KeyedThenThrows::keys) CHECK_FALSE(pool.contains(key));
  }
  CHECK(KeyedThenThrows::keys.front());
  CHECK_FALSE(KeyedThenThrows::keys.back());
  CHECK(pool.statistics().total_allocations == 0);
}

namespace {
struct ThrowsWhenTold {
  static inline bool told = false;
  explicit ThrowsWhenTold() {
    if (told) throw 1;
  }
};
}  // namespace

TEMPLATE_TEST_CASE("keys: slots that were not used after all get their number again", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  test::Audit audit;
  GrowingPool<ThrowsWhenTold, TestType, Generations, Counting, FullChecks> pool(
      PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(GENERATE(1U, 20U, 129U, 300U))});
  std::vector<typename decltype(pool)::handle_type> handles;
  auto const fails = [&](auto&& f) {
    ThrowsWhenTold::told = true;
    CHECK_THROWS_AS(f(), int);
    ThrowsWhenTold::told = false;
  };
  for (std::size_t i = 0; i != 700; ++i) {
    if (i % 2 == 0) fails([&] { (void)pool.allocate(); });
    if (i % 50 == 0) fails([&] { (void)pool.allocate_batch_handle(140); });
    handles.push_back(pool.allocate());
  }
  std::set<std::uint32_t> numbers;
  for (auto const& handle : handles) {
    Key const key = pool.key(handle);
    EXPECT(pool.get(key) == handle.get());
    numbers.insert(key.index());
  }
  CHECK(numbers.size() == 700);
  CHECK(*numbers.rbegin() < 3 * pool.capacity());  // pages a third full
  CHECK(pool.check_invariants());
}
#endif

TEST_CASE(
    "keys: release() and adopt() leave them valid; an object that ends takes its keys along before its slot is free") {
  FixedPool<int, Generations> pool(2);
  auto handle = pool.allocate(1);
  Key const key = pool.key(handle);
  int* const object = handle.release();
  CHECK(pool.get(key) == object);
  handle = pool.adopt(object);
  CHECK(pool.get(key) == object);
}

namespace {
/// Has no memory for one request, the nth from now.
struct MissesOne : test::CountingStorage {
  static inline std::size_t left = 0;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return left != 0 && --left == 0 ? nullptr : CountingStorage::acquire(bytes, alignment);
  }
};
}  // namespace

TEST_CASE("keys: without memory for generations a pool does not grow, and nothing is lost") {
  test::Audit audit;
  using Pool = GrowingPool<int, Generations, MissesOne>;
  auto const slots = std::size_t{GENERATE(1U, 40U, 640U)};
  std::size_t const count = slots == 1 ? 300 : 2000;  // the pool grows at each one, and makes more than 60 requests
  std::size_t most = 0;
  for (std::size_t n = 0; n != 60; ++n) {
    MissesOne::left = n;
    std::size_t missed = 0;
    auto pool = Pool::try_create(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(slots)});
    if (!pool) {
      CHECK(pool.error().code == ErrorCode::allocation_failed);
      continue;
    }
    std::vector<Pool::handle_type> handles;
    std::vector<Key> keys;
    while (handles.size() != count) {
      auto handle = pool->try_allocate(1);
      missed += handle == nullptr;
      if (!handle) continue;
      keys.push_back(pool->key(handle));
      handles.push_back(std::move(handle));
    }
    EXPECT(missed == (n != 0 && MissesOne::left == 0 ? 1 : 0));
    std::set<Key> const all(keys.begin(), keys.end());
    EXPECT(all.size() == count);
    for (std::size_t i = 0; i != handles.size(); ++i) EXPECT(pool->get(keys[i]) == handles[i].get());
    EXPECT(pool->check_invariants());
    if (n == 0) most = test::storage_account().bytes();
    // what was acquired in vain is used later; a page of each kind may be more
    EXPECT(test::storage_account().bytes() <= most + 1600);
  }
  MissesOne::left = 0;
}

TEST_CASE("keys: bytes a slot, in blocks of any size") {
  test::Audit audit;
  // Slots of 16 bytes, with the index and without: what is acquired for keys is 4 bytes less than what they take.
  struct Wide {
    std::uint32_t words[3];
  };
  auto const bytes = [](auto type, std::size_t slots) {
    typename decltype(type)::type pool(PoolConfig{.capacity = slots, .growth_strategy = GrowthStrategy::linear(slots)});
    std::size_t const n = (12'800 + slots - 1) / slots * slots;
    pool.reserve(n);
    while (pool.capacity() < n) pool.reserve(pool.capacity() + slots);
    auto const handles = fill(pool, n);
    return static_cast<double>(test::storage_account().bytes()) / static_cast<double>(n);
  };
  for (std::size_t const slots : {1U, 2U, 3U, 7U, 42U, 43U, 64U, 100U, 127U, 128U, 129U, 170U, 171U, 1000U, 12'800U}) {
    INFO(slots << " slots a block");
    double const with =
        bytes(std::type_identity<GrowingPool<Wide, Generations, Counting, NoChecks, FreeListAllocator>>{}, slots);
    double const without = bytes(
        std::type_identity<GrowingPool<std::array<std::uint32_t, 4>, Counting, NoChecks, FreeListAllocator>>{}, slots);
    double const more = 4 + with - without;
    CHECK(more < (slots % 128 == 0 || slots >= 1000 ? 8.6 : 17));
  }
}

TEST_CASE("keys: those of other pools pass with a chance of 1 in 2^Bits - 1, and not at all before many objects lived "
          "in the slot") {
  auto const passed = [](auto bits) {
    using Pool = FixedPool<int, BasicGenerations<decltype(bits)::value>>;
    std::vector<std::unique_ptr<Pool>> pools;
    std::vector<typename Pool::handle_type> handles;
    std::vector<Key> keys;
    for (int i = 0; i != 1000; ++i) {
      pools.push_back(std::make_unique<Pool>(1));
      handles.push_back(pools.back()->allocate(i));
      keys.push_back(pools.back()->key(handles.back()));
    }
    constexpr std::uint64_t values = (std::uint64_t{1} << decltype(bits)::value) - 1;
    std::size_t found = 0;
    for (std::size_t i = 0; i != 1000; ++i) {
      found += pools[i]->contains(keys[0]);
      for (std::size_t j = 0; j != i; ++j) {
        std::uint64_t const one = keys[i].generation() / 2, other = keys[j].generation() / 2;
        std::uint64_t const apart = one > other ? one - other : other - one;
        EXPECT((std::min)(apart, values - apart) + 1 >= values / (3 * (i - j)));  // keyed objects, until one passes
      }
    }
    return found - 1;
  };
  CHECK(passed(std::integral_constant<int, 1>{}) == 999);  // a single value
  CHECK(passed(std::integral_constant<int, 2>{}) < 360);
  CHECK(passed(std::integral_constant<int, 4>{}) < 75);
  CHECK(passed(std::integral_constant<int, 8>{}) < 8);
  CHECK(passed(std::integral_constant<int, 16>{}) == 0);
  CHECK(passed(std::integral_constant<int, 31>{}) == 0);
}

TEST_CASE("keys: a number that was never handed out names nothing, whatever lies where its generation would be") {
  using Pool = FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations>;
  alignas(8) std::byte memory[Pool::required_bytes(10)];
  Pool pool(memory);
  auto const handle = pool.allocate(1U);
  std::uint32_t const generation = pool.key(handle).generation();
  for (std::size_t i = 1; i != 10; ++i) {
    std::uint32_t const keyed = generation | 1;
    std::memcpy(memory + 80 + 4 * i, &keyed, sizeof keyed);
    CHECK_FALSE(pool.contains(Key(static_cast<std::uint32_t>(i), generation)));
  }
}

TEST_CASE("keys: exact bytes, and pages that no slot was handed out from are not written to") {
  CHECK(FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations>::required_bytes(1000) == 8000 + 4000 + 4000);
  if (!FASTALLOC_ASAN) {  // under which slots are multiples of eight bytes
    CHECK(FixedPool<Byte, ExternalStorage, NoChecks, FreeListAllocator, Generations>::required_bytes(3) == 12 + 12);
    CHECK(FixedPool<Byte, ExternalStorage, NoChecks, Generations>::required_bytes(3) == 4 + 12 + 12);
  }
  std::vector<std::byte> memory(
      FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations>::required_bytes(1000) + 8, std::byte{0x5A});
  {
    FixedPool<std::uint64_t, ExternalStorage, NoChecks, Generations> pool(
        std::span<std::byte>(memory.data(), memory.size() - 8));
    CHECK(pool.capacity() == 1000);
    auto const handles = fill(pool, 10);
    for (auto const& handle : handles) (void)pool.key(handle);
  }
  // words of slots that were never used
  for (std::size_t i = 8000 + 40; i != 12000; ++i) EXPECT(memory[i] == std::byte{0x5A});
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
                   (FixedPool<Dying, BitmapAllocator, Generations, FullChecks>),
                   (GrowingPool<Dying, FreeListAllocator, Generations, MutexLock>),
                   (ThreadSafePool<Dying, Generations, NoCache>), (ThreadSafePool<Dying, Generations, LockFree>),
                   (FixedPool<Dying, Generations, Shared, NoChecks>),
                   (ThreadSafePool<Dying, Generations, RecycleDying>)MORE_ROWS(
                       (FixedPool<Dying, Generations, NoChecks>), (GrowingPool<Dying, Generations>),
                       (ThreadSafePool<Dying, Generations>), (FixedPool<Dying, Generations, RecycleDying, NoChecks>),
                       (GrowingPool<Dying, Generations, RecycleDying, FullChecks>))) {
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
