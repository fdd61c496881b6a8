// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory over time: what a source of memory holds for what is in use.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace bench::memory {

/// All in bytes.
struct Sample {
  std::uint64_t in_use;    ///< requested, and not yet given back
  std::uint64_t held;      ///< acquired by the source; 0 where it does not tell
  std::uint64_t resident;  ///< pages in memory, beyond those of the process before it began
};
using Samples = std::vector<Sample>;

struct Curve {
  std::string scenario;
  std::string subject;
  Samples samples;
};

/// A row of panels for each scenario, one for each of these subjects.
void write_svg(std::ostream& out, std::vector<Curve> const& curves, std::vector<std::string> const& subjects,
               std::string const& machine);

}  // namespace bench::memory
