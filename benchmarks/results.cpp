// SPDX-License-Identifier: MIT OR Apache-2.0
// Tables are Markdown, so that they can be pasted into README.md.
#include "results.hpp"

#include <algorithm>
#include <iomanip>
#include <istream>
#include <limits>
#include <ostream>
#include <sstream>
#include <string_view>

namespace bench {
namespace {

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::size_t const n = values.size();
  return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// The text behind "name": of the line, up to the quote or the comma behind it; empty if there is none.
std::string value_of(std::string const& line, std::string const& name) {
  std::string const start = '"' + name + "\": ";
  auto begin = line.find(start);
  if (begin == std::string::npos) return "";
  begin += start.size();
  if (line[begin] == '"') return line.substr(begin + 1, line.find('"', begin + 1) - begin - 1);
  if (line[begin] == '[') return line.substr(begin + 1, line.find(']', begin) - begin - 1);
  return line.substr(begin, line.find_first_of(",}", begin) - begin);
}

void remember(Strings& seen, std::string const& name) {
  if (std::find(seen.begin(), seen.end(), name) == seen.end()) seen.push_back(name);
}

/// Characters on the screen: UTF-8 continuation bytes take no room.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string number(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(value < 10 ? 2 : value < 100 ? 1 : 0) << value;
  return text.str();
}

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

void print_group(std::ostream& out, Results const& results, std::string const& title, Strings const& wanted,
                 double unit, std::string const& base) {
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
      auto const value = base.empty() ? results.median(subject, column) : results.ratio(subject, base, column);
      row.push_back(value ? number(*value / unit) : "–");
      any |= value.has_value();
    }
    if (any) rows.push_back(std::move(row));
  }
  if (rows.size() == 1) return;
  out << "\n" << title << "\n\n";
  print_table(out, rows);
}

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

std::string Results::fastest(Strings const& peers, std::string const& column) const {
  std::string fastest;
  double least = std::numeric_limits<double>::infinity();
  for (auto const& peer : peers) {
    auto const time = median(peer, column);
    if (!time || *time >= least) continue;
    least = *time;
    fastest = peer;
  }
  return fastest;
}

void Targets::at_most(std::string const& column, std::string const& subject, std::string const& base, double bound) {
  add(column + ": " + subject + " / " + base, "≤ ", bound, results_.ratio(subject, base, column));
}

void Targets::faster(std::string const& column, std::string const& subject, std::string const& peer, double bound) {
  add(column + ": " + peer + " / " + subject, "≥ ", bound, results_.ratio(peer, subject, column));
}

void Targets::add(std::string const& what, std::string const& relation, double bound, std::optional<double> measured,
                  double noise) {
  if (!measured) return;
  double const shown = std::stod(number(*measured));
  bool const met = relation == "≥ " ? shown >= bound : shown <= bound;
  char const* const verdict = met ? "yes" : noise > bound ? "hidden by noise" : "**no**";
  rows_.push_back({what, relation + number(bound), number(*measured), verdict});
}

void Targets::print(std::ostream& out, std::string const& title) const {
  if (rows_.size() == 1) return;
  out << "\n" << title << "\n\n";
  print_table(out, rows_);
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

std::string read_json(std::istream& in, Results& results) {
  std::string machine;
  for (std::string line; std::getline(in, line);) {
    if (machine.empty()) machine = value_of(line, "machine");
    std::string const workload = value_of(line, "workload");
    std::string const subject = value_of(line, "subject");
    if (workload.empty() || subject.empty()) continue;
    std::string rounds = value_of(line, "rounds");
    if (rounds.empty()) rounds = value_of(line, "median");
    std::istringstream numbers(rounds);
    for (std::string number; std::getline(numbers, number, ',');) results.add(subject, workload, std::stod(number));
  }
  return machine;
}

}  // namespace bench
