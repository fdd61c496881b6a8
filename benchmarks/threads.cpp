// SPDX-License-Identifier: MIT OR Apache-2.0
// The suite of fastalloc-bench-threads: the multi-thread workloads, their tables and targets.
#include "cases.hpp"
#include "suite.hpp"

#include <algorithm>

namespace bench {
namespace {

Strings local_columns(std::string const& held) {
  Strings columns;
  for (char const* threads : {"1", "2", "4", "8", "16"}) columns.push_back("local " + (threads + ("/" + held)));
  return columns;
}

void print_groups(std::ostream& out, Results const& results, std::string const& unit, std::string const& base) {
  print_group(out, results, "Local, threads/objects held, " + unit, local_columns("1"), 1, base);
  print_group(out, results, "Local, threads/objects held, " + unit, local_columns("64"), 1, base);
  print_group(out, results, "Across threads, " + unit, {"prodcons", "beyond the ring", "contended", "waiters"}, 1,
              base);
}

/// prodcons without the time of the bare ring in the same round.
void add_beyond_the_ring(Results& results) {
  auto const* ring = results.rounds("ring", "prodcons");
  if (ring == nullptr) return;
  for (auto const& subject : Strings(results.subjects())) {
    auto const* rounds = results.rounds(subject, "prodcons");
    for (std::size_t i = 0; rounds != nullptr && i != std::min(rounds->size(), ring->size()); ++i)
      results.add(subject, "beyond the ring", (*rounds)[i] - (*ring)[i]);
  }
}

void print_targets(std::ostream& out, Results const& results) {
  Targets targets(results);
  std::string const ours = "ThreadSafePool";
  for (char const* held : {"1", "64"})
    for (auto const& column : local_columns(held)) {
      targets.faster(column, ours, "snmalloc", 1);
      targets.faster(column, ours, results.fastest({"mimalloc", "jemalloc", "tcmalloc"}, column), 2);
    }
  targets.at_most("prodcons", ours, "snmalloc", 1);  // and so beyond the ring, which both contain
  targets.faster("prodcons", ours, "mimalloc", 4);
  targets.at_most("lock 2", "AdaptiveLock", "std::mutex", 0.8);
  targets.at_most("lock 1", "AdaptiveLock", "std::mutex", 1);
  for (char const* column : {"local 1/1", "local 1/64"}) targets.at_most(column, "ThreadLocalPool", "FixedPool", 1.3);
  targets.at_most("local 1/1", ours + ", AtomicStats", ours, 1.1);
  targets.print(out);
}

}  // namespace

void add_all_cases() {
  add_thread_pool_cases();
  add_thread_peer_cases();
#ifdef BENCH_LOCKFREE
  add_lockfree_cases();
#endif
}

int rounds_of(std::string const& column, bool quick) {
  bool const between = column.starts_with("local 4/") || column.starts_with("local 8/");
  if (quick) return between ? 0 : 5;
  return column == "failures" ? 5 : 9;
}

void print_report(std::ostream& out, Results const& measured, Strings const&) {
  Results results = measured;
  add_beyond_the_ring(results);
  print_groups(out, results, "ns per pair", "");
  print_group(out, results, "Contended, failures per million pairs", {"failures"});
  print_group(out, results, "Locks, ns per lock, increment, unlock and 20 ns of other work", {"lock 1", "lock 2"});
  print_groups(out, measured, "times ThreadSafePool", "ThreadSafePool");
  print_targets(out, measured);
}

}  // namespace bench
