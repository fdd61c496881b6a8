// SPDX-License-Identifier: MIT OR Apache-2.0
// live(): a forward range over what lives. What loops may do to the pool is tested in ../../regressions/iteration.cpp.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <concepts>
#include <functional>
#include <iterator>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;

namespace {

struct Item {
  int value;
};
using Fixed = FixedPool<Item, BitmapAllocator>;
using Growing = GrowingPool<Item, BitmapAllocator, BasicStats>;
using Inside = FixedPool<Item, BitmapAllocator, InlineStorage<700>>;

template <class Pool> using Live = decltype(std::declval<Pool&>().live());
static_assert(std::ranges::forward_range<Live<Fixed>> && std::ranges::common_range<Live<Fixed>> &&
              std::ranges::view<Live<Growing const>>);
static_assert(std::ranges::borrowed_range<Live<Inside>> && !std::ranges::bidirectional_range<Live<Fixed>>);
static_assert(std::forward_iterator<std::ranges::iterator_t<Live<Fixed>>>);
static_assert(std::same_as<std::ranges::range_reference_t<Live<Fixed>>, Item&>);
static_assert(std::same_as<std::ranges::range_reference_t<Live<Fixed const>>, Item const&>);
static_assert(std::same_as<std::ranges::range_value_t<Live<Fixed const>>, Item>);
static_assert(noexcept(std::declval<Fixed&>().live()));

template <class Pool> Pool make() {
  if constexpr (std::same_as<Pool, Growing>)
    return Pool(PoolConfig{.capacity = 50, .growth_strategy = GrowthStrategy::exponential(1.5)});
  else if constexpr (std::same_as<Pool, Inside>) return Pool();
  else return Pool(700);
}

}  // namespace

TEMPLATE_TEST_CASE("live(): in address order, at every occupancy", "", Fixed, Growing, Inside) {
  TestType pool = make<TestType>();
  CHECK(pool.live().empty());
  CHECK(std::as_const(pool).live().begin() == std::as_const(pool).live().end());
  std::mt19937 random(3);
  std::vector<typename TestType::handle_type> handles;
  for (unsigned const occupancy : {1U, 10U, 50U, 90U, 100U}) {
    handles.clear();
    for (int i = 0; i != 700; ++i) handles.push_back(pool.allocate(Item{i}));
    std::erase_if(handles, [&](auto const&) { return random() % 100 >= occupancy; });
    if (occupancy == 90) handles.push_back(pool.allocate(Item{9999}));  // a word of the bitmap is in use
    std::vector<Item*> expected;
    for (auto const& handle : handles) expected.push_back(handle.get());
    std::sort(expected.begin(), expected.end(), std::less<>());

    std::vector<Item*> met;
    for (Item& item : pool.live()) met.push_back(&item);
    CHECK(met == expected);
    met.clear();
    pool.for_each([&](Item& item) { met.push_back(&item); });
    CHECK(met == expected);
    std::vector<Item const*> seen;
    for (Item const& item : std::as_const(pool).live()) seen.push_back(&item);
    CHECK(std::equal(seen.begin(), seen.end(), expected.begin(), expected.end()));
    CHECK(pool.check_invariants());
  }
  handles.clear();
  CHECK(pool.live().empty());
}

TEST_CASE("live(): works with algorithms, and more than once") {
  Fixed pool(100);
  std::vector<Fixed::handle_type> handles;
  for (int i = 0; i != 90; ++i) handles.push_back(pool.allocate(Item{i}));
  auto const range = pool.live();
  CHECK(std::ranges::distance(range) == 90);
  CHECK(std::ranges::count_if(range, [](Item const& item) { return item.value % 3 == 0; }) == 30);
  CHECK(std::ranges::max(range, {}, &Item::value).value == 89);
  CHECK(std::ranges::find(range, 41, &Item::value)->value == 41);
  CHECK(std::accumulate(range.begin(), range.end(), 0, [](int sum, Item const& item) { return sum + item.value; }) ==
        89 * 45);
  CHECK(std::ranges::adjacent_find(range, std::ranges::greater(), &Item::value) == range.end());

  auto first = range.begin();
  auto second = first;
  auto const before = second++;
  CHECK(before == first);
  CHECK(second != first);
  CHECK((++first == second && first->value == 1));
  decltype(first) const end{};
  CHECK(end == range.end());
  for (int i = 1; i != 90; ++i) ++first;
  CHECK(first == end);
}

TEST_CASE("live(): an iterator that waits survives what happens to the pool") {
  Growing pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<Growing::handle_type> handles;
  for (int i = 0; i != 10; ++i) handles.push_back(pool.allocate(Item{i}));
  auto iterator = std::next(pool.live().begin(), 4);
  // the directory moves
  while (handles.size() != 200) handles.push_back(pool.allocate(Item{static_cast<int>(handles.size())}));
  CHECK(iterator->value == 4);
  std::size_t const left = static_cast<std::size_t>(std::distance(iterator, pool.live().end()));
  Item const* const at = &*iterator;
  CHECK(left == static_cast<std::size_t>(std::count_if(handles.begin(), handles.end(), [&](auto const& h) {
          return std::greater_equal<>()(h.get(), at);
        })));
  handles.clear();
  (void)pool.shrink_to_fit();
  CHECK(++iterator == pool.live().end());
}

TEST_CASE("for_each: an iteration that nothing disturbs costs no more with the snapshot of the others") {
  GrowingPool<test::Tracked, StackAllocator, BasicStats> pool(64);
  test::Audit const audit;
  std::vector<GrowingPool<test::Tracked, StackAllocator, BasicStats>::handle_type> handles;
  for (unsigned i = 0; i != 60; ++i) handles.push_back(pool.allocate(i));
  // Released and allocated again in one step: whichever object is met there, it lives.
  std::size_t calls = 0;
  pool.for_each([&](test::Tracked& object) {
    CHECK(test::ledger().lives(&object));
    std::size_t const victim = ++calls % handles.size();
    handles[victim].reset();
    handles[(victim + 7) % handles.size()].reset();
    handles[victim] = pool.allocate(1000U);
    handles[(victim + 7) % handles.size()] = pool.allocate(1001U);
  });
  CHECK(calls >= 1);
  CHECK(calls <= 60);
  CHECK(pool.statistics().peak_usage == 60);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("for_each: what comes back meanwhile is skipped, with each allocator", "",
                   (FixedPool<Item, FreeListAllocator>), (FixedPool<Item, BitmapAllocator>),
                   (ThreadSafePool<Item, LockFree>)MORE_ROWS((FixedPool<Item>), (FixedPool<Item, LockFree>),
                                                             (ThreadSafePool<Item>))) {
  TestType pool(200);
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 150; ++i) handles.push_back(pool.allocate(Item{i}));
  for (std::size_t const i : {std::size_t{3}, std::size_t{70}}) handles[i].reset();  // free from the beginning
  std::size_t met = 0;
  std::size_t dead = 0;
  pool.for_each([&](Item const& item) {
    auto const at = static_cast<std::size_t>(item.value);
    if (at >= handles.size() || handles[at].get() != &item) return void(++dead);
    ++met;
    for (std::size_t const gone : {at + 1, at + 63, at + 100})  // one at each step, some of them met before
      if (met % 2 == 0) handles[gone % handles.size()].reset();
  });
  CHECK(dead == 0);
  CHECK(met < 148);
  CHECK(met >= 148 / 4);
  CHECK(pool.check_invariants());
}
