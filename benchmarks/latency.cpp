// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-bench-latency: the time of every single operation, as percentiles, beside that of nothing at all: the
// machine's own noise. Each scenario runs in rounds, in each round every side once, in random order, each in a process
// of its own (spawn.hpp).
//
//   fastalloc-bench-latency [--markdown FILE] [--json FILE] [--preload NAME=LIBRARY]...
//                           [--scenarios TEXT] [--sides TEXT]   only those whose name contains TEXT
//                           [--divide N]                        objects, operations and rounds divided by N
//                           [--real-time]                       the measured parts run at real-time priority, where
//                                                               that is allowed
#include "latency.hpp"
#include "pictures.hpp"
#include "results.hpp"
#include "spawn.hpp"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <sched.h>
#include <sys/resource.h>

namespace bench::latency {

bool real_time_wanted = false;

namespace {

/// Whether the system allowed it.
bool set_real_time(bool on) {
  sched_param parameters{};
  parameters.sched_priority = on ? 1 : 0;
  return sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &parameters) == 0;
}

}  // namespace

Measured::Measured(Record& record) : record_(record), start_(std::chrono::steady_clock::now()) {
  Histogram own_code;
  timed(own_code, [] {});  // maps the code of record()
  if (real_time_wanted) set_real_time(true);
  count(-1);
}

Measured::~Measured() {
  count(1);
  if (!real_time_wanted) return;
  set_real_time(false);
  // Linux stops real-time processes for 50 ms when they have had 95 % of a second; that would stand in the tables as
  // the maximum.
  std::this_thread::sleep_for((std::chrono::steady_clock::now() - start_) / 8);
}

void Measured::count(long sign) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  record_.page_faults += sign * (usage.ru_minflt + usage.ru_majflt);
  record_.preemptions += sign * usage.ru_nivcsw;
}

Histogram& Record::of(std::string_view operation) {
  for (auto& [name, histogram] : operations_)
    if (name == operation) return histogram;
  return operations_.emplace_back(operation, Histogram()).second;
}

Histogram const* Record::find(std::string_view operation) const {
  for (auto const& [name, histogram] : operations_)
    if (name == operation && histogram.count() != 0) return &histogram;
  return nullptr;
}

void Record::merge(Record const& other) {
  page_faults += other.page_faults;
  preemptions += other.preemptions;
  for (auto const& [name, histogram] : other.operations_) of(name).merge(histogram);
}

void Record::write(std::ostream& out) const {
  out << page_faults << ' ' << preemptions << '\n';
  for (auto const& [name, histogram] : operations_) out << name << '\n' << histogram;
}

Record Record::read(std::string const& text) {
  Record record;
  std::istringstream in(text);
  in >> record.page_faults >> record.preemptions >> std::ws;
  for (std::string name; std::getline(in, name); in >> std::ws) in >> record.of(name);
  if (!in.eof() || record.operations_.empty()) throw std::runtime_error("a process printed no record");
  return record;
}

namespace {

struct Options {
  std::string markdown, json, scenarios, sides;
  std::size_t divisor = 1;
  bool real_time = false;
  std::vector<Preload> preloads;
};

// ---- running

std::vector<Case> all_cases() {
  auto cases = scenario_cases();
  for (Case& one : worst_cases()) cases.push_back(std::move(one));
  return cases;
}

/// Touches each page of this program's code and 64 KiB of its stack, which the system maps when they are used for the
/// first time. That counts in a fresh process; elsewhere it would hide the faults of the pools.
void touch_program() {
  unsigned char volatile stack[65536];
  for (std::size_t i = 0; i < sizeof(stack); i += 4096) stack[i] = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t first = 0, last = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &first, &last, rights) != 3 ||
        std::string_view(rights) != "r-xp")
      continue;
    if (line.find('/') == std::string::npos) continue;  // the kernel's own
    for (; first < last; first += 4096) touch(*reinterpret_cast<char const*>(first));
  }
}

