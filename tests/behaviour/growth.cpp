// SPDX-License-Identifier: MIT OR Apache-2.0
// How pools grow and shrink.
#include "behaviour/kinds.hpp"
#include "behaviour/pools_under_test.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

using namespace behaviour;
using fastalloc::BasicStats;
using fastalloc::FullChecks;
using fastalloc::GrowingPool;
using fastalloc::GrowthStrategy;
using fastalloc::PoolConfig;

namespace {

template <class SlotPolicy>
using Pool = GrowingPool<test::Tracked, SlotPolicy, BasicStats, FullChecks, test::CountingStorage>;

template <class P> using Handles = std::vector<typename P::handle_type>;

template <class P> void fill_to(P& pool, Handles<P>& handles, std::size_t n) {
  while (handles.size() < n) {
    handles.push_back(pool.allocate(handles.size()));
    EXPECT(pool.check_invariants());
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("growth: linear, exponential and custom strategies add what they say", "", SlotPolicies) {
  test::Audit audit;
  using P = Pool<TestType>;
  struct Case {
    GrowthStrategy strategy;
    std::size_t capacity;
    std::vector<std::size_t> steps;
  };
  auto const squares = [](std::size_t current) { return current * current; };
  for (Case const& c : {Case{GrowthStrategy::linear(5), 10, {10, 15, 20, 25}},
                        Case{GrowthStrategy::exponential(2.0), 10, {10, 20, 40, 80}},
                        Case{GrowthStrategy::exponential(1.5), 10, {10, 15, 22, 33}},
                        Case{GrowthStrategy::exponential(1.01), 3, {3, 4, 5, 6}},
                        Case{GrowthStrategy::custom(squares), 2, {2, 6, 42, 1806}}}) {
    P pool(PoolConfig{.capacity = c.capacity, .growth_strategy = c.strategy});
    Handles<P> handles;
    std::uint64_t growths = 0;
    for (std::size_t step : c.steps) {
      fill_to(pool, handles, step == c.capacity ? step : handles.size() + 1);
      EXPECT(pool.capacity() == step);
      EXPECT(pool.statistics().growth_count == growths++);
      fill_to(pool, handles, step);
      EXPECT(pool.is_full());
    }
    for (std::size_t i = 0; i != handles.size(); ++i) EXPECT(handles[i]->value() == i);
  }
}

TEST_CASE("growth: a pool built from a number doubles") {
  GrowingPool<int> pool(10);
  std::vector<GrowingPool<int>::handle_type> handles;
  for (int i = 0; i != 21; ++i) handles.push_back(pool.allocate(i));
  EXPECT(pool.capacity() == 40);
}

TEMPLATE_LIST_TEST_CASE("growth: freed slots are used before the pool grows", "", SlotPolicies) {
  test::Audit audit;
  using P = Pool<TestType>;
  P pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::exponential(2.0)});
  Handles<P> handles;
  fill_to(pool, handles, 20);
  for (std::size_t i = 0; i < 20; i += 2) handles[i].reset();
  for (int i = 0; i != 10; ++i) handles.push_back(pool.allocate());
  EXPECT(pool.capacity() == 20 && pool.is_full());
  handles.push_back(pool.allocate());
  EXPECT(pool.capacity() == 40);
}

TEMPLATE_LIST_TEST_CASE("growth: stops at max_capacity exactly, and blocks never move", "", SlotPolicies) {
  test::Audit audit;
  using P = Pool<TestType>;
  P pool(PoolConfig{.capacity = 3, .max_capacity = 10, .growth_strategy = GrowthStrategy::exponential(2.0)});
  Handles<P> handles;
  std::vector<test::Tracked*> places;
  for (std::size_t i = 0; i != 10; ++i) {
    handles.push_back(pool.allocate(i));
    places.push_back(handles.back().get());
  }
  EXPECT(pool.capacity() == 10 && !pool.try_allocate(std::uint64_t{0}));
  EXPECT(pool.statistics().allocation_failures == 1 && pool.statistics().growth_count == 2);
  for (std::size_t i = 0; i != 10; ++i) EXPECT(handles[i].get() == places[i] && handles[i]->value() == i);
#if FASTALLOC_EXCEPTIONS
  auto const error = test::caught<fastalloc::MaxCapacityExceeded>([&] { (void)pool.allocate(std::uint64_t{0}); });
  EXPECT(error.limit == 10 && error.requested == 11 && error.capacity == 10 && error.allocated == 10);
  auto const reserve = test::caught<fastalloc::MaxCapacityExceeded>([&] { pool.reserve(11); });
  EXPECT(reserve.limit == 10 && reserve.requested == 11);
#endif
  pool.reserve(10);
  EXPECT(pool.capacity() == 10);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("growth: a strategy that adds nothing leaves the pool exhausted and usable") {
  for (GrowthStrategy strategy :
       {GrowthStrategy::none(), GrowthStrategy::custom([](std::size_t) { return std::size_t{0}; })}) {
    GrowingPool<int, FullChecks> pool(PoolConfig{.capacity = 2, .growth_strategy = strategy});
    auto a = pool.allocate(1);
    auto b = pool.allocate(2);
    auto const error = test::caught<fastalloc::PoolExhausted>([&] { (void)pool.allocate(3); });
    EXPECT(error.capacity == 2 && error.allocated == 2);
    a.reset();
    a = pool.allocate(4);
    EXPECT(*a == 4 && *b == 2 && pool.check_invariants());
  }
}
#endif

TEST_CASE("growth: a custom function may ask for more than the cap leaves, and may use the pool") {
  using P = GrowingPool<int, FullChecks>;
  P pool(PoolConfig{.capacity = 1, .max_capacity = 7, .growth_strategy = GrowthStrategy::custom([](std::size_t) {
                                                        return static_cast<std::size_t>(-1);
                                                      })});
  auto a = pool.allocate(1);
  auto b = pool.allocate(2);
  EXPECT(pool.capacity() == 7);

  struct State {
    P* pool = nullptr;
    P::handle_type victim;
    std::size_t asked = 0;
  } state;
  P other(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::custom([&state](std::size_t) -> std::size_t {
                                      ++state.asked;
                                      state.victim.reset();  // makes room instead of growing
                                      return 0;
                                    })});
  state.pool = &other;
  state.victim = other.allocate(1);
  auto c = other.allocate(2);
  auto d = other.allocate(3);
  EXPECT(state.asked == 1 && other.capacity() == 2 && *d == 3 && *c == 2);
}

TEMPLATE_LIST_TEST_CASE("growth: shrink_to_fit gives memory back whatever the order of frees", "", SlotPolicies) {
  test::Audit audit;
  using P = Pool<TestType>;
  std::mt19937 random(11);
  for (int round = 0; round != 20; ++round) {
    std::size_t const blocks = test::storage_account().blocks();
    {
      P pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
      std::size_t const bytes = test::storage_account().bytes();
      Handles<P> handles;
      fill_to(pool, handles, 100);
      EXPECT(pool.shrink_to_fit() == 0);
      std::size_t const kept = static_cast<std::size_t>(random() % 100);
      auto keeper = std::move(handles[kept]);
      std::shuffle(handles.begin(), handles.end(), random);
      handles.clear();
      std::size_t const before = test::storage_account().bytes();
      std::size_t const given = pool.shrink_to_fit();
      EXPECT(given != 0 && test::storage_account().bytes() + given <= before);
      EXPECT(pool.capacity() == 10 && keeper->value() == kept && pool.allocated() == 1);
      EXPECT(pool.check_invariants());
      EXPECT(pool.shrink_to_fit() == 0);
      handles.push_back(pool.allocate(std::uint64_t{7}));
      keeper.reset();
      fill_to(pool, handles, 30);
      EXPECT(pool.capacity() == 30);
      handles.clear();
      (void)pool.shrink_to_fit();
      EXPECT(pool.capacity() <= 10 && pool.check_invariants());
      EXPECT(test::storage_account().bytes() <= bytes);
      fill_to(pool, handles, 25);
    }
    EXPECT(test::storage_account().blocks() == blocks);
  }
}

TEMPLATE_LIST_TEST_CASE("growth: a thousand fills and shrinks keep the same peak", "", SlotPolicies) {
  test::Audit audit;
  using P = Pool<TestType>;
  P pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::exponential(2.0)});
  Handles<P> handles;
  std::size_t capacity = 0;
  std::size_t bytes = 0;
  for (int cycle = 0; cycle != 1000; ++cycle) {
    while (handles.size() != 33) handles.push_back(pool.allocate());
    if (cycle == 1) {
      capacity = pool.capacity();
      bytes = test::storage_account().bytes();
    }
    if (cycle > 1) EXPECT(pool.capacity() == capacity && test::storage_account().bytes() == bytes);
    handles.clear();
    (void)pool.shrink_to_fit();
    EXPECT(pool.capacity() <= 4);
  }
}

