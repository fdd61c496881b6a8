// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-bench-ownership: tables of ns per operation (time of the processor): each row's median of interleaved
// repetitions, and its ratio to the first row of its table. First all that is measured while the process has one
// thread, then the rest beside a second, sleeping one.
//
//   fastalloc-bench-ownership [--json FILE] [--benchmark_...]    for fastalloc-pictures; Google Benchmark's flags
//                                                                (--benchmark_filter has no effect)
#include "ownership.hpp"
#include "results.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stop_token>
#include <thread>
#include <vector>

namespace bench::ownership {
namespace {

struct Row {
  std::string table;
  std::string name;
  std::string benchmark;
};

std::vector<Row>& rows() {
  static std::vector<Row> all;
  return all;
}

/// Collects times; prints nothing before the end.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(Context const&) override { return true; }
  void ReportRuns(std::vector<Run> const& runs) override {
    for (Run const& run : runs)
      if (run.run_type == Run::RT_Iteration) times_[run.run_name.function_name].push_back(time_of(run));
    std::fputc('.', stderr);
  }
  [[nodiscard]] double median(Row const& row) {
    auto& times = times_[row.benchmark];
    if (times.empty()) return 0;
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

 private:
  static double time_of(Run const& run) {
    auto const items = run.counters.find("items_per_second");
    return items == run.counters.end() ? run.GetAdjustedCPUTime() : 1e9 / items->second;
  }
  std::map<std::string, std::vector<double>> times_;
};

void print(Collector& collector) {
  auto const place = [](Row const& row) {
    return std::find_if(rows().begin(), rows().end(), [&](Row const& other) { return other.table == row.table; }) -
           rows().begin();
  };
  auto sorted = rows();
  std::stable_sort(sorted.begin(), sorted.end(), [&](Row const& a, Row const& b) { return place(a) < place(b); });
  std::string table;
  double first = 0;
  for (Row const& row : sorted) {
    double const ns = collector.median(row);
    if (row.table != table) {
      std::printf("\n%-58s%10s%8s\n", row.table.c_str(), "ns", "ratio");
      table = row.table;
      first = ns;
    }
    std::printf("  %-56s%10.2f%8.2f\n", row.name.c_str(), ns, ns / first);
  }
}

void write_json(Collector& collector, char const* file) {
  Results results;
  for (Row const& row : rows()) results.add(row.name, row.table, collector.median(row));
  std::ofstream out(file);
  bench::write_json(out, results, "g++ -O3, medians");
  if (!out.flush()) std::fprintf(stderr, "cannot write %s\n", file), std::exit(1);
}

}  // namespace

benchmark::internal::Benchmark* add(Threads threads, std::string const& table, std::string const& row,
                                    std::function<void(benchmark::State&)> run) {
  std::string const name = (threads == Threads::one ? "one|" : "two|") + table + '|' + row;
  rows().push_back({table + (threads == Threads::one ? "" : ", a second thread lives"), row, name});
  return benchmark::RegisterBenchmark(name.c_str(), std::move(run));
}

}  // namespace bench::ownership

int main(int argc, char** argv) {
  using namespace bench::ownership;
  add_sharing();
  add_keys();
  add_iteration();
  add_many();
  add_clearing();
  add_saved();
  add_overwriting();
  add_exhaustion();
  add_requests();

  char const* json = nullptr;
  if (argc > 2 && std::string(argv[1]) == "--json") {
    json = argv[2];
    argv[2] = argv[0];
    argv += 2;
    argc -= 2;
  }
  std::string defaults[] = {"--benchmark_repetitions=9", "--benchmark_min_time=0.1",
                            "--benchmark_enable_random_interleaving=true"};
  std::vector<char*> arguments{argv[0]};
  for (auto& text : defaults) arguments.push_back(text.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;

  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, "^one");
  {
    std::jthread const second([](std::stop_token const& stop) {
      while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    });
    benchmark::RunSpecifiedBenchmarks(&collector, "^two");
  }
  std::fputc('\n', stderr);
  print(collector);
  if (json != nullptr) write_json(collector, json);
}
