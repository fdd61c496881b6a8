// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects by their index: index_bound(), object_at(), find(); for_each() of const pools; loops that go on later.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <concepts>
#include <functional>
#include <random>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;

namespace {

struct Item {
  int value = 0;
};

template <class Pool> constexpr bool grows = requires(Pool& pool) { pool.reserve(1); };

template <class Pool> Pool make() {
  if constexpr (std::default_initializable<Pool>) return Pool();
  else if constexpr (grows<Pool>) return Pool({.capacity = 70, .growth_strategy = GrowthStrategy::linear(40)});
  else return Pool(300);
}

}  // namespace

TEMPLATE_TEST_CASE("for_each of a const pool visits T const&", "", (GrowingPool<Item, NoChecks>),
                   (FixedPool<Item, BitmapAllocator>), (FixedPool<Item, LockFree>), (ThreadSafePool<Item>),
                   (ThreadLocalPool<Item>),
                   (GrowingPool<Item, FreeListAllocator, MutexLock>)MORE_ROWS((FixedPool<Item>))) {
  TestType pool = make<TestType>();
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate(Item{i}));
  for (std::size_t i = 0; i < handles.size(); i += 2) handles[i].reset();
  std::set<int> seen;
  std::as_const(pool).for_each([&](auto& item) {
    STATIC_REQUIRE(std::is_const_v<std::remove_reference_t<decltype(item)>>);
    seen.insert(item.value);
  });
  CHECK(seen.size() == 50);
  CHECK(std::ranges::all_of(seen, [](int value) { return value % 2 == 1; }));
  pool.for_each([](auto& item) { STATIC_REQUIRE_FALSE(std::is_const_v<std::remove_reference_t<decltype(item)>>); });
}

TEMPLATE_TEST_CASE("index_bound, object_at: the inverse of index_of", "",
                   (FixedPool<Item, InlineStorage<300>, NoChecks>), (GrowingPool<Item, FreeListAllocator>),
                   (GrowingPool<Item, AtomicShared, MutexLock>), (ThreadSafePool<Item>),
                   (FixedPool<Item, LockFree, NoChecks>)MORE_ROWS((FixedPool<Item>), (FixedPool<Item, NoChecks>),
                                                                  (GrowingPool<Item>), (GrowingPool<Item, NoChecks>))) {
  TestType pool = make<TestType>();
  CHECK(pool.index_bound() == pool.capacity());
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 300; ++i) handles.push_back(pool.allocate(Item{i}));
  CHECK(pool.index_bound() == pool.capacity());
  for (auto const& handle : handles) {
    std::size_t const index = pool.index_of(handle);
    CHECK(index < pool.index_bound());
    CHECK(pool.object_at(index) == handle.get());
    CHECK(std::as_const(pool).object_at(index) == handle.get());
  }
}

