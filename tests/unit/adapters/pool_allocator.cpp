// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolAllocator in the containers of the standard library, with equal and unequal resources: where memory comes from
// after each operation, what a failure in the middle leaves, and that every byte comes back.
#include <fastalloc/adapters/pool_allocator.hpp>

#include <cstdint>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <scoped_allocator>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"
#include "support/test_resource.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::CountingResource;

namespace {

/// An element that is compared and hashed by its value.
struct Item : test::ThrowOnNth {
  using ThrowOnNth::ThrowOnNth;
  Item(int value) : ThrowOnNth(static_cast<std::uint64_t>(value)) {}
  friend bool operator==(Item const& a, Item const& b) { return a.value() == b.value(); }
  friend bool operator<(Item const& a, Item const& b) { return a.value() < b.value(); }
};
struct HashItem {
  std::size_t operator()(Item const& item) const { return static_cast<std::size_t>(item.value() * 31); }
};
struct alignas(64) Wide {
  char bytes[70];
};
struct alignas(256) Wider {
  char bytes[300];
};

PoolResource bound_memory;
template <class T> using BoundTo = BoundAllocator<T, bound_memory>;

template <class T> using Alloc = PoolAllocator<T>;
using List = std::list<Item, Alloc<Item>>;
using Forward = std::forward_list<Item, Alloc<Item>>;
using Deque = std::deque<Item, Alloc<Item>>;
using Vector = std::vector<Item, Alloc<Item>>;
using Set = std::set<Item, std::less<Item>, Alloc<Item>>;
using MultiSet = std::multiset<Item, std::less<Item>, Alloc<Item>>;
using Map = std::map<Item, Item, std::less<Item>, Alloc<std::pair<Item const, Item>>>;
using HashSet = std::unordered_set<Item, HashItem, std::equal_to<Item>, Alloc<Item>>;
using HashMap = std::unordered_map<Item, Item, HashItem, std::equal_to<Item>, Alloc<std::pair<Item const, Item>>>;
#define CONTAINERS List, Forward, Deque, Vector, Set, MultiSet, Map, HashSet, HashMap

template <class C> constexpr bool is_map = requires { typename C::mapped_type; };

template <class C> void put(C& container, int value) {
  if constexpr (is_map<C>) container.emplace(value, value + 1);
  else if constexpr (std::is_same_v<C, Forward>) container.emplace_front(value);
  else if constexpr (requires { container.emplace_back(value); }) container.emplace_back(value);
  else container.emplace(value);
}
template <class C> C filled(PoolResource& resource, int n) {
  C container{typename C::allocator_type(resource)};
  for (int i = 0; i != n; ++i) put(container, i);
  return container;
}
template <class C> bool is_from(C const& container, PoolResource const& resource) {
  return &container.get_allocator().resource() == &resource;
}
template <class C> std::size_t count(C const& container) {
  return static_cast<std::size_t>(std::distance(container.begin(), container.end()));
}

}  // namespace

using Traits = std::allocator_traits<PoolAllocator<int>>;
static_assert(!Traits::propagate_on_container_copy_assignment::value &&
              Traits::propagate_on_container_move_assignment::value);
static_assert(Traits::propagate_on_container_swap::value && !Traits::is_always_equal::value);
static_assert(std::is_same_v<Traits::rebind_alloc<char>, PoolAllocator<char>>);
static_assert(std::is_same_v<std::allocator_traits<PoolAllocator<int, SynchronizedPoolResource>>::rebind_alloc<char>,
                             PoolAllocator<char, SynchronizedPoolResource>>);
static_assert(std::is_nothrow_copy_constructible_v<PoolAllocator<int>> &&
              std::is_nothrow_copy_assignable_v<PoolAllocator<int>>);
static_assert(std::is_nothrow_constructible_v<PoolAllocator<int>, PoolAllocator<char> const&>);
static_assert(!std::is_default_constructible_v<PoolAllocator<int>>);
static_assert(!std::is_convertible_v<SynchronizedPoolResource&, PoolAllocator<int>>);
static_assert(sizeof(PoolAllocator<int>) == sizeof(void*));
static_assert(std::is_nothrow_move_assignable_v<std::list<int, PoolAllocator<int>>>);

