// SPDX-License-Identifier: MIT OR Apache-2.0
// Full pools, growth functions that misbehave, and heaps that run dry: a distinct error, and the pool as it was.
#include <fastalloc/fastalloc.hpp>

#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::size_t most = std::numeric_limits<std::size_t>::max();

/// The next allocation finds no slot: nothing changes, and the error is what it should be.
template <class Exception, class Pool>
void check_exhausted(Pool& pool, [[maybe_unused]] ErrorCode code, [[maybe_unused]] std::string const& part) {
  std::size_t const capacity = pool.capacity();
  std::size_t const allocated = pool.allocated();
  std::string argument = "a text that is too long for a small string";
  CHECK_FALSE(static_cast<bool>(pool.try_allocate(std::move(argument))));
  CHECK(argument == "a text that is too long for a small string");
  std::vector<Handle<std::string>> none;
  CHECK_FALSE(pool.try_allocate_batch(1, std::back_inserter(none), argument));
  CHECK(none.empty());
#if FASTALLOC_EXCEPTIONS
  try {
    (void)pool.allocate(std::move(argument));
    FAIL("a full pool handed out a slot");
  } catch (Exception const& e) {
    CHECK(e.error().code == code);
    CHECK(e.error().allocated == allocated);
    CHECK_THAT(e.what(), ContainsSubstring(part) && ContainsSubstring("type ") && ContainsSubstring("string"));
  }
  CHECK(argument == "a text that is too long for a small string");
#endif
  CHECK(pool.capacity() == capacity);
  CHECK(pool.allocated() == allocated);
  CHECK(pool.check_invariants());
}

template <class Pool> std::vector<typename Pool::handle_type> fill(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  while (!pool.is_full()) handles.push_back(pool.allocate(std::to_string(handles.size())));
  return handles;
}

}  // namespace

TEST_CASE("full: a fixed pool says pool_exhausted and serves again after a return") {
  FixedPool<std::string> pool(3);
  auto handles = fill(pool);
  check_exhausted<PoolExhausted>(pool, ErrorCode::pool_exhausted, "raise PoolConfig::capacity");
  handles.pop_back();
  auto const again = pool.try_allocate("served");
  REQUIRE(static_cast<bool>(again));
  CHECK(*again == "served");
}

TEST_CASE("full: a growing pool without a strategy says so") {
  GrowingPool<std::string> pool(PoolConfig{.capacity = 2});
  auto const handles = fill(pool);
  check_exhausted<PoolExhausted>(pool, ErrorCode::pool_exhausted, "set PoolConfig::growth_strategy");
}

TEST_CASE("full: at max_capacity the error names the limit") {
  GrowingPool<std::string> pool(
      PoolConfig{.capacity = 2, .max_capacity = 3, .growth_strategy = GrowthStrategy::linear(100)});
  auto handles = fill(pool);
  handles.push_back(pool.allocate("third"));
  CHECK(pool.capacity() == 3);
  check_exhausted<MaxCapacityExceeded>(pool, ErrorCode::max_capacity_exceeded, "limit 3 slots");
}

TEST_CASE("trap: growth jumps over the cap") {
  GrowingPool<int> pool(
      PoolConfig{.capacity = 3, .max_capacity = 10, .growth_strategy = GrowthStrategy::exponential(2.0)});
  std::vector<GrowingPool<int>::handle_type> handles;
  std::vector<std::size_t> capacities;
  while (auto handle = pool.try_allocate(7)) {
    handles.push_back(std::move(handle));
    if (capacities.empty() || capacities.back() != pool.capacity()) capacities.push_back(pool.capacity());
  }
  CHECK(handles.size() == 10);
  CHECK(capacities == std::vector<std::size_t>{3, 6, 10});
}

TEST_CASE("custom growth: 0 slots") {
  GrowingPool<std::string> pool(
      PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::custom([](std::size_t) { return std::size_t{0}; })});
  auto const handles = fill(pool);
  check_exhausted<PoolExhausted>(pool, ErrorCode::pool_exhausted, "returned 0");
}

TEST_CASE("custom growth: more than is left is cut to max_capacity") {
  GrowingPool<std::string> pool(PoolConfig{
      .capacity = 1, .max_capacity = 5, .growth_strategy = GrowthStrategy::custom([](std::size_t) { return most; })});
  auto handles = fill(pool);
  handles.push_back(pool.allocate("second"));
  CHECK(pool.capacity() == 5);
}