TEMPLATE_TEST_CASE("index_bound, object_at: after blocks are gone", "", (GrowingPool<Item, NoChecks>),
                   (GrowingPool<Item, BitmapAllocator, NoChecks>)) {
  TestType pool({.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate(Item{i}));
  std::vector<std::size_t> indices;
  for (auto const& handle : handles) indices.push_back(pool.index_of(handle));
  handles.erase(handles.begin() + 20, handles.begin() + 70);
  CHECK(pool.shrink_to_fit() != 0);
  CHECK(pool.capacity() == 50);
  CHECK(pool.index_bound() == 100);  // the last block stayed
  CHECK(pool.object_at(indices[30]) == nullptr);
  for (auto const& handle : handles) CHECK(pool.object_at(pool.index_of(handle)) == handle.get());
  for (int i = 0; i != 30; ++i) handles.push_back(pool.allocate(Item{i}));
  CHECK(pool.index_bound() == 130);  // new blocks come behind
  handles.resize(20);
  (void)pool.shrink_to_fit();
  CHECK(pool.index_bound() == 20);
  for (auto const& handle : handles) CHECK(pool.index_of(handle) < 20);
}

TEST_CASE("object_at: a checks policy reports indices without an object in growing pools, too") {
  test::RecordedErrors errors;
  GrowingPool<Item, DebugChecks> pool({.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
  std::vector<GrowingPool<Item, DebugChecks>::handle_type> handles;
  for (int i = 0; i != 6; ++i) handles.push_back(pool.allocate(Item{i}));
  CHECK(pool.object_at(8) == nullptr);
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::invalid_handle);
  CHECK(errors[0].requested == 8);
  std::size_t const index = pool.index_of(handles.back());
  handles.pop_back();
  CHECK(pool.object_at(index) == nullptr);
  CHECK(errors.count() == 2);
}

TEMPLATE_TEST_CASE("find: an object where there is one, at every occupancy", "",
                   (FixedPool<Item, FreeListAllocator, DebugChecks>), (ThreadSafePool<Item, BitmapAllocator, NoCache>),
                   (ThreadSafePool<Item, FullChecks>), (FixedPool<Item, LockFree, DebugChecks>),
                   (FixedPool<Item, BitmapAllocator, InlineStorage<300>, NoChecks>),
                   (GrowingPool<Item, Generations, BitmapAllocator, MutexLock, NoChecks>)
                       MORE_ROWS((FixedPool<Item, BitmapAllocator>), (FixedPool<Item, BitmapAllocator, NoChecks>),
                                 (GrowingPool<Item, BitmapAllocator, NoChecks>), (GrowingPool<Item, FullChecks>),
                                 (ThreadSafePool<Item, FullChecks, BitmapAllocator>))) {
  test::RecordedErrors const errors;
  TestType pool = make<TestType>();
  CHECK(pool.find(0) == nullptr);  // nothing was ever there
  CHECK(pool.find(299) == nullptr);
  CHECK(pool.find(static_cast<std::size_t>(-1)) == nullptr);
  std::mt19937 random(5);
  std::vector<typename TestType::handle_type> handles;
  for (std::size_t round = 0; round != 20; ++round) {
    while (handles.size() != 250 - round) handles.push_back(pool.allocate());
    std::ranges::shuffle(handles, random);
    handles.resize(handles.size() - random() % 200);
    if (round % 3 == 0) handles.push_back(pool.allocate());  // a word of the bitmap is in use
    std::vector<Item*> expected(pool.index_bound());
    for (auto const& handle : handles) expected[pool.index_of(handle)] = handle.get();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i != expected.size(); ++i)
      wrong += pool.find(i) != expected[i] || std::as_const(pool).find(i) != expected[i];
    CHECK(wrong == 0);
    CHECK(pool.find(expected.size()) == nullptr);
    if (round != 10) continue;
    for (auto& handle : handles) (void)handle.release();
    handles.clear();
    pool.clear();
    for (std::size_t i = 0; i != expected.size(); ++i) wrong += pool.find(i) != nullptr;
    CHECK(wrong == 0);
  }
  CHECK(errors.count() == 0);
}

TEST_CASE("find: not an object that only WeakHandles know") {
  FixedPool<Item, Shared, BitmapAllocator, NoChecks> pool(4);
  auto shared = pool.allocate().share();
  auto const weak = shared.downgrade();
  CHECK(pool.find(0) == shared.get());
  shared.reset();
  CHECK(pool.find(0) == nullptr);
}

namespace {

template <class Pool> struct Scene {
  Pool pool{make<Pool>()};
  std::vector<typename Pool::handle_type> handles;
  std::size_t next = static_cast<std::size_t>(-1);

  /// A frame's share of the objects.
  std::vector<Item*> frame(std::size_t n) {
    std::vector<Item*> seen;
    auto const rest = pool.live().from(next);
    auto it = rest.begin();
    for (; seen.size() != n && it != rest.end(); ++it) seen.push_back(&*it);
    next = it.index();
    return seen;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("live().from: a loop that goes on in the next frame misses nothing", "",
                   (FixedPool<Item, BitmapAllocator, NoChecks>), (GrowingPool<Item, BitmapAllocator>),
                   (FixedPool<Item, BitmapAllocator, InlineStorage<300>>)
                       MORE_ROWS((FixedPool<Item, BitmapAllocator>))) {
  using Pool = TestType;
  Scene<Pool> scene;
  CHECK(scene.frame(20).empty());
  for (int i = 0; i != 300; ++i) scene.handles.push_back(scene.pool.allocate(Item{i}));
  std::mt19937 random(9);
  for (int round = 0; round != 30; ++round) {
    std::ranges::shuffle(scene.handles, random);
    scene.handles.resize(200);  // these live the whole round
    std::vector<Item*> stay;
    for (auto const& handle : scene.handles) stay.push_back(handle.get());
    std::vector<Item*> seen;
    std::vector<typename Pool::handle_type> others;
    for (int frames = 0;; ++frames) {
      REQUIRE(frames < 40);
      auto const some = scene.frame(20);
      seen.insert(seen.end(), some.begin(), some.end());
      if (scene.next == static_cast<std::size_t>(-1)) break;
      for (int i = 0; i != 5; ++i) {  // meanwhile others come and go
        if (others.size() > random() % 50)
          others.erase(others.begin() + static_cast<std::ptrdiff_t>(random() % others.size()));
        if (auto handle = scene.pool.try_allocate()) others.push_back(std::move(handle));
      }
    }
    CHECK(std::is_sorted(seen.begin(), seen.end(), std::less<>()));
    std::ranges::sort(stay, std::less<>());
    CHECK(std::includes(seen.begin(), seen.end(), stay.begin(), stay.end(), std::less<>()));
    while (scene.handles.size() != 300)
      if (auto handle = scene.pool.try_allocate()) scene.handles.push_back(std::move(handle));
      else others.clear();
  }
}

TEST_CASE("live().from: begins at the slot, at the next live one, or anew") {
  FixedPool<Item, BitmapAllocator> pool(200);
  std::vector<FixedPool<Item, BitmapAllocator>::handle_type> handles;
  for (int i = 0; i != 150; ++i) handles.push_back(pool.allocate(Item{i}));
  CHECK(pool.live().from(70).begin()->value == 70);
  CHECK(pool.live().from(70).begin().index() == 70);
  CHECK(pool.live().from(0).begin() == pool.live().begin());
  for (std::size_t i = 70; i != 130; ++i) handles[i].reset();
  CHECK(pool.live().from(70).begin()->value == 130);
  CHECK(std::ranges::distance(pool.live().from(140)) == 10);
  CHECK(pool.live().from(150).empty());
  CHECK(pool.live().from(199).empty());
  CHECK(pool.live().from(200).begin()->value == 0);
  CHECK(pool.live().end().index() == static_cast<std::size_t>(-1));
  CHECK(std::as_const(pool).live().from(131).begin()->value == 131);
  STATIC_REQUIRE(std::ranges::forward_range<decltype(pool.live().from(1))>);
  STATIC_REQUIRE(std::ranges::view<decltype(pool.live().from(1))>);
  STATIC_REQUIRE(
      std::same_as<std::ranges::range_reference_t<decltype(std::as_const(pool).live().from(1))>, Item const&>);
  handles.clear();
  CHECK(pool.live().from(3).empty());

  GrowingPool<Item, BitmapAllocator> growing({.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<GrowingPool<Item, BitmapAllocator>::handle_type> items;
  for (int i = 0; i != 60; ++i) items.push_back(growing.allocate(Item{i}));
  std::size_t const gone = growing.index_of(items[25]);
  for (auto& item : items)
    if (item->value / 10 == 2) item.reset();
  CHECK(growing.shrink_to_fit() != 0);
  CHECK(growing.live().from(gone).begin() == growing.live().begin());
}
