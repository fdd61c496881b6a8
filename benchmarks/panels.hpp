// SPDX-License-Identifier: MIT OR Apache-2.0
// Bars, a panel a workload, in one SVG. Bars that would leave their panel are cut and say so.
#pragma once

#include "results.hpp"
#include "svg.hpp"

#include <algorithm>
#include <cstddef>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct Bar {
  std::string subject;
  double time;
};
struct Panel {
  std::string title;
  std::vector<Bar> bars;
};

class Panels {
 public:
  /// `names`: the width that the names of the subjects need.
  explicit Panels(double names) : names_width_(names) {}
  void add(std::string title, std::vector<Bar> bars) {
    if (!bars.empty()) panels_.push_back({std::move(title), std::move(bars)});
  }
  /// A panel for each of the columns that was measured.
  template <class Columns> void add_all(Results const& results, Columns const& columns) {
    for (auto const& column : columns) {
      std::vector<Bar> bars;
      for (auto const& subject : results.subjects())
        if (auto const time = results.median(subject, column)) bars.push_back({subject, *time});
      add(column, std::move(bars));
    }
  }

  [[nodiscard]] double width() const { return panel_width() * panels_a_row + 20; }
  [[nodiscard]] double height() const {
    double y = 44;
    for (std::size_t i = 0; i < panels_.size(); i += panels_a_row) y += height_of_row(i);
    return y;
  }
  void write(std::ostream& out, std::string const& title, std::string const& machine) const {
    begin_svg(out, width(), height(), title, machine + "; » marks a bar that is cut");
    double y = 40;
    for (std::size_t i = 0; i != panels_.size(); ++i) {
      draw(out, panels_[i], 10 + panel_width() * static_cast<double>(i % panels_a_row), y);
      if (i % panels_a_row == panels_a_row - 1) y += height_of_row(i / panels_a_row * panels_a_row);
    }
    out << "</svg>\n";
  }

 private:
  static constexpr double bar_width = 140;
  static constexpr double bar_height = 14;
  static constexpr double title_height = 26;
  static constexpr std::size_t panels_a_row = 3;

  [[nodiscard]] double panel_width() const { return names_width_ + bar_width + 65; }
  [[nodiscard]] double height_of_row(std::size_t first) const {
    std::size_t most = 0;
    for (std::size_t i = first; i != std::min(first + panels_a_row, panels_.size()); ++i)
      most = std::max(most, panels_[i].bars.size());
    return title_height + bar_height * static_cast<double>(most) + 14;
  }

  static char const* colour(std::string const& subject) {
    if (subject.ends_with(", before")) return "#9ec9e6";
    bool const ours = subject.find("Pool") != std::string::npos || subject.find("Handle") != std::string::npos ||
                      subject.find("allocate_") == 0 || subject.find("fastalloc/") == 0;
    if (ours && subject.find("::") == std::string::npos) return "#1f77b4";
    if (subject == "LIMIT" || subject == "the loop itself") return "#7f7f7f";
    return "#e0a458";
  }
  static std::string label(double value) {
    std::ostringstream text;
    text.precision(value < 10 ? 2 : 3);
    if (value >= 1000) text << std::fixed << std::setprecision(0);
    text << value;
    return text.str();
  }

  void draw(std::ostream& out, Panel const& panel, double x, double y) const {
    // Three times the median fills the panel: what is slower than that is cut.
    std::vector<double> times;
    for (auto const& bar : panel.bars) times.push_back(bar.time);
    std::sort(times.begin(), times.end());
    double const full = std::min(times.back(), 3 * times[times.size() / 2]);
    out << "<text x='" << x << "' y='" << y + 16 << "' class='title'>" << escaped(panel.title) << "</text>\n";
    y += title_height;
    for (auto const& bar : panel.bars) {
      bool const cut = bar.time > full;
      double const length = bar_width * std::min(bar.time, full) / full;
      double const left = x + names_width_;
      double const base = y + bar_height - 4;
      out << "<text x='" << left - 5 << "' y='" << base << "' text-anchor='end'>" << escaped(bar.subject) << "</text>"
          << "<rect x='" << left << "' y='" << y + 1 << "' width='" << length << "' height='" << bar_height - 3
          << "' fill='" << colour(bar.subject) << "'/>"
          << "<text x='" << left + length + 4 << "' y='" << base << "'>" << (cut ? "» " : "") << label(bar.time)
          << "</text>\n";
      y += bar_height;
    }
  }

  double names_width_;
  std::vector<Panel> panels_;
};

}  // namespace bench
