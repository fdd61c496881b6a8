// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-replay FILE…: replays recorded allocations through malloc, through our pools, one GrowingPool for each
// size, and through memory resources, and prints what each costs. README.md says how the figures come about.
//
// Exit codes: 0, 1 when a replay cannot be carried out, 2 for wrong usage or a bad trace (the other files are
// replayed).
#include "measure.hpp"
#include "report.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

namespace {

using namespace fastalloc::trace;

constexpr unsigned max_repetitions = 1000;
constexpr char usage[] = "usage: fastalloc-replay [--repeat N] [--csv | --html] FILE...\n"
                         "  FILE        a trace that libfastalloc-record.so wrote\n"
                         "  --repeat N  measure N times, 1 to 1000, and print the median (default 7)\n"
                         "  --csv       print comma-separated values instead of tables\n"
                         "  --html      print a page with pictures\n"
                         "  --help      print this\n";

struct Options {
  unsigned repetitions = 7;
  bool is_csv = false;
  bool is_html = false;
  bool is_help = false;
  std::vector<std::string> files;
  std::string error;
};

bool parse_repetitions(std::string_view text, unsigned& result) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  return error == std::errc() && end == text.data() + text.size() && result >= 1 && result <= max_repetitions;
}

Options parse(int argc, char** argv) {
  Options options;
  bool is_option = true;
  for (int i = 1; i < argc && options.error.empty(); ++i) {
    std::string_view const argument = argv[i];
    if (!is_option || !argument.starts_with('-')) {
      options.files.emplace_back(argument);
    } else if (argument == "--") {
      is_option = false;
    } else if (argument == "--csv") {
      options.is_csv = true;
    } else if (argument == "--html") {
      options.is_html = true;
    } else if (argument == "--help" || argument == "-h") {
      options.is_help = true;
    } else if (argument == "--repeat" || argument.starts_with("--repeat=")) {
      bool const has_own = argument.size() > 8;
      std::string_view const number = has_own ? argument.substr(9) : i + 1 < argc ? argv[++i] : std::string_view();
      if (!parse_repetitions(number, options.repetitions)) {
        options.error = "--repeat takes a number from 1 to 1000, not \"" + std::string(number) + "\"";
      }
    } else {
      options.error = "unknown option " + std::string(argument);
    }
  }
  if (options.error.empty() && options.is_csv && options.is_html) {
    options.error = "choose one of --csv and --html";
  }
  if (options.error.empty() && options.files.empty()) {
    options.error = "name at least one trace file";
  }
  return options;
}

double median(std::vector<double>& values) {
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The sides take turns, so that a disturbance of the machine meets all of them.
Costs measure_costs(Script const& script, unsigned repetitions) {
  constexpr std::size_t steps_wanted = 300'000;
  auto const passes =
      static_cast<unsigned>(std::clamp<std::size_t>(steps_wanted / std::max<std::size_t>(script.timed, 1), 2, 1000));
  std::vector<double> first[measured_sides + 1], repeated[measured_sides + 1];
  for (unsigned i = 0; i != repetitions; ++i) {
    for (std::size_t side = 0; side != measured_sides + 1; ++side) {
      Timing const timing = measure_time(static_cast<SideName>(side), script, passes);
      repeated[side].push_back(timing.repeated);
      first[side].push_back(timing.first);
    }
  }
  Costs costs{};
  for (std::size_t side = 0; side != measured_sides; ++side) {
    costs.fresh[side] = median(first[side]);
    costs.warm[side] = median(repeated[side]);
  }
  costs.nothing = median(repeated[measured_sides]);
  return costs;
}

Findings examine(Script const& script, unsigned repetitions) {
  Findings findings{};
  findings.costs = measure_costs(script, repetitions);
  for (std::size_t side = 0; side != measured_sides; ++side) {
    findings.memory[side] = measure_memory(static_cast<SideName>(side), script).most();
  }
  for (std::size_t size_class = 0; size_class != size_classes; ++size_class) {
    if (script.uses(size_class)) {
      Script const part = part_of(script, size_class);
      findings.sizes.push_back(
          {size_class, part.timed, part.peak_objects, part.peak_bytes, measure_costs(part, repetitions)});
    }
  }
  std::stable_sort(findings.sizes.begin(), findings.sizes.end(),
                   [](SizeRow const& a, SizeRow const& b) { return a.saved_ns() > b.saved_ns(); });
  return findings;
}

void replay_file(std::string const& file, Options const& options) {
  Trace const trace(file);
  Script const script = make_script(trace);
  Findings const findings = script.timed == 0 ? Findings{} : examine(script, options.repetitions);
  std::string const text = options.is_csv    ? csv_rows(trace, script, findings)
                           : options.is_html ? html_report(trace, script, findings, options.repetitions)
                                             : text_report(trace, script, findings, options.repetitions);
  std::fputs(text.c_str(), stdout);
}

int fail(int code, char const* what) {
  std::fflush(stdout);
  std::fprintf(stderr, "fastalloc-replay: %s\n", what);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options const options = parse(argc, argv);
  if (options.is_help) {
    std::fputs(usage, stdout);
    return 0;
  }
  if (!options.error.empty()) {
    fail(2, options.error.c_str());
    std::fputs(usage, stderr);
    return 2;
  }
  if (options.is_csv) {
    std::fputs(csv_head().c_str(), stdout);
  }
  if (options.is_html) {
    std::fputs(html_head().c_str(), stdout);
  }
  int result = 0;
  for (std::string const& file : options.files) {
    try {
      if (!options.is_csv && !options.is_html && &file != &options.files.front()) {
        std::fputs("\n", stdout);
      }
      replay_file(file, options);
    } catch (TraceError const& error) {
      result = std::max(result, fail(2, error.what()));
    } catch (ReplayError const& error) {
      result = std::max(result, fail(1, (file + ": " + error.what()).c_str()));
    } catch (std::bad_alloc const&) {
      result =
          std::max(result, fail(1, (file + ": too little memory to prepare the replay; record a smaller run").c_str()));
    }
  }
  if (options.is_html) {
    std::fputs(html_foot().c_str(), stdout);
  }
  return result;
}
