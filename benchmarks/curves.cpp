// SPDX-License-Identifier: MIT OR Apache-2.0
// The local columns as curves over the number of threads, one panel for 64 objects held and one for 1, in one SVG.
// Below them the columns of many pools and threads as bars; alone when only those were measured.
#include "panels.hpp"
#include "suite.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace bench {
namespace {

constexpr std::array threads{1, 2, 4, 8, 16};
constexpr double panel_width = 690;
constexpr double plot_left = 40;
constexpr double plot_width = 390;
constexpr double plot_top = 66;
constexpr double plot_height = 420;
constexpr double label_height = 12;

struct Point {
  double x, y;
};

struct Curve {
  std::string subject;
  std::string style;
  std::vector<Point> points;
};

/// Both axes are logarithmic.
struct Scale {
  double least, most;
  double y(double time) const { return plot_top + plot_height * std::log(most / time) / std::log(most / least); }
  static double x(int count) { return plot_left + plot_width * std::log(count) / std::log(threads.back()); }
};

std::optional<double> time_of(Results const& results, std::string const& subject, int count, std::string const& held) {
  return results.median(subject, "local " + std::to_string(count) + "/" + held);
}

/// Ours are blue and thick, with dashes from the second on; the peers share the rest of the colours.
std::string style_of(std::string const& subject, int& ours, int& peers) {
  if (subject.find("Pool") == std::string::npos) {
    int const hue = 20 + 47 * peers++ % 180;
    return "stroke='hsl(" + std::to_string(hue) + ",70%,42%)' stroke-width='1.3'";
  }
  int const dash = ours++;
  return "stroke='hsl(" + std::to_string(210 + 13 * dash % 80) + ",75%,45%)' stroke-width='2.2'" +
         (dash == 0 ? "" : " stroke-dasharray='" + std::to_string(1 + 2 * dash) + " 3'");
}

void panel(std::ostream& out, Results const& results, std::string const& held, Scale const& scale, double left) {
  std::vector<Curve> curves;
  int ours = 0, peers = 0;
  for (auto const& subject : results.subjects()) {
    Curve curve{subject, style_of(subject, ours, peers), {}};
    for (int count : threads)
      if (auto const time = time_of(results, subject, count, held))
        curve.points.push_back({left + Scale::x(count), scale.y(*time)});
    if (curve.points.size() > 1) curves.push_back(std::move(curve));
  }
  out << "<text x='" << left + plot_left << "' y='" << plot_top - 14 << "' class='title'>" << held << " held</text>\n";
  for (int count : threads)
    out << "<text x='" << left + Scale::x(count) << "' y='" << plot_top + plot_height + 16 << "' text-anchor='middle'>"
        << count << "</text>\n";
  for (double power = 0.01; power < scale.most; power *= 10)
    for (double time : {power, 2 * power, 5 * power}) {
      if (time < scale.least || time > scale.most) continue;
      double const y = scale.y(time);
      out << "<path d='M" << left + plot_left << ' ' << y << 'h' << plot_width << "' stroke='#ddd'/><text x='"
          << left + plot_left - 5 << "' y='" << y + 3 << "' text-anchor='end'>" << time << "</text>\n";
    }
  // Names stand where their curves end, moved down where they would overlap.
  std::sort(curves.begin(), curves.end(),
            [](Curve const& a, Curve const& b) { return a.points.back().y < b.points.back().y; });
  double y = plot_top;
  for (std::size_t i = 0; i != curves.size(); ++i) {
    double const end = curves[i].points.back().y;
    double const room = static_cast<double>(curves.size() - 1 - i) * label_height;
    y = std::max(y, std::min(end, plot_top + plot_height - room));
    out << "<polyline fill='none' " << curves[i].style << " points='";
    for (Point const& point : curves[i].points) out << point.x << ',' << point.y << ' ';
    out << left + plot_left + plot_width + 24 << ',' << y << "'/><text x='" << left + plot_left + plot_width + 28
        << "' y='" << y + 3 << "'>" << escaped(curves[i].subject) << "</text>\n";
    y += label_height;
  }
}

constexpr double curves_height = plot_top + plot_height + 30;

void write_curves(std::ostream& out, Results const& results) {
  std::vector<double> times;
  for (auto const& subject : results.subjects())
    for (int count : threads)
      for (char const* held : {"1", "64"})
        if (auto const time = time_of(results, subject, count, held)) times.push_back(*time);
  if (times.empty()) return;
  auto const [least, most] = std::minmax_element(times.begin(), times.end());
  Scale const scale{*least / 1.1, *most * 1.1};
  panel(out, results, "64", scale, 0);
  panel(out, results, "1", scale, panel_width);
}

Strings columns_with(Results const& results, std::string const& first) {
  Strings columns;
  for (auto const& column : results.columns())
    if (column.starts_with(first)) columns.push_back(column);
  return columns;
}

}  // namespace

void write_svg(std::ostream& out, Results const& results, std::string const& machine) {
  Panels bars(165);
  bars.add_all(results, columns_with(results, "many "));
  std::string const title = "Many pools, many threads, ns: shorter is better";
  if (columns_with(results, "local ").empty()) return bars.write(out, title, machine);
  begin_svg(
      out, 2 * panel_width, curves_height + bars.height(),
      "ns per allocate+free pair of a 64-byte object, all threads together, by number of threads: lower is better",
      machine + "; both axes logarithmic");
  write_curves(out, results);
  out << "<g transform='translate(0 " << curves_height << ")'>\n";
  bars.write(out, title, machine);
  out << "</g>\n</svg>\n";
}

}  // namespace bench
