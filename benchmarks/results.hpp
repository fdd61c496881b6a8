// SPDX-License-Identifier: MIT OR Apache-2.0
// Measured times, and what is made of them: tables of medians and ratios, verdicts on targets, JSON.
//
// A ratio of two subjects is the median over the rounds of (time of one / time of the other) in the same round, so slow
// phases of the machine cancel. Times are ns per allocate+free pair unless the column says otherwise.
#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using Strings = std::vector<std::string>;

class Results {
 public:
  void add(std::string const& subject, std::string const& column, double ns);

  /// In the order in which they were first seen.
  Strings const& subjects() const { return subjects_; }
  Strings const& columns() const { return columns_; }
  std::vector<double> const* rounds(std::string const& subject, std::string const& column) const;
  std::optional<double> median(std::string const& subject, std::string const& column) const;
  std::optional<double> ratio(std::string const& subject, std::string const& base, std::string const& column) const;
  std::string fastest(Strings const& peers, std::string const& column) const;

 private:
  std::map<std::pair<std::string, std::string>, std::vector<double>> times_;
  Strings subjects_;
  Strings columns_;
};

/// The rows of the table of targets. What was not measured gets no row.
class Targets {
 public:
  explicit Targets(Results const& results) : results_(results) {}
  void at_most(std::string const& column, std::string const& subject, std::string const& base, double bound);
  void faster(std::string const& column, std::string const& subject, std::string const& peer, double bound);
  /// `noise`: what would have been measured if the subject took no time.
  void add(std::string const& what, std::string const& relation, double bound, std::optional<double> measured,
           double noise = 0);
  void print(std::ostream& out, std::string const& title = "Targets (medians of the ratios of each round)") const;

 private:
  Results const& results_;
  std::vector<Strings> rows_{{"target", "wanted", "measured", "met"}};
};

/// Three figures that say something.
std::string number(double value);
/// Columns line up.
void print_table(std::ostream& out, std::vector<Strings> const& rows);
/// The medians of the `wanted` columns; with a `base` the ratios to that subject.
void print_group(std::ostream& out, Results const& results, std::string const& title, Strings const& wanted,
                 double unit = 1, std::string const& base = "");
void write_json(std::ostream& out, Results const& results, std::string const& machine);
/// Adds what write_json() wrote. Where "rounds" are missing, the median stands for them. Returns: the machine.
std::string read_json(std::istream& in, Results& results);

}  // namespace bench
