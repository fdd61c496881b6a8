// SPDX-License-Identifier: MIT OR Apache-2.0
// The main columns of the single-thread suite as bars.
#include "panels.hpp"
#include "suite.hpp"

#include <array>

namespace bench {

void write_svg(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(165);
  panels.add_all(results, std::array{"pairObj", "bulkRND 1k", "churn 1k", "pair", "bulkRND 100k", "churn 100k",
                                     "wave 10k", "bulkRND 1M", "churn 1M"});
  panels.write(out, "ns per allocate+free pair of a 64-byte object: shorter is better", machine);
}

}  // namespace bench