TEST_CASE("custom growth: SIZE_MAX without a cap is an error") {
  for (std::size_t const wish :
       {most, most - 1, most / 2, most / sizeof(std::string), most / sizeof(std::string) - 100}) {
    GrowingPool<std::string> pool(
        PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::custom([wish](std::size_t) { return wish; })});
    auto const handles = fill(pool);
    check_exhausted<AllocationFailed>(pool, ErrorCode::allocation_failed, "lower the capacity or the growth");
  }
}

TEST_CASE("a fixed pool with a stack of codes has at most 32 GiB and says what to use instead") {
  if constexpr (sizeof(std::size_t) == 8 && !FASTALLOC_ASAN) {  // there each size has a granule of its own
    struct Line {
      char bytes[64];
    };
    std::size_t const slots = std::size_t{1} << 29;
    auto const pool = FixedPool<Line>::try_create(PoolConfig{.capacity = slots});
    REQUIRE_FALSE(pool.has_value());
    CHECK(pool.error().code == ErrorCode::invalid_configuration);
    CHECK_THAT(pool.error().to_string(), ContainsSubstring("use GrowingPool"));
    CHECK(pool.error().limit == slots - 1);
  }
}

TEST_CASE("custom growth: the function may use the pool") {
  struct State {
    GrowingPool<int>* pool = nullptr;
    GrowingPool<int>::handle_type* spare = nullptr;
    std::size_t calls = 0;
  } state;
  GrowingPool<int> pool(
      PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::custom([&state](std::size_t current) {
                                  ++state.calls;
                                  CHECK(state.pool->capacity() == current);
                                  state.spare->reset();
                                  return current;
                                })});
  auto spare = pool.allocate(1);
  auto const kept = pool.allocate(2);
  state = {&pool, &spare};
  auto const third = pool.allocate(3);  // served by the slot that the function returned
  CHECK(state.calls == 1);
  CHECK(pool.capacity() == 2);
  CHECK(pool.check_invariants());
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("custom growth: an exception passes through, and the pool is as it was") {
  GrowingPool<int> pool(PoolConfig{
      .capacity = 1, .growth_strategy = GrowthStrategy::custom([](std::size_t) -> std::size_t { throw 42; })});
  auto const held = pool.allocate(5);
  CHECK_THROWS_AS(pool.allocate(6), int);
  CHECK_THROWS_AS(pool.try_allocate(6), int);
  CHECK((pool.capacity() == 1 && pool.allocated() == 1 && *held == 5));
  CHECK(pool.check_invariants());
}
#endif

TEMPLATE_TEST_CASE("heap exhaustion: at every step of construction", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  test::Audit const audit;
  using Fixed = FixedPool<std::string, test::FailingStorage, TestType>;
  using Growing = GrowingPool<std::string, test::FailingStorage, TestType>;
  auto const construct = [](auto create, std::size_t steps) {
    for (std::size_t k = 0; k != steps; ++k) {
      test::storage_account().fail_after(k);
      auto const result = create();
      REQUIRE_FALSE(result.has_value());
      CHECK(result.error().code == ErrorCode::allocation_failed);
      CHECK(result.error().capacity == 100);
      CHECK_THAT(result.error().to_string(),
                 ContainsSubstring("requested") && ContainsSubstring("bytes") && ContainsSubstring("free memory"));
      CHECK(test::storage_account().blocks() == 0);
    }
    test::storage_account().fail_after(steps);
    CHECK(create().has_value());
    test::storage_account().allow();
  };
  construct([] { return Fixed::try_create(PoolConfig{.capacity = 100}); }, 1);
  construct([] { return Growing::try_create(PoolConfig{.capacity = 100}); }, 2);
}

TEMPLATE_TEST_CASE("heap exhaustion: at every step of growth", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  test::Audit const audit;
  using Pool = GrowingPool<std::string, test::FailingStorage, TestType>;
  Pool pool(PoolConfig{.capacity = 3, .growth_strategy = GrowthStrategy::linear(3)});
  std::vector<typename Pool::handle_type> handles = fill(pool);
  for (int round = 0; round != 20; ++round) {
    for (std::size_t k = 0; k != 2; ++k) {
      test::storage_account().fail_after(k);
      std::size_t const bytes = test::storage_account().bytes();
      check_exhausted<AllocationFailed>(pool, ErrorCode::allocation_failed, "bytes");
      CHECK(test::storage_account().bytes() == bytes);
    }
    test::storage_account().allow();
    handles.push_back(pool.allocate(std::to_string(handles.size())));
    while (!pool.is_full()) handles.push_back(pool.allocate(std::to_string(handles.size())));
  }
  for (std::size_t i = 0; i != handles.size(); ++i) CHECK(*handles[i] == std::to_string(i));
}

