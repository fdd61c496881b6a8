// SPDX-License-Identifier: MIT OR Apache-2.0
// std::unique_ptr from handles, to a base, into a shared_ptr, and back to a handle.
#include <fastalloc/adapters/unique_ptr.hpp>
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/handle/bound.hpp>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

struct Left {
  virtual ~Left() = default;
  int left = 1;
};
struct Right {
  virtual ~Right() = default;
  int right = 2;
};
struct Both : Left, Right, Tracked {
  explicit Both(std::uint64_t value) : Tracked(value) {}
};

template <class T, class Owner = AnyOwner> using Pointer = std::unique_ptr<T, PoolDeleter<T, Owner>>;
using Pool = FixedPool<Both>;

GrowingPool<Both> static_pool(2);
using Static = Bound<static_pool>;

static_assert(sizeof(Pointer<Both, Static>) == sizeof(void*));
static_assert(sizeof(Pointer<Both, Pool>) == 2 * sizeof(void*) && sizeof(Pointer<Left>) == 2 * sizeof(void*));
static_assert(std::is_nothrow_convertible_v<Pointer<Both, Pool>, Pointer<Right>>);
static_assert(std::is_nothrow_convertible_v<Pointer<Both>, Pointer<Both const>>);
static_assert(!std::is_convertible_v<Pointer<Left>, Pointer<Both>>);        // down
static_assert(!std::is_convertible_v<Pointer<Both>, Pointer<Both, Pool>>);  // the type of the pool is forgotten
static_assert(!std::is_convertible_v<std::default_delete<Both>, PoolDeleter<Both>>);
static_assert(std::is_nothrow_default_constructible_v<PoolDeleter<Both>>);

}  // namespace

TEMPLATE_TEST_CASE("unique_ptr: owns what the handle did, and back", "", (FixedPool<Both>),
                   (GrowingPool<Both, NoChecks>), (GrowingPool<Both, FullChecks, BitmapAllocator>),
                   (ThreadSafePool<Both>), (ThreadLocalPool<Both>)) {
  test::Audit const audit;
  TestType pool(4);
  auto handle = pool.allocate(5U);
  Both* const object = handle.get();
  auto pointer = to_unique(std::move(handle));
  static_assert(std::is_same_v<decltype(pointer), Pointer<Both, TestType>>);
  CHECK(handle == nullptr);
  CHECK(pointer.get() == object);
  CHECK(pool.allocated() == 1);
  SECTION("ends") { pointer.reset(); }
  SECTION("is assigned") {
    pointer = to_unique(pool.allocate(6U));
    CHECK(pointer->value() == 6);
    CHECK(pool.allocated() == 1);
    pointer = nullptr;
  }
  SECTION("becomes a handle") {
    handle = to_handle(std::move(pointer));
    CHECK(pointer == nullptr);
    CHECK(handle.get() == object);
    CHECK(pool.allocated() == 1);
    handle.reset();
  }
  SECTION("to a base: the slot follows from the address") {
    auto const neighbour = pool.allocate(7U);
    Pointer<Right> right = std::move(pointer);
    CHECK(right->right == 2);
    Pointer<Right const> constant = std::move(right);
    CHECK(pool.allocated() == 2);
    Handle<Right const> back = to_handle(std::move(constant));
    CHECK(back->right == 2);
    back.reset();
    CHECK(pool.allocated() == 1);
    CHECK(neighbour->value() == 7);
  }
  SECTION("to a base in two steps, by way of an erased pointer") {
    Pointer<Both> erased = std::move(pointer);
    CHECK(erased.get() == object);
    Pointer<Tracked> tracked = std::move(erased);
    CHECK(tracked->value() == 5);
  }
  SECTION("from a handle to a base") {
    Handle<Tracked> tracked = to_handle(std::move(pointer));
    Pointer<Tracked> again = to_unique(std::move(tracked));
    CHECK(again->value() == 5);
  }
  SECTION("as a shared pointer") {
    std::shared_ptr<Right> const shared = std::move(pointer);
    auto const second = shared;
    CHECK(second.use_count() == 2);
    CHECK(pool.allocated() == 1);
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("unique_ptr: of one word, and from there to a base") {
  test::Audit const audit;
  auto pointer = to_unique(Static::allocate(4U));
  static_assert(std::is_same_v<decltype(pointer), Pointer<Both, Static>>);
  CHECK(pointer->value() == 4);
  Static::handle_type handle = to_handle(std::move(pointer));
  {
    Pointer<Right> const right = to_unique(std::move(handle));
    CHECK(right->right == 2);
    CHECK(static_pool.allocated() == 1);
  }
  CHECK(static_pool.is_empty());
}

TEST_CASE("unique_ptr: empty ones") {
  Pointer<Both, Pool> pointer = to_unique(Pool::handle_type());
  CHECK(pointer == nullptr);
  Pointer<Left> left = std::move(pointer);
  CHECK(left == nullptr);
  CHECK(to_handle(std::move(left)) == nullptr);
  CHECK(to_handle(Pointer<Left>()) == nullptr);
}

TEST_CASE("unique_ptr: of many pools in one vector") {
  test::Audit const audit;
  FixedPool<Both> fixed(8);
  GrowingPool<Tracked> growing(1);
  std::vector<Pointer<Tracked>> all;
  for (std::uint64_t i = 0; i != 8; ++i) {
    all.push_back(to_unique(fixed.allocate(i)));
    all.push_back(to_unique(growing.allocate(i)));
  }
  for (std::size_t i = 0; i != all.size(); ++i) CHECK(all[i]->value() == i / 2);
  all.clear();
  CHECK((fixed.is_empty() && growing.is_empty()));
}
