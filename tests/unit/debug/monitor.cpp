// SPDX-License-Identifier: MIT OR Apache-2.0
// The Prometheus page of the registry against a strict grammar, that grammar against wrong pages, and the Grafana
// dashboard against the metrics of the page.
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "examples/monitor/prometheus_page.hpp"
#include "examples/monitor/screen.hpp"
#include "support/audit.hpp"
#include "support/json.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using monitor::PageReader;

namespace {

std::string file(std::string const& name) {
  std::stringstream text;
  text << std::ifstream(std::string(FASTALLOC_SOURCE) + "/examples/monitor/" + name, std::ios::binary).rdbuf();
  return text.str();
}

std::string const good =
    "# HELP a_total What it counts.\n# TYPE a_total counter\na_total{x=\"1\",y=\"\"} 5\na_total 1e3\n"
    "# HELP b A gauge.\n# TYPE b gauge\nb{x=\"\\\\\\n\\\"\"} -1.5\n";

}  // namespace

TEST_CASE("monitor: the grammar accepts what is right") {
  monitor::Page const page = PageReader::read(good);
  CHECK(page.error.empty());
  REQUIRE(page.metrics.size() == 2);
  CHECK(page.find("a_total")->samples.at(1).value == 1000);
  CHECK(page.find("b")->samples.at(0).labels.at("x") == "\\\n\"");
  CHECK(PageReader::read("").error.empty());
}

TEST_CASE("monitor: the grammar refuses what is wrong") {
  struct Change {
    std::string what, with, error;
  };
  std::vector<Change> const changes{
      {"b{x=\"\\\\\\n\\\"\"} -1.5\n", "b -1.5", "the last line has no end"},
      {"# HELP b A gauge.\n", "", "TYPE without HELP"},
      {"# TYPE b gauge\n", "", "a sample before its TYPE"},
      {"# TYPE b gauge\n", "# TYPE b gauge\n# TYPE b gauge\n", "TYPE comes twice"},
      {"# TYPE b gauge\n", "# TYPE b histogram\n", "neither counter nor gauge"},
      {"# TYPE b gauge\n", "# TYPE b counter\n", "end in _total"},
      {"a_total counter", "a_total gauge", "end in _total"},
      {"a_total 1e3", "a_total{x=\"1\",y=\"\"} 6", "the same sample twice"},
      {"a_total 1e3", "a_total -1", "a counter below 0"},
      {"a_total 1e3", "a_total 1e3 ", "no number"},
      {"a_total 1e3", "a_total  1e3", "no number"},
      {"a_total 1e3", "a_total NaN", "no number"},
      {"a_total 1e3", "a_total 0x10", "no number"},
      {"a_total 1e3", "a_total", "no blank before the value"},
      {"a_total 1e3", "c 1", "apart from its TYPE"},
      {"a_total 1e3", "", "an empty line"},
      {"a_total 1e3", "# a comment", "neither HELP nor TYPE"},
      {"x=\"1\"", "1=\"1\"", "a name is missing"},
      {"x=\"1\"", "y=\"1\"", "twice"},
      {"x=\"1\"", "x=1", "no value in quotes"},
      {"x=\"1\"", "x=\"\\t\"", "an escape that labels do not know"},
      {"x=\"1\"", "x=\"1", "no }"},
      {"\\\"\"}", "\\\"}", "without its closing quote"},
      {"What it", "What \\it", "an escape that HELP does not know"},
      {"b{x=\"\\\\\\n\\\"\"} -1.5\n", "", "b has no sample"},
      {"# HELP b A gauge.\n", "# HELP a_total Again.\n", "a second HELP"},
  };
  for (Change const& change : changes) {
    std::string text = good;
    REQUIRE(text.find(change.what) != std::string::npos);
    text.replace(text.find(change.what), change.what.size(), change.with);
    INFO(text);
    CHECK_THAT(PageReader::read(text).error, ContainsSubstring(change.error));
  }
}

TEST_CASE("monitor: the page of the registry is right, whatever its pools are called") {
  CHECK(PageReader::read(PoolRegistry::to_prometheus()).error.empty());
  std::string const name = "odd \"name\"\n\\ \xc3\xa4{}=,#";
  FixedPool<long, Registered, BasicStats> counted(PoolConfig{.capacity = 2, .name = name});
  FixedPool<long, Registered, BasicStats> same(PoolConfig{.capacity = 2, .name = name});
  ThreadSafePool<std::pair<int, char const*>, Registered, CompactHandles> uncounted(5);
  auto const a = counted.allocate(1);
  auto const b = counted.allocate(2);
  CHECK_FALSE(counted.try_allocate(3));
  monitor::Page const page = PageReader::read(PoolRegistry::to_prometheus());
  CHECK(page.error == "");
  REQUIRE(page.find("fastalloc_capacity_slots") != nullptr);
  CHECK(page.find("fastalloc_capacity_slots")->samples.size() == 3);
  REQUIRE(page.find("fastalloc_allocations_total") != nullptr);
  CHECK(page.find("fastalloc_allocations_total")->samples.size() == 2);
  CHECK(page.find("fastalloc_allocations_total")->samples.at(0).labels.at("pool") == name);
  REQUIRE(page.find("fastalloc_segment_bytes") != nullptr);
  REQUIRE(page.find("fastalloc_segment_bytes")->samples.size() == 1);
  CHECK(page.find("fastalloc_segment_bytes")->samples[0].value == 262'144);

  std::vector<monitor::Row> const rows = monitor::rows_of(page);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].share() == 1);
  CHECK(rows[0].failures == 1.0);
  CHECK(rows[1].peak.has_value() + rows[2].peak.has_value() == 1);
  std::string const frame = monitor::Screen(true).draw(page, 0);
  CHECK_THAT(frame, ContainsSubstring("\x1b[31m1 request failed\x1b[0m"));
  CHECK(frame.find("\"name\"\n") == std::string::npos);  // a name cannot break its line
}

TEST_CASE("monitor: a single pool's page is right, too") {
  FixedPool<int, BasicStats> pool(1);
  CHECK(PageReader::read(to_prometheus(pool.statistics(), "x\ny\"")).error == "");
}

TEST_CASE("monitor: the dashboard shows metrics that there are") {
  test::Json const board = test::JsonParser::parse(file("grafana.json"));
  REQUIRE(board.kind == test::Json::Kind::object);
  FixedPool<int, Registered, BasicStats> pool(1);
  monitor::Page const page = PageReader::read(PoolRegistry::to_prometheus());
  std::size_t found = 0;
  auto const check = [&](std::string const& expression) {
    for (std::size_t at = 0; (at = expression.find("fastalloc_", at)) != std::string::npos;) {
      std::size_t const end = expression.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
      std::string const metric = expression.substr(at, end - at);
      INFO(metric);
      CHECK(page.find(metric) != nullptr);
      ++found;
      at = end;
    }
  };
  std::vector<std::string> ids;
  for (test::Json const& panel : board["panels"].items) {
    CHECK_FALSE(panel["title"].text.empty());
    for (test::Json const& target : panel["targets"].items) check(target["expr"].text);
    CHECK(std::count(ids.begin(), ids.end(), panel["id"].text) == 0);
    ids.push_back(panel["id"].text);
  }
  for (test::Json const& variable : board["templating"]["list"].items) check(variable["query"].text);
  CHECK(found >= 10);
  CHECK(PageReader::read(file("page.prom")).error == "");
}