int run_case(std::vector<std::string> const& arguments) {
  if (!arguments[3].empty()) require_loaded(arguments[3].c_str());
  for (Case const& one : all_cases()) {
    if (one.scenario != arguments[1] || one.side != arguments[2]) continue;
    std::size_t const divisor = std::stoull(arguments[4]);
    real_time_wanted = arguments[5] == "1";
    if (one.scenario != fresh) touch_program();
    Record record;
    one.run(record, {std::max<std::size_t>(100, one.size.objects / divisor),
                     std::max<std::size_t>(100, one.size.operations / divisor)});
    record.write(std::cout);
    return std::cout.flush() ? 0 : 1;
  }
  return 2;
}

struct Job {
  Case what;  ///< as the row is named
  std::string malloc_or_itself;
  std::string library;
  Record record;
};

std::vector<Job> jobs_of(Options const& options, std::string const& scenario) {
  std::vector<Job> jobs;
  auto const add = [&](Case const& one, std::string const& side, std::string const& library) {
    if (side.find(options.sides) == std::string::npos) return;
    jobs.push_back({one, one.side, library, {}});
    jobs.back().what.side = side;
  };
  for (Case const& one : all_cases()) {
    if (one.scenario != scenario) continue;
    add(one, one.side, "");
    if (!one.general) continue;
    for (Preload const& preload : options.preloads) add(one, preload.name, preload.library);
  }
  return jobs;
}

bool run_scenario(Options const& options, std::string const& scenario, Rows& rows) {
  std::cerr << scenario << std::flush;
  bool good = true;
  std::mt19937 random(42);
  auto jobs = jobs_of(options, scenario);
  std::vector<Job*> order;
  for (Job& job : jobs) order.push_back(&job);
  std::size_t const rounds =
      jobs.empty() ? 0 : (static_cast<std::size_t>(jobs.front().what.rounds) - 1) / options.divisor + 1;
  for (std::size_t round = 0; round != rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (Job* job : order) {
      auto const text = output_of({"--case", scenario, job->malloc_or_itself, job->library,
                                   std::to_string(options.divisor), options.real_time ? "1" : "0"},
                                  job->library);
      if (text) job->record.merge(Record::read(*text));
      else std::cerr << "\nfailed: " << scenario << ", " << job->what.side << '\n';
      good &= text.has_value();
    }
    if (round % (rounds / 6 + 1) == 0) std::cerr << '.' << std::flush;
  }
  std::cerr << '\n';
  for (Job& job : jobs) rows.push_back({std::move(job.what), std::move(job.record)});
  return good;
}

// ---- tables

struct Tables {
  Rows const& rows;
  double ns_per_tick;

  [[nodiscard]] std::string ns(Row const& row, char const* operation, double q) const {
    Histogram const* const histogram = row.record.find(operation);
    return histogram == nullptr ? "–" : number(static_cast<double>(histogram->quantile(q)) * ns_per_tick);
  }

  void print_preemptions(std::ostream& out, std::string_view scenario) const {
    long preemptions = 0;
    for (Row const& row : rows)
      if (row.what.scenario == scenario) preemptions += row.record.preemptions;
    out << "\nThe processor was taken away " << preemptions << " times.\n";
  }

  /// p99.99 of allocate and of free in each scenario, a line a side.
  void print_summary(std::ostream& out) const {
    Strings scenarios, sides;
    auto const remember = [](Strings& seen, std::string const& name) {
      if (std::find(seen.begin(), seen.end(), name) == seen.end()) seen.push_back(name);
    };
    for (Row const& row : rows)
      if (row.what.scenario != worst) remember(scenarios, row.what.scenario), remember(sides, row.what.side);
    if (sides.empty()) return;
    std::vector<Strings> lines{{"p99.99 of allocate / free (nothing), ns"}};
    for (std::string const& scenario : scenarios) lines[0].push_back(scenario);
    for (std::string const& side : sides) {
      Strings line{side};
      for (std::string const& scenario : scenarios) {
        auto const row = std::find_if(rows.begin(), rows.end(), [&](Row const& one) {
          return one.what.scenario == scenario && one.what.side == side;
        });
        line.push_back(row == rows.end() ? "–"
                                         : ns(*row, allocating, 0.9999) + " / " + ns(*row, freeing, 0.9999) + " (" +
                                               ns(*row, nothing, 0.9999) + ")");
      }
      lines.push_back(std::move(line));
    }
    out << "\n### p99.99\n\n";
    print_table(out, lines);
  }

