// SPDX-License-Identifier: MIT OR Apache-2.0
// The pools of a Prometheus page as a table with bars, for a terminal.
//
//   orders   ########++++......   500 of 1,000   peak   700       12.5 k/s    0 failed   0 grown    48 KiB
//
// The bar (of block characters) is full at the capacity; the lighter part ends at the peak.
#pragma once

#include "prometheus_page.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace monitor {

struct Row {
  std::string name, id;
  double used = 0, capacity = 0, bytes = 0;
  std::optional<double> peak, allocations, failures, growths;  ///< of pools that count

  [[nodiscard]] double share() const { return capacity == 0 ? 0 : used / capacity; }
};

inline std::vector<Row> rows_of(Page const& page) {
  std::vector<Row> rows;
  auto const each = [&](char const* metric, auto&& store) {
    Metric const* const found = page.find(metric);
    if (found == nullptr) return;
    for (Sample const& sample : found->samples) {
      auto const label = [&](char const* key) {
        auto const at = sample.labels.find(key);
        return at == sample.labels.end() ? std::string() : at->second;
      };
      std::string const id = label("id");
      auto row =
          std::find_if(rows.begin(), rows.end(), [&](Row const& r) { return r.id == id && r.name == label("pool"); });
      if (row == rows.end()) {
        Row made;
        made.name = label("pool"), made.id = id;
        row = rows.insert(rows.end(), std::move(made));
      }
      store(*row, sample.value);
    }
  };
  each("fastalloc_usage_slots", [](Row& row, double value) { row.used = value; });
  each("fastalloc_capacity_slots", [](Row& row, double value) { row.capacity = value; });
  each("fastalloc_held_bytes", [](Row& row, double value) { row.bytes = value; });
  each("fastalloc_peak_usage_slots", [](Row& row, double value) { row.peak = value; });
  each("fastalloc_allocations_total", [](Row& row, double value) { row.allocations = value; });
  each("fastalloc_allocation_failures_total", [](Row& row, double value) { row.failures = value; });
  each("fastalloc_growths_total", [](Row& row, double value) { row.growths = value; });
  std::stable_sort(rows.begin(), rows.end(), [](Row const& a, Row const& b) { return a.share() > b.share(); });
  return rows;
}

class Screen {
 public:
  /// `colour`: with the codes of ANSI terminals.
  explicit Screen(bool colour) : colour_(colour) {}

  /// Returns: a frame. `seconds`: since the frame before, for the rate; 0 for the first one, or for no rate.
  std::string draw(Page const& page, double seconds) {
    std::vector<Row> const rows = rows_of(page);
    double bytes = 0, failures = 0;
    std::size_t width = 4;
    for (Row const& row : rows) {
      bytes += row.bytes, failures += row.failures.value_or(0);
      width = std::max(width, std::min<std::size_t>(columns(row.name), 24));
    }
    std::string out = styled(bold, std::to_string(rows.size()) + (rows.size() == 1 ? " pool, " : " pools, ") +
                                       scaled(bytes, 1024, {"bytes", "KiB", "MiB", "GiB", "TiB"}));
    out += failures == 0
               ? ", no request failed\n"
               : ", " + styled(red, whole(failures) + (failures == 1 ? " request failed" : " requests failed")) + "\n";
    out += styled(dim, cell("pool", width) + "  " + cell("in use, to the peak, free", bar_width) +
                           "       slots in use      peak  allocations  failed  growth      memory") +
           "\n";
    for (Row const& row : rows) {
      out += cell(row.name, width) + "  " + bar(row) + "  " +
             right(whole(row.used) + " of " + whole(row.capacity), 17) + "  " +
             right(row.peak ? whole(*row.peak) : "-", 8) + "  " + right(rate(row, seconds), 11) + "  " +
             number(row.failures, 6, red) + "  " + number(row.growths, 6, yellow) + "  " +
             right(scaled(row.bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB"}), 10) + "\n";
    }
    before_ = rows;
    return out;
  }

 private:
  static constexpr char const* bold = "1";
  static constexpr char const* dim = "2";
  static constexpr char const* red = "31";
  static constexpr char const* yellow = "33";
  static constexpr char const* green = "32";
  static constexpr std::size_t bar_width = 26;

  [[nodiscard]] std::string styled(char const* code, std::string const& text) const {
    return colour_ ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  }
  /// Characters, not bytes.
  static std::size_t columns(std::string const& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  }
  /// Names come from elsewhere: control characters must not reach the terminal.
  static std::string cell(std::string text, std::size_t width) {
    for (char& c : text)
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
    std::size_t size = 0, at = 0;
    while (at != text.size() && size + ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) <= width)
      size += (static_cast<unsigned char>(text[at++]) & 0xc0) != 0x80;
    text.resize(at);
    return text + std::string(width - size, ' ');
  }
  static std::string right(std::string const& text, std::size_t width) {
    return (text.size() < width ? std::string(width - text.size(), ' ') : "") + text;
  }
  static std::string whole(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.0f", value);
    std::string digits = text;
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
    return digits;
  }
  static std::string scaled(double value, double unit, std::vector<char const*> const& names) {
    std::size_t i = 0;
    while (value >= unit && i + 1 != names.size()) value /= unit, ++i;
    char text[48];
    std::snprintf(text, sizeof text, i == 0 ? "%.0f %s" : "%.1f %s", value, names[i]);
    return text;
  }
  [[nodiscard]] std::string number(std::optional<double> value, std::size_t width, char const* code) const {
    std::string const text = right(value ? whole(*value) : "-", width);
    return value.value_or(0) != 0 ? styled(code, text) : text;
  }
  [[nodiscard]] std::string bar(Row const& row) const {
    auto const length = [&](double value) {
      double const share = row.capacity == 0 ? 0 : std::min(value / row.capacity, 1.0);
      auto const cells = static_cast<std::size_t>(share * bar_width + 0.5);
      if (value > 0 && cells == 0) return std::size_t{1};
      return value < row.capacity && cells == bar_width ? bar_width - 1 : cells;
    };
    std::size_t const used = length(row.used);
    std::size_t const peak = std::max(used, length(row.peak.value_or(0)));
    std::string full, light, rest;
    for (std::size_t i = 0; i != bar_width; ++i)
      (i < used ? full : i < peak ? light : rest) += i < used ? "█" : i < peak ? "▒" : "·";
    return styled(row.share() >= 0.9 ? red : row.share() >= 0.7 ? yellow : green, full + light) + styled(dim, rest);
  }
  [[nodiscard]] std::string rate(Row const& row, double seconds) const {
    if (!row.allocations) return "-";
    if (seconds > 0)
      for (Row const& old : before_)
        if (old.id == row.id && old.name == row.name && old.allocations && *old.allocations <= *row.allocations)
          return scaled((*row.allocations - *old.allocations) / seconds, 1000, {"/s", "k/s", "M/s", "G/s"});
    return whole(*row.allocations);
  }

  bool colour_;
  std::vector<Row> before_;
};

}  // namespace monitor
