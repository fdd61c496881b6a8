// SPDX-License-Identifier: MIT OR Apache-2.0
// stats/report.hpp: the texts, the JSON round trip, and a reader that meets whatever a file can hold.
#include <fastalloc/stats/report.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

using fastalloc::ErrorCode;
using fastalloc::PoolStatistics;
using fastalloc::statistics_from_json;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr PoolStatistics sample{.total_allocations = 150,
                                .total_deallocations = 140,
                                .current_usage = 10,
                                .peak_usage = 50,
                                .capacity = 100,
                                .growth_count = 3,
                                .allocation_failures = 50};

constexpr std::string_view sample_json =
    R"({"total_allocations":150,"total_deallocations":140,"current_usage":10,"peak_usage":50,"capacity":100,)"
    R"("growth_count":3,"allocation_failures":50,"available":90,"utilization_percent":10.000,)"
    R"("peak_utilization_percent":50.000,"hit_ratio":0.750})";

/// Every member's greatest value.
constexpr PoolStatistics greatest{.total_allocations = std::numeric_limits<std::uint64_t>::max(),
                                  .total_deallocations = std::numeric_limits<std::uint64_t>::max(),
                                  .current_usage = std::numeric_limits<std::size_t>::max(),
                                  .peak_usage = std::numeric_limits<std::size_t>::max(),
                                  .capacity = std::numeric_limits<std::size_t>::max(),
                                  .growth_count = std::numeric_limits<std::uint64_t>::max(),
                                  .allocation_failures = std::numeric_limits<std::uint64_t>::max()};

/// The seven members that are read, in any order, with `more` between them.
std::string object(std::string_view more) {
  std::string text = R"({"capacity":100,"peak_usage":50,"total_allocations":150)";
  text += more;
  text += R"(,"total_deallocations":140,"current_usage":10,"growth_count":3,"allocation_failures":50})";
  return text;
}

/// The sample with one part of it replaced.
std::string replaced(std::string_view part, std::string_view with) {
  std::string text(sample_json);
  text.replace(text.find(part), part.size(), with);
  return text;
}

/// Reads from a block of exactly that size, so that AddressSanitizer sees a read behind the end.
auto read_exactly(std::string_view text) {
  auto const block = std::make_unique<char[]>(text.size());
  std::copy(text.begin(), text.end(), block.get());
  return statistics_from_json({block.get(), text.size()});
}

void check_refused(std::string_view text, std::string_view expected, std::size_t offset) {
  INFO(text);
  auto const result = read_exactly(text);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::invalid_configuration);
  CHECK_THAT(std::string(result.error().message()), ContainsSubstring(std::string(expected)));
  CHECK(result.error().requested == offset);
  CHECK(std::string_view(result.error().unit) == "bytes");
}

}  // namespace

TEST_CASE("key_value_pairs names every number once") {
  auto const pairs = key_value_pairs(sample);
  std::vector<std::pair<std::string_view, std::string>> const expected{{"total_allocations", "150"},
                                                                       {"total_deallocations", "140"},
                                                                       {"current_usage", "10"},
                                                                       {"peak_usage", "50"},
                                                                       {"capacity", "100"},
                                                                       {"growth_count", "3"},
                                                                       {"allocation_failures", "50"},
                                                                       {"available", "90"},
                                                                       {"utilization_percent", "10.000"},
                                                                       {"peak_utilization_percent", "50.000"},
                                                                       {"hit_ratio", "0.750"}};
  CHECK(pairs == expected);
}

TEST_CASE("summaries") {
  CHECK(compact_summary(sample) ==
        "10 of 100 slots (10.000 %), peak 50, hit rate 0.750, 150 allocations, 140 deallocations, 3 growths");
  auto const text = summary(sample);
  CHECK(std::count(text.begin(), text.end(), '\n') == 11);
  CHECK_THAT(text, ContainsSubstring(
                       "\nutilization_percent                           10.000  Percent of the capacity in use.\n"));
  CHECK_THAT(summary(greatest), ContainsSubstring("18446744073709551615  Objects handed out.\n"));
  PoolStatistics absurd = greatest;  // the widest name beside the widest value
  absurd.capacity = 1;
  CHECK_THAT(summary(absurd), ContainsSubstring("00.000  Percent of the capacity in use at the peak.\n"));
}

