// SPDX-License-Identifier: MIT OR Apache-2.0
// What people do with pools, as far as no test of a part has it: tests/README.md lists the situations and their tests.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Tracked;

namespace {

/// Texts of errors, made while the pools that they are about exist.
std::vector<std::string>& texts() {
  static std::vector<std::string> all;
  return all;
}
class RecordedTexts {
 public:
  RecordedTexts() : previous_(set_error_handler([](Error const& error) { texts().push_back(error.to_string()); })) {
    texts().clear();
  }
  ~RecordedTexts() { set_error_handler(previous_); }
  RecordedTexts(RecordedTexts const&) = delete;
  RecordedTexts& operator=(RecordedTexts const&) = delete;

 private:
  ErrorHandler previous_;
};

struct Unit {
  int hp = 0;
  int x = 0;
};

struct Particle {
  int number = 0;
  std::array<char, 60> rest{};
};

/// A pool of a few slots, also where it is default constructible.
template <class Pool> std::unique_ptr<Pool> make(std::size_t capacity) {
  if constexpr (std::default_initializable<Pool>) return std::make_unique<Pool>();
  else return std::make_unique<Pool>(PoolConfig{.capacity = capacity, .max_capacity = capacity});
}

}  // namespace

TEMPLATE_TEST_CASE("users: of two pools of one type, each names itself when it is full, and when objects are left", "",
                   FixedPool<int>, (GrowingPool<int, NoChecks>), (FixedPool<int, LockFree>), ThreadSafePool<int>,
                   ThreadLocalPool<int>) {
  RecordedTexts const recorded;
  {
    TestType octree(PoolConfig{.capacity = 1, .max_capacity = 1, .name = "octree"});
    TestType navmesh(PoolConfig{.capacity = 1, .max_capacity = 1, .name = "navmesh"});
    for (TestType* pool : {&octree, &navmesh}) {
      (void)pool->allocate(1).release();
#if FASTALLOC_EXCEPTIONS
      std::string text;
      try {
        (void)pool->allocate(2);
      } catch (std::exception const& error) {
        text = error.what();
      }
      CHECK_THAT(text, ContainsSubstring("pool " + std::string(pool->name()) + ","));
#endif
    }
  }
  REQUIRE(texts().size() == 2);
  CHECK_THAT(texts()[0], ContainsSubstring("pool navmesh,"));
  CHECK_THAT(texts()[1], ContainsSubstring("pool octree,"));
}

TEMPLATE_TEST_CASE("users: one survivor a block keeps all blocks, until objects are moved to the lowest slots", "",
                   (GrowingPool<Particle, BitmapAllocator>), (GrowingPool<Particle, BitmapAllocator, NoChecks>),
                   (GrowingPool<Particle, BitmapAllocator, Generations, MutexLock>),
                   (ThreadSafePool<Particle, BitmapAllocator, NoCache>)) {
  TestType pool(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(64)});
  std::vector<typename TestType::handle_type> handles, survivors;
  for (int i = 0; i != 6400; ++i) handles.push_back(pool.allocate(i));
  for (std::size_t i = 40; i < 6400; i += 64) survivors.push_back(std::move(handles[i]));
  handles.clear();
  CHECK(pool.shrink_to_fit() == 0);
  CHECK(pool.capacity() == 6400);

  for (auto& handle : survivors) {
    auto moved = pool.allocate(*handle);
    if (moved < handle) handle = std::move(moved);  // handles compare by address; blocks are indexed by age
  }
  CHECK(pool.shrink_to_fit() != 0);
  CHECK(pool.capacity() == 128);
  CHECK(pool.allocated() == 100);
  for (std::size_t i = 0; i != 100; ++i) CHECK(survivors[i]->number == static_cast<int>(40 + 64 * i));
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("users: where slots are not the lowest, survivors move to a second pool", "",
                   (GrowingPool<Particle>), (GrowingPool<Particle, FreeListAllocator, NoChecks>),
                   (ThreadSafePool<Particle>)) {
  PoolConfig const config{.capacity = 64, .growth_strategy = GrowthStrategy::linear(64)};
  TestType pool(config), compact(config);
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 6400; ++i) handles.push_back(pool.allocate(i));
  for (std::size_t i = 0; i != 6400; ++i)
    if (i % 64 != 40) handles[i].reset();
  std::erase(handles, nullptr);
  for (auto& handle : handles) handle = compact.allocate(std::move(*handle));
  CHECK(pool.is_empty());
  CHECK(pool.shrink_to_fit() != 0);
  CHECK(pool.capacity() <= 64);  // one block may stay
  CHECK(compact.capacity() == 128);
}

