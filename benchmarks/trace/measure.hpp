// SPDX-License-Identifier: MIT OR Apache-2.0
// Times and memory of one side. Each measurement runs in a process of its own, forked for it, so that no side finds a
// heap that another one has shaped, and so that memory can be told apart.
#pragma once

#include "script.hpp"

#include <stdexcept>

namespace fastalloc::trace {

enum class SideName { malloc, pools, resource, std_resource, nothing };
inline constexpr std::size_t measured_sides = 4;  // those in front of `nothing`

struct Timing {
  double first;     // ns per step in a fresh process, building the pools included
  double repeated;  // ns per step when the same script runs again: heap and pools are grown already
};

// The replay could not be carried out; what() says why and what to do.
class ReplayError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `passes`: how often the script is repeated after its first run; fewer, but at least twice, when that takes long.
Timing measure_time(SideName side, Script const& script, unsigned passes);

// Bytes of memory that this side's objects and bookkeeping occupy, in whole pages that were written to.
MemorySamples measure_memory(SideName side, Script const& script);

}  // namespace fastalloc::trace