TEMPLATE_TEST_CASE("heap exhaustion: shrinking needs no memory", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  test::Audit const audit;
  using Pool = GrowingPool<std::string, test::FailingStorage, TestType>;
  Pool pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(100)});
  std::vector<typename Pool::handle_type> handles;
  for (int i = 0; i != 500; ++i) handles.push_back(pool.allocate(std::to_string(i)));
  handles.erase(handles.begin() + 130, handles.end() - 5);
  test::storage_account().fail_after(0);
  std::size_t const before = pool.capacity();
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(pool.capacity() < before);
  CHECK(pool.check_invariants());
  while (!pool.is_full()) handles.push_back(pool.allocate("more"));
  CHECK_FALSE(static_cast<bool>(pool.try_allocate("too many")));
  test::storage_account().allow();
  handles.push_back(pool.allocate("grown"));
  CHECK(pool.check_invariants());
  for (int i = 0; i != 130; ++i) CHECK(*handles[static_cast<std::size_t>(i)] == std::to_string(i));
}

TEST_CASE("reserve: what cannot be had leaves the pool as it was") {
  using Pool = GrowingPool<int, test::FailingStorage>;
  Pool pool(PoolConfig{.capacity = 4, .max_capacity = 100});
  pool.reserve(20);
  CHECK(pool.capacity() == 20);
  pool.reserve(5);
  CHECK(pool.capacity() == 20);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(pool.reserve(101), MaxCapacityExceeded);
  test::storage_account().fail_after(1);
  CHECK_THROWS_AS(pool.reserve(50), AllocationFailed);
  test::storage_account().allow();
#else
  CHECK(test::run_in_child([&] { pool.reserve(101); }).aborted);
#endif
  CHECK(pool.capacity() == 20);
  CHECK(pool.check_invariants());
}

TEST_CASE("without exceptions the throwing functions abort and their twins never do") {
#if !FASTALLOC_EXCEPTIONS
  FixedPool<std::string> pool(1);
  auto const held = pool.allocate("only");
  auto const ending = test::run_in_child([&] { (void)pool.allocate("one too many"); });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("pool_exhausted"));
  CHECK(test::run_in_child([&] { (void)pool.try_allocate("one too many"); }).survived);
  CHECK(test::run_in_child([] { FixedPool<int> none(0); }).aborted);
  CHECK(test::run_in_child([] { (void)FixedPool<int>::try_create(PoolConfig{}).has_value(); }).survived);
#else
  SUCCEED("exceptions are on");
#endif
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("overflow: a wrong configuration where the pool is made, memory that is not there where it grows",
                   "", (GrowingPool<int, Generations>), (GrowingPool<int, BitmapAllocator, FullChecks>),
                   (ThreadSafePool<int>)MORE_ROWS((GrowingPool<int>))) {
  for (std::size_t const slot_count : {most, most / 2, most / 8}) {
    CHECK_THROWS_AS(TestType(slot_count), InvalidConfiguration);
    auto const made = TestType::try_create(PoolConfig{.capacity = slot_count});
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().code == ErrorCode::invalid_configuration);

    TestType pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(slot_count)});
    CHECK_THROWS_AS(pool.reserve(slot_count), AllocationFailed);
    CHECK(pool.capacity() == 4);
    auto handles = pool.allocate_batch(std::vector<int>(4, 1));
    CHECK_THROWS_AS(pool.allocate(1), AllocationFailed);
    CHECK(pool.allocated() == 4);
    handles.clear();
    auto const last = pool.allocate(1);
    (void)pool.shrink_to_fit();
    CHECK_THROWS_AS(pool.reserve(slot_count), AllocationFailed);
  }
  // Without a block: one that began small, and shrank to nothing.
  TestType pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(10)});
  auto first = pool.allocate(1);
  auto second = pool.allocate(2);
  first.reset();
  (void)pool.shrink_to_fit();
  second.reset();
  (void)pool.shrink_to_fit();
  CHECK(pool.capacity() == 0);
  CHECK_THROWS_AS(pool.reserve(most), AllocationFailed);
}
#endif

#if FASTALLOC_EXCEPTIONS
// The sum of what is there and what is wanted does not wrap.
TEST_CASE("exhaustion: a request that no pool could ever meet is stated as it is") {
  GrowingPool<int> pool(PoolConfig{.capacity = 10, .max_capacity = 20, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<GrowingPool<int>::handle_type> handles;
  for (int i = 0; i != 10; ++i) handles.push_back(pool.allocate(i));
  try {
    (void)pool.allocate_batch_handle(static_cast<std::size_t>(-1), 1);
    CHECK(false);
  } catch (MaxCapacityExceeded const& exception) {
    CHECK(exception.error().requested == static_cast<std::size_t>(-1));
    CHECK(exception.error().limit == 20);
  }
}
#endif
