// SPDX-License-Identifier: MIT OR Apache-2.0
// Worst cases: how long single operations take after pre_initialize, with the noise of the machine beside them.
#pragma once

#include <cstdint>

namespace bench {

/// Nanoseconds at five points of the distribution of single operations, the cost of reading the clock included.
struct Percentiles {
  double p50, p99, p999, p9999, max;
};

struct LatencyReport {
  std::uint64_t samples;  ///< of each of the three
  Percentiles empty;      ///< nothing between two readings of the clock: the machine itself
  Percentiles allocate;
  Percentiles free;
  long page_faults;  ///< in the measured part
};

/// Replaces random objects, two at a time, in a full pool of 100,000 slots. `samples` is even.
LatencyReport measure_latency(std::uint64_t samples);

}  // namespace bench
