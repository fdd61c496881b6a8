// SPDX-License-Identifier: MIT OR Apache-2.0
// Constructors, hooks, init and reset that throw: every slot comes back, and the pool is as it was.
#include <fastalloc/fastalloc.hpp>

#include <iterator>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;

#if FASTALLOC_EXCEPTIONS
namespace {

using test::Blown;
using test::fuse;
using test::ThrowOnNth;

/// Its hooks tick the fuse, not its constructors.
struct Hooked : test::Tracked, Poolable {
  using Tracked::Tracked;
  void on_acquire() {
    fuse().tick();
    ++acquired;
  }
  void on_release() { ++released; }
  static inline int acquired = 0;
  static inline int released = 0;
};

/// on_release throws; the object goes back all the same.
struct BadRelease : test::Tracked, Poolable {
  using Tracked::Tracked;
  void on_release() { throw Blown{}; }
};

/// What must not change when something throws.
template <class Pool> struct Before {
  explicit Before(Pool& p) : pool(p), capacity(p.capacity()), allocated(p.allocated()), live(test::ledger().live()) {}
  void check() {
    CHECK(pool.capacity() == capacity);
    CHECK(pool.allocated() == allocated);
    CHECK(pool.available() == capacity - allocated);
    CHECK(test::ledger().live() == live);
    CHECK(pool.check_invariants());
  }
  Pool& pool;
  std::size_t capacity;
  std::size_t allocated;
  std::size_t live;
};

}  // namespace

#define POOLS_OF(T)                                                                                  \
  (FixedPool<T, StackAllocator>), (FixedPool<T, FreeListAllocator, NoChecks>),                       \
      (FixedPool<T, BitmapAllocator, FullChecks>), (GrowingPool<T, StackAllocator, BasicStats>),     \
      (GrowingPool<T, FreeListAllocator, FullChecks>), (GrowingPool<T, BitmapAllocator, MutexLock>), \
      (FixedPool<T, InlineStorage<200>>)

TEMPLATE_TEST_CASE("trap: a throwing constructor leaks the slot: the k-th", "", POOLS_OF(ThrowOnNth)) {
  test::Audit const audit;
  TestType pool(200);
  std::vector<typename TestType::handle_type> handles;
  for (std::size_t k = 1; k != 60; ++k) {
    fuse().light(k);
    for (std::size_t i = 1; i != k; ++i) handles.push_back(pool.allocate(i));
    Before before(pool);
    CHECK_THROWS_AS(pool.allocate(k), Blown);
    before.check();
    fuse().light(1);
    CHECK_THROWS_AS(pool.try_allocate(k), Blown);
    before.check();
    if (k % 3 == 0) handles.erase(handles.begin(), handles.begin() + static_cast<std::ptrdiff_t>(handles.size() / 2));
    while (handles.size() > 100) handles.pop_back();
  }
  handles.clear();
  while (!pool.is_full()) handles.push_back(pool.allocate());
  CHECK(handles.size() == pool.capacity());  // not one slot is lost
}

TEMPLATE_TEST_CASE("trap: a throwing constructor leaks the slot: in a batch, at every place", "",
                   POOLS_OF(ThrowOnNth)) {
  test::Audit const audit;
  TestType pool(200);
  auto const keep = pool.allocate(1U);
  std::vector<typename TestType::handle_type> handles;
  for (std::size_t const n : {std::size_t{1}, std::size_t{10}, std::size_t{64}, std::size_t{65}, std::size_t{150}}) {
    for (std::size_t k = 1; k <= n; k += n > 20 ? 7 : 1) {
      Before before(pool);
      fuse().light(k);
      CHECK_THROWS_AS(pool.allocate_batch(n, std::back_inserter(handles), std::uint64_t{7}), Blown);
      CHECK(handles.empty());
      before.check();
      fuse().light(k);
      std::vector<std::uint64_t> const values(n, 3);
      CHECK_THROWS_AS(pool.allocate_batch(values), Blown);
      before.check();
    }
    pool.allocate_batch(n, std::back_inserter(handles), std::uint64_t{7});
    CHECK(handles.size() == n);
    handles.clear();
  }
  CHECK(keep->value() == 1);
}

