// SPDX-License-Identifier: MIT OR Apache-2.0
// Traces of programs, replayed through several sources of memory.
#pragma once

#include <measure.hpp>

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace bench::traces {

/// The memory of one trace over its steps: what is live, and what each subject occupies for it.
struct Memory {
  std::string trace;
  fastalloc::trace::MemorySamples live;
  std::vector<std::pair<std::string, fastalloc::trace::MemorySamples>> subjects;
};

/// A legend, and a panel for each trace, two a row. Returns: where they end.
double draw_memory(std::ostream& out, std::vector<Memory> const& all, double top);

}  // namespace bench::traces
