// SPDX-License-Identifier: MIT OR Apache-2.0
// Percentiles as curves in one SVG: a row of panels for each scenario, one for allocate and one for free. To the right
// the share of slower operations falls by ten with each step; up is time. Both axes are logarithmic. A curve ends where
// one operation is left.
#include "pictures.hpp"
#include "svg.hpp"

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

constexpr double plot_left = 66;
constexpr double plot_width = 330;
constexpr double plot_height = 190;
constexpr double panel_width = (picture_width - 10) / 2;
constexpr double panel_height = plot_height + 78;
constexpr double first_panel = 106;
constexpr double rightmost = 1e-6;  // of the operations are slower there
constexpr double least = 8;         // ns
constexpr double most = 2e7;
constexpr double target = 200;

struct Style {
  char const* side;
  char const* label;
  char const* line;
};
/// The sides that are drawn, and how; the others are in the tables.
constexpr Style styles[] = {
    {"FixedPool", "FixedPool", "class='ours-line' stroke-width='2.6'"},
    {"GrowingPool", "GrowingPool", "class='ours-line' stroke-width='1.2'"},
    {"ThreadSafePool", "ThreadSafePool", "class='ours-line' stroke-width='1.6' stroke-dasharray='7 3'"},
    {"FixedPool, not pre-initialized", "FixedPool, not pre-initialized",
     "class='ours-line' stroke-width='1.2' stroke-dasharray='2 2'"},
    {"malloc", "glibc, malloc", "class='peer-line' stroke-width='2.2'"},
    {"mimalloc", "mimalloc", "class='peer-line' stroke-width='1.4' stroke-dasharray='7 3'"},
    {"jemalloc", "jemalloc", "class='peer-line' stroke-width='1.4' stroke-dasharray='2 2'"},
    {"nothing", "nothing: the clock and the machine", "class='limit-line' stroke-width='1.4'"},
};

double x_of(double slower) {
  return plot_left + plot_width * std::log(first_share / slower) / std::log(first_share / rightmost);
}
double y_of(double ns) { return plot_height * std::log(most / std::clamp(ns, least, most)) / std::log(most / least); }

void curve(std::ostream& out, std::vector<double> const& times, char const* line, double left, double top) {
  out << "<polyline " << line << " points='";
  double slower = first_share;
  for (double ns : times) {
    out << left + x_of(slower) << ',' << top + y_of(ns) << ' ';
    slower /= share_step;
  }
  out << "'/>\n";
}

void grid(std::ostream& out, std::string const& title, double left, double top) {
  out << "<text x='" << left + plot_left << "' y='" << top - 9 << "' class='title'>" << escaped(title) << "</text>\n";
  struct Mark {
    double at;
    char const* text;
  };
  for (Mark const& mark : {Mark{10, "10 ns"},
                           {100, "100 ns"},
                           {1e3, "1 µs"},
                           {1e4, "10 µs"},
                           {1e5, "100 µs"},
                           {1e6, "1 ms"},
                           {1e7, "10 ms"}})
    out << "<path d='M" << left + plot_left << ' ' << top + y_of(mark.at) << 'h' << plot_width
        << "' class='grid'/><text x='" << left + plot_left - 5 << "' y='" << top + y_of(mark.at) + 4
        << "' text-anchor='end'>" << mark.text << "</text>\n";
  for (Mark const& mark : {Mark{0.5, "50 %"},
                           {0.1, "90"},
                           {1e-2, "99"},
                           {1e-3, "99.9"},
                           {1e-4, "99.99"},
                           {1e-5, "99.999"},
                           {1e-6, "99.9999"}})
    out << "<path d='M" << left + x_of(mark.at) << ' ' << top << 'v' << plot_height << "' class='grid'/><text x='"
        << left + x_of(mark.at) << "' y='" << top + plot_height + 15 << "' text-anchor='middle'>" << mark.text
        << "</text>\n";
  out << "<text x='" << left + plot_left + plot_width / 2 << "' y='" << top + plot_height + 31
      << "' text-anchor='middle' class='soft'>percent of operations that are at least as fast</text>\n"
      << "<text transform='translate(" << left + 20 << ' ' << top + plot_height / 2
      << ") rotate(-90)' text-anchor='middle' class='soft'>time of one operation</text>\n"
      << "<path d='M" << left + x_of(1e-4) - 7 << ' ' << top + y_of(target)
      << "h14' class='mark' stroke-width='1.8'/>\n";
}

void legend(std::ostream& out) {
  double x = 10, y = 57;
  for (Style const& style : styles) {
    double const width = 44 + 6.2 * static_cast<double>(std::string(style.label).size());
    if (x + width > picture_width) x = 10, y += 17;
    out << "<path d='M" << x << ' ' << y - 4 << "h26' " << style.line << "/><text x='" << x + 31 << "' y='" << y << "'>"
        << style.label << "</text>\n";
    x += width;
  }
}

}  // namespace

void draw_latency(std::ostream& out, Results const& results, std::string const& machine) {
  Strings const& titles = results.columns();
  std::size_t const rows = (titles.size() + 1) / 2;
  begin_svg(out, first_panel + panel_height * static_cast<double>(rows),
            "Time of single operations by percentile, the reading of the clock included: lower is better",
            machine + "; both axes logarithmic; the short bar marks 200 ns at 99.99 %");
  legend(out);
  for (std::size_t i = 0; i != titles.size(); ++i) {
    double const left = panel_width * static_cast<double>(i % 2);
    double const top = first_panel + panel_height * static_cast<double>(i / 2);
    grid(out, titles[i], left, top);
    // The pools come last, on top.
    for (std::size_t style = std::size(styles); style-- != 0;)
      if (auto const* times = results.rounds(styles[style].side, titles[i]))
        curve(out, *times, styles[style].line, left, top);
  }
  out << "</svg>\n";
}

}  // namespace bench
