// SPDX-License-Identifier: MIT OR Apache-2.0
// One case in a process of its own (spawn.hpp).
#pragma once

#include "cases.hpp"

#include <string>
#include <vector>

namespace bench {

/// A case and, where the subject is an allocator to preload, its library.
struct Job {
  Case const* what;
  std::string subject;
  std::string library;
};

/// Starts this program again for one case, with 1 / divisor of its iterations or time. Returns: ns per pair, NaN when
/// it failed.
double run_in_process(Job const& job, int divisor);

/// What main() does with its arguments in that process. Returns: false when they are not of this kind.
bool is_case(std::vector<std::string> const& arguments);
int run_case(std::vector<std::string> const& arguments);

benchmark::internal::Benchmark* enter(Case const& one);

}  // namespace bench
