// SPDX-License-Identifier: MIT OR Apache-2.0
// What a program of the runner (bench.cpp) measures, and how it shows that. Each program links one suite: single.cpp,
// threads.cpp or containers.cpp.
#pragma once

#include "results.hpp"

#include <iosfwd>
#include <string>

namespace bench {

void add_all_cases();
/// 0 leaves the column out.
int rounds_of(std::string const& column, bool quick);
/// `general`: the subjects that are general allocators.
void print_report(std::ostream& out, Results const& results, Strings const& general);

}  // namespace bench