using Stays = PoolAllocator<int, PoolResource, Propagation<true, false, false>>;
static_assert(std::allocator_traits<Stays>::propagate_on_container_copy_assignment::value);
static_assert(!std::allocator_traits<Stays>::propagate_on_container_move_assignment::value);
static_assert(!std::allocator_traits<Stays>::propagate_on_container_swap::value);
static_assert(std::is_same_v<std::allocator_traits<Stays>::rebind_alloc<char>,
                             PoolAllocator<char, PoolResource, Propagation<true, false, false>>>);
static_assert(sizeof(Stays) == sizeof(void*));

static_assert(std::is_empty_v<BoundTo<int>> && std::allocator_traits<BoundTo<int>>::is_always_equal::value);
static_assert(std::is_nothrow_default_constructible_v<BoundTo<int>>);
static_assert(std::is_nothrow_constructible_v<BoundTo<int>, BoundTo<char> const&>);
static_assert(std::is_same_v<std::allocator_traits<BoundTo<int>>::rebind_alloc<char>, BoundTo<char>>);
static_assert(sizeof(std::vector<int, BoundTo<int>>) == sizeof(std::vector<int>));
static_assert(std::allocator_traits<BoundTo<int>>::propagate_on_container_swap::value &&
              !std::allocator_traits<BoundTo<int>>::propagate_on_container_copy_assignment::value);
static_assert(std::allocator_traits<BoundAllocator<int, bound_memory, Propagation<true, true, true>>>::
                  propagate_on_container_copy_assignment::value);

TEST_CASE("BoundAllocator: containers that make their own allocator take memory from the static resource") {
  {
    std::vector<char, BoundTo<char>> text;
    CHECK(bound_memory.bytes_in_use() == 0);
    text.resize(100);
    CHECK(bound_memory.bytes_in_use() == 112);
    using Row = std::vector<int, BoundTo<int>>;
    std::map<int, Row, std::less<>, BoundTo<std::pair<int const, Row>>> map;
    for (int i = 0; i != 50; ++i) map[i % 10].push_back(i);  // the rows are default constructed
    CHECK(bound_memory.owns(map[3].data()));
    auto other = map;
    other.swap(map);
    CHECK((map == other && map[7].get_allocator() == BoundTo<long>()));
    std::unordered_map<int, Item, std::hash<int>, std::equal_to<>, BoundTo<std::pair<int const, Item>>> hashed;
    for (int i = 0; i != 100; ++i) hashed.emplace(i, i);
    auto const moved = std::move(hashed);
    CHECK(moved.at(60).value() == 60);
    auto const shared = std::allocate_shared<Wide>(BoundTo<int>());
    CHECK(bound_memory.owns(shared.get()));
  }
  CHECK(bound_memory.bytes_in_use() == 0);
  CHECK(&BoundTo<int>::resource() == &bound_memory);
#if FASTALLOC_EXCEPTIONS
  EXPECT(test::throws<std::bad_array_new_length>(
      [] { (void)BoundTo<int>().allocate(std::numeric_limits<std::size_t>::max() / 4 + 2); }));
#endif
}

TEST_CASE("PoolAllocator: propagation by its third argument") {
  CountingResource upstream;
  PoolResource a(&upstream), b(&upstream);
  {
    using Copying = std::vector<int, Stays>;
    Copying from({1, 2, 3}, Stays(a)), copied{Stays(b)}, moved{Stays(b)};
    int const* const data = from.data();
    copied = from;
    CHECK(&copied.get_allocator().resource() == &a);
    moved = std::move(from);
    CHECK(&moved.get_allocator().resource() == &b);
    CHECK(moved.data() != data);
    CHECK(moved == copied);
  }
  CHECK(a.bytes_in_use() + b.bytes_in_use() == 0);
}

