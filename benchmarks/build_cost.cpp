// SPDX-License-Identifier: MIT OR Apache-2.0
// Compiles what build_cost.cmake wrote, one file at a time. In each round every job has its turn, so slow phases of the
// machine hit all of them. Times are processor time in user mode, which the system counts for the compiler and its
// children; that of the linker includes the kernel's, a third of it. Tables hold medians; ratios are medians of the
// ratios of each round.
#include "pictures.hpp"
#include "results.hpp"
#include "spawn.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench::build_cost {
namespace {

// Columns of the results.
constexpr char const* header_ms = "a header alone, ms";
constexpr char const* header_ratio = "a header alone / memory, vector";
constexpr char const* further_text = "text of a further type, bytes";
constexpr char const* further_ms = "compiling a further type, ms";
constexpr char const* program_s = "compiling the program, s";
constexpr char const* program_text = "text of the program, KiB";
constexpr char const* link_ms = "linking the program, ms";
constexpr char const* standard = "memory, vector";

struct Job {
  std::string kind, subject, include;
  Strings files;
};
struct Options {
  std::string jobs, objects, compiler, optimise, json, svg;
  int repetitions = 3;
  int types = 0;
};

/// What a command printed, and the seconds that it and its children took.
struct Ran {
  std::string output;
  double user = 0, system = 0;
};

double seconds(timeval const& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Throws std::runtime_error when the command cannot start or fails.
Ran run(Strings words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = -1;
  int const error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Ran ran;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = read(ends[0], buffer.data(), buffer.size())) > 0;)
    ran.output.append(buffer.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 1;
  rusage usage{};
  if (error == 0) wait4(pid, &status, 0, &usage);
  if (status != 0) {
    std::string command;
    for (std::string const& word : words) command += word + ' ';
    throw std::runtime_error("this command failed: " + command);
  }
  ran.user = seconds(usage.ru_utime);
  ran.system = seconds(usage.ru_stime);
  return ran;
}

/// Bytes of code and constants, as `size` prints them: a line of titles, and the figures below it.
double text_of(std::string const& file) {
  std::istringstream lines(run({"size", file}).output);
  std::string titles;
  std::getline(lines, titles);
  double text = 0;
  if (!(lines >> text)) throw std::runtime_error("'size' prints no size of " + file);
  return text;
}

std::vector<Job> read_jobs(std::string const& file) {
  std::vector<Job> jobs;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Job job;
    std::getline(words, job.kind, '\t');
    std::getline(words, job.subject, '\t');
    std::getline(words, job.include, '\t');
    for (std::string source; std::getline(words, source, '\t');) job.files.push_back(source);
    if (job.files.empty()) throw std::runtime_error("a job without source files: " + line);
    jobs.push_back(std::move(job));
  }
  if (jobs.empty()) throw std::runtime_error("no jobs in " + file);
  return jobs;
}

class Measurement {
 public:
  explicit Measurement(Options const& options) : options_(options) {}

  Results const& results() const { return results_; }

  void measure(Job const& job) {
    if (job.kind == "program") return measure_program(job);
    if (job.kind == "further") measure_further(job);
    else results_.add(job.subject, header_ms, compile(job, 0) * 1e3);
  }

 private:
  Options const& options_;
  Results results_;
  std::string printed_;  // by the first program

  std::string object(std::size_t index) const { return options_.objects + "/" + std::to_string(index) + ".o"; }

  /// Returns: seconds.
  double compile(Job const& job, std::size_t index) const {
    return run({options_.compiler, "-std=c++20", options_.optimise, "-DNDEBUG", "-I", job.include, "-c",
                job.files[index], "-o", object(index)})
        .user;
  }

  void measure_further(Job const& job) {
    double const one = compile(job, 0);
    double const nine = compile(job, 1);
    results_.add(job.subject, further_ms, (nine - one) / 8 * 1e3);
    results_.add(job.subject, further_text, (text_of(object(1)) - text_of(object(0))) / 8);
  }

  void measure_program(Job const& job) {
    std::string const program = options_.objects + "/program";
    Strings link{options_.compiler, "-pthread", "-o", program};
    double time = 0;
    for (std::size_t i = 0; i != job.files.size(); ++i) {
      time += compile(job, i);
      link.push_back(object(i));
    }
    results_.add(job.subject, program_s, time);
    Ran const linked = run(link);
    results_.add(job.subject, link_ms, (linked.user + linked.system) * 1e3);
    results_.add(job.subject, program_text, text_of(program) / 1024);
    // All programs do the same, so they print the same.
    std::string const printed = run({program}).output;
    if (printed_.empty()) printed_ = printed;
    if (printed.empty() || printed != printed_)
      throw std::runtime_error("the program of " + job.subject + " prints '" + printed + "', the first one '" +
                               printed_ + "'");
  }
};

// ---- output

/// The table of targets: the older checkout's figure, where it was measured, the bound, and the newer one's.
class TargetTable {
 public:
  explicit TargetTable(Results const& results) : results_(results) {}

