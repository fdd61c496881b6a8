// SPDX-License-Identifier: MIT OR Apache-2.0
// Starts this program again with --case DIVISOR COLUMN SUBJECT LIBRARY and reads the one number that it prints.
#include "process.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

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
  template <class R>
  static bool has_failed(R const& run) {
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

/// A preloaded library that the loader could not load is ignored by it; its row would show another allocator's times.
void require_loaded(char const* library) {
  for (char const* symbol : {"malloc", "_Znwm"}) {
    Dl_info info{};
    void* const address = dlsym(RTLD_DEFAULT, symbol);
    if (address != nullptr && dladdr(address, &info) != 0 && std::strcmp(info.dli_fname, library) == 0) return;
  }
  throw std::runtime_error(std::string(library) + " does not replace malloc here");
}

/// The environment with LD_PRELOAD as the job wants it.
class Environment {
 public:
  explicit Environment(std::string const& library) : preload_("LD_PRELOAD=" + library) {
    for (char** entry = environ; *entry != nullptr; ++entry)
      if (std::strncmp(*entry, "LD_PRELOAD=", 11) != 0) entries_.push_back(*entry);
    if (!library.empty()) entries_.push_back(preload_.data());
    entries_.push_back(nullptr);
  }
  char** get() { return entries_.data(); }

 private:
  std::string preload_;
  std::vector<char*> entries_;
};

/// Starts this program; its standard output goes to `out`. Returns: -1 when that fails.
pid_t start(std::vector<std::string> words, std::string const& library, int out) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Environment environment(library);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  int const error = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environment.get());
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

benchmark::internal::Benchmark* enter(Case const& one) {
  auto* entry = benchmark::RegisterBenchmark((one.column + "/" + one.subject).c_str(), one.run);
  if (one.is_count()) entry->Iterations(one.iterations);  // no number of them fills a time
  return one.manual_time ? entry->UseManualTime() : entry;
}

double run_in_process(Job const& job, int divisor) {
  double ns = std::nan("");
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return ns;
  pid_t const pid =
      start({"fastalloc-bench", "--case", std::to_string(divisor), job.what->column, job.what->subject, job.library},
            job.library, ends[1]);
  close(ends[1]);
  std::FILE* const out = fdopen(ends[0], "r");
  if (std::fscanf(out, "%lf", &ns) != 1) ns = std::nan("");
  std::fclose(out);
  int status = 1;
  if (pid > 0) waitpid(pid, &status, 0);
  return status == 0 ? ns : std::nan("");
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
