// SPDX-License-Identifier: MIT OR Apache-2.0
// Names of pools in errors and reports; the registry of all pools; budgets over groups of pools.
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>
#include <fastalloc/storage/budget.hpp>

#include <array>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Tracked;

namespace {

#if FASTALLOC_EXCEPTIONS
template <class F> std::string text_of(F&& f) {
  try {
    f();
  } catch (std::exception const& error) {
    return error.what();
  }
  return "nothing was thrown";
}
#endif

std::vector<std::string> listed() {
  std::vector<std::string> names;
  PoolRegistry::for_each([&](PoolInfo const& info) { names.push_back(info.name); });
  return names;
}

}  // namespace

#if FASTALLOC_EXCEPTIONS
TEST_CASE("names: of pools are in errors, statistics and reports") {
  std::string name = "particles of level \"3\"";
  FixedPool<Tracked, BasicStats> pool(PoolConfig{.capacity = 1, .name = name});
  name = "overwritten";  // the pool has a copy
  CHECK(pool.name() == "particles of level \"3\"");
  auto const handle = pool.allocate(1U);
  std::string const text = text_of([&] { (void)pool.allocate(2U); });
  CHECK_THAT(text, ContainsSubstring("pool particles of level \"3\", type"));
  PoolStatistics const statistics = pool.statistics();
  CHECK(statistics.name == pool.name());
  CHECK_THAT(to_json(statistics), ContainsSubstring(R"({"name":"particles of level \"3\"",)"));
  CHECK_THAT(to_prometheus(statistics), ContainsSubstring(R"({pool="particles of level \"3\""})"));
  CHECK_THAT(to_prometheus(statistics, "other"), ContainsSubstring(R"({pool="other"})"));
  CHECK_THAT(compact_summary(statistics), ContainsSubstring("particles of level \"3\": 1 of 1 slots"));
  CHECK(summary(statistics).find("particles of level \"3\"\n") == 0);
  auto const back = statistics_from_json(to_json(statistics));
  REQUIRE(back);
  CHECK(back->current_usage == 1);
  CHECK(back->name.empty());
}
#endif

#if FASTALLOC_EXCEPTIONS
TEST_CASE("names: a pool without one, and one at the address of an ended one, have none") {
  std::optional<GrowingPool<int>> pool;
  pool.emplace(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::none(), .name = "first"});
  CHECK(pool->name() == "first");
  CHECK_THAT(text_of([&] {
               auto const one = pool->allocate();
               (void)pool->allocate();
             }),
             ContainsSubstring("(pool first, type int"));
  pool.emplace(PoolConfig{.capacity = 1});
  CHECK(pool->name().empty());
  CHECK_THAT(text_of([&] {
               auto const one = pool->allocate();
               (void)pool->allocate();
             }),
             ContainsSubstring("(type int"));
}
#endif

TEST_CASE("names: a constructor that fails names the pool, and a name is free again afterwards") {
#if FASTALLOC_EXCEPTIONS
  CHECK_THAT(text_of([] { FixedPool<int>(PoolConfig{.name = "empty"}); }), ContainsSubstring("(pool empty, type int"));
#endif
  auto const result = FixedPool<int>::try_create(PoolConfig{.capacity = 0, .name = "empty"});
  CHECK(result.error().pool_name == "empty");
  // Many pools, one after the other: the list of names does not grow. Several at once: each has its own.
  for (int i = 0; i != 100; ++i) {
    std::string const long_name(static_cast<std::size_t>(i), 'x');
    FixedPool<int> first(PoolConfig{.capacity = 1, .name = long_name});
    ThreadSafePool<int> second(PoolConfig::builder().capacity(1).name("second").build());
    ThreadLocalPool<int, AtomicStats> third(PoolConfig{.capacity = 1, .name = "third"});
    EXPECT(first.name() == long_name && second.name() == "second" && third.name() == "third");
    EXPECT(third.statistics().name == "third" && third.total_statistics().name == "third");
  }
}