TEST_CASE("an empty record has no division by zero") {
  CHECK(compact_summary(PoolStatistics{}) ==
        "0 of 0 slots (0.000 %), peak 0, hit rate 0.000, 0 allocations, 0 deallocations, 0 growths");
  auto const result = statistics_from_json(to_json(PoolStatistics{}));
  REQUIRE(result.has_value());
  CHECK(*result == PoolStatistics{});
}

TEST_CASE("to_prometheus") {
  auto const text = to_prometheus(sample, "io");
  CHECK_THAT(text, ContainsSubstring("# HELP fastalloc_allocations_total Objects handed out.\n"
                                     "# TYPE fastalloc_allocations_total counter\n"
                                     "fastalloc_allocations_total{pool=\"io\"} 150\n"));
  CHECK_THAT(text, ContainsSubstring("# TYPE fastalloc_usage_slots gauge\nfastalloc_usage_slots{pool=\"io\"} 10\n"));
  CHECK_THAT(text, ContainsSubstring("fastalloc_hit_ratio{pool=\"io\"} 0.750\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 3 * 11);
  CHECK(text.back() == '\n');

  SECTION("each metric has one TYPE line, and only counters end in _total") {
    std::set<std::string> names;
    for (std::size_t at = text.find("# TYPE "); at != text.npos; at = text.find("# TYPE ", at + 1)) {
      auto const line = text.substr(at + 7, text.find('\n', at) - at - 7);
      auto const name = line.substr(0, line.find(' '));
      CHECK(names.insert(name).second);
      CHECK(name.ends_with("_total") == line.ends_with(" counter"));
    }
    CHECK(names.size() == 11);
  }
  SECTION("labels are escaped") {
    CHECK_THAT(to_prometheus(sample, "a\"b\\c\nd"), ContainsSubstring("{pool=\"a\\\"b\\\\c\\nd\"} 150\n"));
    CHECK_THAT(to_prometheus(sample, ""), ContainsSubstring("{pool=\"\"} 150\n"));
  }
}

TEST_CASE("to_json") {
  CHECK(to_json(sample) == sample_json);
  PoolStatistics absurd{.current_usage = std::numeric_limits<std::size_t>::max(), .capacity = 1};
  auto const digits = sizeof(std::size_t) == 8 ? "\"utilization_percent\":184467" : "\"utilization_percent\":429496";
  CHECK_THAT(to_json(absurd), ContainsSubstring(digits));  // never 1.8e+21 or "inf"
  CHECK(*statistics_from_json(to_json(absurd)) == absurd);
}

TEST_CASE("numbers do not depend on the locale") {
  std::string const before = std::setlocale(LC_ALL, nullptr);
  for (char const* name : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C.UTF-8"})
    if (std::setlocale(LC_ALL, name) != nullptr) break;
  CHECK(to_json(sample) == sample_json);
  CHECK(statistics_from_json(sample_json).has_value());
  std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE("JSON round trip is exact") {
  CHECK(*statistics_from_json(to_json(sample)) == sample);
  CHECK(*statistics_from_json(to_json(greatest)) == greatest);
  // The rates had other names once.
  CHECK(*statistics_from_json(
            R"({"total_allocations":150,"total_deallocations":140,"current_usage":10,"peak_usage":50,"capacity":100,)"
            R"("growth_count":3,"allocation_failures":50,"available":90,"utilization_rate":10.000,)"
            R"("peak_utilization_rate":50.000,"hit_rate":0.750})") == sample);
  std::mt19937_64 random(7);
  for (int i = 0; i != 1000; ++i) {
    auto const any = [&] { return random() >> random() % 64; };
    auto const slots = [&] { return static_cast<std::size_t>(any()); };
    PoolStatistics const s{any(), any(), slots(), slots(), slots(), any(), any()};
    auto const read = read_exactly(to_json(s));
    REQUIRE(read.has_value());
    REQUIRE(*read == s);
  }
}

TEST_CASE("the reader accepts any order, white space and unknown keys") {
  for (std::string_view const more :
       {"", R"(,"x":null)", R"(,"x":true,"y":false)", R"(,"x":-0.5e+10,"y":1E9,"z":0)", R"(,"x":"a\"b\\\u00e9\n")",
        R"(,"x":[])", R"(,"x":{},"":{"capacity":1})", R"(,"x":[1,[2,{"capacity":[{}]}],"]}"])",
        ",\"x\"\t:\r\n[ 1 ,\t2 ]\n", R"(,"x":1,"x":2)", ",\"\xC3\xA9\":\"\xF0\x9F\x98\x80\""}) {
    INFO(more);
    auto const result = read_exactly(object(more));
    REQUIRE(result.has_value());
    CHECK(*result == sample);
  }
  auto const spaced = read_exactly("\n\t { \"capacity\" : 100 ,\r\n" + object("").substr(16) + " \n");
  REQUIRE(spaced.has_value());
  CHECK(*spaced == sample);
}

TEST_CASE("nesting is limited") {
  auto const nested = [](std::size_t levels) {
    return object(",\"x\":" + std::string(levels, '[') + std::string(levels, ']'));
  };
  CHECK(read_exactly(nested(64)).has_value());
  check_refused(nested(65), "at most 64 levels", object("").find(",\"total_dealloc") + 5 + 64);
  check_refused("{\"x\":" + std::string(1'000'000, '['), "at most 64 levels", 5 + 64);
  std::string braces = "{\"x\":";
  for (int i = 0; i != 100'000; ++i) braces += "{\"\":";
  check_refused(braces, "at most 64 levels", 5 + 64 * 4);
  // Long runs must not recurse, either.
  check_refused(replaced(":150", ":" + std::string(1'000'000, '9')), "a whole number", 21);
  CHECK(read_exactly(object(",\"x\":" + std::string(1'000'000, '1') + ",\"y\":\"" + std::string(1'000'000, 'y') + "\""))
            .has_value());
}

TEST_CASE("the reader says what it expected, and where") {
  std::size_t const end = sample_json.size();
  check_refused("", "expected '{'", 0);
  check_refused("  ", "expected '{'", 2);
  check_refused("[]", "expected '{'", 0);
  check_refused("null", "expected '{'", 0);
  check_refused("{}", "\"total_allocations\" exactly once", 2);
  check_refused(replaced("\"growth_count\":3,", ""), "\"growth_count\" exactly once", end - 17);
  check_refused(replaced("\"available\":90", "\"capacity\":100"), "\"capacity\" exactly once", sample_json.find(":90"));
  check_refused(replaced("150,", "150"), "a comma or the closing bracket", 24);
  check_refused(replaced("\":150", "\" 150"), "':' after a key", 21);
  check_refused(replaced("{\"total", "{total"), "a string in double quotes", 1);
  check_refused(replaced("0.750}", "0.750,}"), "a string in double quotes", end);
  check_refused(std::string(sample_json) + "x", "nothing after the object", end);
  check_refused(std::string(sample_json) + "{}", "nothing after the object", end);
  check_refused(std::string(sample_json) + std::string(1, '\0'), "nothing after the object", end);
  check_refused(replaced("0.750", "tru"), "expected a value", end - 6);
  check_refused(replaced("0.750", "nulll"), "a comma or the closing bracket", end - 2);
  check_refused(replaced("0.750", "[1,]"), "expected a value", end - 3);
  check_refused(replaced("0.750", ".5"), "expected a value", end - 6);
  check_refused(replaced("0.750", "01"), "a comma or the closing bracket", end - 5);
  check_refused(replaced("0.750", "1."), "expected a value", end - 4);
  check_refused(replaced("0.750", "1e"), "expected a value", end - 4);
  check_refused(replaced("0.750", R"("\x")"), "the rest of a string", end - 4);
  check_refused(replaced("0.750", R"("\u00g0")"), "the rest of a string", end - 1);
  check_refused(replaced("0.750", "\"a\nb\""), "the rest of a string", end - 4);
  check_refused(replaced("0.750}", "\"abc"), "the rest of a string", end - 2);
}

TEST_CASE("a member takes whole numbers only") {
  for (std::string_view const bad : {"-1", "-0", "1.0", "1e2", "0x10", "+1", "007", "\"1\"", "null", "true", "[1]",
                                     "{}", "", "18446744073709551616", "99999999999999999999999999"}) {
    INFO(bad);
    auto const result = read_exactly(replaced("150", bad));
    REQUIRE_FALSE(result.has_value());
    bool const prefix = bad == "0x10" || bad == "007";  // a number, and then no comma
    CHECK(result.error().requested == (prefix ? 22U : 21U));
    CHECK_THAT(std::string(result.error().message()), ContainsSubstring(prefix ? "comma" : "a whole number"));
  }
  if constexpr (sizeof(std::size_t) < sizeof(std::uint64_t))
    check_refused(replaced("\"capacity\":100", "\"capacity\":4294967296"), "a whole number", sample_json.find("100,"));
}

TEST_CASE("every truncation is refused") {
  for (std::size_t n = 0; n != sample_json.size(); ++n) {
    INFO(n);
    auto const result = read_exactly(sample_json.substr(0, n));
    REQUIRE_FALSE(result.has_value());
    REQUIRE(result.error().requested <= n);
    REQUIRE(result.error().text[0] != '\0');
  }
}

TEST_CASE("mutated JSON is read or refused, never worse") {
  std::mt19937_64 random(2024);
  std::string const seed = object(R"(,"x":[1,-2.5e-3,{"y":"\u00e9\\ \"z\""},[[]],null,true,false])");
  std::array<std::string_view, 16> const tokens{"{",
                                                "}",
                                                "[",
                                                "]",
                                                "\"",
                                                ":",
                                                ",",
                                                "\\",
                                                "\\u12",
                                                "e+",
                                                "-",
                                                "null",
                                                "9999999999",
                                                "\"capacity\":1,",
                                                std::string_view("\0", 1),
                                                "\xFF"};
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (int i = 0; i != 100'000; ++i) {
    std::string text = seed;
    for (auto edits = random() % 4 + 1; edits != 0; --edits) {
      std::size_t const at = text.empty() ? 0 : random() % text.size();
      switch (random() % 4) {
        case 0: text.erase(at, random() % 8 + 1); break;
        case 1: text.insert(at, tokens[random() % tokens.size()]); break;
        case 2: text.insert(at, text.substr(random() % (text.size() + 1), random() % 24)); break;
        default:
          if (!text.empty()) text[at] = static_cast<char>(random());
      }
    }
    auto const result = read_exactly(text);
    if (result) {
      ++accepted;
      auto const again = statistics_from_json(to_json(*result));
      REQUIRE(again.has_value());
      REQUIRE(*again == *result);
    } else {
      ++refused;
      REQUIRE(result.error().code == ErrorCode::invalid_configuration);
      REQUIRE(result.error().text[0] != '\0');
      REQUIRE(result.error().requested <= text.size());
    }
  }
  CHECK(accepted > 1'000);
  CHECK(refused > 10'000);
}

TEST_CASE("the error reads as a sentence") {
  auto const result = statistics_from_json("{\"capacity\":-1}");
  REQUIRE_FALSE(result.has_value());
  CHECK_THAT(result.error().to_string(),
             ContainsSubstring("invalid_configuration: statistics_from_json: expected a whole number"));
  CHECK_THAT(result.error().to_string(), ContainsSubstring("requested 12 bytes"));
}
