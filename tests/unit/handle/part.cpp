// SPDX-License-Identifier: MIT OR Apache-2.0
// Handles that own an object and point to a part of it: Handle<T>(std::move(owner), part).
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/handle/bound.hpp>

#include <array>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Named {
  virtual ~Named() = default;
  std::string name = "a name that is long enough for the heap";
};
struct Point : Tracked, Shape {
  int corners() const override { return 1; }
};
struct Square : Named, Shape, Tracked {
  explicit Square(std::uint64_t side) : Tracked(side) {}
  int corners() const override { return 4; }
};
struct Star : virtual Shape, virtual Tracked {
  Star() = default;
  Star(Star const&) = delete;
  Star& operator=(Star const&) = delete;
  std::array<int, 7> padding{};
  int corners() const override { return 10; }
};
using Any = std::variant<Point, Square, Star>;

struct Whole {
  Tracked first{1};
  int number = 2;
  std::array<Tracked, 3> more{Tracked(3), Tracked(4), Tracked(5)};
};

FixedPool<Whole> static_pool(2);

Shape* shape_in(Any& any) {
  return std::visit([](auto& one) -> Shape* { return &one; }, any);
}
template <class O> Handle<Shape> as_shape(Handle<Any, O> any) {
  Shape* const shape = any ? shape_in(*any) : nullptr;
  return Handle<Shape>(std::move(any), shape);
}

}  // namespace

TEMPLATE_TEST_CASE("handle to a part: a member", "", (GrowingPool<Whole, NoChecks>),
                   (GrowingPool<Whole, FullChecks, BitmapAllocator>), (FixedPool<Whole, FreeListAllocator>),
                   (ThreadSafePool<Whole>), (ThreadLocalPool<Whole>)MORE_ROWS((FixedPool<Whole>))) {
  test::Audit const audit;
  TestType pool(4);
  auto const other = pool.allocate();
  SECTION("at the object's start, in the middle, in an array") {
    auto owner = pool.allocate();
    Tracked* const first = &owner->first;
    Handle<Tracked> part(std::move(owner), first);
    CHECK(owner == nullptr);
    CHECK(part.get() == first);
    CHECK(pool.allocated() == 2);
    part.reset();
    CHECK(pool.allocated() == 1);
    owner = pool.allocate();
    part = Handle<Tracked>(std::move(owner), &owner->more[2]);
    CHECK(part->value() == 5);
    Handle<Tracked> moved(std::move(part));
    part = std::move(moved);
    CHECK(pool.allocated() == 2);
    part = nullptr;
    owner = pool.allocate();
    Handle<int const> const number(std::move(owner), &owner->number);
    CHECK(*number == 2);
    CHECK(pool.allocated() == 2);
  }
  SECTION("of a part") {
    auto owner = pool.allocate();
    auto* const whole = owner.get();
    Handle<std::array<Tracked, 3>> array(std::move(owner), &whole->more);
    Handle<Tracked> one(std::move(array), &whole->more[0]);  // where the array is
    CHECK(array == nullptr);
    CHECK(one->value() == 3);
    Handle<Tracked> first(std::move(one), &whole->first);  // where the object is
    CHECK(first->value() == 1);
    Handle<Whole> back(std::move(first), whole);
    CHECK(back.get() == whole);
    CHECK(pool.allocated() == 2);
  }
  CHECK(pool.allocated() == 1);
  CHECK(other->first.value() == 1);
}

TEST_CASE("handle to a part: no part, or no owner") {
  test::Audit const audit;
  FixedPool<Any> pool(2);
  auto square = pool.allocate(std::in_place_type<Square>, 3U);
  Handle<Point> const point(std::move(square), std::get_if<Point>(square.get()));
  CHECK(point == nullptr);
  REQUIRE(square != nullptr);  // still the owner
  CHECK(std::get<Square>(*square).value() == 3);
  Any* const part = square.get();
  FixedPool<Any>::handle_type none;
  Handle<Any> const empty(std::move(none), part);
  CHECK(empty == nullptr);
  CHECK(pool.allocated() == 1);
  square.reset();
  CHECK(pool.is_empty());
}

TEST_CASE("handle to a part: of a handle of one word") {
  test::Audit const audit;
  auto owner = Bound<static_pool>::allocate();
  Tracked* const last = &owner->more[2];
  Handle<Tracked> part(std::move(owner), last);
  CHECK(owner == nullptr);
  CHECK(part->value() == 5);
  part.reset();
  CHECK(static_pool.is_empty());
}