TEMPLATE_TEST_CASE("users: a frame is rolled back in a span of the program's", "",
                   (FixedPool<Unit, ExternalStorage, Generations>),
                   (FixedPool<Unit, ExternalStorage, Generations32, FreeListAllocator, FullChecks>),
                   (FixedPool<Unit, ExternalStorage, Generations, BitmapAllocator, MutexLock>)) {
  alignas(64) std::array<std::byte, 4096> memory{};
  TestType pool(PoolConfig{.capacity = 20}, ExternalStorage(memory));
  std::vector<typename TestType::key_type> keys;
  auto const spawn = [&](int hp) {
    auto unit = pool.allocate(hp);
    keys.push_back(pool.key(unit));
    (void)unit.release();
  };
  for (int i = 0; i != 10; ++i) spawn(i);
  std::vector<std::byte> bytes(pool.saved_bytes());
  CHECK(pool.save(bytes) == bytes.size());
  std::vector<typename TestType::key_type> first;
  for (int run = 0; run != 2; ++run) {
    keys.resize(10);
    pool.adopt(pool.get(keys[5])).reset();
    pool.get(keys[0])->hp -= 50;
    for (int i = 0; i != 4; ++i) spawn(100 + i);
    if (run == 0) first = keys;
    CHECK(keys == first);  // played again, the same keys
    REQUIRE(pool.load(bytes));
    CHECK(pool.allocated() == 10);
    CHECK(pool.get(keys[0])->hp == 0);
    CHECK(pool.contains(keys[5]));
    CHECK_FALSE(pool.contains(keys[12]));
  }
  pool.clear();
}

TEMPLATE_TEST_CASE("users: an owner from an address, through a void pointer, and counted by hand", "",
                   (FixedPool<Tracked, Shared>), (FixedPool<Tracked, AtomicShared, InlineStorage<4>, FullChecks>),
                   (FixedPool<Tracked, AtomicShared, LockFree>),
                   (GrowingPool<Tracked, Shared, FreeListAllocator, NoChecks>),
                   (GrowingPool<Tracked, AtomicShared, BitmapAllocator, SpinLock>),
                   (ThreadSafePool<Tracked, AtomicShared>), (ThreadLocalPool<Tracked, AtomicShared>)) {
  test::Audit const audit;
  auto const owner = make<TestType>(4);
  TestType& pool = *owner;
  Tracked* const object = pool.allocate(7U).release();
  void* user_data = pool.share(object).release();
  CHECK(audit.live() == 1);
  {
    auto const back = pool.adopt_shared(static_cast<Tracked*>(user_data));
    auto const another = pool.share(object);
    CHECK(back.use_count() == 2);
    TestType::add_owner(object);
    CHECK(back.use_count() == 3);
  }
  CHECK(audit.live() == 1);
  CHECK(TestType::drop_owner(object));
  CHECK(audit.live() == 0);
  CHECK(pool.is_empty());
}

TEST_CASE("users: an owner from an address, on a thread that did not allocate the object") {
  test::Audit const audit;
  ThreadLocalPool<Tracked, AtomicShared> pool(4);
  Tracked* const first = pool.allocate(1U).release();
  void* const user_data = pool.allocate(2U).share().release();
  std::uint64_t seen = 0;
  std::thread([&] {
    auto const owner = pool.share(first);
    auto const back = pool.adopt_shared(static_cast<Tracked*>(user_data));
    seen = owner->value() * 10 + back->value();
  }).join();  // both were the last, so both objects ended there
  CHECK(seen == 12);
  CHECK(audit.live() == 0);
  CHECK(pool.is_empty());
}

