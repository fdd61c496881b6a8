// SPDX-License-Identifier: MIT OR Apache-2.0
// allocate_n(): adjacent slots, first fit; all or nothing.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <concepts>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::ThrowOnNth;
using test::Tracked;

namespace {

using Span = FixedPool<int, BitmapAllocator>::span_handle_type;
static_assert(sizeof(Span) == 3 * sizeof(void*) && std::movable<Span> && !std::copyable<Span>);
static_assert(std::is_nothrow_move_constructible_v<Span> && std::is_nothrow_move_assignable_v<Span> &&
              std::is_nothrow_swappable_v<Span>);
static_assert(std::ranges::contiguous_range<Span&> && std::convertible_to<Span&, std::span<int>>);
static_assert(!std::convertible_to<Span, std::span<int>>);  // it would dangle
static_assert(TakesRuns<BitmapAllocator::Slots<SlotShape<16, 8, true>>> &&
              !TakesRuns<StackAllocator::Slots<SlotShape<16, 8, false>>>);

/// First fit over one flag a slot.
std::optional<std::size_t> first_fit(std::vector<bool> const& used, std::size_t n) {
  std::size_t run = 0;
  for (std::size_t i = 0; i != used.size(); ++i) {
    run = used[i] ? 0 : run + 1;
    if (run == n) return i + 1 - n;
  }
  return std::nullopt;
}

#define RUN_POOLS(T)                                                                                                 \
  (FixedPool<T, BitmapAllocator, BasicStats, FullChecks>), (GrowingPool<T, BitmapAllocator, NoChecks>),              \
      (GrowingPool<T, BitmapAllocator, MutexLock, FullChecks>), (FixedPool<T, BitmapAllocator, InlineStorage<200>>), \
      (ThreadSafePool<T, BitmapAllocator, AtomicStats>), (ThreadLocalPool<T, BitmapAllocator>)

/// One of RUN_POOLS, with 200 slots.
template <class Pool> Pool make_pool() {
  if constexpr (std::default_initializable<Pool>) return Pool();
  else return Pool(200);
}

}  // namespace

TEST_CASE("runs: the lowest place that fits, against a model") {
  test::Audit const audit;
  for (std::size_t const capacity :
       {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{70}, std::size_t{300}, std::size_t{1024}}) {
    FixedPool<Tracked, BitmapAllocator, BasicStats, FullChecks> pool(capacity);
    std::vector<bool> used(capacity);
    std::vector<decltype(pool)::span_handle_type> runs;
    std::mt19937 random(static_cast<unsigned>(capacity));
    std::uint64_t allocations = 0;
    for (int step = 0; step != 3000; ++step) {
      if (random() % 9 < 5 || runs.empty()) {
        std::size_t const longest = random() % 7 == 0 ? capacity : random() % 3 == 0 ? 150 : 20;
        std::size_t const n = 1 + random() % longest;
        auto const expected = first_fit(used, n);
        auto run = pool.try_allocate_n(n, 5U);
        REQUIRE(static_cast<bool>(run) == expected.has_value());
        if (!run) continue;
        REQUIRE(run.size() == n);
        REQUIRE(pool.index_of(run.data()) == *expected);
        for (std::size_t i = 0; i != n; ++i) used[*expected + i] = true;
        allocations += n;
        runs.push_back(std::move(run));
      } else {
        std::size_t const at = random() % runs.size();
        std::size_t const place = pool.index_of(runs[at].data());
        for (std::size_t i = 0; i != runs[at].size(); ++i) used[place + i] = false;
        std::swap(runs[at], runs.back());
        runs.pop_back();
      }
      if (random() % 4 == 0)  // single objects take the lowest slot, and leave it again: bits move between words
        if (auto const one = pool.try_allocate(6U)) REQUIRE(pool.index_of(one) == *first_fit(used, 1));
    }
    CHECK(pool.check_invariants());
    CHECK(pool.allocated() == static_cast<std::size_t>(std::count(used.begin(), used.end(), true)));
    CHECK(pool.statistics().total_allocations >= allocations);
  }
}