  /// All percentiles of one scenario.
  void print_scenario(std::ostream& out, std::string const& scenario) const {
    std::vector<Strings> lines{{"", "count", "p50", "p99", "p99.9", "p99.99", "max"}};
    for (char const* operation : {allocating, freeing, nothing}) {
      for (Row const& row : rows) {
        Histogram const* const histogram = row.record.find(operation);
        if (row.what.scenario != scenario || histogram == nullptr) continue;
        Strings line{std::string(operation) + ": " + row.what.side, std::to_string(histogram->count())};
        for (double q : {0.5, 0.99, 0.999, 0.9999, 1.0}) line.push_back(ns(row, operation, q));
        lines.push_back(std::move(line));
      }
    }
    if (lines.size() == 1) return;
    out << "\n### " << scenario << ", ns\n\n";
    print_table(out, lines);
    print_preemptions(out, scenario);
  }

  void print_worst(std::ostream& out) const {
    constexpr char const* operations[] = {
        nothing,           allocating,          freeing,   "try_allocate, full",      "allocate_batch of 64",
        "key()",           "get(key)",          "share()", "lock() of a weak handle", "the last owner goes",
        "allocate_n of 8", "free of 8 adjacent"};
    std::vector<Strings> lines{{"p99.99 / max, ns"}};
    for (Row const& row : rows)
      if (row.what.scenario == worst) lines[0].push_back(row.what.side);
    if (lines[0].size() == 1) return;
    for (char const* operation : operations) {
      Strings line{operation};
      for (Row const& row : rows) {
        if (row.what.scenario != worst) continue;
        bool const measured = row.record.find(operation) != nullptr;
        line.push_back(measured ? ns(row, operation, 0.9999) + " / " + ns(row, operation, 1) : "–");
      }
      lines.push_back(std::move(line));
    }
    out << "\n### Worst case of each operation\n\n";
    print_table(out, lines);
    print_preemptions(out, worst);
  }

  void print_targets(std::ostream& out) const {
    Results const none;
    Targets targets(none);
    auto const p9999 = [&](Row const& row, char const* operation) {
      return static_cast<double>(row.record.find(operation)->quantile(0.9999)) * ns_per_tick;
    };
    std::optional<long> faults;
    std::string where;
    for (Row const& row : rows) {
      bool const touched = row.what.side.find("Pool") != std::string::npos &&
                           row.what.side.find("not pre") == std::string::npos && row.what.side != "PoolResource";
      // In a fresh process the code of an operation may be mapped when it runs first.
      if (touched && row.what.scenario != fresh) faults = faults.value_or(0) + row.record.page_faults;
      if (touched && row.record.page_faults != 0) {
        where += " " + row.what.scenario + ", " + row.what.side + ": " + std::to_string(row.record.page_faults) + ".";
      }
      if (row.what.side != "FixedPool" || row.what.scenario == worst || row.record.find(allocating) == nullptr)
        continue;
      for (char const* operation : {allocating, freeing})
        targets.add(row.what.scenario + ", " + operation + ": p99.99 of a FixedPool, ns", "≤ ", 200,
                    p9999(row, operation), p9999(row, nothing));
    }
    if (faults) targets.add("page faults of all pools after pre_initialize", "≤ ", 0, static_cast<double>(*faults));
    targets.print(out, "### Targets");
    if (!where.empty()) out << "\nPage faults:" << where << '\n';
  }

