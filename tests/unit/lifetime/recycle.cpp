// SPDX-License-Identifier: MIT OR Apache-2.0
// Recycle: built once, handed out again, reset on return, dropped when reset says so.
#include <fastalloc/fastalloc.hpp>

#include <concepts>
#include <functional>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/test_storage.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {
struct Counts {
  int built = 0;
  int reset = 0;
};

auto counting(Counts& counts) {
  return recycle([&counts] { return ++counts.built, Tracked(1); },
                 [&counts](Tracked& t) { ++counts.reset, t.set_value(0); });
}
}  // namespace

TEST_CASE("recycle: objects are built when first used, and reset on return") {
  test::Audit const audit;
  Counts counts;
  {
    auto pool = FixedPool(PoolConfig{.capacity = 3}, counting(counts));
    CHECK(counts.built == 0);
    auto first = pool.allocate();
    CHECK(first->value() == 1);
    Tracked* const object = first.get();
    first.reset();
    CHECK(counts.reset == 1);
    auto const again = pool.allocate();
    CHECK((again.get() == object && again->value() == 0));
    CHECK(counts.built == 1);
  }
  CHECK(counts.reset == 2);
}

TEST_CASE("recycle: pre_initialize builds all, and each is destroyed once") {
  test::Audit const audit;
  Counts counts;
  {
    auto pool = FixedPool(PoolConfig{.capacity = 5, .pre_initialize = true}, counting(counts));
    CHECK(counts.built == 5);
    CHECK(audit.live() == 5);
    auto const a = pool.allocate();
    auto const b = pool.allocate();
    CHECK(counts.built == 5);
  }
  CHECK(audit.live() == 0);
}

TEST_CASE("trap: grown objects stay big: reset may refuse them") {
  int built = 0;
  auto pool = FixedPool(PoolConfig{.capacity = 2}, recycle([&built] { return ++built, std::string(); },
                                                           [](std::string& s) {
                                                             if (s.capacity() > 100) return false;
                                                             s.clear();
                                                             return true;
                                                           }));
  for (int i = 0; i != 5; ++i) pool.allocate()->assign(20, 'x');
  CHECK(built == 1);
  CHECK(pool.allocate()->capacity() >= 20);
  pool.allocate()->assign(1000, 'x');
  auto const fresh = pool.allocate();
  CHECK(built == 2);
  CHECK(fresh->capacity() < 100);
}

TEMPLATE_TEST_CASE("recycle: blocks that go take their objects along", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  test::Audit const audit;
  using Init = Tracked (*)();
  using Pool = GrowingPool<Tracked, test::CountingStorage, TestType, Recycle<Init, void (*)(Tracked&)>>;
  {
    Pool pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4), .pre_initialize = true},
              recycle(Init(+[] { return Tracked(3); }), +[](Tracked&) {}));
    CHECK(audit.live() == 4);
    for (int round = 0; round != 5; ++round) {
      std::vector<typename Pool::handle_type> handles;
      for (int i = 0; i != 30; ++i) handles.push_back(pool.allocate());
      CHECK(audit.live() >= 30);
      handles.erase(handles.begin(), handles.end() - 3);
      pool.shrink_to_fit();
      CHECK(audit.live() <= 12);
      CHECK(audit.live() >= 3);
      CHECK(pool.check_invariants());
      handles.clear();
      pool.shrink_to_fit();
      CHECK(pool.capacity() <= 4);
      CHECK(audit.live() <= 4);
    }
  }
  CHECK(audit.live() == 0);
}

TEST_CASE("recycle: an init whose result cannot be moved, and no reset") {
  struct Pinned {
    explicit Pinned(int v) : value(v) {}
    Pinned(Pinned const&) = delete;
    Pinned& operator=(Pinned const&) = delete;
    int value;
  };
  auto pool = FixedPool(PoolConfig{.capacity = 2}, recycle([] { return Pinned(6); }));
  auto handle = pool.allocate();
  handle->value = 7;
  handle.reset();
  CHECK(pool.allocate()->value == 7);  // it came back as it was left
}

TEMPLATE_TEST_CASE("recycle: neighbours are not written over", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  test::Audit const audit;
  using Init = Tracked (*)();
  using Pool = FixedPool<Tracked, test::CountingStorage, TestType, FullChecks, Recycle<Init, void (*)(Tracked&)>>;
  Pool pool(PoolConfig{.capacity = 20}, recycle(Init(+[] { return Tracked(3); }), +[](Tracked&) {}));
  std::vector<typename Pool::handle_type> handles;
  for (std::uint64_t i = 0; i != 20; ++i) {
    handles.push_back(pool.allocate());
    handles.back()->set_value(i);
  }
  for (std::size_t i = 0; i != 20; i += 2) handles[i].reset();
  for (std::size_t i = 1; i < 20; i += 2) CHECK((handles[i]->intact() && handles[i]->value() == i));
  for (std::size_t i = 0; i != 20; i += 2) handles[i] = pool.allocate();
  for (auto const& handle : handles) CHECK(handle->intact());
  CHECK(test::storage_account().check());
}

TEST_CASE("recycle: blocks that come later hold no objects until they are used; a batch builds them") {
  test::Audit const audit;
  Counts counts;
  auto pool =
      GrowingPool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10), .pre_initialize = true},
                  counting(counts));
  CHECK(counts.built == 10);
  pool.reserve(30);
  CHECK(pool.capacity() == 30);
  CHECK(counts.built == 10);
  pool.allocate_batch_handle(pool.available()).reset();
  CHECK(counts.built == 30);
  CHECK(pool.is_empty());
  auto const batch = pool.allocate_batch_handle(30);
  CHECK(counts.built == 30);
}

namespace {
template <class... Ps> constexpr bool default_made = std::default_initializable<Recycle<Ps...>>;
using Init = int (*)();
using Reset = void (*)(int&);
struct InitObject {
  int (*const* table)() = nullptr;  // a pointer inside is its own affair
  int operator()() const { return 1; }
};
struct ResetObject {
  void operator()(int&) const {}
};
static_assert(default_made<InitObject, ResetObject>);
static_assert(default_made<decltype([] { return 1; }), decltype([](int&) {})>);
static_assert(!default_made<Init, Reset> && !default_made<InitObject, Reset> && !default_made<Init, ResetObject>);
static_assert(!default_made<std::function<int()>, ResetObject> && !default_made<InitObject, std::function<void(int&)>>);
}  // namespace

TEST_CASE("recycle: function pointers and std::function are passed with the configuration") {
  auto pool = FixedPool(PoolConfig{.capacity = 2},
                        recycle(Init([] { return 5; }), std::function<void(int&)>([](int& i) { i = 6; })));
  auto first = pool.allocate();
  CHECK(*first == 5);
  first.reset();
  CHECK(*pool.allocate() == 6);
}