TEMPLATE_TEST_CASE("runs: one array that the pool sees as objects", "", RUN_POOLS(Tracked)) {
  test::Audit const audit;
  TestType pool = make_pool<TestType>();
  std::vector<typename TestType::handle_type> handles;
  for (unsigned i = 0; i != 10; ++i) handles.push_back(pool.allocate(i));
  handles.resize(7);  // three returned slots, then fresh ones: the run lies across
  auto run = pool.allocate_n(100, 42U);
  REQUIRE(run.size() == 100);
  CHECK(pool.allocated() == 107);
  std::span<Tracked> const span = run;
  CHECK(span.data() == run.data());
  CHECK(std::all_of(run.begin(), run.end(), [](Tracked const& t) { return t.value() == 42; }));
  CHECK((&run[99] == &run.back() && &run.front() == run.data()));
  std::size_t met = 0;
  pool.for_each([&](Tracked& object) { met += object.value() == 42; });
  CHECK(met == 100);
  CHECK((pool.owns(&run[57]) && pool.check_invariants()));

  auto other = std::move(run);
  CHECK((run.empty() && !run && run.data() == nullptr && run.begin() == run.end()));
  auto& alias = other;
  other = std::move(alias);
  CHECK(other.size() == 100);
  auto few = pool.allocate_n(2, 43U);
  swap(few, other);
  CHECK((other.size() == 2 && other[1].value() == 43 && few.size() == 100));
  few = std::move(other);
  CHECK(pool.allocated() == 9);
  few.reset();
  CHECK(pool.allocated() == 7);
  CHECK(!pool.allocate_n(0, 1U));
  CHECK(pool.allocated() == 7);
  CHECK(pool.check_invariants());
}

TEST_CASE("runs: no n adjacent slots") {
  FixedPool<int, BitmapAllocator, BasicStats> pool(100);
  std::vector<decltype(pool)::handle_type> handles;
  for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate(i));
  for (std::size_t i = 0; i != 100; i += 2) handles[i].reset();
  CHECK(!pool.try_allocate_n(2));
  CHECK(pool.try_allocate_n(1));
#if FASTALLOC_EXCEPTIONS
  try {
    (void)pool.allocate_n(2);
    FAIL("there are no two");
  } catch (PoolExhausted const& e) {
    CHECK(e.error().requested == 2);
    CHECK(e.error().capacity == 100);
    CHECK(e.error().allocated == 50);
    CHECK_THAT(e.what(), ContainsSubstring("adjacent") && ContainsSubstring("type int"));
  }
  CHECK_THROWS_AS(pool.allocate_n(static_cast<std::size_t>(-1)), PoolExhausted);
  CHECK(pool.statistics().allocation_failures == 3);
#endif
  CHECK(pool.allocated() == 50);
  CHECK(pool.check_invariants());
}

TEST_CASE("runs: a growing pool adds a block that is long enough, up to its limit exactly") {
  GrowingPool<int, BitmapAllocator, BasicStats> pool(
      PoolConfig{.capacity = 10, .max_capacity = 100, .growth_strategy = GrowthStrategy::linear(5)});
  auto const one = pool.allocate(1);
  auto const a = pool.allocate_n(30);  // more than the growth
  CHECK(pool.capacity() == 40);
  auto const b = pool.allocate_n(9);  // fits the first block
  CHECK(pool.capacity() == 40);
  auto const c = pool.allocate_n(3);
  CHECK(pool.capacity() == 45);
  CHECK(!pool.try_allocate_n(56));
  CHECK(pool.capacity() == 45);
  auto const d = pool.allocate_n(53);
  CHECK(pool.capacity() == 98);
  auto const e = pool.allocate_n(2);
  auto const f = pool.allocate_n(1);
  auto const g = pool.allocate_n(1);
  CHECK(pool.capacity() == 100);
  CHECK(pool.is_full());
  CHECK(pool.statistics().growth_count == 4);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(pool.allocate_n(1), MaxCapacityExceeded);
  GrowingPool<int, BitmapAllocator> still(PoolConfig{.capacity = 4});
  CHECK_THROWS_AS(still.allocate_n(5), PoolExhausted);
#endif
  CHECK(pool.check_invariants());
}