TEST_CASE("growth: after shrink_to_fit a pool still reaches the capacity it was configured with") {
  GrowingPool<int, FullChecks> pool(PoolConfig{.capacity = 10});  // does not grow by itself
  pool.reserve(12);
  std::vector<GrowingPool<int, FullChecks>::handle_type> handles;
  for (int i = 0; i != 12; ++i) handles.push_back(pool.allocate(i));
  handles.erase(handles.begin(), handles.begin() + 10);  // what is left lives in the block of two
  (void)pool.shrink_to_fit();
  for (int i = 0; i != 8; ++i) {
    auto handle = pool.try_allocate(i);
    EXPECT(static_cast<bool>(handle));
    handles.push_back(std::move(handle));
  }
}

TEST_CASE("growth: reserve adds one block, and works while objects live") {
  test::Audit audit;
  using P = Pool<fastalloc::StackAllocator>;
  P pool(PoolConfig{.capacity = 4});
  auto a = pool.allocate(std::uint64_t{1});
  pool.reserve(0);
  pool.reserve(4);
  EXPECT(pool.capacity() == 4 && pool.statistics().growth_count == 0);
  pool.reserve(100);
  EXPECT(pool.capacity() == 100 && pool.statistics().growth_count == 1 && pool.check_invariants());
  Handles<P> handles;
  fill_to(pool, handles, 99);
  EXPECT(pool.is_full() && a->value() == 1);
}

