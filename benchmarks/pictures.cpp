// SPDX-License-Identifier: MIT OR Apache-2.0
// Bars. Near twins of other subjects and workloads are only in the tables.
#include "pictures.hpp"

#include "panels.hpp"

#include <array>

namespace bench {
namespace {

constexpr char const* cut = "; » marks a bar that is cut";

}  // namespace

void draw_headline(std::ostream& out, Results const& results, std::string const& machine) {
  char const* const column = "bulkRND 1k";
  std::vector<Bar> bars;
  for (char const* subject : {"FixedPool", "boost::pool", "mimalloc", "new"})
    if (auto const time = results.median(subject, column)) bars.push_back({subject, *time});
  Panels panels(170, 1);
  panels.add(workload_in_words(column), std::move(bars));
  panels.write(out, "Nanoseconds for one allocation and its return, objects of 64 bytes: shorter is better", machine);
}

void draw_single_thread(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(175);
  panels.add_all(
      results,
      std::array{"pairObj", "wave 10k", "bulkRND 1k", "churn 1k", "bulkRND 100k", "churn 100k", "bulkRND 1M",
                 "churn 1M"},
      {"FixedPool, erased handle", "FixedPool, BasicStats", "GrowingPool, BasicStats", "malloc", "unique_ptr"});
  panels.write(out, "Nanoseconds for one allocation and its return, objects of 64 bytes: shorter is better",
               machine + cut);
}

void draw_many(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(175);
  panels.add_all(results, std::array{"many 1/16", "many 2/16", "many 300/16", "many 5000/16", "many big 30",
                                     "many idle 4000", "many held 0", "many held 4000", "many thread 1",
                                     "many thread 10", "many demand 0.95", "many demand 1.2"});
  panels.write(out, "Many pools, many threads: nanoseconds for one allocation and its return: shorter is better",
               machine + cut);
}

void draw_containers(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(165);
  panels.add_all(results, std::array{"alone pair", "threads 2", "alone churn 1k", "alone churn 100k", "churn list 1k",
                                     "churn list 100k", "churn unordered_map 1k", "churn unordered_map 100k",
                                     "churn map 1k", "churn map 100k"});
  panels.write(out, "Containers and memory resources, nanoseconds an element: shorter is better", machine + cut);
}

void draw_ownership(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(225);
  panels.add_all(results,
                 std::array{"copy and drop an owner, a second thread lives", "lock a weak one, and drop",
                            "make an object with one owner, and drop it", "find one of 1,000 by a number, random order",
                            "find one of a million by a number, random order", "replace a random one of a million",
                            "loop over 10000 slots, 100 % live", "loop over 10000 slots, 50 % live",
                            "loop over 10000 slots, 10 % live", "free 1000 objects of a FixedPool",
                            "free 1000 objects of a ThreadSafePool", "a coroutine is created, run and destroyed"});
  panels.write(out, "Owners, keys, loops, batches: nanoseconds an operation or an object: shorter is better",
               machine + cut);
}

void draw_build_cost(std::ostream& out, Results const& results, std::string const& machine) {
  Panels panels(225);
  panels.add_all(results, results.columns());
  panels.write(out, "The cost of building: a program of 100 pooled types, a further type, a header: shorter is better",
               machine + cut);
}

}  // namespace bench