TEST_CASE("runs: a block that was begun by a run is used to its end") {
  GrowingPool<int, BitmapAllocator> pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<decltype(pool)::handle_type> handles;
  handles.push_back(pool.allocate(0));
  pool.reserve(110);
  pool.reserve(150);
  auto run = pool.allocate_n(70);   // the second block; the bump pointer stays in the first
  auto more = pool.allocate_n(35);  // the third
  CHECK(pool.check_invariants());
  while (!pool.is_full()) handles.push_back(pool.allocate(1));
  CHECK(pool.capacity() == 150);
  CHECK(handles.size() == 45);
  std::vector<int*> places;
  for (auto const& handle : handles) places.push_back(handle.get());
  for (int& x : run) places.push_back(&x);
  for (int& x : more) places.push_back(&x);
  std::sort(places.begin(), places.end());
  CHECK(std::adjacent_find(places.begin(), places.end()) == places.end());
  CHECK(pool.check_invariants());
  handles.clear();
  more.reset();
  CHECK(pool.shrink_to_fit() != 0);
  CHECK(pool.check_invariants());
  CHECK(pool.capacity() == 100);
  run.reset();
  (void)pool.shrink_to_fit();
  CHECK(pool.capacity() <= 10);
  pool.reserve(60);
  run = pool.allocate_n(20);
  (void)pool.shrink_to_fit();
  CHECK(pool.capacity() == 60);  // a begun block that is in use stays
  run.reset();
  CHECK(pool.check_invariants());
  (void)pool.shrink_to_fit();
  CHECK(pool.check_invariants());
}

TEST_CASE("runs: PoolConfig::alignment makes no arrays") {
  FixedPool<int, BitmapAllocator> pool(PoolConfig{.capacity = 10, .alignment = 64});
  CHECK(!pool.try_allocate_n(2));
#if FASTALLOC_EXCEPTIONS
  try {
    (void)pool.allocate_n(2);
    FAIL("slots are 64 bytes apart");
  } catch (InvalidConfiguration const& e) {
    CHECK(e.error().code == ErrorCode::invalid_alignment);
    CHECK(e.error().requested == 64);
  }
#endif
  CHECK(pool.is_empty());
  struct alignas(64) Wide {
    int value = 0;
  };
  FixedPool<Wide, BitmapAllocator> wide(PoolConfig{.capacity = 10, .alignment = 64});
  CHECK(wide.allocate_n(10).size() == 10);
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("runs: a constructor that throws at the k-th leaves the pool as it was", "", RUN_POOLS(ThrowOnNth)) {
  test::Audit const audit;
  TestType pool = make_pool<TestType>();
  std::vector<typename TestType::handle_type> handles;
  for (unsigned i = 0; i != 70; ++i) handles.push_back(pool.allocate(i));
  handles.resize(60);
  for (std::size_t k = 1; k <= 100; k += 9) {
    test::fuse().light(k);
    CHECK_THROWS_AS(pool.allocate_n(100, 1U), test::Blown);
    CHECK(pool.allocated() == 60);
    CHECK(pool.available() == 140);
    CHECK(pool.check_invariants());
  }
  handles.clear();
  CHECK(pool.allocate_n(200, 1U).size() == 200);
  CHECK(pool.is_empty());
}
#endif

TEST_CASE("runs: a slot that is returned twice is reported, the others go back") {
  test::RecordedErrors errors;
  FixedPool<int, BitmapAllocator, FullChecks> pool(100);
  {
    auto run = pool.allocate_n(10, 3);
    pool.adopt(&run[4]).reset();
    CHECK(pool.allocated() == 9);
    run.reset();
  }
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::double_free);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("runs: slots that a thread caches are found") {
  ThreadSafePool<int, BitmapAllocator> pool(64);
  std::vector<decltype(pool)::handle_type> handles;
  for (int i = 0; i != 64; ++i) handles.push_back(pool.allocate(i));
  std::thread([&] { handles.clear(); }).join();
  for (int i = 0; i != 40; ++i) handles.push_back(pool.allocate(i));
  handles.clear();
  CHECK(pool.allocate_n(64).size() == 64);
}

TEST_CASE("runs: returned on another thread") {
  test::Audit const audit;
  ThreadLocalPool<Tracked, BitmapAllocator> local(100);
  ThreadSafePool<Tracked, BitmapAllocator> shared(100);
  auto a = local.allocate_n(100, 1U);
  auto b = shared.allocate_n(100, 1U);
  std::thread([a = std::move(a), b = std::move(b)] {}).join();
  CHECK(local.total_allocated() == 0);
  CHECK(shared.is_empty());
  CHECK(local.allocate_n(100, 2U).size() == 100);
  CHECK(shared.allocate_n(100, 2U).size() == 100);
}
