// SPDX-License-Identifier: MIT OR Apache-2.0
// Traps of for_each and live(): whatever the loop does to the pool, each object that lives throughout is met once, and
// no dead one is.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/test_storage.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

#define ITERATED_POOLS                                                                                              \
  (GrowingPool<Tracked, BitmapAllocator, test::CountingStorage>), (GrowingPool<Tracked, MutexLock, BasicStats>),    \
      (FixedPool<Tracked, StackAllocator, NoChecks>), (FixedPool<Tracked, InlineStorage<400>>),                     \
      (GrowingPool<Tracked, BitmapAllocator, SpinLock>), (ThreadSafePool<Tracked, LockFree, FullChecks>),           \
      (Apart<FixedPool<Tracked, FreeListAllocator, NoChecks>>),                                                     \
      (ByRange<GrowingPool<Tracked, BitmapAllocator, FullChecks>>)MORE_ROWS(                                        \
          (GrowingPool<Tracked, StackAllocator>), (GrowingPool<Tracked, FreeListAllocator, FullChecks>),            \
          (FixedPool<Tracked, FreeListAllocator>), (FixedPool<Tracked, BitmapAllocator>),                           \
          (ThreadSafePool<Tracked, BitmapAllocator>), (FixedPool<Tracked, LockFree>),                               \
          (Apart<FixedPool<Tracked, BitmapAllocator>>), (Apart<GrowingPool<Tracked, BitmapAllocator, FullChecks>>), \
          (Apart<GrowingPool<Tracked, StackAllocator>>), (ByRange<FixedPool<Tracked, BitmapAllocator>>))

namespace {

/// Iterated by live() instead of for_each().
template <class Pool> struct ByRange {};
/// Slots lie 256 bytes from each other.
template <class Pool> struct Apart {};
template <class Tested> struct PoolOf {
  using type = Tested;
  static constexpr std::size_t config = 400;
  template <class F> static void each(type& pool, F&& f) { pool.for_each(f); }
};
template <class Pool> struct PoolOf<Apart<Pool>> : PoolOf<Pool> {
  static constexpr PoolConfig config{.capacity = 400, .alignment = 256};
};
template <class Pool> struct PoolOf<ByRange<Pool>> {
  using type = Pool;
  static constexpr std::size_t config = 400;
  template <class F> static void each(type& pool, F&& f) {
    for (auto& object : pool.live()) f(object);
  }
};

template <class Tested> struct World {
  using Pool = typename PoolOf<Tested>::type;
  explicit World(std::size_t n) {
    for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate(i));
    for (std::size_t i = 0; i < n; i += 3) release(i);  // holes
    for (std::size_t i = 0; i < n; i += 9) handles[i] = pool.allocate(i);
  }
  void release(std::size_t i) { handles[i].reset(); }
  template <class F> void each(F&& f) { PoolOf<Tested>::each(pool, f); }
  [[nodiscard]] std::set<std::uint64_t> living() const {
    std::set<std::uint64_t> values;
    for (auto const& handle : handles)
      if (handle != nullptr) values.insert(handle->value());
    return values;
  }
  Pool pool{PoolOf<Tested>::config};
  std::vector<typename Pool::handle_type> handles;
};

/// Counts what is met; every object met must be alive.
struct Met {
  void operator()(Tracked const& object) {
    CHECK(test::ledger().lives(&object));
    CHECK(object.intact());
    ++times[object.value()];
  }
  [[nodiscard]] std::set<std::uint64_t> once() const {
    std::set<std::uint64_t> values;
    for (auto const& [value, n] : times) {
      CHECK(n == 1);
      values.insert(value);
    }
    return values;
  }
  std::map<std::uint64_t, int> times;
};

}  // namespace

TEMPLATE_TEST_CASE("iterating: meets every live object once, in address order", "", ITERATED_POOLS) {
  test::Audit const audit;
  World<TestType> world(300);
  Met met;
  Tracked const* last = nullptr;
  world.each([&](Tracked& object) {
    CHECK((last == nullptr || std::less<>{}(last, &object)));
    last = &object;
    met(object);
  });
  CHECK(met.once() == world.living());
  CHECK(world.pool.check_invariants());
}

