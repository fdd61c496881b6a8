// SPDX-License-Identifier: MIT OR Apache-2.0
// occupancy_svg: well-formed, and every slot has the square of its state.
#include <fastalloc/debug/occupancy.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Checks tags and their nesting, entities and attributes. Enough of XML for what occupancy_svg() writes.
bool is_well_formed(std::string const& text) {
  std::vector<std::string> open;
  std::size_t at = 0;
  bool had_root = false;
  while (at != text.size()) {
    if (text[at] == '&') {
      std::size_t const end = text.find(';', at);
      std::string const entity = text.substr(at + 1, end - at - 1);
      if (entity != "amp" && entity != "lt" && entity != "gt" && entity != "quot" && entity != "#39") return false;
      at = end + 1;
    } else if (text[at] != '<') {
      if (open.empty() && text[at] != '\n') return false;
      if (static_cast<unsigned char>(text[at]) < ' ' && text[at] != '\n') return false;
      ++at;
    } else {
      std::size_t const end = text.find('>', at);
      if (end == std::string::npos) return false;
      std::string const tag = text.substr(at + 1, end - at - 1);
      at = end + 1;
      if (tag[0] == '/') {
        if (open.empty() || open.back() != tag.substr(1)) return false;
        open.pop_back();
        continue;
      }
      if (open.empty() && std::exchange(had_root, true)) return false;
      std::size_t quotes = 0;
      for (char const c : tag) {
        quotes += c == '"';
        if (c == '<') return false;
      }
      if (quotes % 2 != 0) return false;
      if (tag.back() != '/') open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  return had_root && open.empty();
}

/// The area of all squares of a class, in squares.
double area(std::string const& svg, std::string const& kind) {
  double sum = 0;
  for (std::size_t at = 0; (at = svg.find("<path class=\"" + kind, at)) != std::string::npos; ++at) {
    std::size_t const end = svg.find("\"/>", at);
    for (std::size_t v = at; (v = svg.find('v', v + 1)) < end;) sum += std::strtod(svg.c_str() + v + 1, nullptr) / 10.5;
  }
  return sum;
}
void check(std::string const& svg, double live, double free, double fresh) {
  CHECK(is_well_formed(svg));
  CHECK(area(svg, "fa-live") == Catch::Approx(live).epsilon(0.01));
  CHECK(area(svg, "fa-free") == Catch::Approx(free).epsilon(0.01));
  CHECK(area(svg, "fa-new") == Catch::Approx(fresh).epsilon(0.01));
  CHECK(svg.find("width=\"830\"") != std::string::npos);
  CHECK(svg.find("prefers-color-scheme:dark") != std::string::npos);
  // The background is drawn first and follows the theme: no square and no text is on the page's own colour.
  CHECK(svg.find(".fa-paper{fill:#ffffff}") < svg.find("@media"));
  CHECK(svg.find(".fa-paper{fill:#0d1117}") > svg.find("@media"));
  CHECK(svg.find(".fa-paper{fill:#0d1117}") < svg.find("<rect class=\"fa-paper\" width=\"100%\" height=\"100%\""));
  CHECK(svg.find("<rect class=\"fa-paper\"") < svg.find("<text"));
  CHECK(svg.find("nan") == std::string::npos);
}

}  // namespace

TEST_CASE("occupancy: the test itself") {
  CHECK(is_well_formed("<a b=\"c\">x<d/>&lt;</a>\n"));
  for (char const* bad : {"<a>", "<a></b>", "<a>&x;</a>", "<a/><b/>", "x", "<a b=\"></a>", "<a>\x01</a>"})
    CHECK_FALSE(is_well_formed(bad));
}

TEMPLATE_TEST_CASE("occupancy: a square for each slot", "", (FixedPool<long>), (FixedPool<long, BitmapAllocator>),
                   (FixedPool<long, FreeListAllocator, FullChecks>), (FixedPool<long, Generations>),
                   (GrowingPool<long>), (ThreadSafePool<long>), (ThreadSafePool<long, NoCache>),
                   (ThreadLocalPool<long>), (FixedPool<long, LockFree>)) {
  TestType pool(PoolConfig{.capacity = 150, .name = "<&\"'>\xff"});
  std::vector<typename TestType::handle_type> handles;
  for (long i = 0; i != 100; ++i) handles.push_back(pool.allocate(i));
  for (std::size_t i = 0; i != 100; i += 4) handles[i].reset();
  // Thread caches take more slots from the central list than are in use.
  double const handed = std::is_same_v<TestType, ThreadSafePool<long>> ? -1 : 100;
  std::string const svg = occupancy_svg(pool);
  CHECK_THAT(svg, ContainsSubstring("&lt;&amp;&quot;&#39;&gt;?"));
  CHECK_THAT(svg, ContainsSubstring("in use: 75<"));
  CHECK_THAT(svg, ContainsSubstring("A square is a slot."));
  CHECK_THAT(svg, ContainsSubstring("slots 0 to 149, 1.1 KiB, 75 in use"));
  if (handed > 0) check(svg, 75, 25, 50);
  else CHECK(area(svg, "fa-live") == Catch::Approx(75));
  CHECK(area(svg, "fa-live") + area(svg, "fa-free") + area(svg, "fa-new") == Catch::Approx(150));
  CHECK(pool.allocated() == 75);
  CHECK(pool.check_invariants());
  TestType const& constant = pool;
  CHECK(occupancy_svg(constant) == svg);
}

TEST_CASE("occupancy: blocks that come and go, in the order of addresses") {
  GrowingPool<long> pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<GrowingPool<long>::handle_type> handles;
  for (long i = 0; i != 45; ++i) handles.push_back(pool.allocate(i));
  check(occupancy_svg(pool), 45, 0, 5);
  for (std::size_t i = 10; i != 20; ++i) handles[i].reset();
  CHECK_THAT(occupancy_svg(pool), ContainsSubstring("Block 5 of 5"));
  pool.shrink_to_fit();
  std::string const svg = occupancy_svg(pool);
  CHECK_THAT(svg, ContainsSubstring("Block 4 of 4"));
  CHECK_THAT(svg, ContainsSubstring("slots 20 to 29"));
  CHECK(svg.find("slots 10 to 19") == std::string::npos);
  check(svg, 35, 0, 5);
}

TEST_CASE("occupancy: large pools are binned, and many blocks counted") {
  FixedPool<std::uint8_t> pool(100'000);
  std::vector<FixedPool<std::uint8_t>::handle_type> handles(60'000);
  pool.allocate_batch(60'000, handles.data(), std::uint8_t{1});
  for (std::size_t i = 0; i < 60'000; i += 2) handles[i].reset();
  std::string const svg = occupancy_svg(pool);
  CHECK_THAT(svg, ContainsSubstring("A square is 50 slots, filled from below."));
  check(svg, 600, 600, 800);
  CHECK(svg.size() < 200'000);

  GrowingPool<int> growing(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
  std::vector<GrowingPool<int>::handle_type> many;
  for (int i = 0; i != 100; ++i) many.push_back(growing.allocate(i));
  std::string const blocks = occupancy_svg(growing);
  CHECK_THAT(blocks, ContainsSubstring("and 64 more blocks"));
  CHECK_THAT(blocks, ContainsSubstring("in use: 100<"));
  check(blocks, 36, 0, 0);
}

TEST_CASE("occupancy: a pool without a block, and one without objects") {
  FixedPool<long, InlineStorage<3>> closed;
  std::string const svg = occupancy_svg(closed);
  CHECK_THAT(svg, ContainsSubstring("no block yet"));
  check(svg, 0, 0, 0);
  closed.warm_up();
  check(occupancy_svg(closed), 0, 0, 3);
  ThreadLocalPool<long> unused(5);
  CHECK_THAT(occupancy_svg(unused), ContainsSubstring("no block yet"));
}

TEST_CASE("occupancy: while threads use the pool") {
  ThreadSafePool<long> pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(50)});
  std::atomic<bool> go_on{true};
  std::vector<std::thread> threads;
  for (int t = 0; t != 2; ++t)
    threads.emplace_back([&] {
      while (go_on) {
        std::vector<ThreadSafePool<long>::handle_type> handles;
        for (long i = 0; i != 60; ++i) handles.push_back(pool.allocate(i));
        handles.clear();
        pool.shrink_to_fit();
      }
    });
  for (int i = 0; i != 50; ++i) CHECK(is_well_formed(occupancy_svg(pool)));
  go_on = false;
  for (auto& thread : threads) thread.join();
}