TEST_CASE("handle to a part: of an erased handle that points to a base") {
  test::Audit const audit;
  FixedPool<Square, FullChecks> pool(2);
  auto owner = pool.allocate(7U);
  Square* const square = owner.get();
  Handle<Shape> shape = std::move(owner);
  CHECK(static_cast<void*>(shape.get()) != static_cast<void*>(square));
  Handle<std::string> name(std::move(shape), &square->name);
  CHECK(*name == "a name that is long enough for the heap");
  Handle<Square> whole(std::move(name), square);
  CHECK(whole->corners() == 4);
  whole.reset();
  CHECK(pool.is_empty());
}

TEMPLATE_TEST_CASE("handle to a part: the base of what is inside a variant, in many blocks", "",
                   (GrowingPool<Any, NoChecks>), (GrowingPool<Any, FullChecks, FreeListAllocator>),
                   (GrowingPool<Any, BitmapAllocator>)MORE_ROWS((GrowingPool<Any>))) {
  test::Audit const audit;
  TestType pool(PoolConfig{.capacity = 3, .growth_strategy = GrowthStrategy::linear(5)});
  std::vector<Handle<Shape>> shapes;
  int corners = 0;
  auto const add = [&](std::uint32_t kind) {
    switch (kind % 3) {
      case 0: shapes.push_back(as_shape(pool.allocate(std::in_place_type<Point>))); break;
      case 1: shapes.push_back(as_shape(pool.allocate(std::in_place_type<Square>, kind))); break;
      default: shapes.push_back(as_shape(pool.allocate(std::in_place_type<Star>)));
    }
  };
  auto const sum = [&] {
    int n = 0;
    for (auto const& shape : shapes) n += shape->corners();
    return n;
  };
  std::mt19937 random(11);
  for (std::uint32_t i = 0; i != 300; ++i) add(i);
  CHECK(sum() == 100 * (1 + 4 + 10));
  for (int round = 0; round != 5; ++round) {
    std::shuffle(shapes.begin(), shapes.end(), random);
    shapes.resize(40);
    corners = sum();
    pool.shrink_to_fit();
    CHECK(sum() == corners);
    CHECK(pool.allocated() == 40);
    CHECK(pool.check_invariants());
    while (shapes.size() != 200) add(static_cast<std::uint32_t>(random()));
  }
  CHECK(audit.live() == 200);
  shapes.clear();
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("handle to a part: the checks policy knows the slot") {
  test::Audit const audit;
  test::RecordedErrors errors;
  FixedPool<Whole, FullChecks> pool(2);
  auto owner = pool.allocate();
  Whole* const whole = owner.get();
  {
    Handle<int> number(std::move(owner), &whole->number);
    pool.adopt(whole).reset();  // behind the handle's back
    CHECK(errors.count() == 0);
  }
  REQUIRE(errors.count() == 1);  // the handle's end
  CHECK(errors.last().code == ErrorCode::double_free);
  CHECK(pool.is_empty());
}

namespace {

struct Head {
  Tracked tracked{9};
};
struct Second {
  Head head;
};
struct Third : Second {};
struct Two : Named, Third {};

}  // namespace

TEMPLATE_TEST_CASE("handle to a part: one that begins where the part before began is a part still", "",
                   (FixedPool<Two, NoChecks>), (FixedPool<Two, FullChecks>), (GrowingPool<Two>),
                   (FixedPool<Two, Shared>)) {
  test::Audit const audit;
  TestType pool(3);
  auto const neighbour = pool.allocate();
  auto owner = pool.allocate();
  Two* const two = owner.get();
  Handle<Third> third = std::move(owner);  // a base, behind another one
  CHECK(static_cast<void*>(third.get()) != static_cast<void*>(two));
  Handle<Second> second = std::move(third);          // its base, at the same address
  Handle<Head> head(std::move(second), &two->head);  // and a member there
  CHECK(static_cast<void*>(head.get()) == static_cast<void*>(static_cast<Second*>(two)));
  Handle<Tracked> tracked(std::move(head), &two->head.tracked);
  CHECK(tracked->value() == 9);
  CHECK(pool.allocated() == 2);
  tracked.reset();
  CHECK(pool.allocated() == 1);
  CHECK(pool.check_invariants());
  CHECK(audit.live() == 1);
  auto const again = pool.allocate();
  CHECK(again.get() == two);
}
