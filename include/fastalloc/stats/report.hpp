// SPDX-License-Identifier: MIT OR Apache-2.0
// Reports: PoolStatistics as text for people, key/value pairs, JSON out and in, and Prometheus' text format.
//
// All reports use one table, statistics_fields(). They do not depend on the locale and do not access a pool.
// Requires: the hosted library. Throws: std::bad_alloc from functions that return a string or a vector.
// The functions are templates (of the unused `Later`), so that files that print no statistics do not compile them.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/stats/pool_statistics.hpp>

#if __STDC_HOSTED__
#include <charconv>
#include <vector>

namespace fastalloc {
namespace detail::inline FASTALLOC_STATE {

/// Rates have three decimals. The greatest, 2^64 slots in percent of a capacity of 1, has 22 digits before them.
template <class Number> std::string decimal(Number value) {
  if constexpr (std::is_integral_v<Number>) return std::to_string(value);
  char text[32];
  return std::string(
      text, std::to_chars(text, text + sizeof text, static_cast<double>(value), std::chars_format::fixed, 3).ptr);
}

/// Appends each part. Replaces operator+, for which g++ 12 warns (-Wrestrict) when a literal comes first.
template <class... Parts> std::string& append(std::string& out, Parts const&... parts) {
  return (out.append(parts), ...);
}

/// A string in JSON (RFC 8259), in quotes.
template <class Later = void> std::string json_string(std::string_view text) {
  constexpr char const* hex = "0123456789abcdef";
  std::string out = "\"";
  for (char const c : text) {
    auto const code = static_cast<unsigned char>(c);
    if (code < ' ') append(out, "\\u00", std::string_view(hex + code / 16, 1), std::string_view(hex + code % 16, 1));
    else (out += c == '"' || c == '\\' ? "\\" : "") += c;
  }
  return out += '"';
}

/// The value of a label in Prometheus' text format, without the quotes.
template <class Later = void> std::string label(std::string_view text) {
  std::string out;
  for (char const c : text) (out += c == '\n' || c == '"' || c == '\\' ? "\\" : "") += c == '\n' ? 'n' : c;
  return out;
}

struct StatisticsField {
  std::string_view key;
  std::string_view metric;  ///< the name in Prometheus; names of counters end in _total
  std::string_view help;
  std::string (*text)(PoolStatistics const&);
  /// false when the value does not fit; null for a derived field
  bool (*store)(PoolStatistics&, std::uint64_t) = nullptr;
  /// the reader's message when the key is missing or occurs twice
  char const* expected = "";
};

template <class Later> auto const& statistics_fields() noexcept {
#define FASTALLOC_DERIVED(key, member, metric, help)                               \
  {key, metric, help, [](PoolStatistics const& s) { return decimal(s.member()); }}
#define FASTALLOC_COUNTED(member, metric, help)                                                             \
  {#member,                                                                                                 \
   metric,                                                                                                  \
   help,                                                                                                    \
   [](PoolStatistics const& s) { return decimal(s.member); },                                               \
   [](PoolStatistics& s, std::uint64_t n) { return (s.member = static_cast<decltype(s.member)>(n)) == n; }, \
   "statistics_from_json: expected the key \"" #member "\" exactly once in the object"}
  static constexpr StatisticsField fields[] = {
      FASTALLOC_COUNTED(total_allocations, "fastalloc_allocations_total", "Objects handed out."),
      FASTALLOC_COUNTED(total_deallocations, "fastalloc_deallocations_total", "Objects returned."),
      FASTALLOC_COUNTED(current_usage, "fastalloc_usage_slots", "Slots in use."),
      FASTALLOC_COUNTED(peak_usage, "fastalloc_peak_usage_slots", "The most slots in use at once."),
      FASTALLOC_COUNTED(capacity, "fastalloc_capacity_slots", "Slots in the pool."),
      FASTALLOC_COUNTED(growth_count, "fastalloc_growths_total", "Blocks added after construction."),
      FASTALLOC_COUNTED(allocation_failures, "fastalloc_allocation_failures_total", "Requests that found no slot."),
      FASTALLOC_DERIVED("available", available, "fastalloc_available_slots", "Slots not in use."),
      FASTALLOC_DERIVED("utilization_percent", utilization_rate, "fastalloc_utilization_percent",
                        "Percent of the capacity in use."),
      FASTALLOC_DERIVED("peak_utilization_percent", peak_utilization_rate, "fastalloc_peak_utilization_percent",
                        "Percent of the capacity in use at the peak."),
      FASTALLOC_DERIVED("hit_ratio", hit_rate, "fastalloc_hit_ratio", "Requests that were served, 0 to 1.")};
#undef FASTALLOC_DERIVED
#undef FASTALLOC_COUNTED
  return fields;
}

/// Reads JSON (RFC 8259) in place: no tree, no heap. Each function moves `at` behind its input, or returns false.
template <class Later> struct JsonReader {
  std::string_view text;
  std::size_t at = 0;
  Error error{.unit = "bytes"};

  bool fail(char const* expected) noexcept { return error.text = expected, error.requested = at, false; }

  bool take(std::string_view any) noexcept { return at != text.size() && any.find(text[at]) != any.npos && ++at != 0; }
  void pop_all(std::string_view any) noexcept {
    while (take(any)) {}
  }
  /// Skips white space. Returns: true at the end of the text.
  bool at_end() noexcept { return pop_all(" \t\r\n"), at == text.size(); }
  bool expect(std::string_view c, char const* expected) noexcept { return (!at_end() && take(c)) || fail(expected); }

  /// After an opening bracket: calls item() for each item, then expects `close`.
  template <class Item> bool list(std::string_view close, Item item) noexcept {
    for (bool first = true; at_end() || !take(close); first = false)
      if ((!first && !expect(",", "statistics_from_json: expected a comma or the closing bracket")) || !item())
        return false;
    return true;
  }
  /// A key, in its escaped form, and the colon.
  bool key(std::string_view& name) noexcept {
    return string(name) && expect(":", "statistics_from_json: expected ':' after a key");
  }
  bool string(std::string_view& content) noexcept {
    if (!expect("\"", "statistics_from_json: expected a string in double quotes")) return false;
    constexpr std::string_view hex = "0123456789abcdefABCDEF";
    for (std::size_t const begin = at; at != text.size() && static_cast<unsigned char>(text[at]) >= ' ';) {
      if (take("\"")) return content = text.substr(begin, at - 1 - begin), true;
      if (!take("\\")) ++at;
      else if (!take("\"\\/bfnrt") && !(take("u") && take(hex) && take(hex) && take(hex) && take(hex))) break;
    }
    return fail("statistics_from_json: expected the rest of a string: characters from U+0020, valid escapes, and '\"'");
  }
  bool digits() noexcept { return take("0123456789") && (pop_all("0123456789"), true); }
  bool number() noexcept {
    take("-");
    return (take("0") || digits()) && (!take(".") || digits()) && (!take("eE") || (take("+-"), digits()));
  }
  bool field(StatisticsField const& field, PoolStatistics& out) noexcept {
    std::size_t const begin = (at_end(), at);
    std::uint64_t value = 0;
    if (number()) {
      auto const [end, code] = std::from_chars(text.data() + begin, text.data() + at, value);
      if (code == std::errc{} && end == text.data() + at && field.store(out, value)) return true;
    }
    return at = begin,
           fail("statistics_from_json: expected a whole number from 0 to the greatest that the member can hold");
  }
  /// Any value with at most `depth` levels of brackets.
  bool skip(int depth) noexcept {
    std::string_view unused;
    if (at_end()) return fail("statistics_from_json: expected a value");
    if (text[at] == '"') return string(unused);
    for (std::string_view const word : {"true", "false", "null"})
      if (text.substr(at, word.size()) == word) return at += word.size(), true;
    if (depth == 0 && (text[at] == '{' || text[at] == '['))
      return fail("statistics_from_json: expected at most 64 levels of brackets");
    if (take("[")) return list("]", [&] { return skip(depth - 1); });
    if (take("{")) return list("}", [&] { return key(unused) && skip(depth - 1); });
    return number() || fail("statistics_from_json: expected a value");
  }
};

}  // namespace detail::inline FASTALLOC_STATE

inline namespace FASTALLOC_STATE {

/// Every number with its name, as text: whole numbers in full, rates with three decimals and the unit in the name
/// (utilization_percent, hit_ratio).
template <class Later = void>
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> key_value_pairs(PoolStatistics const& s) {
  std::vector<std::pair<std::string_view, std::string>> pairs;
  for (auto const& field : detail::statistics_fields<Later>()) pairs.emplace_back(field.key, field.text(s));
  return pairs;
}

/// One JSON object on one line: the name, if there is one, and key_value_pairs() as numbers.
template <class Later = void> [[nodiscard]] std::string to_json(PoolStatistics const& s) {
  std::string out;
  if (!s.name.empty()) detail::append(out, "{\"name\":", detail::json_string(s.name));
  for (auto const& f : detail::statistics_fields<Later>())
    detail::append(out, out.empty() ? "{\"" : ",\"", f.key, "\":", f.text(s));
  return out += '}';
}

/// Prometheus' text format, with the label pool="pool_name", by default the pool's name. To put several pools in one
/// page, keep the lines that start with # from the first only.
template <class Later = void>
[[nodiscard]] std::string to_prometheus(PoolStatistics const& s, std::string_view pool_name = {}) {
  std::string const label = detail::label(pool_name.empty() ? s.name : pool_name);
  std::string out;
  for (auto const& f : detail::statistics_fields<Later>())
    detail::append(out, "# HELP ", f.metric, " ", f.help, "\n# TYPE ", f.metric,
                   f.metric.ends_with("_total") ? " counter\n" : " gauge\n", f.metric, "{pool=\"", label, "\"} ",
                   f.text(s), "\n");
  return out;
}

/// One line: "10 of 100 slots (10.000 %), peak 50, hit rate 1.000, 150 allocations, 140 deallocations, 0 growths".
template <class Later = void> [[nodiscard]] std::string compact_summary(PoolStatistics const& s) {
  using detail::decimal;
  std::string out;
  if (!s.name.empty()) detail::append(out, s.name, ": ");
  return detail::append(out, decimal(s.current_usage), " of ", decimal(s.capacity), " slots (",
                        decimal(s.utilization_rate()), " %), peak ", decimal(s.peak_usage), ", hit rate ",
                        decimal(s.hit_rate()), ", ", decimal(s.total_allocations), " allocations, ",
                        decimal(s.total_deallocations), " deallocations, ", decimal(s.growth_count), " growths");
}

/// One line a number: its name, the value, aligned at the right, and its meaning. The pool's name, if any, comes first.
template <class Later = void> [[nodiscard]] std::string summary(PoolStatistics const& s) {
  std::string out;
  if (!s.name.empty()) detail::append(out, s.name, "\n");
  for (auto const& [key, metric, help, text, store, expected] : detail::statistics_fields<Later>())
    detail::append(out, key, std::string(52 - key.size() - text(s).size(), ' '), text(s), "  ", help, "\n");
  return out;
}

}  // namespace FASTALLOC_STATE

inline namespace FASTALLOC_ABI {

/// Reads the output of to_json(), whole numbers exactly. Keys may come in any order; unknown keys are skipped, and
/// rates are recomputed. Returns: the statistics, or an error whose message() states what was expected and whose
/// `requested` is the byte offset where it was missing.
template <class Later = void>
[[nodiscard]] Result<PoolStatistics> statistics_from_json(std::string_view json) noexcept {
  auto const& fields = detail::statistics_fields<Later>();
  PoolStatistics statistics;
  bool seen[std::extent_v<std::remove_reference_t<decltype(fields)>>] = {};
  detail::JsonReader<Later> reader{json};
  bool ok = reader.expect("{", "statistics_from_json: expected '{'") && reader.list("}", [&] {
    std::string_view key;
    if (!reader.key(key)) return false;
    for (auto const& field : fields)
      if (field.store != nullptr && field.key == key)
        return std::exchange(seen[&field - fields], true) ? reader.fail(field.expected)
                                                          : reader.field(field, statistics);
    return reader.skip(64);
  });
  for (auto const& field : fields)
    ok = ok && (field.store == nullptr || seen[&field - fields] || reader.fail(field.expected));
  ok = ok && (reader.at_end() || reader.fail("statistics_from_json: expected nothing after the object"));
  return ok ? Result<PoolStatistics>(statistics) : Result<PoolStatistics>(reader.error);
}

}  // namespace FASTALLOC_ABI
}  // namespace fastalloc
#endif
