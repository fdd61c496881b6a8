// SPDX-License-Identifier: MIT OR Apache-2.0
// Formats findings. A ratio is malloc's figure divided by another side's, so above 1 that side is better.
#include "report.hpp"

#include <cstdarg>
#include <cstdio>

namespace fastalloc::trace {

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t place = text.size(); place > 3;) {
    place -= 3;
    text.insert(place, 1, ',');
  }
  return text;
}

namespace {

constexpr std::size_t rows_shown = 12;

#if defined(__GNUC__)
[[gnu::format(printf, 1, 2)]]
#endif
std::string format(char const* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof(text), pattern, arguments);
  va_end(arguments);
  return text;
}

double ratio(double malloc_figure, double pools_figure) noexcept {
  return pools_figure > 0 ? malloc_figure / pools_figure : 0;
}

std::uint64_t count(Script const& script, Action action) { return script.actions[static_cast<std::size_t>(action)]; }

std::string about(Trace const& trace) {
  double const bytes_per_event =
      trace.events() == 0 ? 0 : static_cast<double>(trace.event_bytes()) / static_cast<double>(trace.events());
  std::string text = trace.file() + ": " + trace.program() + format(", process %u, ", trace.pid()) +
                     grouped(trace.events()) + " calls in " + grouped(trace.threads()) +
                     (trace.threads() == 1 ? " thread" : " threads") +
                     format(" (%.1f bytes a call)\n", bytes_per_event);
  if (trace.threads() > 1) {
    text += "  The calls of all threads are replayed in their recorded order by one thread.\n";
  }
  if (trace.ending() == Ending::none) {
    text += "  The program was killed, was replaced by another one, or still runs: the trace holds its calls so far.\n";
  } else if (trace.ending() == Ending::stopped) {
    text += "  The recorder stopped before the program did (disk full, or limit reached): the first part is here.\n";
  }
  return text;
}

std::string totals(Script const& script) {
  std::string text = "operations      " + grouped(script.timed) + ": allocate " +
                     grouped(count(script, Action::allocate) + count(script, Action::allocate_zeroed) +
                             count(script, Action::allocate_aligned)) +
                     " (zeroed " + grouped(count(script, Action::allocate_zeroed)) + ", over-aligned " +
                     grouped(count(script, Action::allocate_aligned)) + "), reallocate " +
                     grouped(count(script, Action::reallocate)) + ", free " + grouped(count(script, Action::free)) +
                     "\n";
  text += "live peak       " + grouped(script.peak_objects) + " objects, " + grouped(script.peak_bytes) + " bytes\n";
  return text + "left to malloc  " + grouped(script.left_to_malloc) +
         " operations on all sides (larger than 32 KiB, or aligned to more than 16 bytes)\n\n";
}

constexpr char const* side_names[measured_sides] = {"malloc", "pools", "PoolResource", "std::pmr pool"};

// A row of figures, then one of malloc's figure divided by each.
template <class Figure>
std::string compared(char const* what, Figure const (&figures)[measured_sides], Figure unit, int digits) {
  std::string text = format("%-34s", what);
  for (Figure const figure : figures) {
    std::string const shown = digits != 0
                                  ? format("%.*f", digits, static_cast<double>(figure) / static_cast<double>(unit))
                                  : grouped((static_cast<std::uint64_t>(figure) + 512) / 1024);
    text += format(" %14s", shown.c_str());
  }
  text += format("\n%-34s", "  ratio");
  for (Figure const figure : figures) {
    text += format(" %13.2fx", ratio(static_cast<double>(figures[0]), static_cast<double>(figure)));
  }
  return text + "\n";
}

std::string comparison(Findings const& findings) {
  std::string text = format("%-34s", "");
  for (char const* const name : side_names) {
    text += format(" %14s", name);
  }
  text += '\n';
  text += compared("ns per operation, fresh process", findings.costs.fresh, 1.0, 1);
  text += compared("ns per operation, warm", findings.costs.warm, 1.0, 1);
  text += compared("peak memory, KiB", findings.memory, std::uint64_t{1024}, 0);
  return text + format("The replay loop itself takes %.1f ns per operation; it is part of all figures.\n\n",
                       findings.costs.nothing);
}

