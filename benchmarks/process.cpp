// SPDX-License-Identifier: MIT OR Apache-2.0
// Starts this program again with --case DIVISOR COLUMN SUBJECT LIBRARY and reads the one number that it prints.
#include "process.hpp"

#include "spawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {
namespace {

/// Seconds, for cases without a number of iterations.
constexpr double by_time = 0.08;

class OneNumber : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(Context const&) override { return true; }

  void ReportRuns(std::vector<Run> const& runs) override {
    for (Run const& run : runs) {
      failed_ |= has_failed(run);
      double const seconds = manual_ ? run.real_accumulated_time : run.cpu_accumulated_time;
      ns_ = seconds * 1e9 / static_cast<double>(run.iterations);
    }
  }

  explicit OneNumber(bool manual) : manual_(manual) {}
  double ns() const { return failed_ ? std::nan("") : ns_; }

 private:
  template <class R> static bool has_failed(R const& run) {
    if constexpr (requires { run.error_occurred; }) {  // Google Benchmark before 1.8
      return run.error_occurred;
    } else {
      return run.skipped != decltype(run.skipped){};
    }
  }

  bool manual_;
  bool failed_ = false;
  double ns_ = 0;
};

}  // namespace

benchmark::internal::Benchmark* enter(Case const& one) {
  auto* entry = benchmark::RegisterBenchmark((one.column + "/" + one.subject).c_str(), one.run);
  if (one.is_count()) entry->Iterations(one.iterations);  // no number of them fills a time
  return one.manual_time ? entry->UseManualTime() : entry;
}

double run_in_process(Job const& job, int divisor) {
  auto const text =
      output_of({"--case", std::to_string(divisor), job.what->column, job.what->subject, job.library}, job.library);
  double ns = std::nan("");
  if (text && std::sscanf(text->c_str(), "%lf", &ns) != 1) ns = std::nan("");
  return ns;
}

bool is_case(std::vector<std::string> const& arguments) { return arguments.size() == 5 && arguments[0] == "--case"; }

int run_case(std::vector<std::string> const& arguments) {
  if (!arguments[4].empty()) require_loaded(arguments[4].c_str());
  for (Case const& one : cases()) {
    if (one.column != arguments[2] || one.subject != arguments[3]) continue;
    long long const divisor = std::stoll(arguments[1]);
    auto* const entry = enter(one);
    if (one.iterations == 0) entry->MinTime(by_time / static_cast<double>(divisor));
    else entry->Iterations(std::max<benchmark::IterationCount>(1, one.iterations / divisor));
    OneNumber reporter(one.manual_time);
    benchmark::RunSpecifiedBenchmarks(&reporter);
    std::printf("%.17g\n", reporter.ns() / one.pairs);
    return std::isnan(reporter.ns()) ? 1 : 0;
  }
  return 2;
}

}  // namespace bench
