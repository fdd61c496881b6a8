// SPDX-License-Identifier: MIT OR Apache-2.0
// Tables (in Markdown, so that they can be pasted into README.md), targets, JSON.
#include "results.hpp"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <ostream>
#include <sstream>
#include <string_view>

namespace bench {
namespace {

using Strings = std::vector<std::string>;

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::size_t const n = values.size();
  return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void remember(Strings& seen, std::string const& name) {
  if (std::find(seen.begin(), seen.end(), name) == seen.end()) seen.push_back(name);
}

/// Three figures that say something.
std::string number(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(value < 10 ? 2 : value < 100 ? 1 : 0) << value;
  return text.str();
}

/// Characters on the screen: UTF-8 continuation bytes take no room.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// A Markdown table whose columns line up.
void print_table(std::ostream& out, std::vector<Strings> const& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 3);
  for (auto const& row : rows)
    for (std::size_t i = 0; i != row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  auto const line = [&](Strings const& row) {
    for (std::size_t i = 0; i != row.size(); ++i) {
      std::string const space(widths[i] - width(row[i]), ' ');
      out << "| " << (i == 0 ? row[i] + space : space + row[i]) << ' ';
    }
    out << "|\n";
  };
  line(rows.front());
  for (std::size_t i = 0; i != widths.size(); ++i)
    out << '|' << std::string(widths[i] + 1, '-') << (i == 0 ? "-" : ":");
  out << "|\n";
  for (std::size_t i = 1; i != rows.size(); ++i) line(rows[i]);
}

void print_group(std::ostream& out, Results const& results, char const* title, Strings const& wanted, double unit) {
  Strings columns;
  for (auto const& column : wanted)
    if (std::find(results.columns().begin(), results.columns().end(), column) != results.columns().end())
      columns.push_back(column);
  if (columns.empty()) return;
  std::vector<Strings> rows{{""}};
  rows[0].insert(rows[0].end(), columns.begin(), columns.end());
  for (auto const& subject : results.subjects()) {
    Strings row{subject};
    bool any = false;
    for (auto const& column : columns) {
      auto const time = results.median(subject, column);
      row.push_back(time ? number(*time / unit) : "–");
      any |= time.has_value();
    }
    if (any) rows.push_back(std::move(row));
  }
  out << "\n" << title << "\n\n";
  print_table(out, rows);
}

void print_latency(std::ostream& out, LatencyReport const& latency) {
  auto const row = [](char const* name, Percentiles const& p) {
    return Strings{name, number(p.p50), number(p.p99), number(p.p999), number(p.p9999), number(p.max)};
  };
  out << "\nSingle operations on a full, pre-initialized FixedPool of 100,000, " << latency.samples
      << " of each, ns, the reading of the clock included\n\n";
  print_table(out, {{"", "p50", "p99", "p99.9", "p99.99", "max"},
                    row("nothing (the machine's noise)", latency.empty),
                    row("allocate", latency.allocate),
                    row("free", latency.free)});
}

/// The rows of the table of targets.
class Targets {
 public:
  explicit Targets(Results const& results) : results_(results) {}

  void at_most(std::string const& column, std::string const& subject, std::string const& base, double bound) {
    add(column + ": " + subject + " / " + base, "≤ ", bound, results_.ratio(subject, base, column));
  }
  void faster(std::string const& column, std::string const& subject, std::string const& peer, double bound) {
    add(column + ": " + peer + " / " + subject, "≥ ", bound, results_.ratio(peer, subject, column));
  }
  /// `noise`: what would have been measured if the subject took no time.
  void add(std::string const& what, std::string const& relation, double bound, std::optional<double> measured,
           double noise = 0) {
    if (!measured) return;
    double const shown = std::stod(number(*measured));
    bool const met = relation == "≥ " ? shown >= bound : shown <= bound;
    char const* const verdict = met ? "yes" : noise > bound ? "hidden by noise" : "**no**";
    rows_.push_back({what, relation + number(bound), number(*measured), verdict});
  }
  std::vector<Strings> const& rows() const { return rows_; }

 private:
  Results const& results_;
  std::vector<Strings> rows_{{"target", "wanted", "measured", "met"}};
};

/// The fastest of `peers` in a column.
std::string best(Results const& results, Strings const& peers, std::string const& column) {
  std::string fastest;
  double least = std::numeric_limits<double>::infinity();
  for (auto const& peer : peers) {
    auto const time = results.median(peer, column);
    if (!time || *time >= least) continue;
    least = *time;
    fastest = peer;
  }
  return fastest;
}

std::optional<double> difference(Results const& results, std::string const& a, std::string const& b,
                                 std::string const& column) {
  auto const x = results.median(a, column);
  auto const y = results.median(b, column);
  if (!x || !y) return std::nullopt;
  return *x - *y;
}

}  // namespace

void Results::add(std::string const& subject, std::string const& column, double ns) {
  remember(subjects_, subject);
  remember(columns_, column);
  times_[{subject, column}].push_back(ns);
}

std::vector<double> const* Results::rounds(std::string const& subject, std::string const& column) const {
  auto const found = times_.find({subject, column});
  return found == times_.end() ? nullptr : &found->second;
}

std::optional<double> Results::median(std::string const& subject, std::string const& column) const {
  auto const* times = rounds(subject, column);
  if (times == nullptr) return std::nullopt;
  return middle(*times);
}

std::optional<double> Results::ratio(std::string const& subject, std::string const& base,
                                     std::string const& column) const {
  auto const* a = rounds(subject, column);
  auto const* b = rounds(base, column);
  if (a == nullptr || b == nullptr) return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t i = 0; i != std::min(a->size(), b->size()); ++i) ratios.push_back((*a)[i] / (*b)[i]);
  return middle(std::move(ratios));
}

