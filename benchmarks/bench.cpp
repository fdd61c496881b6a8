// SPDX-License-Identifier: MIT OR Apache-2.0
// The table runner: for each workload some rounds, in each round every subject once, in random order, each in a process
// of its own (process.hpp); then tables, targets, and on request JSON, from which fastalloc-pictures draws. What is
// measured: suite.hpp.
//
//   fastalloc-bench [--quick] [--rounds N] [--json FILE] [--preload NAME=LIBRARY]...
//                   [--columns TEXT] [--subjects TEXT]      only those whose name contains TEXT
//   fastalloc-bench --benchmark_...      plain Google Benchmark, in one process, without the preloaded allocators
//   fastalloc-bench-threads ...          the same
#include "cases.hpp"
#include "process.hpp"
#include "spawn.hpp"
#include "suite.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>

namespace bench {
namespace {

struct Options {
  bool quick = false;
  int rounds = 0;
  std::string columns, subjects, json;
  std::vector<Preload> preloads;
};

std::vector<Job> jobs_of(Options const& options, std::string const& column) {
  std::vector<Job> jobs;
  auto const add = [&](Case const& one, std::string const& subject, std::string const& library) {
    if (subject.find(options.subjects) != std::string::npos) jobs.push_back({&one, subject, library});
  };
  for (Case const& one : cases()) {
    if (one.column != column) continue;
    add(one, one.subject, "");
    if (one.subject == "new")
      for (Preload const& preload : options.preloads) add(one, preload.name, preload.library);
  }
  return jobs;
}

std::vector<std::string> columns_of(Options const& options) {
  std::vector<std::string> columns;
  for (Case const& one : cases()) {
    bool const wanted = one.column.find(options.columns) != std::string::npos;
    if (wanted && std::find(columns.begin(), columns.end(), one.column) == columns.end()) columns.push_back(one.column);
  }
  return columns;
}

bool run_all(Options const& options, Results& results) {
  bool good = true;
  std::mt19937 random(42);
  int const divisor = options.quick ? 4 : 1;
  for (std::string const& column : columns_of(options)) {
    int rounds = rounds_of(column, options.quick);
    if (rounds == 0) continue;
    if (options.rounds != 0) rounds = options.rounds;
    std::cerr << column << std::flush;
    auto const jobs = jobs_of(options, column);
    auto order = jobs;
    for (int round = 0; round != rounds; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      std::map<std::string, double> measured;
      for (Job const& job : order) measured[job.subject] = run_in_process(job, divisor);
      for (Job const& job : jobs) {
        double const ns = measured[job.subject];
        if (std::isnan(ns)) std::cerr << "\nfailed: " << column << ", " << job.subject << '\n';
        if (std::isnan(ns)) good = false;
        else results.add(job.subject, column, ns);
      }
      std::cerr << '.' << std::flush;
    }
    std::cerr << '\n';
  }
  return good;
}

// ---- options

int positive(std::string const& text) {
  int number = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1)
    throw std::runtime_error("'" + text + "' is not a positive number");
  return number;
}

Options parse(std::vector<std::string> const& arguments) {
  Options options;
  options.preloads = preloads_of(BENCH_PRELOADS);
  for (std::size_t i = 0; i != arguments.size(); ++i) {
    std::string const& name = arguments[i];
    auto const value = [&]() -> std::string const& { return value_behind(arguments, i); };
    if (name == "--quick") options.quick = true;
    else if (name == "--rounds") options.rounds = positive(value());
    else if (name == "--columns") options.columns = value();
    else if (name == "--subjects") options.subjects = value();
    else if (name == "--preload") options.preloads.push_back(preload_of(value()));
    else if (name == "--json") options.json = value();
    else throw std::runtime_error("unknown option " + name + "; see the head of bench.cpp");
  }
  return options;
}

void write(std::string const& file, Results const& results) {
  if (file.empty()) return;
  std::ofstream out(file);
  write_json(out, results, machine());
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

/// Leaves out allocators that cannot be preloaded into this program.
void try_preloads(Options& options) {
  auto const fails = [](Preload const& preload) {
    Job const job{&cases().front(), preload.name, preload.library};
    bool const failed = std::isnan(run_in_process(job, 1000));
    if (failed) std::cerr << "left out: " << preload.name << '\n';
    return failed;
  };
  std::erase_if(options.preloads, fails);
}

int run_table(Options options) {
  std::cout << machine() << '\n';
  try_preloads(options);
  Results results;
  bool const good = run_all(options, results);
  Strings general{"new", "malloc"};
  for (Preload const& preload : options.preloads) general.push_back(preload.name);
  print_report(std::cout, results, general);
  write(options.json, results);
  return good ? 0 : 1;
}

int run_google_benchmark(int argc, char** argv) {
  for (Case const& one : cases()) enter(one);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

int run(int argc, char** argv) {
  add_all_cases();
  std::vector<std::string> const arguments(argv + 1, argv + argc);
  for (std::string const& argument : arguments)
    if (argument.starts_with("--benchmark_")) return run_google_benchmark(argc, argv);
  if (is_case(arguments)) return run_case(arguments);
  return run_table(parse(arguments));
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    return bench::run(argc, argv);
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-bench: " << error.what() << '\n';
    return 2;
  }
}