  void print(std::ostream& out) const {
    print_summary(out);
    print_worst(out);
    print_targets(out);
    for (char const* scenario : {fresh, steady, fragmented, million}) print_scenario(out, scenario);
  }
};

/// The curves of the picture (draw_latency()): a column for each scenario and for each of allocate and free.
Results curves_of(Rows const& rows, double ns_per_tick) {
  Results curves;
  auto const add = [&](std::string const& side, std::string const& column, Histogram const* histogram) {
    if (histogram == nullptr) return;
    double const end = 1 / static_cast<double>(histogram->count());
    for (double slower = first_share; slower > std::max(end, 1e-6); slower /= share_step)
      curves.add(side, column, static_cast<double>(histogram->quantile(1 - slower)) * ns_per_tick);
  };
  for (Row const& row : rows) {
    if (row.what.scenario == worst) continue;
    for (char const* operation : {allocating, freeing}) {
      std::string const column = row.what.scenario + ": " + operation;
      add(row.what.side, column, row.record.find(operation));
      if (row.what.side == "FixedPool") add(nothing, column, row.record.find(nothing));
    }
  }
  return curves;
}

// ---- options

Options parse(std::vector<std::string> const& arguments) {
  Options options;
  for (Preload& preload : preloads_of(BENCH_PRELOADS))
    if (preload.name == "mimalloc" || preload.name == "jemalloc") options.preloads.push_back(std::move(preload));
  for (std::size_t i = 0; i != arguments.size(); ++i) {
    std::string const& name = arguments[i];
    auto const value = [&]() -> std::string const& { return value_behind(arguments, i); };
    if (name == "--markdown") options.markdown = value();
    else if (name == "--json") options.json = value();
    else if (name == "--preload") options.preloads.push_back(preload_of(value()));
    else if (name == "--scenarios") options.scenarios = value();
    else if (name == "--sides") options.sides = value();
    else if (name == "--real-time") options.real_time = true;
    else if (name == "--divide") {
      std::string const& text = value();
      auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.divisor);
      if (error != std::errc() || end != text.data() + text.size() || options.divisor == 0)
        throw std::runtime_error("--divide wants a positive number, not '" + text + "'");
    } else throw std::runtime_error("unknown option " + name + "; see the head of latency.cpp");
  }
  return options;
}

/// Leaves out allocators that cannot be preloaded into this program.
void try_preloads(Options& options) {
  std::erase_if(options.preloads, [](Preload const& preload) {
    bool const failed = !output_of({"--case", fresh, "malloc", preload.library, "100", "0"}, preload.library);
    if (failed) std::cerr << "left out: " << preload.name << '\n';
    return failed;
  });
}

template <class Write> void write_file(std::string const& file, Write&& write) {
  if (file.empty()) return;
  std::ofstream out(file);
  write(out);
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

int run(std::vector<std::string> const& arguments) {
  if (arguments.size() == 6 && arguments[0] == "--case") return run_case(arguments);
  Options options = parse(arguments);
  options.real_time = options.real_time && set_real_time(true) && set_real_time(false);
  try_preloads(options);
  Rows rows;
  bool good = true;
  for (char const* scenario : {fresh, steady, fragmented, million, worst})
    if (std::string_view(scenario).find(options.scenarios) != std::string_view::npos)
      good &= run_scenario(options, scenario, rows);
  double const scale = Ticks::nanoseconds();
  Tables const tables{rows, scale};
  auto const print = [&](std::ostream& out) {
    out << machine() << ", " << (options.real_time ? "at" : "without")
        << " real-time priority; the two readings of the clock are included, a tick is " << number(scale) << " ns\n";
    tables.print(out);
  };
  print(std::cout);
  write_file(options.markdown, print);
  write_file(options.json, [&](std::ostream& out) { write_json(out, curves_of(rows, scale), machine()); });
  return good ? 0 : 1;
}

}  // namespace
}  // namespace bench::latency

int main(int argc, char** argv) {
  try {
    return bench::latency::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-bench-latency: " << error.what() << '\n';
    return 2;
  }
}
