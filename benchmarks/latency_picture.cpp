// SPDX-License-Identifier: MIT OR Apache-2.0
// Percentiles as curves in one SVG: a row of panels for each scenario, one for allocate and one for free. To the right
// the share of slower operations falls by ten with each step; up is time. Both axes are logarithmic. A curve ends where
// one operation is left.
#include "latency.hpp"
#include "svg.hpp"

#include <algorithm>
#include <cmath>

namespace bench::latency {
namespace {

constexpr double plot_left = 46;
constexpr double plot_width = 360;
constexpr double plot_height = 190;
constexpr double panel_width = plot_left + plot_width + 36;
constexpr double panel_height = plot_height + 58;
constexpr double first_panel = 86;
constexpr double rightmost = 1e-6;  // of the operations are slower there
constexpr double leftmost = 0.5;
constexpr double least = 8;  // ns
constexpr double most = 2e7;
constexpr double target = 200;

struct Style {
  char const* side;
  char const* label;
  char const* stroke;
};
/// What is drawn, and how; the others are in the tables.
constexpr Style styles[] = {
    {nothing, "nothing (FixedPool's process)", "stroke='#7f7f7f' stroke-width='1.3' stroke-dasharray='2 2'"},
    {"malloc", "malloc (glibc)", "stroke='#e0a458' stroke-width='1.4'"},
    {"mimalloc", "mimalloc", "stroke='#c44e52' stroke-width='1.4'"},
    {"jemalloc", "jemalloc", "stroke='#6a994e' stroke-width='1.4'"},
    {"FixedPool, not pre-initialized", "FixedPool, not pre-initialized",
     "stroke='#1f77b4' stroke-width='1.3' stroke-dasharray='5 3'"},
    {"ThreadSafePool", "ThreadSafePool", "stroke='#7b6fd0' stroke-width='1.6'"},
    {"GrowingPool", "GrowingPool", "stroke='#17a2b8' stroke-width='1.6'"},
    {"FixedPool", "FixedPool", "stroke='#1f77b4' stroke-width='2.4'"},
};

double x_of(double slower) {
  return plot_left + plot_width * std::log(leftmost / slower) / std::log(leftmost / rightmost);
}
double y_of(double ns) { return plot_height * std::log(most / std::clamp(ns, least, most)) / std::log(most / least); }

void curve(std::ostream& out, Histogram const& histogram, double ns_per_tick, char const* stroke, double left,
           double top) {
  out << "<polyline fill='none' " << stroke << " points='";
  double const end = std::max(rightmost, 1 / static_cast<double>(histogram.count()));
  constexpr double step = 1.1;
  for (double slower = leftmost; slower > end / step; slower /= step) {
    double const at = std::max(slower, end);
    out << left + x_of(at) << ',' << top + y_of(static_cast<double>(histogram.quantile(1 - at)) * ns_per_tick) << ' ';
  }
  out << "'/>\n";
}

void grid(std::ostream& out, std::string const& title, double left, double top) {
  out << "<text x='" << left + plot_left << "' y='" << top - 8 << "' class='title'>" << escaped(title) << "</text>\n";
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
        << "' stroke='#ddd'/><text x='" << left + plot_left - 5 << "' y='" << top + y_of(mark.at) + 3
        << "' text-anchor='end'>" << mark.text << "</text>\n";
  for (Mark const& mark : {Mark{0.5, "50 %"},
                           {0.1, "90"},
                           {1e-2, "99"},
                           {1e-3, "99.9"},
                           {1e-4, "99.99"},
                           {1e-5, "99.999"},
                           {1e-6, "99.9999"}})
    out << "<path d='M" << left + x_of(mark.at) << ' ' << top << 'v' << plot_height << "' stroke='#eee'/><text x='"
        << left + x_of(mark.at) << "' y='" << top + plot_height + 13 << "' text-anchor='middle'>" << mark.text
        << "</text>\n";
  // The target: 200 ns at 99.99 %.
  out << "<path d='M" << left + x_of(1e-4) - 7 << ' ' << top + y_of(target)
      << "h14' stroke='#222' stroke-width='1.6'/>\n";
}

void legend(std::ostream& out) {
  double x = 10, y = 49;
  for (Style const& style : styles) {
    double const width = 36 + 5.6 * static_cast<double>(std::string(style.label).size());
    if (x + width > 2 * panel_width) x = 10, y += 15;
    out << "<path d='M" << x << ' ' << y - 3 << "h22' fill='none' " << style.stroke << "/><text x='" << x + 27
        << "' y='" << y << "'>" << style.label << "</text>\n";
    x += width;
  }
}

}  // namespace

void write_picture(std::ostream& out, Rows const& rows, double ns_per_tick, std::string const& machine) {
  std::vector<std::string> scenarios;
  for (Row const& row : rows)
    if (row.what.scenario != worst && (scenarios.empty() || scenarios.back() != row.what.scenario))
      scenarios.push_back(row.what.scenario);
  begin_svg(out, 2 * panel_width, first_panel + panel_height * static_cast<double>(scenarios.size()),
            "Time of single operations by percentile, the reading of the clock included: lower is better",
            machine + "; both axes logarithmic; the black mark: 200 ns at 99.99 %");
  legend(out);
  double top = first_panel + 14;
  for (std::string const& scenario : scenarios) {
    double left = 0;
    for (char const* operation : {allocating, freeing}) {
      grid(out, scenario + ": " + operation, left, top);
      for (Style const& style : styles) {
        bool const empty = style.side == std::string_view(nothing);
        for (Row const& row : rows) {
          if (row.what.scenario != scenario || row.what.side != (empty ? "FixedPool" : style.side)) continue;
          Histogram const* const histogram = row.record.find(empty ? nothing : operation);
          if (histogram != nullptr) curve(out, *histogram, ns_per_tick, style.stroke, left, top);
        }
      }
      left += panel_width;
    }
    top += panel_height;
  }
  out << "</svg>\n";
}

}  // namespace bench::latency
