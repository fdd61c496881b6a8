// SPDX-License-Identifier: MIT OR Apache-2.0
// Handles in containers, conversions, re-entrant objects, iteration while everything changes.
#include "behaviour/kinds.hpp"
#include "behaviour/pools_under_test.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"
#include "support/strict_lock.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_set>
#include <vector>

using namespace behaviour;
using fastalloc::FixedPool;
using fastalloc::FullChecks;
using fastalloc::GrowingPool;
using fastalloc::GrowthStrategy;
using fastalloc::Handle;
using fastalloc::PoolConfig;

namespace {

struct Left {
  std::uint64_t left = 1;
};
struct Right {
  std::uint64_t right = 2;
};
struct Both : Left, test::Tracked, Right {};
struct Root {
  virtual ~Root() = default;
  [[nodiscard]] virtual int number() const { return 0; }
  std::uint64_t root = 3;
};
struct MidA : virtual Root {
  std::uint64_t a = 4;
};
struct MidB : virtual Root {
  std::uint64_t b = 5;
};
struct Diamond : MidA, MidB, test::Tracked {
  [[nodiscard]] int number() const override { return 7; }
};

/// A typed handle to T as a member of T.
struct Link : test::Tracked {
  using Pool = FixedPool<Link, FullChecks>;
  using Tracked::Tracked;
  Handle<Link, Pool> next;
  std::vector<Handle<Link, Pool>> kids;
};

/// Its constructor allocates, its destructor frees and allocates, in the same pool.
struct Branch;
struct Grower {
  virtual Handle<Branch> grow(std::size_t depth) = 0;
  virtual void ask() = 0;

