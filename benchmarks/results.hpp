// SPDX-License-Identifier: MIT OR Apache-2.0
// Measured times, and what is made of them: tables of medians, the targets of the project with the ratios measured for
// them, JSON, and a picture.
//
// A ratio of two subjects is the median over the rounds of (time of one / time of the other) in the same round, so slow
// phases of the machine cancel. Times are ns per allocate+free pair unless the column says otherwise.
#pragma once

#include "latency.hpp"

#include <cstddef>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

class Results {
 public:
  void add(std::string const& subject, std::string const& column, double ns);
  std::optional<LatencyReport> latency;

  /// In the order in which they were first seen.
  std::vector<std::string> const& subjects() const { return subjects_; }
  std::vector<std::string> const& columns() const { return columns_; }
  std::optional<double> median(std::string const& subject, std::string const& column) const;
  std::optional<double> ratio(std::string const& subject, std::string const& base, std::string const& column) const;
  std::vector<double> const* rounds(std::string const& subject, std::string const& column) const;

 private:
  std::map<std::pair<std::string, std::string>, std::vector<double>> times_;
  std::vector<std::string> subjects_;
  std::vector<std::string> columns_;
};

/// `general`: the subjects that are general allocators.
void print_times(std::ostream& out, Results const& results);
void print_targets(std::ostream& out, Results const& results, std::vector<std::string> const& general);
void write_json(std::ostream& out, Results const& results, std::string const& machine);
void write_svg(std::ostream& out, Results const& results, std::string const& machine);

}  // namespace bench
