// SPDX-License-Identifier: MIT OR Apache-2.0
// The pictures, each drawn from the results of one program. The programs write their results as JSON (write_json), and
// fastalloc-pictures (draw.cpp) draws from that.
#pragma once

#include "results.hpp"

#include <iosfwd>
#include <string>

namespace bench {

using Draw = void (*)(std::ostream& out, Results const& results, std::string const& machine);

void draw_headline(std::ostream& out, Results const& results, std::string const& machine);
void draw_single_thread(std::ostream& out, Results const& results, std::string const& machine);
void draw_threads(std::ostream& out, Results const& results, std::string const& machine);
void draw_many(std::ostream& out, Results const& results, std::string const& machine);
void draw_containers(std::ostream& out, Results const& results, std::string const& machine);
void draw_ownership(std::ostream& out, Results const& results, std::string const& machine);
void draw_build_cost(std::ostream& out, Results const& results, std::string const& machine);

/// The rounds of a subject are quantiles here, in ns: the time that a share of first_share of its operations exceeds,
/// that which a share of first_share / share_step exceeds, and so on. A column is a panel.
void draw_latency(std::ostream& out, Results const& results, std::string const& machine);
inline constexpr double first_share = 0.5;
inline constexpr double share_step = 1.1;

}  // namespace bench
