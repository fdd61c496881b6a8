// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-bench-traces [--rounds N] [--markdown FILE] [--svg FILE] [--preload NAME=LIBRARY]... TRACE...
// Recorded runs of programs (trace/README.md), replayed through our pools, PoolResource, std::pmr's pool, malloc and
// general allocators: time and memory over time. In each round every trace is replayed once by each of them, in random
// order, each in a process of its own. The loop of the replay itself is a row of its own, and part of all times.
#include "traces.hpp"

#include "panels.hpp"
#include "results.hpp"
#include "spawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <sstream>
#include <stdexcept>

namespace bench::traces {
namespace {

using fastalloc::trace::make_script;
using fastalloc::trace::MemorySamples;
using fastalloc::trace::Script;
using fastalloc::trace::SideName;
using fastalloc::trace::Trace;

constexpr char const* ours = "PoolResource";
constexpr char const* plain = "glibc";

struct Subject {
  std::string name;
  SideName side;
  std::string library;  ///< preloaded
};

struct Options {
  int rounds = 5;
  std::string markdown, svg;
  std::vector<Preload> preloads = preloads_of(BENCH_PRELOADS);
  Strings files;
};

std::vector<Subject> subjects_of(Options const& options) {
  std::vector<Subject> subjects{{ours, SideName::resource, ""},
                                {"GrowingPool for each size", SideName::pools, ""},
                                {"std::pmr pool", SideName::std_resource, ""},
                                {plain, SideName::malloc, ""}};
  for (auto const& [name, library] : options.preloads) subjects.push_back({name, SideName::malloc, library});
  subjects.push_back({"the loop itself", SideName::nothing, ""});
  return subjects;
}

std::string name_of(std::string const& file) {
  std::string name = std::filesystem::path(file).stem();
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// ---- in a process of its own

void run_case(std::string const& what, SideName side, std::string const& file, std::string const& library) {
  if (!library.empty()) require_loaded(library.c_str());
  Script const script = make_script(Trace(file));
  if (what == "time") {
    constexpr std::size_t steps_wanted = 300'000;
    std::size_t const passes = steps_wanted / std::max<std::size_t>(script.timed, 1);
    auto const timing = measure_time(side, script, static_cast<unsigned>(std::clamp<std::size_t>(passes, 2, 1000)));
    std::printf("%.6g %.6g\n", timing.first, timing.repeated);
  } else {
    for (std::uint64_t const bytes : measure_memory(side, script).bytes)
      std::printf("%llu ", static_cast<unsigned long long>(bytes));
  }
}

// ---- the report

struct Measured {
  Results fresh, warm, peak;
  std::vector<Memory> memory;
};

std::istringstream output_of_case(char const* what, Subject const& subject, std::string const& file) {
  auto const side = std::to_string(static_cast<int>(subject.side));
  auto const text = output_of({"--case", what, side, file, subject.library}, subject.library);
  if (!text) throw std::runtime_error(file + " cannot be replayed by " + subject.name);
  return std::istringstream(*text);
}

Measured measure(Options const& options) {
  auto const subjects = subjects_of(options);
  Measured measured;
  for (std::string const& file : options.files) {
    Memory memory{name_of(file), live_memory(make_script(Trace(file))), {}};
    for (Subject const& subject : subjects) {
      if (subject.side == SideName::nothing) continue;
      MemorySamples samples{};
      auto in = output_of_case("memory", subject, file);
      for (std::uint64_t& bytes : samples.bytes) in >> bytes;
      measured.peak.add(subject.name, memory.trace, static_cast<double>(samples.most()) / 1024);
      memory.subjects.emplace_back(subject.name, samples);
    }
    measured.memory.push_back(std::move(memory));
  }
  std::vector<std::pair<Subject, std::string>> jobs;
  for (Subject const& subject : subjects)
    for (std::string const& file : options.files) jobs.emplace_back(subject, file);
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(1);
  for (int round = 0; round != options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    std::vector<std::pair<double, double>> times(jobs.size());
    for (std::size_t const i : order) {
      auto in = output_of_case("time", jobs[i].first, jobs[i].second);
      in >> times[i].first >> times[i].second;
    }
    for (std::size_t i = 0; i != jobs.size(); ++i) {
      measured.fresh.add(jobs[i].first.name, name_of(jobs[i].second), times[i].first);
      measured.warm.add(jobs[i].first.name, name_of(jobs[i].second), times[i].second);
    }
    std::cerr << '.' << std::flush;
  }
  std::cerr << '\n';
  return measured;
}

/// Ours by each other subject's, with the geometric mean over the traces.
void print_ratios(std::ostream& out, Results const& results, std::string const& what) {
  std::vector<Strings> rows{{what + ", PoolResource by"}};
  rows[0].insert(rows[0].end(), results.columns().begin(), results.columns().end());
  rows[0].push_back("mean");
  for (auto const& subject : results.subjects()) {
    if (subject == ours || subject == "the loop itself") continue;
    Strings row{subject};
    double logarithms = 0;
    for (auto const& column : results.columns()) {
      double const ratio = results.ratio(ours, subject, column).value();
      row.push_back(number(ratio));
      logarithms += std::log(ratio);
    }
    row.push_back(number(std::exp(logarithms / static_cast<double>(results.columns().size()))));
    rows.push_back(std::move(row));
  }
  out << '\n';
  print_table(out, rows);
}

void print(std::ostream& out, Measured const& measured, Options const& options) {
  Strings const& columns = measured.fresh.columns();
  out << machine() << "; medians of " << options.rounds << " rounds\n";
  print_group(out, measured.fresh, "Fresh process, ns per call", columns);
  print_ratios(out, measured.fresh, "Fresh");
  print_group(out, measured.warm, "Warm, ns per call", columns);
  print_ratios(out, measured.warm, "Warm");
  print_group(out, measured.peak, "Peak memory, KiB", columns);
  print_ratios(out, measured.peak, "Peak memory");
}

void draw(std::ostream& out, Measured const& measured) {
  Panels bars(175);
  for (auto const& column : measured.fresh.columns())
    for (auto const& [results, when] : {std::pair{&measured.fresh, "fresh"}, {&measured.warm, "warm"}}) {
      std::vector<Bar> times;
      for (auto const& subject : results->subjects())
        times.push_back({subject, results->median(subject, column).value()});
      bars.add(column + ", " + when, std::move(times));
    }
  std::ostringstream memory;
  double const height = draw_memory(memory, measured.memory, 56);
  begin_svg(out, height + bars.height(), "Recorded programs, replayed: memory over their calls", machine());
  out << memory.str() << "<g transform='translate(0 " << height << ")'>\n";
  bars.write(out, "ns per call: shorter is better", "fresh process, with all page faults; warm: the same again");
  out << "</g>\n</svg>\n";
}

Options parse(Strings const& arguments) {
  Options options;
  for (std::size_t i = 0; i != arguments.size(); ++i) {
    std::string const& name = arguments[i];
    auto const value = [&]() -> std::string const& { return value_behind(arguments, i); };
    if (name == "--rounds") options.rounds = std::max(1, std::atoi(value().c_str()));
    else if (name == "--markdown") options.markdown = value();
    else if (name == "--svg") options.svg = value();
    else if (name == "--preload") options.preloads.push_back(preload_of(value()));
    else if (name.starts_with('-'))
      throw std::runtime_error("unknown option " + name + "; see the head of benchmarks/traces.cpp");
    else options.files.push_back(name);
  }
  if (options.files.empty()) throw std::runtime_error("name at least one trace");
  return options;
}

void write(std::string const& name, std::string const& text) {
  if (!name.empty() && !(std::ofstream(name) << text)) throw std::runtime_error("cannot write " + name);
}

void run_all(Strings const& arguments) {
  Options const options = parse(arguments);
  Measured const measured = measure(options);
  std::ostringstream tables, picture;
  print(tables, measured, options);
  draw(picture, measured);
  std::cout << tables.str();
  write(options.markdown, tables.str());
  write(options.svg, picture.str());
}

}  // namespace
}  // namespace bench::traces

int main(int argc, char** argv) {
  bench::Strings const arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 5 && arguments[0] == "--case")
      bench::traces::run_case(arguments[1], static_cast<fastalloc::trace::SideName>(std::stoi(arguments[2])),
                              arguments[3], arguments[4]);
    else bench::traces::run_all(arguments);
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-bench-traces: " << error.what() << '\n';
    return 1;
  }
}
