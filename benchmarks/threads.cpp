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

// ---- many pools, many threads

Strings many_columns(int pools) {
  Strings columns;
  for (char const* threads : {"1", "4", "16", "50"}) columns.push_back("many " + std::to_string(pools) + "/" + threads);
  return columns;
}

void print_many(std::ostream& out, Results const& results) {
  std::string const grid = "Many pools used in turn, pools/threads, ns per pair";
  for (int pools : {1, 2, 300, 5000}) print_group(out, results, grid, many_columns(pools));
  print_group(out, results, "One thread, 8, 30 and 300 pools of 256 KiB used in turn, ns per pair",
              {"many big 8", "many big 30", "many big 300"});
  print_group(out, results, "One thread beside idle threads: 1 object held; 100 held; an attempt at a full pool; ns",
              {"many idle 0", "many idle 1000", "many idle 4000", "many held 0", "many held 1000", "many held 4000",
               "many full 0", "many full 1000", "many full 4000"});
  print_group(out, results, "Threads that end after 1 use, 10 uses, 1 use of 10 pools each; ns per use",
              {"many thread 1", "many thread 10", "many thread 10 pools"});
  print_group(out, results, "Demand as a share of the capacity, and waiters for at most 20 µs; ns per attempt",
              {"many demand 0.5", "many demand 0.95", "many demand 1.0", "many demand 1.2", "many waiters"});
  print_group(out, results, "What 5,000 pools keep for 50 threads after 1 use and after 16 uses, MiB",
              {"many parts 1", "many parts 16"});
}

void add_many_targets(Targets& targets, Results const& results) {
  std::string const ours = "ThreadSafePool";
  for (int pools : {1, 2, 300, 5000})
    for (std::string const& column : many_columns(pools)) {
      targets.at_most(column, ours, column.ends_with("/1") ? "FixedPool" : "lists of the thread", 1.5);
      targets.at_most(column, ours, "new", 1);
    }
  // The columns are not of one round: `new` stands for the machine.
  for (std::string const column : {"many idle ", "many held "})
    for (char const* threads : {"1000", "4000"}) {
      auto const idle = results.ratio(ours, "new", column + threads);
      auto const alone = results.ratio(ours, "new", column + "0");
      if (idle && alone) targets.add(column + threads + " / " + column + "0: " + ours, "≤ ", 1.2, *idle / *alone);
    }
  // A dozen is what a cache of the processor may have of lines with the same place in their page.
  for (std::string const& subject : {ours, std::string("FixedPool")}) {
    auto const few = results.ratio(subject, "new", "many big 8");
    auto const more = results.ratio(subject, "new", "many big 30");
    if (few && more) targets.add("many big 30 / many big 8: " + subject, "≤ ", 1.5, *more / *few);
  }
  for (char const* column : {"many full 0", "many full 1000", "many full 4000", "many demand 1.0", "many demand 1.2"})
    targets.at_most(column, ours, ours + ", NoCache", 2);
  for (char const* column : {"many thread 1", "many thread 10", "many thread 10 pools"})
    targets.at_most(column, ours, "new", 5);
  targets.add("many parts 1: MiB", "≤ ", 64, results.median(ours, "many parts 1"));
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
  for (char const* column : {"lock share", "lock wait"}) targets.at_most(column, "AdaptiveLock", "std::mutex", 1);
  for (char const* column : {"local 1/1", "local 1/64"}) targets.at_most(column, "ThreadLocalPool", "FixedPool", 1.3);
  targets.at_most("local 1/1", ours + ", AtomicStats", ours, 1.1);
  add_many_targets(targets, results);
  targets.print(out);
}

}  // namespace

void add_all_cases() {
  add_thread_pool_cases();
  add_thread_peer_cases();
  add_many_thread_cases();
#ifdef BENCH_LOCKFREE
  add_lockfree_cases();
#endif
}

int rounds_of(std::string const& column, bool quick) {
  if (column.starts_with("many ")) {
    bool large = false;
    for (char const* part : {"5000", "/16", "/50", "4000", "parts"}) large |= column.find(part) != std::string::npos;
    if (quick) return large ? 0 : 3;
    return column.find("parts") != std::string::npos ? 1 : 5;
  }
  bool const between = column.starts_with("local 4/") || column.starts_with("local 8/");
  if (quick) return between ? 0 : 5;
  return column == "failures" ? 5 : 9;
}

void print_report(std::ostream& out, Results const& measured, Strings const&) {
  Results results = measured;
  add_beyond_the_ring(results);
  print_groups(out, results, "ns per pair", "");
  print_group(out, results, "Contended, failures per million pairs", {"failures"});
  print_group(out, results, "Locks, ns per lock, increment, unlock and 20 ns of other work",
              {"lock 1", "lock 2", "lock 16"});
  print_group(out, results, "Locks, 16 threads: turns of the busiest thread for one of the idlest; longest wait, ms",
              {"lock share", "lock wait"});
  print_many(out, results);
  print_groups(out, measured, "times ThreadSafePool", "ThreadSafePool");
  print_targets(out, measured);
}

}  // namespace bench
