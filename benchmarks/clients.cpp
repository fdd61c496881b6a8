// SPDX-License-Identifier: MIT OR Apache-2.0
// Other people's programs (examples/clients) over our resource, beside their own memory from glibc and from the general
// allocators. In each round every program runs once with each of them, in random order, each in a process of its own,
// measured whole by wait4(): from exec to the last page given back.
//
//   fastalloc-bench-clients [--quick] [--rounds N] [--size N] [--clients REGEX] [--preload NAME=LIBRARY]...
//                           [--instructions] [--markdown FILE]
//
// --quick: three rounds. --size: of the work; without it, that of the published figures. --instructions: counted by
// valgrind, in one more run of each; minutes. Fails if a result differs from that of the program's own memory.
#include "results.hpp"
#include "spawn.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>

#include <sys/resource.h>

namespace bench {
namespace {

constexpr char const* ours = "fastalloc";
constexpr char const* plain = "glibc";

struct Options {
  int rounds = 7;
  std::string size = "full";
  std::string clients = ".*";
  std::string markdown;
  bool instructions = false;
  std::vector<Preload> preloads = preloads_of(BENCH_PRELOADS);
};

struct Job {
  std::string client;
  std::string program;
  std::string subject;
  std::string way;      ///< of the program's command line
  std::string library;  ///< preloaded
};

/// The programs that were built: NAME=PATH, separated by ':'.
std::vector<Job> jobs_of(Options const& options) {
  std::vector<Job> jobs;
  for (auto const& [name, path] : preloads_of(BENCH_CLIENTS)) {
    if (!std::regex_search(name, std::regex(options.clients))) continue;
    jobs.push_back({name, path, ours, "fastalloc", ""});
    jobs.push_back({name, path, plain, "default", ""});
    if (name == "word_count") jobs.push_back({name, path, "std::pmr pool", "std_pool", ""});
    for (auto const& [subject, library] : options.preloads) jobs.push_back({name, path, subject, "default", library});
  }
  return jobs;
}

/// What was measured of each client (column) and subject.
struct Measured {
  Results cpu, user, system, faults, peak, instructions;
  std::map<std::string, std::string> checksums;

  void add(Job const& job, Ended const& run) {
    auto const ms = [](timeval const& time) {
      return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    user.add(job.subject, job.client, ms(run.used.ru_utime));
    system.add(job.subject, job.client, ms(run.used.ru_stime));
    cpu.add(job.subject, job.client, ms(run.used.ru_utime) + ms(run.used.ru_stime));
    faults.add(job.subject, job.client, static_cast<double>(run.used.ru_minflt + run.used.ru_majflt));
    peak.add(job.subject, job.client, static_cast<double>(run.used.ru_maxrss) / 1024);
    auto const [first, is_new] = checksums.emplace(job.client, run.output);
    if (first->second != run.output)
      throw std::runtime_error(job.client + " with " + job.subject + ": the result differs");
  }
};

Ended run(Job const& job, Options const& options) {
  auto ended = run_program(job.program, {job.way, options.size}, job.library);
  if (!ended) throw std::runtime_error(job.program + " " + job.way + " failed with " + job.subject);
  return *std::move(ended);
}

void count_instructions(Job const& job, Options const& options, Measured& measured) {
  auto const ended = run_program(
      "valgrind",
      {"--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1", job.program, job.way, options.size},
      job.library);
  std::smatch count;
  if (ended && std::regex_search(ended->output, count, std::regex("Collected : ([0-9]+)")))
    measured.instructions.add(job.subject, job.client, std::stod(count[1]) / 1e6);
  else std::cerr << "no instructions of " << job.client << " with " << job.subject << ": valgrind failed\n";
}

/// A library that the loader cannot load would be ignored.
void require_preloads(Options const& options) {
  for (auto const& [name, library] : options.preloads)
    if (!output_of({"--loaded", library}, library)) throw std::runtime_error(library + " does not replace malloc here");
}

Measured measure(Options const& options) {
  std::vector<Job> const jobs = jobs_of(options);
  if (jobs.empty()) throw std::runtime_error("no client was built, or matches --clients");
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(1);
  Measured measured;
  for (Job const& job : jobs) (void)run(job, options);  // files are read once before
  for (int round = 0; round != options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    std::vector<Ended> ended(jobs.size());
    for (std::size_t const i : order) ended[i] = run(jobs[i], options);
    for (std::size_t i = 0; i != jobs.size(); ++i) measured.add(jobs[i], ended[i]);
    std::cerr << '.' << std::flush;
  }
  if (options.instructions)
    for (Job const& job : jobs) count_instructions(job, options, measured);
  std::cerr << '\n';
  return measured;
}

void print(std::ostream& out, Measured const& measured, Options const& options) {
  Strings const& clients = measured.cpu.columns();
  out << machine() << "; medians of " << options.rounds << " rounds; all results are equal\n";
  // For a target the ratios the other way round: ours by theirs.
  std::vector<Strings> rows{{"CPU time, fastalloc by"}};
  rows[0].insert(rows[0].end(), clients.begin(), clients.end());
  for (auto const& subject : measured.cpu.subjects()) {
    if (subject == ours) continue;
    Strings row{subject};
    for (auto const& client : clients) {
      auto const ratio = measured.cpu.ratio(ours, subject, client);
      row.push_back(ratio ? number(*ratio) : "–");
    }
    rows.push_back(std::move(row));
  }
  out << '\n';
  print_table(out, rows);
  print_group(out, measured.cpu, "CPU time, ms", clients);
  print_group(out, measured.user, "of it in the program, ms", clients);
  print_group(out, measured.system, "of it in the system, ms", clients);
  print_group(out, measured.faults, "Page faults", clients);
  print_group(out, measured.peak, "Peak resident memory, MB", clients);
  print_group(out, measured.instructions, "Instructions of the program, millions", clients);
}

Options parse(Strings const& arguments) {
  Options options;
  for (std::size_t i = 0; i != arguments.size(); ++i) {
    std::string const& name = arguments[i];
    auto const value = [&]() -> std::string const& { return value_behind(arguments, i); };
    if (name == "--quick") options.rounds = 3;
    else if (name == "--rounds") options.rounds = std::max(1, std::atoi(value().c_str()));
    else if (name == "--size") options.size = value();
    else if (name == "--clients") options.clients = value();
    else if (name == "--preload") options.preloads.push_back(preload_of(value()));
    else if (name == "--instructions") options.instructions = true;
    else if (name == "--markdown") options.markdown = value();
    else throw std::runtime_error("unknown option " + name + "; see the head of benchmarks/clients.cpp");
  }
  return options;
}

void run_all(Strings const& arguments) {
  Options const options = parse(arguments);
  require_preloads(options);
  std::ostringstream text;
  print(text, measure(options), options);
  std::cout << text.str();
  if (!options.markdown.empty() && !(std::ofstream(options.markdown) << text.str()))
    throw std::runtime_error("cannot write " + options.markdown);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::Strings const arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 2 && arguments[0] == "--loaded") bench::require_loaded(arguments[1].c_str());
    else bench::run_all(arguments);
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-bench-clients: " << error.what() << '\n';
    return 1;
  }
}
