// SPDX-License-Identifier: MIT OR Apache-2.0
// The suite of fastalloc-bench: the single-thread workloads, their tables and targets.
#include "cases.hpp"
#include "suite.hpp"

#include <optional>
#include <ostream>

namespace bench {
namespace {

std::optional<double> difference(Results const& results, std::string const& a, std::string const& b,
                                 std::string const& column) {
  auto const x = results.median(a, column);
  auto const y = results.median(b, column);
  if (!x || !y) return std::nullopt;
  return *x - *y;
}

void print_times(std::ostream& out, Results const& results) {
  print_group(out, results, "Up to ten thousand objects, ns per pair",
              {"pairObj", "pair", "bulkRND 1k", "bulkFIFO 1k", "bulkLIFO 1k", "churn 1k", "wave 10k"});
  print_group(out, results, "Many objects, ns per pair",
              {"bulkRND 100k", "bulkFIFO 100k", "bulkLIFO 100k", "churn 100k", "bulkRND 1M", "bulkFIFO 1M",
               "bulkLIFO 1M", "churn 1M"});
  print_group(out, results, "Allocation alone, ns per object", {"allocate"});
  print_group(out, results, "Construction with room for a million objects, µs", {"build 1M"}, 1000);
}

void print_targets(std::ostream& out, Results const& results, Strings const& general) {
  Targets targets(results);
  std::string const ours = "FixedPool";
  auto const best_general = [&](std::string const& column) { return results.fastest(general, column); };

  targets.at_most("pairObj", ours, "raw free list", 1.0);
  targets.faster("pairObj", ours, best_general("pairObj"), 5);
  targets.faster("pair", ours, "mimalloc", 2);
  targets.at_most("bulkRND 1k", ours, "raw free list", 1.3);
  targets.at_most("bulkFIFO 1k", ours, "raw free list", 1.3);
  targets.faster("bulkRND 100k", ours, "mimalloc", 1.5);
  targets.faster("bulkRND 100k", ours, "boost::pool", 6);
  targets.faster("churn 1k", ours, "mimalloc", 2.3);
  targets.faster("churn 1k", ours, best_general("churn 1k"), 1.8);
  targets.faster("churn 100k", ours, "mimalloc", 1.5);
  targets.faster("churn 100k", ours, best_general("churn 100k"), 1.1);
  targets.at_most("bulkRND 1M", ours, "jemalloc", 1.0);
  targets.at_most("churn 1M", ours, "jemalloc", 1.0);
  for (char const* column : {"pairObj", "pair", "bulkRND 1k", "bulkFIFO 1k", "bulkRND 100k", "churn 1k", "churn 100k",
                             "bulkRND 1M", "churn 1M"})
    targets.at_most(column, "GrowingPool", ours, 1.1);
  std::string const compact = "FixedPool, CompactHandles";
  targets.at_most("pairObj", compact, ours, 1.56);
  for (char const* column : {"churn 1k", "bulkRND 1k", "bulkRND 100k"}) targets.faster(column, compact, ours, 1.05);
  targets.faster("churn 100k", compact, ours, 1.8);
  targets.faster("churn 1M", compact, ours, 1.3);
  targets.faster("bulkRND 1M", compact, ours, 1.3);
  for (char const* column :
       {"pairObj", "pair", "bulkRND 1k", "bulkRND 100k", "churn 1k", "churn 100k", "bulkRND 1M", "churn 1M"})
    targets.at_most(column, "GrowingPool, CompactHandles", compact, 1.1);
  targets.at_most("pairObj", "FixedPool, BitmapAllocator", "raw free list", 3);
  for (char const* column : {"pairObj", "pair"})
    targets.add(std::string(column) + ": erased handle - typed handle, ns", "≤ ", 1.5,
                difference(results, "FixedPool, erased handle", ours, column));
  for (char const* column : {"pair", "churn 1k", "churn 100k"})
    targets.at_most(column, "FixedPool, BasicStats", ours, 1.02);
  targets.faster("allocate", "FixedPool, batches", ours, 2);
  if (auto const time = results.median(ours, "build 1M"))
    targets.add("build 1M: FixedPool, µs", "≤ ", 20, *time / 1000);
  targets.print(out);
}

}  // namespace

void add_all_cases() {
  add_limit_cases();
  add_fixed_cases();
  add_policy_cases();
  add_growing_cases();
  add_pooled_cases();
  add_heap_cases();
#ifdef BENCH_BOOST
  add_boost_cases();
#endif
#ifdef BENCH_FOONATHAN
  add_foonathan_cases();
#endif
#ifdef BENCH_COLONY
  add_colony_cases();
#endif
}

/// Short cases are noisy, and cheap to repeat.
int rounds_of(std::string const& column, bool quick) {
  bool const is_long = column.ends_with("1M");
  if (quick) return is_long && !column.starts_with("build") ? 0 : 5;
  return is_long ? 5 : column.ends_with("100k") ? 9 : 21;
}

void print_report(std::ostream& out, Results const& results, Strings const& general) {
  print_times(out, results);
  print_targets(out, results, general);
}

}  // namespace bench