TEMPLATE_LIST_TEST_CASE("growth: without memory nothing changes", "", SlotPolicies) {
  test::Audit audit;
  using P = GrowingPool<test::Tracked, TestType, BasicStats, FullChecks, test::FailingStorage>;
  P pool(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::linear(2)});
  Handles<P> handles;
  fill_to(pool, handles, 2);
  for (std::size_t served : {0U, 1U}) {  // the block is refused, then its directory
    std::size_t const blocks = test::storage_account().blocks();
    test::storage_account().fail_after(served);
    EXPECT(!pool.try_allocate(std::uint64_t{1}));
    test::storage_account().fail_after(served);
#if FASTALLOC_EXCEPTIONS
    auto const error = test::caught<fastalloc::AllocationFailed>([&] { (void)pool.allocate(std::uint64_t{1}); });
    EXPECT(error.code == fastalloc::ErrorCode::allocation_failed && error.requested != 0);
    test::storage_account().fail_after(served);
    EXPECT(test::throws<fastalloc::AllocationFailed>([&] { pool.reserve(50); }));
    test::storage_account().fail_after(served);
    EXPECT(test::throws<fastalloc::AllocationFailed>([&] { pool.allocate_batch(5, std::back_inserter(handles)); }));
#endif
    EXPECT(pool.capacity() == 2 && pool.allocated() == 2 && pool.check_invariants());
    EXPECT(test::storage_account().blocks() == blocks && handles.size() == 2);
  }
  test::storage_account().allow();
  fill_to(pool, handles, 9);
  EXPECT(pool.capacity() == 10);
  handles.erase(handles.begin(), handles.begin() + 8);
  test::storage_account().fail_after(0);  // shrinking needs no memory, it only would like some
  EXPECT(pool.shrink_to_fit() != 0 && pool.capacity() == 2 && pool.check_invariants());
  test::storage_account().allow();
  fill_to(pool, handles, 20);
  handles.clear();
}