void print_times(std::ostream& out, Results const& results) {
  print_group(out, results, "Up to ten thousand objects, ns per pair",
              {"pairObj", "pair", "bulkRND 1k", "bulkFIFO 1k", "bulkLIFO 1k", "churn 1k", "wave 10k"}, 1);
  print_group(out, results, "Many objects, ns per pair",
              {"bulkRND 100k", "bulkFIFO 100k", "bulkLIFO 100k", "churn 100k", "bulkRND 1M", "bulkFIFO 1M",
               "bulkLIFO 1M", "churn 1M"},
              1);
  print_group(out, results, "Allocation alone, ns per object", {"allocate"}, 1);
  print_group(out, results, "Construction with room for a million objects, µs", {"build 1M"}, 1000);
  if (results.latency) print_latency(out, *results.latency);
}

void print_targets(std::ostream& out, Results const& results, Strings const& general) {
  Targets targets(results);
  std::string const ours = "FixedPool";
  auto const best_general = [&](std::string const& column) { return best(results, general, column); };

  targets.at_most("pairObj", ours, "LIMIT", 1.0);
  targets.faster("pairObj", ours, best_general("pairObj"), 5);
  targets.faster("pair", ours, "mimalloc", 2);
  targets.at_most("bulkRND 1k", ours, "LIMIT", 1.3);
  targets.at_most("bulkFIFO 1k", ours, "LIMIT", 1.3);
  targets.faster("bulkRND 100k", ours, "mimalloc", 1.5);
  targets.faster("bulkRND 100k", ours, "boost::pool", 6);
  targets.faster("churn 1k", ours, "mimalloc", 2.3);
  targets.faster("churn 1k", ours, best_general("churn 1k"), 1.8);
  targets.faster("churn 100k", ours, "mimalloc", 1.5);
  targets.faster("churn 100k", ours, best_general("churn 100k"), 1.1);
  targets.at_most("bulkRND 1M", ours, "jemalloc", 1.0);
  targets.at_most("churn 1M", ours, "jemalloc", 1.0);
  for (char const* column : {"pairObj", "pair", "bulkRND 1k", "bulkFIFO 1k", "bulkRND 100k", "churn 1k", "churn 100k",
                             "bulkRND 1M", "churn 1M"})
    targets.at_most(column, "GrowingPool", ours, 1.1);
  targets.at_most("pairObj", "FixedPool, BitmapAllocator", "LIMIT", 3);
  for (char const* column : {"pairObj", "pair"})
    targets.add(std::string(column) + ": erased handle - typed handle, ns", "≤ ", 1.5,
                difference(results, "FixedPool, erased handle", ours, column));
  for (char const* column : {"pair", "churn 1k", "churn 100k"})
    targets.at_most(column, "FixedPool, BasicStats", ours, 1.02);
  targets.faster("allocate", "FixedPool, batches", ours, 2);
  if (auto const time = results.median(ours, "build 1M"))
    targets.add("build 1M: FixedPool, µs", "≤ ", 20, *time / 1000);
  if (results.latency) {
    double const noise = results.latency->empty.p9999;
    targets.add("allocate: p99.99, ns", "≤ ", 200, results.latency->allocate.p9999, noise);
    targets.add("free: p99.99, ns", "≤ ", 200, results.latency->free.p9999, noise);
    targets.add("page faults after pre_initialize", "≤ ", 0, static_cast<double>(results.latency->page_faults));
  }
  if (targets.rows().size() == 1) return;
  out << "\nTargets (medians of the ratios of each round)\n\n";
  print_table(out, targets.rows());
}

void write_json(std::ostream& out, Results const& results, std::string const& machine) {
  out << "{\n  \"machine\": \"" << machine << "\",\n  \"unit\": \"ns\",\n  \"results\": [";
  char const* separator = "\n";
  for (auto const& column : results.columns()) {
    for (auto const& subject : results.subjects()) {
      auto const* rounds = results.rounds(subject, column);
      if (rounds == nullptr) continue;
      out << separator << "    {\"workload\": \"" << column << "\", \"subject\": \"" << subject
          << "\", \"median\": " << middle(*rounds) << ", \"rounds\": [";
      for (std::size_t i = 0; i != rounds->size(); ++i) out << (i == 0 ? "" : ", ") << (*rounds)[i];
      out << "]}";
      separator = ",\n";
    }
  }
  out << "\n  ]\n}\n";
}

}  // namespace bench
