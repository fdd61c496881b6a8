// SPDX-License-Identifier: MIT OR Apache-2.0
// Areas of what is in use, and lines of what is held and resident. The panels of a row have one scale.
#include "memory.hpp"
#include "results.hpp"
#include "svg.hpp"

#include <algorithm>
#include <cmath>

namespace bench::memory {
namespace {

constexpr double plot_left = 58;
constexpr double plot_height = 130;
constexpr double panel_height = plot_height + 44;
constexpr double first_panel = 90;
constexpr double mb = 1 << 20;

std::uint64_t in_use(Sample const& sample) { return sample.in_use; }
std::uint64_t held(Sample const& sample) { return sample.held; }
std::uint64_t resident(Sample const& sample) { return sample.resident; }

struct Line {
  char const* label;
  std::uint64_t (*value)(Sample const&);
  char const* style;
};
constexpr Line lines[] = {{"in use", in_use, "class='ours' fill-opacity='0.25'"},
                          {"resident", resident, "class='peer-line' stroke-width='1.8'"},
                          {"held", held, "class='mark' stroke-width='1.3' stroke-dasharray='4 2'"}};

/// Whole units are exact enough, and short.
void draw(std::ostream& out, Samples const& samples, Line const& line, double most, double left, double top,
          double plot_width) {
  bool const is_area = line.value == in_use;
  out << "<polyline " << line.style << " points='";
  if (is_area) out << left << ',' << top + plot_height << ' ';
  for (std::size_t i = 0; i != samples.size(); ++i) {
    double const x = left + plot_width * static_cast<double>(i + 1) / static_cast<double>(samples.size());
    double const y = top + plot_height * (1 - static_cast<double>(line.value(samples[i])) / most);
    out << std::round(x) << ',' << std::round(2 * y) / 2 << ' ';
  }
  if (is_area) out << left + plot_width << ',' << top + plot_height;
  out << "'/>\n";
}

void panel(std::ostream& out, Curve const& curve, double most, double left, double top, double plot_width) {
  out << "<text x='" << left + plot_left << "' y='" << top - 6 << "' class='title'>"
      << escaped(curve.scenario + ": " + curve.subject) << "</text>\n";
  for (double const part : {0.0, 0.5, 1.0}) {
    double const y = top + plot_height * (1 - part);
    out << "<path d='M" << left + plot_left << ' ' << y << 'h' << plot_width << "' class='grid'/><text x='"
        << left + plot_left - 4 << "' y='" << y + 4 << "' text-anchor='end'>" << std::round(most * part / mb)
        << " MB</text>\n";
  }
  for (Line const& line : lines) draw(out, curve.samples, line, most, left + plot_left, top, plot_width);
}

}  // namespace

void write_svg(std::ostream& out, std::vector<Curve> const& curves, std::vector<std::string> const& subjects,
               std::string const& machine) {
  std::vector<std::string> scenarios;
  for (Curve const& curve : curves)
    if (scenarios.empty() || scenarios.back() != curve.scenario) scenarios.push_back(curve.scenario);
  double const panel_width = (picture_width - 10) / static_cast<double>(subjects.size());
  begin_svg(out, first_panel + panel_height * static_cast<double>(scenarios.size()),
            "Memory of resources over time; to the right, steps: allocations and returns", machine);
  double x = 10;
  for (Line const& line : lines) {
    out << "<path d='M" << x << " 48h18v8h-18z' " << line.style << "/><text x='" << x + 24 << "' y='56'>" << line.label
        << "</text>\n";
    x += 90;
  }
  for (std::size_t row = 0; row != scenarios.size(); ++row) {
    double most = 1;
    for (Curve const& curve : curves)
      for (Sample const& sample : curve.samples)
        if (curve.scenario == scenarios[row] &&
            std::find(subjects.begin(), subjects.end(), curve.subject) != subjects.end())
          most = std::max({most, static_cast<double>(sample.held), static_cast<double>(sample.resident)});
    double const top = first_panel + panel_height * static_cast<double>(row);
    for (Curve const& curve : curves) {
      auto const column = std::find(subjects.begin(), subjects.end(), curve.subject);
      if (curve.scenario == scenarios[row] && column != subjects.end())
        panel(out, curve, most, panel_width * static_cast<double>(column - subjects.begin()), top,
              panel_width - plot_left - 12);
    }
  }
  out << "</svg>\n";
}

}  // namespace bench::memory