std::string size_name(std::size_t size_class) {
  return size_class == beyond ? "beyond" : grouped(class_bytes(size_class));
}

std::string sizes_table(std::vector<SizeRow> const& sizes) {
  std::string text = "Which sizes gain most from pools (each measured alone, warm):\n";
  text += format("%12s %12s %12s %10s %10s %12s %8s %12s\n", "object bytes", "operations", "live peak", "malloc ns",
                 "pool ns", "resource ns", "ratio", "saved us");
  std::size_t shown = 0;
  for (SizeRow const& row : sizes) {
    if (shown++ == rows_shown) {
      text += format("%12s %zu more sizes: --csv prints them all\n", "", sizes.size() - rows_shown);
      break;
    }
    double const malloc = row.costs.of(SideName::malloc);
    double const pools = row.costs.of(SideName::pools);
    text += format("%12s %12s %12s %10.1f %10.1f %12.1f %7.2fx %12.1f\n", size_name(row.size_class).c_str(),
                   grouped(row.operations).c_str(), grouped(row.peak_objects).c_str(), malloc, pools,
                   row.costs.of(SideName::resource), ratio(malloc, pools), row.saved_ns() / 1000);
  }
  return text;
}

std::string quoted(std::string const& text) {
  std::string result = "\"";
  for (char const c : text) {
    result += c == '"' ? "\"\"" : std::string(1, c);
  }
  return result + "\"";
}

}  // namespace

std::string text_report(Trace const& trace, Script const& script, Findings const& findings, unsigned repetitions) {
  std::string text = about(trace) + totals(script);
  if (script.timed == 0) {
    return text + "There is nothing to replay.\n";
  }
  text += comparison(findings) + sizes_table(findings.sizes);
  text += format("\nMedians of %u repetition%s. Ratio: malloc divided by that side (below: by the pools); above 1, it "
                 "is better.\n",
                 repetitions, repetitions == 1 ? "" : "s");
#ifndef NDEBUG
  text += "Built without NDEBUG: the pools check every free, and the times say little about a release build.\n";
#endif
  return text;
}

std::string csv_head() {
  return "file,object_bytes,operations,live_peak_objects,live_peak_bytes,ns_malloc,ns_pools,ns_loop,ratio,"
         "ns_malloc_fresh,ns_pools_fresh,saved_ns,memory_malloc,memory_pools,ns_resource,ns_std_resource,"
         "ns_resource_fresh,ns_std_resource_fresh,memory_resource,memory_std_resource\n";
}

std::string csv_rows(Trace const& trace, Script const& script, Findings const& findings) {
  std::string const file = quoted(trace.file());
  auto const row = [&](std::string const& bytes, std::uint64_t operations, std::uint64_t objects, std::uint64_t live,
                       Costs const& costs, std::uint64_t const* memory) {
    auto const& [malloc, pools, resource, std_resource] = costs.warm;
    auto const& fresh = costs.fresh;
    auto const kept = [&](std::size_t side) {
      return memory == nullptr ? std::string() : std::to_string(memory[side]);
    };
    return file + "," + bytes + "," + std::to_string(operations) + "," + std::to_string(objects) + "," +
           std::to_string(live) +
           format(",%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f,", malloc, pools, costs.nothing, ratio(malloc, pools), fresh[0],
                  fresh[1], (malloc - pools) * static_cast<double>(operations)) +
           kept(0) + "," + kept(1) + format(",%.3f,%.3f,%.3f,%.3f,", resource, std_resource, fresh[2], fresh[3]) +
           kept(2) + "," + kept(3) + "\n";
  };
  std::string text = row("all", script.timed, script.peak_objects, script.peak_bytes, findings.costs, findings.memory);
  for (SizeRow const& size : findings.sizes) {
    std::string const bytes = size.size_class == beyond ? "beyond" : std::to_string(class_bytes(size.size_class));
    text += row(bytes, size.operations, size.peak_objects, size.peak_bytes, size.costs, nullptr);
  }
  return text;
}

}  // namespace fastalloc::trace