TEST_CASE("names: a pool destroyed with live handles is named in the report") {
  test::RecordedErrors const errors;
  {
    FixedPool<int> pool(PoolConfig{.capacity = 1, .name = "leaky"});
    int* const leaked = pool.allocate().release();
    CHECK(leaked != nullptr);
  }
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::live_handles);
}

TEST_CASE("registry: pools enter at construction and leave at their end, in any order") {
  CHECK(PoolRegistry::size() == 0);
  CHECK(PoolRegistry::report().find("all   0 pools") != std::string::npos);
  CHECK(PoolRegistry::to_json() == "[]");
  CHECK(PoolRegistry::to_prometheus().empty());
  auto first = std::make_unique<FixedPool<int, Registered>>(PoolConfig{.capacity = 1, .name = "a"});
  auto second = std::make_unique<GrowingPool<Tracked, Registered, Generations>>(PoolConfig{.capacity = 1, .name = "b"});
  auto third = std::make_unique<ThreadSafePool<int, Registered, AtomicStats>>(PoolConfig{.capacity = 1, .name = "c"});
  FixedPool<int, InlineStorage<4>, Registered> inside;
  CHECK(listed() == std::vector<std::string>{"a", "b", "c", ""});
  second.reset();
  CHECK(listed() == std::vector<std::string>{"a", "c", ""});
  first.reset();
  third.reset();
  CHECK(listed() == std::vector<std::string>{""});
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS(FixedPool<int, Registered>(PoolConfig{}));  // a failed one does not stay
#endif
  CHECK(PoolRegistry::size() == 1);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("registry: a pool whose constructor throws, or try_create() fails, is in no list") {
  std::size_t const before = PoolRegistry::size();
  int left = 2;
  auto const policy = recycle(
      [&] {
        if (left-- == 0) throw 5;
        return Tracked(1);
      },
      [](Tracked&) {});
  using Pool = FixedPool<Tracked, Registered, std::remove_const_t<decltype(policy)>>;
  PoolConfig const config{.capacity = 4, .pre_initialize = true, .name = "half-built"};
  CHECK_THROWS_AS(std::make_unique<Pool>(config, policy), int);
  CHECK(PoolRegistry::size() == before);
  left = 2;
  CHECK(!Pool::try_create(config, policy));
  CHECK(!FixedPool<int, Registered>::try_create(PoolConfig{.capacity = 0}));
  CHECK(PoolRegistry::size() == before);
  CHECK(PoolRegistry::report().find("half-built") == std::string::npos);
}
#endif

TEST_CASE("registry: what a pool says about itself") {
  FixedPool<Tracked, Registered, BasicStats> counted(PoolConfig{.capacity = 10, .name = "counted"});
  GrowingPool<int, Registered> plain(PoolConfig{.capacity = 100, .name = "pl\"ain"});
  auto const handle = counted.allocate(1U);
  auto other = counted.allocate(2U);
  other.reset();
  auto const number = plain.allocate(5);
  std::vector<PoolInfo> infos;
  PoolRegistry::for_each([&](PoolInfo const& info) { infos.push_back(info); });
  REQUIRE(infos.size() == 2);
  CHECK(infos[0].name == "counted");
  CHECK(infos[0].type_name.find("Tracked") != std::string_view::npos);
  CHECK(infos[0].counts);
  CHECK(infos[0].statistics.peak_usage == 2);
  CHECK(infos[0].bytes == counted.bytes());
  CHECK(infos[0].bytes >= 10 * sizeof(Tracked));
  CHECK(infos[1].id == infos[0].id + 1);
  CHECK(!infos[1].counts);
  CHECK(infos[1].statistics.current_usage == 1);
  CHECK(infos[1].statistics.capacity == 100);

  CHECK_THAT(PoolRegistry::to_json(), ContainsSubstring(R"("name":"counted","type":)") &&
                                          ContainsSubstring(R"("peak_usage":2)") &&
                                          ContainsSubstring(R"("name":"pl\"ain","type":"int","bytes":)"));
  std::string const page = PoolRegistry::to_prometheus();
  CHECK_THAT(page,
             ContainsSubstring("# TYPE fastalloc_peak_usage_slots gauge\nfastalloc_peak_usage_slots{pool=\"counted\""));
  CHECK_THAT(page, ContainsSubstring("fastalloc_capacity_slots{pool=\"pl\\\"ain\",type=\"int\",id=\""));
  CHECK(page.find("fastalloc_peak_usage_slots{pool=\"pl") == std::string::npos);  // not counted, so not there
  CHECK(page.find("# HELP fastalloc_held_bytes") != std::string::npos);
  std::string const table = PoolRegistry::report();
  CHECK_THAT(table, ContainsSubstring("pool     type") && ContainsSubstring("pl\"ain   int") &&
                        ContainsSubstring("all      2 pools"));
  CHECK_THAT(PoolRegistry::leaks(), ContainsSubstring("2 pools with live objects"));
}

TEST_CASE("registry: the segments of pools with CompactHandles are in all reports, and in no others") {
  FixedPool<int, Registered> plain(PoolConfig{.capacity = 1, .name = "plain"});
  std::string const without =
      PoolRegistry::report() + PoolRegistry::leaks() + PoolRegistry::to_json() + PoolRegistry::to_prometheus();
  CHECK(without.find("segment") == std::string::npos);

  GrowingPool<int, Registered, CompactHandles> small(PoolConfig{.capacity = 10, .name = "small"});
  FixedPool<std::array<char, 2049>, Registered, CompactHandles> big(PoolConfig{.capacity = 1, .name = "big"});
  FixedPool<int, InlineStorage<4>, Registered, CompactHandles> inside;
  std::vector<std::size_t> segments;
  PoolRegistry::for_each([&](PoolInfo const& info) { segments.push_back(info.segment_bytes); });
  CHECK(segments == std::vector<std::size_t>{0, 262'144, 524'288, decltype(inside)::segment_bytes});
  CHECK(segments.back() > 0);
  CHECK(segments.back() < 262'144);

  std::string const json = PoolRegistry::to_json();
  CHECK_THAT(json, ContainsSubstring(",\"bytes\":" + std::to_string(small.bytes()) + ",\"segment_bytes\":262144,") &&
                       ContainsSubstring(",\"segment_bytes\":524288,"));
  CHECK(json.find("segment") > json.find("small"));  // not in the first pool's object
  std::string const page = PoolRegistry::to_prometheus();
  CHECK_THAT(page, ContainsSubstring("# TYPE fastalloc_segment_bytes gauge\nfastalloc_segment_bytes{pool=\"small\"") &&
                       ContainsSubstring("} 262144\nfastalloc_segment_bytes{pool=\"big\""));
  CHECK(page.find("fastalloc_segment_bytes{pool=\"plain") == std::string::npos);

  std::vector<std::string> lines;
  std::istringstream table(PoolRegistry::report());
  for (std::string line; std::getline(table, line);) lines.push_back(line);
  REQUIRE(lines.size() == 6);
  CHECK(lines[0].ends_with("  bytes  segment"));
  CHECK(lines[1].ends_with(std::to_string(plain.bytes()) + "        -"));
  CHECK(lines[2].ends_with(std::to_string(small.bytes()) + "   262144"));
  CHECK(lines[3].ends_with(std::to_string(big.bytes()) + "   524288"));
  CHECK(lines[5].ends_with("        -"));
  auto const live = small.allocate(1);
  CHECK_THAT(PoolRegistry::leaks(), ContainsSubstring("segment") && ContainsSubstring("  262144\n"));
}

TEST_CASE("registry: the function may make and end pools, those it sees too") {
  std::vector<std::unique_ptr<FixedPool<int, Registered>>> pools;
  for (int i = 0; i != 3; ++i) pools.push_back(std::make_unique<FixedPool<int, Registered>>(1));
  std::size_t seen = 0;
  PoolRegistry::for_each([&](PoolInfo const&) {
    ++seen;
    pools.erase(pools.begin());
    FixedPool<int, Registered> const another(1);
    CHECK(PoolRegistry::size() == pools.size() + 1);
  });
  CHECK(seen == 3);
  CHECK(PoolRegistry::leaks().empty());
}

TEST_CASE("bytes: a pool says what it holds from its storage") {
  GrowingPool<std::uint64_t> pool(PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(100)});
  std::size_t const before = pool.bytes();
  CHECK(before >= 800);
  pool.reserve(1000);
  CHECK(pool.bytes() >= before + 7200);
  (void)pool.shrink_to_fit();
  CHECK(pool.bytes() == before);
  FixedPool<std::uint64_t, InlineStorage<4>> inside;
  CHECK(inside.bytes() == 0);  // not open yet
  (void)inside.allocate();
  CHECK(inside.bytes() >= 32);
  CHECK(inside.bytes() <= sizeof inside);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("budget: a group of pools stays within its bytes, and gets them back") {
  test::Audit const audit;
  MemoryBudget budget(10'000);
  {
    PoolConfig const config{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)};
    GrowingPool<std::uint64_t, Budgeted<>> first(config, Budgeted<>(budget));
    ThreadSafePool<Tracked, Budgeted<test::FailingStorage>> second(config, Budgeted<test::FailingStorage>(budget));
    CHECK(budget.in_use() == first.bytes() + second.bytes());
    auto const held = second.allocate(1U);
    std::string const text = text_of([&] { first.reserve(2000); });
    CHECK_THAT(text, ContainsSubstring("MemoryBudget") && ContainsSubstring("limit 10000 bytes"));
    CHECK(budget.in_use() == first.bytes() + second.bytes());

    auto const refused = budget.set_limit(1);
    REQUIRE(!refused);
    CHECK(refused.error().requested == 1);
    CHECK(refused.error().limit == budget.in_use());
    CHECK(budget.limit() == 10'000);
    REQUIRE(budget.set_limit(100'000));
    first.reserve(2000);
    CHECK(budget.in_use() > 16'000);
    CHECK(first.shrink_to_fit() > 0);
    CHECK(budget.in_use() == first.bytes() + second.bytes());
  }
  CHECK(budget.in_use() == 0);
}
#endif

#if FASTALLOC_EXCEPTIONS
TEST_CASE("budget: asks before it refuses") {
  struct Scene {
    std::optional<GrowingPool<std::uint64_t, Budgeted<>>> spare;
    std::size_t asked = 0;
  } scene;
  MemoryBudget budget(
      20'000,
      [](MemoryBudget&, std::size_t bytes, void* context) {
        auto& at = *static_cast<Scene*>(context);
        ++at.asked;
        return bytes > 8'000 && at.spare && at.spare->shrink_to_fit() != 0;
      },
      &scene);
  PoolConfig const config{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)};
  scene.spare.emplace(config, Budgeted<>(budget));
  scene.spare->reserve(1'200);
  GrowingPool<std::uint64_t, Budgeted<>> pool(config, Budgeted<>(budget));
  pool.reserve(1'200);  // only after the other pool has given its memory back
  CHECK(scene.asked == 1);
  CHECK_THROWS_AS(pool.reserve(10'000), AllocationFailed);
  CHECK(scene.asked == 2);
  scene.spare.reset();
}
#endif

TEST_CASE("budget: reports pools that outlive it") {
  test::RecordedErrors const errors;
  std::optional<MemoryBudget> budget(std::in_place, 10'000U);
  REQUIRE(budget->take(100));
  budget.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].requested == 100);
  CHECK(errors[0].code == ErrorCode::live_handles);
}
