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

constexpr std::size_t columns = 2;
constexpr double panel_width = (picture_width - 10) / columns;
constexpr double plot_left = 70;
constexpr double plot_width = panel_width - plot_left - 14;
constexpr double plot_height = 150;
constexpr double panel_height = plot_height + 44;
constexpr double legend_height = 28;

/// By the order of the subjects: ours are blue.
constexpr std::array styles{"class='ours-line' stroke-width='2.4'",
                            "class='ours-line' stroke-width='1.6' stroke-dasharray='4 2'",
                            "class='limit-line' stroke-width='1.8'",
                            "class='peer-line' stroke-width='2.2'",
                            "class='peer-line' stroke-width='1.4' stroke-dasharray='8 3'",
                            "class='peer-line' stroke-width='1.4' stroke-dasharray='2 2'",
                            "class='peer-line' stroke-width='1.4' stroke-dasharray='9 3 2 3'",
                            "class='limit-line' stroke-width='1.4' stroke-dasharray='4 2'"};
constexpr char const* area = "class='ours' fill-opacity='0.18'";

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
  draw(out, live, area, true, most, left, top);
  for (double const part : {0.0, 0.5, 1.0}) {
    double const y = top + plot_height * (1 - part);
    out << "<path d='M" << left << ' ' << y << 'h' << plot_width << "' class='grid'/><text x='" << left - 4 << "' y='"
        << y + 4 << "' text-anchor='end'>" << std::round(most * part / 1024) << " KiB</text>\n";
  }
  for (std::size_t i = 0; i != memory.subjects.size(); ++i)
    draw(out, memory.subjects[i].second, styles[i % styles.size()], false, most, left, top);
}

}  // namespace

double draw_memory(std::ostream& out, std::vector<Memory> const& all, double top) {
  double x = 10;
  auto const name = [&](std::string const& text, char const* shape, char const* mark) {
    double const needed = 46 + 6.2 * static_cast<double>(text.size());
    if (x + needed > picture_width) x = 10, top += 17;
    out << "<path d='M" << x << ' ' << top << shape << "' " << mark << "/><text x='" << x + 29 << "' y='" << top + 4
        << "'>" << escaped(text) << "</text>\n";
    x += needed;
  };
  name("requested, live", "m0 -4h24v8h-24z", area);
  if (!all.empty())
    for (std::size_t i = 0; i != all[0].subjects.size(); ++i)
      name(all[0].subjects[i].first, "h24", styles[i % styles.size()]);
  top += legend_height;
  for (std::size_t i = 0; i != all.size(); ++i)
    panel(out, all[i], panel_width * static_cast<double>(i % columns),
          top + panel_height * static_cast<double>(i / columns));
  return top + panel_height * static_cast<double>((all.size() + columns - 1) / columns);
}

}  // namespace bench::traces
