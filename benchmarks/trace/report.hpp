// SPDX-License-Identifier: MIT OR Apache-2.0
// What a replay found out about one trace, and the ways to print it: tables and a page with pictures for
// people, CSV for programs.
#pragma once

#include "measure.hpp"

#include <string>
#include <vector>

namespace fastalloc::trace {

// Medians over the repetitions, ns per step, by SideName.
struct Costs {
  double fresh[measured_sides];
  double warm[measured_sides];
  double nothing;
  double of(SideName side) const noexcept { return warm[static_cast<std::size_t>(side)]; }
};

struct SizeRow {
  std::size_t size_class;
  std::uint64_t operations;
  std::uint64_t peak_objects;
  std::uint64_t peak_bytes;
  Costs costs;
  double saved_ns() const noexcept {
    return (costs.of(SideName::malloc) - costs.of(SideName::pools)) * static_cast<double>(operations);
  }
};

struct Findings {
  Costs costs;
  std::uint64_t memory[measured_sides];  // bytes, by SideName
  std::vector<SizeRow> sizes;            // the ones that gain most first
};

// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number);
std::string text_report(Trace const& trace, Script const& script, Findings const& findings, unsigned repetitions);
std::string csv_head();
std::string csv_rows(Trace const& trace, Script const& script, Findings const& findings);
// A page of its own: head, a part for each trace, foot.
std::string html_head();
std::string html_report(Trace const& trace, Script const& script, Findings const& findings, unsigned repetitions);
std::string html_foot();

}  // namespace fastalloc::trace