 protected:
  ~Grower() = default;
};
struct Branch : test::ThrowOnNth, fastalloc::Poolable {
  Branch(Grower& with, std::size_t depth) : ThrowOnNth(depth), grower(&with) {
    if (depth != 0) {
      left = with.grow(depth - 1);
      right = with.grow(depth - 1);
    }
    fuse_after_children();
  }
  static void fuse_after_children() { test::fuse().tick(); }
  ~Branch() { grower->ask(); }
  void on_acquire() { grower->ask(); }
  void on_release() { grower->ask(); }
  Grower* grower;
  Handle<Branch> left;
  Handle<Branch> right;
};
template <class Pool> struct GrowerOf final : Grower {
  explicit GrowerOf(Pool& p) : pool(p) {}
  Handle<Branch> grow(std::size_t depth) override { return pool.allocate(*this, depth); }
  void ask() override { calls += pool.allocated() <= pool.capacity(); }
  Pool& pool;
  std::size_t calls = 0;
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("handles: in vector, stable_sort, optional, unordered_set", "", SlotPolicies) {
  test::Audit audit;
  using P = GrowingPool<test::Tracked, TestType, FullChecks>;
  P pool(8);
  std::vector<typename P::handle_type> handles;
  for (std::uint64_t i = 0; i != 200; ++i) handles.push_back(pool.allocate(i * 37 % 200));
  std::stable_sort(handles.begin(), handles.end(),
                   [](auto const& a, auto const& b) { return a->value() < b->value(); });
  for (std::uint64_t i = 0; i != 200; ++i) EXPECT(handles[i]->value() == i);
  std::sort(handles.begin(), handles.end());
  EXPECT(std::is_sorted(handles.begin(), handles.end(),
                        [](auto const& a, auto const& b) { return std::less<>()(a.get(), b.get()); }));
  std::erase_if(handles, [](auto const& handle) { return handle->value() % 2 != 0; });
  EXPECT(pool.allocated() == 100 && pool.check_invariants());
  std::rotate(handles.begin(), handles.begin() + 17, handles.end());
  handles.insert(handles.begin() + 3, pool.allocate(std::uint64_t{1000}));
  EXPECT(pool.allocated() == 101);

  std::optional<typename P::handle_type> maybe;
  maybe = pool.allocate(std::uint64_t{5});
  maybe.emplace(pool.allocate(std::uint64_t{6}));
  EXPECT((*maybe)->value() == 6 && pool.allocated() == 102);
  maybe.reset();
  std::unordered_set<typename P::handle_type> set;
  for (auto& handle : handles) set.insert(std::move(handle));
  EXPECT(set.size() == 101 && pool.allocated() == 101 && set.count(nullptr) == 0);
  set.clear();
  EXPECT(pool.is_empty() && pool.check_invariants());
}

TEMPLATE_LIST_TEST_CASE("handles: to any base class, multiple and virtual, and back to the pool", "", SlotPolicies) {
  test::Audit audit;
  auto const run = [&](auto& pool, auto& diamonds) {
    std::vector<Handle<Right>> rights;
    std::vector<Handle<Root>> roots;
    for (int i = 0; i != 20; ++i) {
      rights.push_back(pool.allocate());
      EXPECT(rights.back()->right == 2);
      Handle<Both> whole = pool.allocate();
      EXPECT(whole->left == 1);
      Handle<test::Tracked> tracked = std::move(whole);
      EXPECT(tracked->intact());
      Handle<MidB> mid = diamonds.allocate();
      EXPECT(mid->b == 5);
      roots.push_back(std::move(mid));  // twice converted
      EXPECT(roots.back()->root == 3 && roots.back()->number() == 7);
      Handle<Root const> constant = diamonds.allocate();
      EXPECT(constant->number() == 7);
      Handle<Left> left = pool.allocate();
      left = nullptr;
      EXPECT(pool.check_invariants() && diamonds.check_invariants());
    }
    EXPECT(pool.allocated() == 20 && diamonds.allocated() == 20);
    std::swap(roots[3], roots[9]);
    roots[4] = std::move(roots[5]);
    EXPECT(diamonds.allocated() == 19);
    Handle<Root> empty = typename std::remove_reference_t<decltype(diamonds)>::handle_type();
    EXPECT(!empty);
  };
  {
    FixedPool<Both, TestType, FullChecks> pool(50);
    FixedPool<Diamond, TestType, FullChecks> diamonds(50);
    run(pool, diamonds);
    EXPECT(pool.is_empty() && diamonds.is_empty());
  }
  {
    GrowingPool<Both, TestType, fastalloc::NoChecks> pool(
        PoolConfig{.capacity = 3, .growth_strategy = GrowthStrategy::linear(3), .alignment = 128});
    GrowingPool<Diamond, TestType, fastalloc::NoChecks> diamonds(3);
    run(pool, diamonds);
    EXPECT(pool.is_empty() && diamonds.is_empty());
  }
}

TEST_CASE("handles: a handle to T is a member of T, and its destructor frees children") {
  test::Audit audit;
  Link::Pool pool(1000);
  auto head = pool.allocate(std::uint64_t{0});
  for (std::uint64_t i = 1; i != 500; ++i) {
    auto link = pool.allocate(i);
    link->next = std::move(head);
    link->kids.push_back(pool.allocate());
    head = std::move(link);
  }
  EXPECT(pool.allocated() == 999);
  Handle<Link, Link::Pool>& inner = head->next->next;
  head = std::move(inner);  // from within what it owns
  EXPECT(head->value() == 497 && pool.allocated() == 995 && pool.check_invariants());
  head.reset();
  EXPECT(pool.is_empty() && pool.check_invariants());
}

TEMPLATE_LIST_TEST_CASE("re-entrancy: constructors, destructors and hooks use the pool, and no lock is held", "",
                        SlotPolicies) {
  test::Audit audit;
  auto const run = [&](auto& pool) {
    GrowerOf grower(pool);
    {
      auto tree = pool.allocate(grower, std::size_t{6});
      EXPECT(pool.allocated() == 127 && pool.check_invariants());
      tree->left.reset();
      EXPECT(pool.allocated() == 64 && pool.check_invariants());
    }
    EXPECT(pool.is_empty() && grower.calls == 3 * 127 && pool.check_invariants());
#if FASTALLOC_EXCEPTIONS
    for (std::size_t k = 1; k < 30; ++k) {
      test::fuse().light(k);
      EXPECT(test::throws<test::Blown>([&] { (void)pool.allocate(grower, std::size_t{3}); }));
      EXPECT(pool.is_empty() && pool.check_invariants() && audit.live() == 0);
    }
    // A forest by batch: each tree takes more slots while the batch holds its own.
    std::vector<Handle<Branch>> trees;
    pool.allocate_batch(5, std::back_inserter(trees), std::ref(static_cast<Grower&>(grower)), std::size_t{3});
    EXPECT(pool.allocated() == 75 && pool.check_invariants());
    test::fuse().light(40);
    EXPECT(test::throws<test::Blown>([&] {
      pool.allocate_batch(3, std::back_inserter(trees), std::ref(static_cast<Grower&>(grower)), std::size_t{3});
    }));
    EXPECT(pool.allocated() == 75 && pool.check_invariants());
#endif
  };
  {
    FixedPool<Branch, TestType, FullChecks, test::StrictLock> fixed(130);
    run(fixed);
  }
  GrowingPool<Branch, TestType, FullChecks, test::StrictLock, fastalloc::BasicStats> growing(2);
  run(growing);
  (void)growing.shrink_to_fit();
  EXPECT(growing.capacity() <= 2);
}

TEMPLATE_LIST_TEST_CASE("for_each: address order, whatever is released or allocated inside, and nested", "",
                        SlotPolicies) {
  test::Audit audit;
  auto const run = [&](auto& pool) {
    using P = std::remove_reference_t<decltype(pool)>;
    std::vector<typename P::handle_type> handles;
    auto const refill = [&] {
      while (handles.size() < 90) handles.push_back(pool.allocate(handles.size()));
    };
    auto const find = [&](test::Tracked& object) {
      return std::find_if(handles.begin(), handles.end(), [&](auto const& handle) { return handle.get() == &object; });
    };
    refill();
    test::Tracked* last = nullptr;
    std::size_t count = 0;
    pool.for_each([&](test::Tracked& object) {
      EXPECT(std::less<>()(last, &object) && object.intact());
      last = &object;
      ++count;
    });
    EXPECT(count == 90);

    count = 0;
    pool.for_each([&](test::Tracked& object) {  // releases the current one
      ++count;
      handles.erase(find(object));
    });
    EXPECT(count == 90 && pool.is_empty() && pool.check_invariants());

    refill();
    count = 0;
    pool.for_each([&](test::Tracked&) {  // releases all at the third
      if (++count == 3) handles.clear();
    });
    EXPECT(count == 3 && pool.is_empty());

    refill();
    count = 0;
    pool.for_each([&](test::Tracked& object) {  // allocates, and releases what it allocated
      EXPECT(object.intact());
      if (object.value() == 4242) return;
      ++count;
      auto extra = pool.try_allocate(std::uint64_t{4242});
      if (count % 3 == 0) handles.push_back(pool.allocate(std::uint64_t{4242}));
    });
    EXPECT(count == 90 && pool.check_invariants());

    handles.resize(40);
    std::set<test::Tracked*> gone;
    pool.for_each([&](test::Tracked& outer) {  // nested, both release
      EXPECT(gone.count(&outer) == 0);
      pool.for_each([&](test::Tracked& inner) {
        EXPECT(gone.count(&inner) == 0 && inner.intact());
        if (inner.value() % 5 != outer.value() % 5 || &inner == &outer) return;
        gone.insert(&inner);
        handles.erase(find(inner));
      });
    });
    EXPECT(handles.size() + gone.size() == 40 && pool.allocated() == handles.size() && pool.check_invariants());
#if FASTALLOC_EXCEPTIONS
    EXPECT(test::throws<int>([&] { pool.for_each([](test::Tracked&) { throw 1; }); }));
#endif
    handles.clear();
    pool.for_each([](test::Tracked&) { EXPECT_NOT_REACHED("nothing lives"); });
  };
  {
    FixedPool<test::Tracked, TestType, FullChecks, test::StrictLock> fixed(150);
    run(fixed);
  }
  GrowingPool<test::Tracked, TestType, FullChecks, test::StrictLock, test::CountingStorage> growing(10);
  run(growing);
  std::vector<typename decltype(growing)::handle_type> handles;
  for (std::uint64_t i = 0; i != 90; ++i) handles.push_back(growing.allocate(i));
  std::size_t met = 0;
  growing.for_each([&](test::Tracked& object) {  // blocks go and come while the loop runs
    EXPECT(object.intact());
    if (++met == 5) {
      handles.resize(1);
      (void)growing.shrink_to_fit();
      for (std::uint64_t i = 0; i != 60; ++i) handles.push_back(growing.allocate(i));
    }
  });
  EXPECT(growing.allocated() == 61 && growing.check_invariants());
}
