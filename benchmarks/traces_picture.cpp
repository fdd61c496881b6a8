// SPDX-License-Identifier: MIT OR Apache-2.0
// An area of what is live, and a line of what each subject occupies; a scale for each trace.
#include "traces.hpp"

#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

namespace bench::traces {
namespace {

using fastalloc::trace::MemorySamples;

constexpr std::size_t columns = 3;
constexpr double panel_width = memory_width / columns;
constexpr double plot_left = 56;
constexpr double plot_width = panel_width - plot_left - 14;
constexpr double plot_height = 150;
constexpr double panel_height = plot_height + 44;
constexpr double legend_height = 28;

/// By the order of the subjects: ours are thick.
constexpr std::array styles{
    "stroke='#1f77b4' stroke-width='2.2'", "stroke='#1f77b4' stroke-width='1.4' stroke-dasharray='4 2'",
    "stroke='#333' stroke-width='1.2'",    "stroke='#e0a458' stroke-width='1.6'",
    "stroke='#c44e52' stroke-width='1.3'", "stroke='#6a994e' stroke-width='1.3'",
    "stroke='#7b6fd0' stroke-width='1.3'", "stroke='#17a2b8' stroke-width='1.3'"};

void draw(std::ostream& out, MemorySamples const& samples, std::string const& style, bool is_area, double most,
          double left, double top) {
  out << "<polyline " << style << " points='" << left << ',' << top + plot_height << ' ';
  for (std::size_t i = 0; i != samples.count; ++i) {
    double const x = left + plot_width * static_cast<double>(i + 1) / static_cast<double>(samples.count);
    double const y = top + plot_height * (1 - static_cast<double>(samples.bytes[i]) / most);
    out << std::round(x) << ',' << std::round(2 * y) / 2 << ' ';
  }
  if (is_area) out << left + plot_width << ',' << top + plot_height;
  out << "'/>\n";
}

void panel(std::ostream& out, Memory const& memory, double x, double top) {
  double most = 1;  // live objects that were never written to are in no page, and are cut
  for (auto const& [subject, samples] : memory.subjects)
    most = std::max(most, 1.15 * static_cast<double>(samples.most()));
  double const left = x + plot_left;
  out << "<text x='" << left << "' y='" << top - 6 << "' class='title'>" << escaped(memory.trace) << "</text>\n";
  MemorySamples live = memory.live;
  for (std::uint64_t& bytes : live.bytes) bytes = std::min(bytes, static_cast<std::uint64_t>(most));
  draw(out, live, "fill='#dbe9f4' stroke='none'", true, most, left, top);
  for (double const part : {0.0, 0.5, 1.0}) {
    double const y = top + plot_height * (1 - part);
    out << "<path d='M" << left << ' ' << y << 'h' << plot_width << "' stroke='#ddd'/><text x='" << left - 4 << "' y='"
        << y + 3 << "' text-anchor='end'>" << std::round(most * part / 1024) << " KiB</text>\n";
  }
  for (std::size_t i = 0; i != memory.subjects.size(); ++i)
    draw(out, memory.subjects[i].second, std::string("fill='none' ") + styles[i % styles.size()], false, most, left,
         top);
}

}  // namespace

double draw_memory(std::ostream& out, std::vector<Memory> const& all, double top) {
  double x = 10;
  auto const name = [&](std::string const& text, std::string const& mark) {
    out << "<path d='M" << x << ' ' << top << "h18' " << mark << "/><text x='" << x + 23 << "' y='" << top + 4 << "'>"
        << escaped(text) << "</text>\n";
    x += 44 + 5.6 * static_cast<double>(text.size());
  };
  name("requested, live", "stroke='#dbe9f4' stroke-width='8'");
  if (!all.empty())
    for (std::size_t i = 0; i != all[0].subjects.size(); ++i)
      name(all[0].subjects[i].first, std::string("fill='none' ") + styles[i % styles.size()]);
  top += legend_height;
  for (std::size_t i = 0; i != all.size(); ++i)
    panel(out, all[i], panel_width * static_cast<double>(i % columns),
          top + panel_height * static_cast<double>(i / columns));
  return top + panel_height * static_cast<double>((all.size() + columns - 1) / columns);
}

}  // namespace bench::traces