TEMPLATE_TEST_CASE("trap: iterating while releasing: the current one", "", ITERATED_POOLS) {
  test::Audit const audit;
  World<TestType> world(300);
  auto const before = world.living();
  Met met;
  world.each([&](Tracked& object) {
    met(object);
    world.release(object.value());
  });
  CHECK(met.once() == before);
  CHECK(world.pool.is_empty());
  CHECK(world.pool.check_invariants());
}

TEMPLATE_TEST_CASE("trap: iterating while releasing: others, before and behind", "", ITERATED_POOLS) {
  test::Audit const audit;
  for (unsigned seed = 0; seed != 5; ++seed) {
    World<TestType> world(300);
    std::mt19937 random(seed);
    std::set<std::uint64_t> dead;
    auto const before = world.living();
    Met met;
    world.each([&](Tracked& object) {
      CHECK(dead.count(object.value()) == 0);
      met(object);
      for (int i = 0; i != 2; ++i) {
        std::size_t const victim = random() % 300;
        if (world.handles[victim] == nullptr) continue;
        dead.insert(world.handles[victim]->value());
        world.release(victim);
      }
    });
    auto const once = met.once();
    for (std::uint64_t const value : before) CHECK((once.count(value) == 1 || dead.count(value) == 1));
    CHECK(world.pool.check_invariants());
  }
}

TEMPLATE_TEST_CASE("trap: iterating while releasing: all at the first", "", ITERATED_POOLS) {
  test::Audit const audit;
  World<TestType> world(300);
  std::size_t calls = 0;
  world.each([&](Tracked&) {
    ++calls;
    world.handles.clear();
  });
  CHECK(calls == 1);
  CHECK(world.pool.is_empty());
}

TEMPLATE_TEST_CASE("trap: iterating while releasing: nested loops", "", ITERATED_POOLS) {
  test::Audit const audit;
  World<TestType> world(60);
  auto const before = world.living();
  Met outer;
  world.each([&](Tracked& object) {
    outer(object);
    std::uint64_t const value = object.value();
    Met inner;
    world.each([&](Tracked& other) {
      inner(other);
      if (other.value() == value) world.release(value);
    });
    CHECK(inner.once().count(value) == 1);
  });
  CHECK(outer.once() == before);
  CHECK(world.pool.is_empty());
  CHECK(world.pool.check_invariants());
}

TEMPLATE_TEST_CASE("trap: iterating while allocating and releasing at random", "", ITERATED_POOLS) {
  test::Audit const audit;
  for (unsigned seed = 0; seed != 5; ++seed) {
    World<TestType> world(200);
    std::mt19937 random(seed);
    auto const before = world.living();
    std::set<std::uint64_t> dead;
    std::uint64_t next = 1000;
    std::vector<typename World<TestType>::Pool::handle_type> more;
    Met met;
    world.each([&](Tracked& object) {
      met(object);
      for (int i = 0; i != 3; ++i) {
        if (random() % 2 == 0) {
          if (auto handle = world.pool.try_allocate(next++)) more.push_back(std::move(handle));
        } else if (random() % 2 == 0 && !more.empty()) {
          more.erase(more.begin() + static_cast<std::ptrdiff_t>(random() % more.size()));
        } else if (std::size_t const victim = random() % 200; world.handles[victim] != nullptr) {
          dead.insert(world.handles[victim]->value());
          world.release(victim);
        }
      }
    });
    auto const once = met.once();
    for (std::uint64_t const value : before) CHECK((once.count(value) == 1 || dead.count(value) == 1));
    CHECK(world.pool.check_invariants());
  }
}

