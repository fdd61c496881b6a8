// SPDX-License-Identifier: MIT OR Apache-2.0
// Formats findings. A ratio is malloc's figure divided by the pools', so above 1 the pools are better.
#include "report.hpp"

#include <cstdarg>
#include <cstdio>

namespace fastalloc::trace {
namespace {

constexpr std::size_t rows_shown = 12;

#if defined(__GNUC__)
[[gnu::format(printf, 1, 2)]]
#endif
std::string
format(char const* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof(text), pattern, arguments);
  va_end(arguments);
  return text;
}

// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t place = text.size(); place > 3;) {
    place -= 3;
    text.insert(place, 1, ',');
  }
  return text;
}

double ratio(double malloc_figure, double pools_figure) noexcept {
  return pools_figure > 0 ? malloc_figure / pools_figure : 0;
}

std::string kibibytes(std::uint64_t bytes) { return grouped((bytes + 512) / 1024); }

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
         " operations on both sides (larger than 32 KiB, or aligned to more than 16 bytes)\n\n";
}

std::string comparison(Findings const& findings) {
  Costs const& costs = findings.costs;
  std::string text = format("%-34s %10s %10s %8s\n", "", "malloc", "pools", "ratio");
  text += format("%-34s %10.1f %10.1f %7.2fx\n", "ns per operation, fresh process", costs.first_malloc,
                 costs.first_pools, ratio(costs.first_malloc, costs.first_pools));
  text += format("%-34s %10.1f %10.1f %7.2fx\n", "ns per operation, warm", costs.malloc, costs.pools,
                 ratio(costs.malloc, costs.pools));
  text += format("%-34s %10s %10s %7.2fx\n", "peak memory, KiB", kibibytes(findings.memory_malloc).c_str(),
                 kibibytes(findings.memory_pools).c_str(),
                 ratio(static_cast<double>(findings.memory_malloc), static_cast<double>(findings.memory_pools)));
  return text +
         format("The replay loop itself takes %.1f ns per operation; it is part of both figures.\n\n", costs.nothing);
}

std::string size_name(std::size_t size_class) {
  return size_class == beyond ? "beyond" : grouped(class_bytes(size_class));
}

std::string sizes_table(std::vector<SizeRow> const& sizes) {
  std::string text = "Which sizes gain most (each measured alone, warm):\n";
  text += format("%12s %12s %12s %10s %10s %8s %12s\n", "object bytes", "operations", "live peak", "malloc ns",
                 "pool ns", "ratio", "saved us");
  std::size_t shown = 0;
  for (SizeRow const& row : sizes) {
    if (shown++ == rows_shown) {
      text += format("%12s %zu more sizes: --csv prints them all\n", "", sizes.size() - rows_shown);
      break;
    }
    text += format("%12s %12s %12s %10.1f %10.1f %7.2fx %12.1f\n", size_name(row.size_class).c_str(),
                   grouped(row.operations).c_str(), grouped(row.peak_objects).c_str(), row.costs.malloc,
                   row.costs.pools, ratio(row.costs.malloc, row.costs.pools), row.saved_ns() / 1000);
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
  text += format("\nMedians of %u repetition%s. Ratio: malloc divided by pools; above 1, the pools are better.\n",
                 repetitions, repetitions == 1 ? "" : "s");
#ifndef NDEBUG
  text += "Built without NDEBUG: the pools check every free, and the times say little about a release build.\n";
#endif
  return text;
}

std::string csv_head() {
  return "file,object_bytes,operations,live_peak_objects,live_peak_bytes,ns_malloc,ns_pools,ns_loop,ratio,"
         "ns_malloc_fresh,ns_pools_fresh,saved_ns,memory_malloc,memory_pools\n";
}

std::string csv_rows(Trace const& trace, Script const& script, Findings const& findings) {
  std::string const file = quoted(trace.file());
  auto const row = [&](std::string const& bytes, std::uint64_t operations, std::uint64_t objects, std::uint64_t live,
                       Costs const& costs) {
    double const saved = (costs.malloc - costs.pools) * static_cast<double>(operations);
    return file + "," + bytes + "," + std::to_string(operations) + "," + std::to_string(objects) + "," +
           std::to_string(live) +
           format(",%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f", costs.malloc, costs.pools, costs.nothing,
                  ratio(costs.malloc, costs.pools), costs.first_malloc, costs.first_pools, saved);
  };
  std::string text = row("all", script.timed, script.peak_objects, script.peak_bytes, findings.costs) + "," +
                     std::to_string(findings.memory_malloc) + "," + std::to_string(findings.memory_pools) + "\n";
  for (SizeRow const& size : findings.sizes) {
    std::string const bytes = size.size_class == beyond ? "beyond" : std::to_string(class_bytes(size.size_class));
    text += row(bytes, size.operations, size.peak_objects, size.peak_bytes, size.costs) + ",,\n";
  }
  return text;
}

}  // namespace fastalloc::trace
