// SPDX-License-Identifier: MIT OR Apache-2.0
// The local columns as curves over the number of threads, in two panels: 64 objects held, and 1.
#include "pictures.hpp"
#include "svg.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace bench {
namespace {

constexpr std::array threads{1, 2, 4, 8, 16};
constexpr double plot_left = 64;
constexpr double plot_width = 500;
constexpr double plot_height = 300;
constexpr double panel_height = plot_height + 70;
constexpr double first_panel = 44;
constexpr double label_height = 14;

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
  double y(double time) const { return plot_height * std::log(most / time) / std::log(most / least); }
  static double x(int count) { return plot_left + plot_width * std::log(count) / std::log(threads.back()); }
};

std::optional<double> time_of(Results const& results, std::string const& subject, int count, std::string const& held) {
  return results.median(subject, "local " + std::to_string(count) + "/" + held);
}

/// The pools that keep slots for each thread are thick lines, our other pools dashed ones.
std::string style_of(std::string const& subject) {
  std::string const kind = kind_of(subject);
  bool const main = subject == "ThreadSafePool" || subject == "ThreadLocalPool";
  return "class='" + kind + "-line' " +
         (main             ? "stroke-width='2.6'"
          : kind == "ours" ? "stroke-width='1.4' stroke-dasharray='5 3'"
                           : "stroke-width='1.2'");
}

void grid(std::ostream& out, Scale const& scale, double top) {
  for (int count : threads)
    out << "<text x='" << Scale::x(count) << "' y='" << top + plot_height + 16 << "' text-anchor='middle'>" << count
        << "</text>\n";
  for (double power = 0.01; power < scale.most; power *= 10)
    for (double time : {power, 2 * power, 5 * power}) {
      if (time < scale.least || time > scale.most) continue;
      double const y = top + scale.y(time);
      out << "<path d='M" << plot_left << ' ' << y << 'h' << plot_width << "' class='grid'/><text x='" << plot_left - 6
          << "' y='" << y + 4 << "' text-anchor='end'>" << time << "</text>\n";
    }
  out << "<text x='" << plot_left + plot_width / 2 << "' y='" << top + plot_height + 33
      << "' text-anchor='middle' class='soft'>threads</text>\n"
      << "<text transform='translate(24 " << top + plot_height / 2
      << ") rotate(-90)' text-anchor='middle' class='soft'>ns for one allocation and its return</text>\n";
}

void panel(std::ostream& out, Results const& results, std::string const& held, Scale const& scale, double top) {
  std::vector<Curve> curves;
  for (auto const& subject : results.subjects()) {
    Curve curve{subject, style_of(subject), {}};
    for (int count : threads)
      if (auto const time = time_of(results, subject, count, held))
        curve.points.push_back({Scale::x(count), top + scale.y(*time)});
    if (curve.points.size() > 1) curves.push_back(std::move(curve));
  }
  out << "<text x='10' y='" << top - 10 << "' class='title'>Each thread holds " << held
      << (held == "1" ? " object" : " objects") << "</text>\n";
  grid(out, scale, top);
  // Names stand where their curves end, moved down where they would overlap.
  std::sort(curves.begin(), curves.end(),
            [](Curve const& a, Curve const& b) { return a.points.back().y < b.points.back().y; });
  double y = top;
  for (std::size_t i = 0; i != curves.size(); ++i) {
    double const end = curves[i].points.back().y;
    double const room = static_cast<double>(curves.size() - 1 - i) * label_height;
    y = std::max(y, std::min(end, top + plot_height - room));
    out << "<polyline " << curves[i].style << " points='";
    for (Point const& point : curves[i].points) out << point.x << ',' << point.y << ' ';
    out << plot_left + plot_width + 20 << ',' << y << "'/><text x='" << plot_left + plot_width + 24 << "' y='" << y + 4
        << "'>" << escaped(subject_in_words(curves[i].subject)) << "</text>\n";
    y += label_height;
  }
}

}  // namespace

void draw_threads(std::ostream& out, Results const& results, std::string const& machine) {
  begin_svg(out, first_panel + 2 * panel_height,
            "Nanoseconds for one allocation and its return, all threads together: lower is better",
            machine + "; objects of 64 bytes; both axes logarithmic; blue: ours, dashed with other policies");
  std::vector<double> times;
  for (auto const& subject : results.subjects())
    for (int count : threads)
      for (char const* held : {"1", "64"})
        if (auto const time = time_of(results, subject, count, held)) times.push_back(*time);
  if (!times.empty()) {
    auto const [least, most] = std::minmax_element(times.begin(), times.end());
    Scale const scale{*least / 1.1, *most * 1.1};
    panel(out, results, "64", scale, first_panel + 26);
    panel(out, results, "1", scale, first_panel + panel_height + 26);
  }
  out << "</svg>\n";
}

}  // namespace bench