TEMPLATE_TEST_CASE("trap: a throwing hook leaks the slot", "", POOLS_OF(Hooked)) {
  test::Audit const audit;
  Hooked::acquired = Hooked::released = 0;
  {
    TestType pool(200);
    std::vector<typename TestType::handle_type> handles;
    for (std::size_t k = 1; k != 12; ++k) {
      fuse().light(k);
      for (std::size_t i = 1; i != k; ++i) handles.push_back(pool.allocate(i));
      Before before(pool);
      CHECK_THROWS_AS(pool.allocate(k), Blown);
      before.check();
      std::vector<typename TestType::handle_type> none;
      fuse().light(k);
      CHECK_THROWS_AS(pool.allocate_batch(12, std::back_inserter(none), std::uint64_t{1}), Blown);
      CHECK(none.empty());
      before.check();
    }
  }
  CHECK(Hooked::acquired == Hooked::released);  // who did not hear on_acquire does not hear on_release
}

TEST_CASE("trap: a throwing on_release: the object goes back all the same") {
  test::Audit const audit;
  FixedPool<BadRelease, FullChecks> pool(2);
  for (int i = 0; i != 10; ++i) {
    auto const a = pool.allocate();
    auto const b = pool.allocate();
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("batch: an output that throws keeps what it got, and the rest goes back") {
  test::Audit const audit;
  GrowingPool<test::Tracked> pool(4);
  struct Output {
    std::vector<GrowingPool<test::Tracked>::handle_type>* to;
    Output& operator*() { return *this; }
    Output& operator++() { return *this; }
    Output operator++(int) { return *this; }
    Output& operator=(GrowingPool<test::Tracked>::handle_type&& handle) {
      fuse().tick();
      to->push_back(std::move(handle));
      return *this;
    }
  };
  std::vector<GrowingPool<test::Tracked>::handle_type> handles;
  fuse().light(6);
  CHECK_THROWS_AS(pool.allocate_batch(10, Output{&handles}, std::uint64_t{4}), Blown);
  CHECK(handles.size() == 5);
  CHECK(pool.allocated() == 5);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("recycle: an init that throws gives the slot back", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  test::Audit const audit;
  auto const init = +[] { return fuse().tick(), std::string(50, 'i'); };
  auto const reset = +[](std::string&) {};
  using Pool = FixedPool<std::string, TestType, Recycle<std::string (*)(), void (*)(std::string&)>>;
  Pool pool(PoolConfig{.capacity = 10}, recycle(init, reset));
  std::vector<typename Pool::handle_type> handles;
  for (std::size_t k = 1; k != 4; ++k) {
    fuse().light(1);
    CHECK_THROWS_AS(pool.allocate(), Blown);
    CHECK(pool.allocated() == handles.size());
    CHECK(pool.check_invariants());
    handles.push_back(pool.allocate());
  }
  fuse().light(3);
  CHECK_THROWS_AS(pool.allocate_batch(5, std::back_inserter(handles)), Blown);
  CHECK(pool.allocated() == handles.size());
  CHECK(audit.live() == 0);
  fuse().light(3);  // the two that were built are still there: the third init() is that of the fifth object
  CHECK_THROWS_AS(pool.allocate_batch(5, std::back_inserter(handles)), Blown);
  CHECK(pool.allocated() == handles.size());
  CHECK(pool.check_invariants());
  while (!pool.is_full()) handles.push_back(pool.allocate());
  CHECK(handles.size() == 10);
  for (auto const& handle : handles) CHECK(*handle == std::string(50, 'i'));
}

TEST_CASE("recycle: an init that throws while the pool is built") {
  test::Audit const audit;
  auto const make = [] {
    return FixedPool(PoolConfig{.capacity = 10, .pre_initialize = true},
                     recycle([] { return test::ThrowOnNth(5); }, [](test::ThrowOnNth&) {}));
  };
  for (std::size_t k = 1; k != 11; ++k) {
    fuse().light(k);
    CHECK_THROWS_AS(make(), Blown);
    CHECK(audit.live() == 0);
  }
  using Init = test::ThrowOnNth (*)();
  using Pool = FixedPool<test::ThrowOnNth, Recycle<Init, void (*)(test::ThrowOnNth&)>>;
  fuse().light(4);
  auto const result = Pool::try_create(PoolConfig{.capacity = 10, .pre_initialize = true},
                                       recycle(Init(+[] { return test::ThrowOnNth(1); }), +[](test::ThrowOnNth&) {}));
  REQUIRE_FALSE(result.has_value());
  CHECK_THAT(result.error().to_string(), Catch::Matchers::ContainsSubstring("init"));
  CHECK(audit.live() == 0);
}
#endif

#if FASTALLOC_EXCEPTIONS
TEST_CASE("trap: grown objects stay big: a reset that throws has the object built anew") {
  test::Audit const audit;
  int built = 0;
  auto pool = GrowingPool(PoolConfig{.capacity = 2}, recycle([&built] { return ++built, test::Tracked(9); },
                                                             [](test::Tracked&) { throw Blown{}; }));
  for (int i = 1; i != 5; ++i) {
    auto const handle = pool.allocate();
    CHECK(built == i);
    CHECK(audit.live() == 1);
  }
  CHECK(audit.live() == 0);
}
#endif

TEST_CASE("a constructor, hook and destructor that do not throw need nothing of this") {
  FixedPool<int> pool(1);
  auto const handle = pool.allocate(1);
  CHECK(*handle == 1);
}

#if FASTALLOC_EXCEPTIONS
namespace {

/// Takes handles by an assignment that may throw.
template <class H> struct Entry {
  H handle;
  Entry& operator=(H&& other) {
    fuse().tick();
    handle = std::move(other);
    return *this;
  }
};

/// A constructor that throws while the fuse is lit, and T is as simple as can be otherwise.
struct Simple {
  explicit Simple(int v) : value((fuse().tick(), v)) {}
  int value;
};

/// Its copies throw, as those of a std::function or a std::string may.
template <class Base> struct Copying : Base {
  Copying() = default;
  Copying(Copying const& other) : Base(other) { fuse().tick(); }
};
struct Seven {
  int operator()() const { return 7; }
};
struct Keep {
  void operator()(int&) const {}
};
struct TickingStorage : HeapStorage {
  TickingStorage() = default;
  TickingStorage(TickingStorage const&) { fuse().tick(); }
};

/// What a reset returns: to ask whether it is true may throw.
struct Doubt {
  explicit operator bool() const { throw Blown{}; }
};

}  // namespace

TEMPLATE_TEST_CASE("batch: an assignment of the array's elements that throws loses no slot", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  using Pool = FixedPool<int, TestType>;
  for (std::size_t k = 1; k != 9; ++k) {
    Pool pool(16);
    Entry<typename Pool::handle_type> entries[8];
    fuse().light(k);
    CHECK_THROWS_AS(pool.allocate_batch(8, entries, 7), Blown);
    CHECK(pool.allocated() == k - 1);
    for (auto& entry : entries) entry.handle.reset();
    CHECK(pool.is_empty());
    fuse().light(k);
    CHECK_THROWS_AS(pool.try_allocate_batch(8, entries, 7), Blown);
    fuse().put_out();
    CHECK(pool.allocate_batch(8, entries, 7) == entries + 8);
    CHECK(pool.allocated() == 8);
  }
}

TEMPLATE_TEST_CASE("statistics: a batch that throws leaves them as they were, the peak too", "",
                   (GrowingPool<Simple, FreeListAllocator, BasicStats, FullChecks>),
                   (GrowingPool<Simple, Generations, BasicStats>), (GrowingPool<Simple, MutexLock, BasicStats>),
                   (ThreadSafePool<Simple, NoCache, AtomicStats>)MORE_ROWS((GrowingPool<Simple, BasicStats>))) {
  for (std::size_t const n : {std::size_t{1}, std::size_t{3}, std::size_t{4}, std::size_t{9}, std::size_t{14}}) {
    TestType pool(PoolConfig{.capacity = 4});
    pool.reserve(8);
    pool.reserve(12);
    pool.reserve(16);
    auto const a = pool.allocate(1);
    auto b = pool.allocate(2);
    for (bool const returned : {false, true}) {
      if (returned) b.reset();
      PoolStatistics const before = pool.statistics();
      for (std::size_t k = 1; k <= n; ++k) {
        std::vector<typename TestType::handle_type> handles;
        fuse().light(k);
        CHECK_THROWS_AS(pool.allocate_batch(n, std::back_inserter(handles), 9), Blown);
        fuse().light(k);
        CHECK_THROWS_AS(pool.allocate_batch_handle(n, 9), Blown);
        CHECK(pool.statistics() == before);
        CHECK(pool.check_invariants());
      }
    }
    std::vector<typename TestType::handle_type> rest;
    pool.allocate_batch(15, std::back_inserter(rest), 3);
    CHECK(pool.is_full());
    CHECK(pool.statistics().peak_usage == 16);
    CHECK(pool.check_invariants());
  }
}

TEST_CASE("try_create: a policy whose copy throws is an error") {
  test::Audit const audit;
  using Lifetime = Recycle<Copying<Seven>, Keep>;
  Lifetime const lifetime;
  auto const check = [&](auto const& create) {
    for (std::size_t k = 1; k != 20; ++k) {
      fuse().light(k);
      auto const result = create();
      bool const blew = !fuse().lit();
      fuse().put_out();
      CHECK(result.has_value() == !blew);
      if (!blew) {
        CHECK(k > 1);
        return;
      }
      CHECK(result.error().code == ErrorCode::allocation_failed);
      CHECK_THAT(result.error().to_string(),
                 Catch::Matchers::ContainsSubstring("copy") && Catch::Matchers::ContainsSubstring("threw"));
    }
    FAIL("some copy always throws");
  };
  check([&] { return FixedPool<int, Lifetime>::try_create(PoolConfig{.capacity = 4}, lifetime); });
  check([&] { return GrowingPool<int, Lifetime>::try_create(PoolConfig{.capacity = 4}, lifetime); });
  check([&] { return ThreadSafePool<int, Lifetime>::try_create(PoolConfig{.capacity = 4}, lifetime); });
  check([&] { return ThreadLocalPool<int, Lifetime>::try_create(PoolConfig{.capacity = 4}, lifetime); });
  TickingStorage const storage;
  check([&] { return FixedPool<int, TickingStorage>::try_create(PoolConfig{.capacity = 4}, storage); });
  check([&] { return GrowingPool<int, Generations, TickingStorage>::try_create(PoolConfig{.capacity = 4}, storage); });
  check([&] { return ThreadLocalPool<int, TickingStorage>::try_create(PoolConfig{.capacity = 4}, storage); });
  // Constructors let it pass.
  fuse().light(1);
  CHECK_THROWS_AS((FixedPool<int, Lifetime>(PoolConfig{.capacity = 4}, lifetime)), Blown);
  fuse().light(2);
  CHECK_THROWS_AS((FixedPool<int, TickingStorage>(PoolConfig{.capacity = 4}, storage)), Blown);
  fuse().put_out();
}

TEST_CASE("recycle: what a reset returns may throw when it is asked") {
  test::Audit const audit;
  auto pool = FixedPool(PoolConfig{.capacity = 2},
                        recycle([] { return test::Tracked(1); }, [](test::Tracked&) noexcept { return Doubt(); }));
  (void)pool.allocate();
  CHECK(pool.is_empty());
  CHECK(audit.live() == 0);  // as if it had said false
}
#endif