TEMPLATE_TEST_CASE("users: keys of 4 bytes are stale when they should be, after any number of objects in a slot", "",
                   (FixedPool<Unit, Generations32>), (FixedPool<Unit, Generations32, BitmapAllocator, NoChecks>),
                   (FixedPool<Unit, Generations32, LockFree>), (FixedPool<Unit, Generations32, InlineStorage<2>>),
                   (GrowingPool<Unit, Generations32>), (ThreadSafePool<Unit, Generations32, NoCache>),
                   (ThreadSafePool<Unit, Generations32>)) {
  auto const owner = make<TestType>(2);
  TestType& pool = *owner;
  std::set<std::uint32_t> wire;  // what a script or a packet has
  std::size_t nameless = 0;
  for (int i = 0; i != 10'000; ++i) {
    auto const unit = pool.allocate(i);
    auto const key = pool.key(unit);
    if (!key) {
      ++nameless;
      continue;
    }
    EXPECT(wire.insert(key.value()).second);
    EXPECT(pool.get(TestType::key_type::from_value(key.value())) == unit.get());
  }
  CHECK(wire.size() >= 4095);
  CHECK(wire.size() + nameless == 10'000);
  auto const last = pool.allocate();
  std::size_t found = 0;
  for (std::uint32_t const value : wire) found += pool.contains(TestType::key_type::from_value(value));
  CHECK(found == 0);
}

TEMPLATE_TEST_CASE("users: ids of closed sockets, kept in timers, keep no slot", "",
                   (ThreadSafePool<Tracked, AtomicShared, Generations>),
                   (ThreadSafePool<Tracked, AtomicShared, Generations, LockFree>),
                   (ThreadSafePool<Tracked, AtomicShared, Generations, NoCache, FullChecks>),
                   (FixedPool<Tracked, Shared, Generations>),
                   (GrowingPool<Tracked, AtomicShared, Generations, MutexLock>)) {
  test::Audit const audit;
  auto const owner = make<TestType>(64);
  TestType& pool = *owner;
  std::vector<Key> timers;
  for (std::uint64_t i = 0; i != 1'000; ++i) {
    auto const socket = pool.try_allocate(i).share();
    REQUIRE(socket);
    timers.push_back(pool.key(socket.get()));
    EXPECT(pool.lock(timers.back()) == socket);
  }
  for (Key const id : timers) EXPECT(!pool.lock(id));
  CHECK(pool.is_empty());
}

TEMPLATE_TEST_CASE("users: an id before its object, as the first use of a pool", "",
                   (FixedPool<Unit, Generations, InlineStorage<4>>),
                   (FixedPool<Unit, Generations, InlineStorage<4>, BitmapAllocator, FullChecks>),
                   (FixedPool<Unit, Generations, InlineStorage<4>, MutexLock, NoChecks>),
                   (ThreadSafePool<Unit, Generations, InlineStorage<4>>), (GrowingPool<Unit, Generations>)) {
  auto const owner = make<TestType>(4);
  TestType& pool = *owner;
  Key const texture = pool.reserve_key(), material = pool.reserve_key();  // they refer to each other
  CHECK(pool.get(texture) == nullptr);
  CHECK(pool.allocated() == 2);
  auto const second = pool.build(material, static_cast<int>(texture.index()));
  CHECK(pool.get(texture) == nullptr);
  auto const first = pool.build(texture, static_cast<int>(material.index()));
  CHECK(pool.get(texture) == first.get());
  CHECK(pool.get(material) == second.get());
  CHECK(first->hp == static_cast<int>(pool.index_of(second)));
  pool.cancel(pool.reserve_key());
  CHECK(pool.allocated() == 2);
}

TEMPLATE_TEST_CASE("users: an array beside a pool that grows in small steps is as long as the pool", "",
                   (GrowingPool<Unit>), (GrowingPool<Unit, BitmapAllocator, NoChecks>),
                   (GrowingPool<Unit, FreeListAllocator>), (GrowingPool<Unit, Generations>), (ThreadSafePool<Unit>)) {
  TestType pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
  std::vector<typename TestType::handle_type> units;
  std::vector<int> beside;
  for (int i = 0; i != 100; ++i) {
    units.push_back(pool.allocate(i));
    beside.resize(pool.index_bound(), -1);
    beside[pool.index_of(units.back())] = i;
  }
  CHECK(beside.size() == 100);
  for (std::size_t i = 0; i != beside.size(); ++i) CHECK(pool.object_at(i)->hp == beside[i]);
}