TEST_CASE("allocators of one resource are equal, whatever their type") {
  CountingResource upstream;
  PoolResource a(&upstream), b(&upstream);
  PoolAllocator<int> const one(a), other(b);
  PoolAllocator<Wide> const rebound(one);
  CHECK(one == PoolAllocator<int>(a));
  CHECK(one == rebound);
  CHECK(PoolAllocator<int>(rebound) == one);
  CHECK(one != other);
  CHECK(Traits::select_on_container_copy_construction(one) == one);
}

TEMPLATE_TEST_CASE("memory of every kind of T is aligned and comes back", "", char, int, Wide, Wider, test::Tracked) {
  CountingResource upstream;
  PoolResource resource(&upstream);
  PoolAllocator<TestType> allocator(resource);
  for (std::size_t const n : std::initializer_list<std::size_t>{0, 1, 2, 3, 7, 64, 1000}) {
    TestType* const p = allocator.allocate(n);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % alignof(TestType) == 0);
    allocator.deallocate(p, n);
  }
  CHECK(resource.bytes_in_use() == 0);
}

TEMPLATE_TEST_CASE("containers take all memory from the resource and give it back", "", CONTAINERS) {
  test::Audit const audit;
  CountingResource upstream;
  PoolResource resource(&upstream);
  {
    TestType container = filled<TestType>(resource, 300);
    CHECK(count(container) == 300);
    CHECK(is_from(container, resource));
    CHECK(resource.bytes_in_use() >= 300 * sizeof(Item));
    while (count(container) > 100) {
      if constexpr (std::is_same_v<TestType, Forward>) container.pop_front();
      else container.erase(container.begin());
    }
    for (int i = 0; i != 50; ++i) put(container, 1000 + i);
    CHECK(count(container) == 150);
  }
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("copy, move, assignment and swap: the resource each container is left with", "", CONTAINERS) {
  test::Audit const audit;
  CountingResource upstream;
  PoolResource a(&upstream), b(&upstream);
  {
    TestType const source = filled<TestType>(a, 20);
    std::size_t const used = a.bytes_in_use();

    TestType copy(source);
    CHECK(is_from(copy, a));
    CHECK(copy == source);
    TestType elsewhere(source, typename TestType::allocator_type(b));
    CHECK(is_from(elsewhere, b));
    CHECK(elsewhere == source);

    TestType assigned = filled<TestType>(b, 5);
    assigned = source;  // elements are copied, the resource stays
    CHECK(is_from(assigned, b));
    CHECK(assigned == source);

    TestType moved = filled<TestType>(b, 5);
    std::size_t const built = audit.built();
    moved = std::move(copy);  // takes a's memory along
    CHECK(is_from(moved, a));
    CHECK(moved == source);
    CHECK(audit.built() == built);

    TestType same(std::move(moved), typename TestType::allocator_type(a));
    CHECK(same == source);
    TestType across(std::move(same), typename TestType::allocator_type(b));  // unequal: elements move one by one
    CHECK(is_from(across, b));
    CHECK(across == source);

    TestType from_a = filled<TestType>(a, 3), from_b = filled<TestType>(b, 7);
    swap(from_a, from_b);
    CHECK(is_from(from_a, b));
    CHECK(is_from(from_b, a));
    CHECK(count(from_a) == 7);
    CHECK(count(from_b) == 3);
    CHECK(a.bytes_in_use() > used);
  }
  CHECK(a.bytes_in_use() == 0);
  CHECK(b.bytes_in_use() == 0);
}

TEST_CASE("nodes change containers of one resource without an allocation") {
  test::Audit const audit;
  CountingResource upstream;
  PoolResource resource(&upstream);
  {
    auto list = filled<List>(resource, 10), other = filled<List>(resource, 10);
    std::size_t const used = resource.bytes_in_use();
    std::size_t const built = audit.built();
    list.splice(list.end(), other, other.begin());
    list.merge(other);
    CHECK(list.size() == 20);
    CHECK(resource.bytes_in_use() == used);
    CHECK(audit.built() == built);
  }
  {
    auto map = filled<Map>(resource, 10);
    Map target{Map::allocator_type(resource)};
    auto node = map.extract(map.begin());
    CHECK(&node.get_allocator().resource() == &resource);
    CHECK(target.insert(std::move(node)).inserted);
    target.merge(map);
    CHECK(target.size() == 10);
    CHECK(map.empty());
    auto dropped = target.extract(target.begin());  // the node itself gives its memory back
  }
  {
    auto set = filled<HashSet>(resource, 10);
    auto other = filled<HashSet>(resource, 15);
    set.merge(other);
    CHECK(set.size() == 15);
    CHECK(other.size() == 10);
    other.insert(set.extract(Item(14)));
    CHECK(other.size() == 11);
  }
  CHECK(resource.bytes_in_use() == 0);
}

TEST_CASE("strings, shared pointers and nested containers") {
  CountingResource upstream;
  PoolResource resource(&upstream);
  {
    using String = std::basic_string<char, std::char_traits<char>, PoolAllocator<char>>;
    String text(resource);
    for (int i = 0; i != 10'000; ++i) text += static_cast<char>('a' + i % 26);
    CHECK(text.size() == 10'000);
    CHECK(String(text) == text);

    auto const shared = std::allocate_shared<Wide>(PoolAllocator<Wide>(resource));
    CHECK(reinterpret_cast<std::uintptr_t>(shared.get()) % 64 == 0);
    std::weak_ptr<Wide> const weak = shared;
    CHECK(weak.lock() == shared);

    // The inner strings get the resource from the outer container.
    using Outer =
        std::map<int, String, std::less<>, std::scoped_allocator_adaptor<PoolAllocator<std::pair<int const, String>>>>;
    Outer outer{Outer::allocator_type(resource)};
    outer.emplace(std::piecewise_construct, std::forward_as_tuple(1), std::forward_as_tuple(std::size_t{100}, 'x'));
    outer.emplace(2, text);
    CHECK(&outer.at(1).get_allocator().resource() == &resource);
    CHECK(outer.at(2) == text);
  }
  CHECK(resource.bytes_in_use() == 0);
}

TEST_CASE("over-aligned elements in nodes and in arrays") {
  CountingResource upstream;
  PoolResource resource(&upstream);
  {
    std::list<Wide, PoolAllocator<Wide>> list(resource);
    std::vector<Wider, PoolAllocator<Wider>> vector(resource);
    for (int i = 0; i != 50; ++i) {
      CHECK(reinterpret_cast<std::uintptr_t>(&list.emplace_back()) % alignof(Wide) == 0);
      CHECK(reinterpret_cast<std::uintptr_t>(&vector.emplace_back()) % alignof(Wider) == 0);
    }
  }
  CHECK(resource.bytes_in_use() == 0);
}

TEST_CASE("the resource of several threads") {
  CountingResource upstream;
  SynchronizedPoolResource resource(&upstream);
  {
    using Allocator = PoolAllocator<int, SynchronizedPoolResource>;
    std::unordered_map<int, int, std::hash<int>, std::equal_to<>,
                       PoolAllocator<std::pair<int const, int>, SynchronizedPoolResource>>
        map(PoolAllocator<std::pair<int const, int>, SynchronizedPoolResource>{resource});
    for (int i = 0; i != 1000; ++i) map[i] = i;
    std::deque<int, Allocator> deque(1000, 7, Allocator(resource));
    CHECK(map.size() == deque.size());
  }
  CHECK(resource.bytes_in_use() == 0);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("lengths that no memory could have") {
  CountingResource upstream;
  PoolResource resource(&upstream);
  PoolAllocator<Wide> allocator(resource);
  auto const most = std::numeric_limits<std::size_t>::max();
  CHECK(Traits::max_size(PoolAllocator<int>(resource)) == most / 2 / sizeof(int));
  for (std::size_t const n :
       {most, most / sizeof(Wide), most / sizeof(Wide) + 1, most / sizeof(Wide) + 2, allocator.max_size() + 1})
    EXPECT(test::throws<std::bad_array_new_length>([&] { (void)allocator.allocate(n); }));
  CHECK(upstream.requests() == 0);
  EXPECT(test::throws<std::bad_alloc>([&] { (void)allocator.allocate(allocator.max_size()); }));
}

namespace {

/// Runs the operations of a container with more and more upstream requests allowed, until they get through. Where one
/// fails, what the operation has to keep is kept: everything is given back, and no element is lost or built twice.
template <class C, class Operation> void with_rising_budget(Operation&& operation, bool of_constructors) {
  bool failed = true;
  for (std::size_t budget = 0; failed; ++budget) {
    REQUIRE(budget < 2000);
    test::Audit const audit;
    CountingResource upstream;
    PoolResource a(PoolResourceOptions{.initial_slots = 1}, &upstream),
        b(PoolResourceOptions{.initial_slots = 1}, &upstream);
    {
      auto x = filled<C>(a, 9), y = filled<C>(b, 7);
      failed = false;
      if (of_constructors) test::fuse().light(budget + 1);
      else upstream.fail_after(budget);
      try {
        operation(x, y, a, b);
      } catch (std::bad_alloc const&) {
        failed = true;
      } catch (test::Blown const&) {
        failed = true;
      }
      test::fuse().put_out();
      upstream.allow();
      EXPECT(count(x) == static_cast<std::size_t>(std::distance(x.begin(), x.end())));
      put(x, 5000);  // both are usable
      put(y, 5000);
      EXPECT(a.check_invariants() && b.check_invariants());
    }
    EXPECT(a.bytes_in_use() == 0);
    EXPECT(b.bytes_in_use() == 0);
  }
}

template <class C> void all_operations(bool of_constructors) {
  with_rising_budget<C>(
      [](C& x, C&, PoolResource&, PoolResource&) {
        for (int i = 100; i != 160; ++i) put(x, i);
      },
      of_constructors);
  with_rising_budget<C>([](C& x, C& y, PoolResource&, PoolResource&) { x = y; }, of_constructors);
  with_rising_budget<C>([](C& x, C& y, PoolResource&, PoolResource&) { x = std::move(y); }, of_constructors);
  with_rising_budget<C>([](C& x, C& y, PoolResource&, PoolResource&) { swap(x, y); }, of_constructors);
  with_rising_budget<C>(
      [](C& x, C&, PoolResource&, PoolResource& b) { C const copy(x), other(x, typename C::allocator_type(b)); },
      of_constructors);
  with_rising_budget<C>(
      [](C& x, C&, PoolResource&, PoolResource& b) { C const other(std::move(x), typename C::allocator_type(b)); },
      of_constructors);
  if constexpr (requires(C& x) { x.merge(x); }) {
    with_rising_budget<C>(
        [](C& x, C&, PoolResource& a, PoolResource&) {
          C same = filled<C>(a, 12);
          x.merge(same);
        },
        of_constructors);
  }
  if constexpr (!std::is_same_v<C, Forward>) {
    with_rising_budget<C>(
        [](C& x, C&, PoolResource&, PoolResource&) {
          for (int i = 0; i != 20; ++i) x.erase(x.begin()), put(x, 200 + i), put(x, 300 + i);
        },
        of_constructors);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a resource that runs dry in the middle of an operation", "", CONTAINERS) {
  all_operations<TestType>(false);
}
TEMPLATE_TEST_CASE("a constructor that throws in the middle of an operation", "", CONTAINERS) {
  all_operations<TestType>(true);
}
#endif

TEST_CASE("a count of objects that no memory could hold is not taken for a small one") {
  if (!Defaults::checks::tracks_slots) return;
  PoolResource resource;
  PoolAllocator<std::uint64_t> allocator(resource);
  std::uint64_t* const object = allocator.allocate(1);
  {
    test::RecordedErrors errors;
    allocator.deallocate(object, SIZE_MAX / 8 + 2);  // times 8: 8
    REQUIRE(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::invalid_handle);
  }
  CHECK(resource.bytes_in_use() != 0);
  allocator.deallocate(object, 1);
  CHECK(resource.bytes_in_use() == 0);
}
