// SPDX-License-Identifier: MIT OR Apache-2.0
// The main columns as bars, one panel a workload, in one SVG. Bars that would leave the panel are cut and say so.
#include "suite.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace bench {
namespace {

constexpr double panel_width = 370;
constexpr double names_width = 165;
constexpr double bar_width = 140;
constexpr double bar_height = 14;
constexpr double title_height = 26;
constexpr std::size_t panels_a_row = 3;

char const* colour(std::string const& subject) {
  if (subject.find("Pool") != std::string::npos && subject.find("::") == std::string::npos) return "#1f77b4";
  if (subject == "LIMIT") return "#7f7f7f";
  return "#e0a458";
}

std::string label(double value) {
  std::ostringstream text;
  text.precision(value < 10 ? 2 : 3);
  if (value >= 1000) text.precision(4);
  text << value;
  return text.str();
}

struct Bar {
  std::string subject;
  double time;
};

void panel(std::ostream& out, std::string const& title, std::vector<Bar> const& bars, double x, double y) {
  // Three times the median fills the panel: what is slower than that is cut.
  std::vector<double> times;
  for (auto const& bar : bars) times.push_back(bar.time);
  std::sort(times.begin(), times.end());
  double const full = std::min(times.back(), 3 * times[times.size() / 2]);
  out << "<text x='" << x << "' y='" << y + 16 << "' class='title'>" << escaped(title) << "</text>\n";
  y += title_height;
  for (auto const& bar : bars) {
    bool const cut = bar.time > full;
    double const length = bar_width * std::min(bar.time, full) / full;
    double const left = x + names_width;
    double const base = y + bar_height - 4;
    out << "<text x='" << left - 5 << "' y='" << base << "' text-anchor='end'>" << escaped(bar.subject) << "</text>"
        << "<rect x='" << left << "' y='" << y + 1 << "' width='" << length << "' height='" << bar_height - 3
        << "' fill='" << colour(bar.subject) << "'/>"
        << "<text x='" << left + length + 4 << "' y='" << base << "'>" << (cut ? "» " : "") << label(bar.time)
        << "</text>\n";
    y += bar_height;
  }
}

}  // namespace

void write_svg(std::ostream& out, Results const& results, std::string const& machine) {
  constexpr std::array wanted{"pairObj",    "bulkRND 1k", "churn 1k",   "pair",    "bulkRND 100k",
                              "churn 100k", "wave 10k",   "bulkRND 1M", "churn 1M"};
  std::vector<std::pair<std::string, std::vector<Bar>>> panels;
  std::size_t most = 0;
  for (char const* column : wanted) {
    std::vector<Bar> bars;
    for (auto const& subject : results.subjects())
      if (auto const time = results.median(subject, column)) bars.push_back({subject, *time});
    if (bars.empty()) continue;
    most = std::max(most, bars.size());
    panels.emplace_back(column, std::move(bars));
  }
  double const panel_height = title_height + bar_height * static_cast<double>(most) + 14;
  auto const rows = static_cast<double>((panels.size() + panels_a_row - 1) / panels_a_row);
  double const width = panel_width * panels_a_row + 20;
  double const height = 44 + panel_height * rows;
  begin_svg(out, width, height, "ns per allocate+free pair of a 64-byte object: shorter is better",
            machine + "; » marks a bar that is cut");
  for (std::size_t i = 0; i != panels.size(); ++i) {
    double const x = 10 + panel_width * static_cast<double>(i % panels_a_row);
    double const y = 40 + panel_height * static_cast<double>(i / panels_a_row);
    panel(out, panels[i].first, panels[i].second, x, y);
  }
  out << "</svg>\n";
}

}  // namespace bench
