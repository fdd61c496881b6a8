// SPDX-License-Identifier: MIT OR Apache-2.0
// The list of what is measured: a case is one workload ("column") run on one subject ("row"). Each subject's source
// file adds its cases; bench.cpp runs them, each in a process of its own.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct Case {
  std::string column;
  std::string subject;
  std::function<void(benchmark::State&)> run;
  benchmark::IterationCount iterations;  ///< in the process that the table runner starts; 0: as many as fill its time
  double pairs;                          ///< allocate+free pairs in one iteration; less than 1 when run() counts events
  bool manual_time;                      ///< run() takes the time of the part that counts
  bool is_count() const { return pairs < 1; }
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

// One function a source file; those of missing peers are not linked (CMakeLists.txt).
void add_limit_cases();
void add_fixed_cases();
void add_policy_cases();
void add_growing_cases();
void add_pooled_cases();
void add_heap_cases();
void add_boost_cases();
void add_foonathan_cases();
void add_colony_cases();
void add_thread_pool_cases();
void add_thread_peer_cases();
void add_many_thread_cases();
void add_lockfree_cases();

}  // namespace bench