  void add(std::string const& subject, std::string const& column, double bound, std::string const& base = "") {
    auto const find = [&](std::string const& name) {
      return base.empty() ? results_.median(name, column) : results_.ratio(name, base, column);
    };
    auto const measured = find(subject);
    if (!measured) return;
    auto const before = find(subject + ", before");
    rows_.push_back({subject + ", " + (base.empty() ? column : "alone / " + base), before ? number(*before) : "–",
                     "≤ " + number(bound), number(*measured), *measured <= bound ? "yes" : "**no**"});
  }
  void print(std::ostream& out) const {
    if (rows_.size() == 1) return;
    out << "\nTargets\n\n";
    print_table(out, rows_);
  }

 private:
  Results const& results_;
  std::vector<Strings> rows_{{"target", "before", "wanted", "measured", "met"}};
};

void print_headers(std::ostream& out, Results const& results) {
  std::vector<Strings> rows{{"", "ms", std::string("ratio to ") + standard}};
  for (std::string const& subject : results.subjects())
    if (auto const time = results.median(subject, header_ms))
      rows.push_back({subject, number(*time), number(*results.ratio(subject, standard, header_ms))});
  out << "\nA header alone\n\n";
  print_table(out, rows);
}

void print(std::ostream& out, Results const& results, Options const& options, std::string const& machine) {
  out << machine << ", " << options.optimise << " -DNDEBUG; medians of " << options.repetitions << " runs of programs, "
      << options.repetitions * options.repetitions << " of all else\n";
  print_headers(out, results);
  print_group(out, results, "A further type", {further_text, further_ms});
  print_group(out, results, "A program of " + std::to_string(options.types) + " types",
              {program_s, program_text, link_ms});
  TargetTable targets(results);
  std::array<std::array<double, 2>, 3> const bounds{{{800, 60}, {800, 60}, {1000, 80}}};
  std::array const pools{"FixedPool", "GrowingPool", "ThreadSafePool"};
  for (std::size_t i = 0; i != pools.size(); ++i) {
    targets.add(pools[i], further_text, bounds[i][0]);
    targets.add(pools[i], further_ms, bounds[i][1]);
  }
  targets.add("fastalloc/fastalloc.hpp", header_ms, 1.6, standard);
  targets.add("fastalloc/core.hpp", header_ms, 1.15, standard);
  targets.print(out);
}

/// The picture's figures: medians, and for headers their ratios.
Results for_picture(Results const& results) {
  Results figures;
  for (char const* column : {program_s, program_text, link_ms, further_text, further_ms})
    for (std::string const& subject : results.subjects())
      if (auto const median = results.median(subject, column)) figures.add(subject, column, *median);
  for (std::string const& subject : results.subjects())
    if (auto const ratio = results.ratio(subject, standard, header_ms)) figures.add(subject, header_ratio, *ratio);
  return figures;
}

template <class Write> void write_file(std::string const& file, Write&& write) {
  std::ofstream out(file);
  write(out);
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

// ---- options

Options parse(Strings const& arguments) {
  std::map<std::string, std::string> values;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) values[arguments[i]] = arguments[i + 1];
  auto const value = [&](char const* name) {
    std::string const text = values[name];
    if (text.empty()) throw std::runtime_error(std::string(name) + " is missing; build_cost.cmake passes all options");
    return text;
  };
  Options options{.jobs = value("--jobs"),
                  .objects = value("--objects"),
                  .compiler = value("--compiler"),
                  .optimise = value("--optimise"),
                  .json = value("--json"),
                  .svg = value("--svg")};
  options.repetitions = std::stoi(value("--repetitions"));
  options.types = std::stoi(value("--types"));
  return options;
}

int run_all(Strings const& arguments) {
  Options const options = parse(arguments);
  std::vector<Job> const jobs = read_jobs(options.jobs);
  Measurement measurement(options);
  auto const measure_all = [&](bool programs) {
    for (Job const& job : jobs) {
      if ((job.kind == "program") != programs) continue;
      if (isatty(STDERR_FILENO) != 0) std::cerr << job.kind << ", " << job.subject << '\n';
      measurement.measure(job);
    }
  };
  // Programs add up many files. The others are short, and have more rounds.
  for (int round = 0; round != options.repetitions; ++round) {
    for (int again = 0; again != options.repetitions; ++again) measure_all(false);
    measure_all(true);
  }
  print(std::cout, measurement.results(), options, machine());
  Results const figures = for_picture(measurement.results());
  std::string const where = machine() + ", " + options.optimise;
  write_file(options.json, [&](std::ostream& out) { write_json(out, figures, where); });
  write_file(options.svg, [&](std::ostream& out) { draw_build_cost(out, figures, where); });
  return 0;
}

}  // namespace
}  // namespace bench::build_cost

int main(int argc, char** argv) {
  try {
    return bench::build_cost::run_all(bench::Strings(argv + 1, argv + argc));
  } catch (std::exception const& error) {
    std::cerr << "build_cost: " << error.what() << '\n';
    return 2;
  }
}