TEMPLATE_TEST_CASE("trap: iterating while blocks come and go", "", (GrowingPool<Tracked, StackAllocator>),
                   (GrowingPool<Tracked, FreeListAllocator>), (GrowingPool<Tracked, BitmapAllocator, SpinLock>),
                   (ByRange<GrowingPool<Tracked, BitmapAllocator, test::CountingStorage, FullChecks>>)
                       MORE_ROWS((GrowingPool<Tracked, BitmapAllocator>),
                                 (GrowingPool<Tracked, BitmapAllocator, test::CountingStorage, FullChecks>),
                                 (GrowingPool<Tracked, StackAllocator, test::CountingStorage, FullChecks>),
                                 (ByRange<GrowingPool<Tracked, BitmapAllocator>>))) {
  test::Audit const audit;
  for (unsigned seed = 0; seed != 5; ++seed) {
    using Pool = typename PoolOf<TestType>::type;
    Pool pool(PoolConfig{.capacity = 16, .growth_strategy = GrowthStrategy::linear(16)});
    std::vector<typename Pool::handle_type> handles;
    for (std::uint64_t i = 0; i != 320; ++i) handles.push_back(pool.allocate(i));
    std::mt19937 random(seed);
    std::uint64_t next = 1000;
    std::size_t calls = 0;
    PoolOf<TestType>::each(pool, [&](Tracked& object) {
      CHECK(test::ledger().lives(&object));
      ++calls;
      std::size_t const from = random() % handles.size();
      std::size_t const count = std::min<std::size_t>(handles.size() - from, 20);
      handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(from),
                    handles.begin() + static_cast<std::ptrdiff_t>(from + count));
      pool.shrink_to_fit();
      for (int i = 0; i != 12; ++i) handles.push_back(pool.allocate(next++));
      CHECK(pool.check_invariants());
    });
    CHECK(calls > 0);
    CHECK(calls < 5000);
  }
}

TEMPLATE_TEST_CASE("trap: iterating while the block of the current object goes", "",
                   (GrowingPool<Tracked, BitmapAllocator, SpinLock>), (GrowingPool<Tracked, StackAllocator>),
                   (ByRange<GrowingPool<Tracked, BitmapAllocator, FullChecks>>)
                       MORE_ROWS((GrowingPool<Tracked, BitmapAllocator>))) {
  test::Audit const audit;
  using Pool = typename PoolOf<TestType>::type;
  Pool pool(PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(100)});
  std::vector<typename Pool::handle_type> handles;
  for (std::uint64_t i = 0; i != 500; ++i) handles.push_back(pool.allocate(i));
  std::size_t calls = 0;
  std::uintptr_t last = 0;
  PoolOf<TestType>::each(pool, [&](Tracked& object) {
    ++calls;
    CHECK(reinterpret_cast<std::uintptr_t>(&object) > last);
    last = reinterpret_cast<std::uintptr_t>(&object);
    std::size_t const block = object.value() / 100;
    for (std::size_t i = 0; i != 100; ++i) handles[100 * block + i].reset();
    CHECK((pool.shrink_to_fit() != 0 || pool.is_empty()));  // the last block may stay
  });
  CHECK(calls == 5);
  CHECK(pool.is_empty());
  CHECK(pool.capacity() <= 100);
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("iterating: an exception ends the loop and leaves nothing behind", "", ITERATED_POOLS) {
  test::Audit const audit;
  World<TestType> world(100);
  for (int i = 1; i != 5; ++i) {
    int calls = 0;
    CHECK_THROWS_AS(world.each([&](Tracked&) {
      if (++calls == i) throw i;
    }),
                    int);
    CHECK(calls == i);
  }
  world.handles.clear();
  CHECK(world.pool.check_invariants());
}
#endif

namespace {
/// Each block lies below the one before.
struct Descending {
  static constexpr bool can_grow = true;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    top -= (bytes + alignment - 1) / alignment * alignment;
    return room + top;
  }
  void release(void*, std::size_t, std::size_t) noexcept {}

  alignas(64) static inline std::byte room[1 << 17];
  static inline std::size_t top = sizeof room;
};
}  // namespace

TEMPLATE_TEST_CASE("trap: iterating: a slot that is new, and comes back, is none of the next block's", "",
                   StackAllocator, FreeListAllocator) {
  test::Audit const audit;
  Descending::top = sizeof Descending::room;
  GrowingPool<Tracked, TestType, Descending> pool(
      PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(128)});
  std::vector<Handle<Tracked>> handles;
  // 64 in each block, which end with a word of the snapshot
  for (std::size_t i = 0; i != 128; ++i) handles.push_back(pool.allocate(i));
  REQUIRE(handles[64].get() < handles[0].get());
  Met met;
  pool.for_each([&](Tracked const& object) {
    if (met.times.empty()) CHECK(pool.allocate(1000U).get() == handles[127].get() + 1);
    met(object);
  });
  CHECK(met.once().size() == 128);
}
