// SPDX-License-Identifier: MIT OR Apache-2.0
// What attacks on owners, keys, batches and iterations found.
#include <fastalloc/fastalloc.hpp>

#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;

namespace {

/// A lock whose owner is interrupted right after it lets go: `then` stands for another thread.
struct Interrupted {
  void lock() { mutex.lock(); }
  void unlock() {
    mutex.unlock();
    if (then) std::exchange(then, nullptr)();
  }
  static inline thread_local std::function<void()> then;
  std::mutex mutex;
};

/// The destructor visits the pool; `alive` is read by others.
struct Visitor {
  static inline std::function<void(Visitor const&)> visit;
  explicit Visitor(int i) : id(i), name(std::string(40, 'n')) {}
  ~Visitor() {
    if (visit) visit(*this);
    alive = false;
  }
  int id;
  bool alive = true;
  std::string name;
};

template <class Pool> std::size_t count_met(Pool& pool) {
  std::size_t met = 0;
  pool.for_each([&](auto&) { ++met; });
  return met;
}

}  // namespace

TEMPLATE_TEST_CASE("owners: an iteration does not look into a block that another thread gave back", "", AtomicShared,
                   Generations) {
  using Pool = GrowingPool<std::array<long, 2>, Interrupted, TestType, NoChecks>;
  Pool pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
  std::vector<typename Pool::handle_type> handles;
  for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate());
  int met = 0;
  pool.for_each([&](auto&) {
    if (++met != 4) return;
    Interrupted::then = [&] {
      std::thread([&] {
        handles.resize(4);
        (void)pool.shrink_to_fit();
      }).join();
    };
  });
  Interrupted::then = nullptr;
  CHECK(pool.capacity() == 4);
  CHECK(count_met(pool) == 4);
}

TEMPLATE_TEST_CASE("owners: batches of shared objects come back once", "",
                   (GrowingPool<Visitor, Shared, BitmapAllocator>), (ThreadSafePool<Visitor, AtomicShared, FullChecks>),
                   (FixedPool<Visitor, AtomicShared, Generations, MutexLock, DebugChecks>)
                       MORE_ROWS((FixedPool<Visitor, Shared, FullChecks>))) {
  TestType pool(8);
  for (int round = 0; round != 3; ++round) {
    auto batch = pool.allocate_batch_handle(3, round);
    CHECK(pool.allocated() == 3);
    batch.reset();
    CHECK(pool.allocated() == 0);
    CHECK(count_met(pool) == 0);
    CHECK(pool.check_invariants());
  }
}

TEMPLATE_TEST_CASE("owners: a destructor that visits the pool meets no object of its batch that is gone", "",
                   (GrowingPool<Visitor, BitmapAllocator>), (FixedPool<Visitor, Shared>),
                   (ThreadSafePool<Visitor, AtomicShared, NoChecks>)MORE_ROWS((FixedPool<Visitor, NoChecks>))) {
  TestType pool(8);
  std::size_t others = 0;
  Visitor::visit = [&](Visitor const& me) {
    pool.for_each([&](Visitor& other) {
      if (&other == &me) return;
      CHECK(other.alive);
      CHECK(other.name.size() == 40);
      ++others;
    });
  };
  { auto batch = pool.allocate_batch_handle(3, 1); }
  CHECK(others == 2 + 1);
  if constexpr (std::same_as<TestType, GrowingPool<Visitor, BitmapAllocator>>) {
    others = 0;
    { auto run = pool.allocate_n(3, 1); }
    CHECK(others == 2 + 1);
  }
  Visitor::visit = nullptr;
}

TEST_CASE("owners: dead objects that weak handles keep are not met, down to the last handle") {
  FixedPool<Visitor, AtomicShared, MutexLock> pool(4);
  auto shared = pool.allocate(1).share();
  auto first = shared.downgrade();
  auto second = first;
  CHECK(count_met(pool) == 1);
  shared.reset();
  CHECK(count_met(pool) == 0);
  first.reset();
  CHECK(count_met(pool) == 0);
  CHECK(pool.allocated() == 1);
  second.reset();
  CHECK(pool.allocated() == 0);
  auto const unique = pool.allocate(2);
  CHECK(count_met(pool) == 1);
}

#if FASTALLOC_EXCEPTIONS
namespace {
struct Throwing {
  static inline std::function<void()> inside;
  explicit Throwing(long v) : value(v) {
    if (v < 0) inside(), throw test::Blown{};
  }
  long value;
};
}  // namespace

TEST_CASE("owners: an iteration that began inside a constructor hears that it threw") {
  FixedPool<Throwing, BitmapAllocator> pool(64);
  auto const kept = pool.allocate(5L);
  auto at = pool.live().end();
  Throwing::inside = [&] { at = pool.live().begin(); };
  CHECK_THROWS_AS(pool.allocate(-1L), test::Blown);
  std::size_t met = 0;
  for (; at != pool.live().end(); ++at) {
    CHECK(at->value == 5);
    ++met;
  }
  CHECK(met == 1);
  CHECK(pool.check_invariants());
}
#endif

TEST_CASE("owners: keys of runs") {
  FixedPool<int, BitmapAllocator, Generations, FullChecks> pool(64);
  auto run = pool.allocate_n(10, 7);
  std::vector<Key> keys;
  for (int& object : run) keys.push_back(pool.key(&object));
  for (std::size_t i = 0; i != 10; ++i) CHECK(pool.get(keys[i]) == &run[i]);
  run.reset();
  for (Key const key : keys) CHECK_FALSE(pool.contains(key));
  CHECK(pool.check_invariants());
}

TEST_CASE("owners: with checks, what is no object of the pool has no key, and a part of nothing is refused") {
  FixedPool<int, Generations, FullChecks> pool(4);
  FixedPool<int, Generations, FullChecks> other(4);
  auto const foreign = other.allocate(1);
  auto mine = pool.allocate(2);
  int* const object = mine.get();
  mine.reset();
  test::RecordedErrors errors;
  CHECK_FALSE(pool.key(foreign));
  CHECK(errors.last().code == ErrorCode::invalid_handle);
  CHECK_FALSE(pool.key(object));  // dead
  CHECK(errors.last().code == ErrorCode::double_free);
  int outside = 0;
  {
    auto owner = pool.allocate(3);
    Handle<int> const part(std::move(owner), &outside);
  }
  CHECK(errors.count() == 3);
  CHECK(errors.last().code == ErrorCode::invalid_handle);
  CHECK(pool.allocated() == 1);  // what the handle owned is not known any more
  pool.for_each([&](int& left) { mine = pool.adopt(&left); });
  mine.reset();
  CHECK(pool.allocated() == 0);
}

TEST_CASE("owners: a range whose end is of another type") {
  struct Counted {
    std::vector<int> values{0, 1, 2, 3, 4, 5};
    [[nodiscard]] auto begin() const { return std::counted_iterator(values.begin(), 5); }
    [[nodiscard]] auto end() const { return std::default_sentinel; }
  };
  FixedPool<int> pool(10);
  auto const handles = pool.allocate_batch(Counted());
  REQUIRE(handles.size() == 5);
  CHECK(*handles[4] == 4);
}
