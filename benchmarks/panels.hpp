// SPDX-License-Identifier: MIT OR Apache-2.0
// Bars, a panel a workload, in one SVG: ours on top, then raw free lists, then the others. Bars that would leave their
// panel are cut and say so.
#pragma once

#include "results.hpp"
#include "svg.hpp"
#include "words.hpp"

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
  explicit Panels(double names, std::size_t panels_a_row = 2) : names_width_(names), panels_a_row_(panels_a_row) {}

  void add(std::string title, std::vector<Bar> bars) {
    std::stable_sort(bars.begin(), bars.end(),
                     [](Bar const& a, Bar const& b) { return rank(a.subject) < rank(b.subject); });
    if (!bars.empty()) panels_.push_back({std::move(title), std::move(bars)});
  }
  /// A panel for each of the columns that was measured, without the subjects in `left_out`.
  template <class Columns> void add_all(Results const& results, Columns const& columns, Strings const& left_out = {}) {
    for (auto const& column : columns) {
      std::vector<Bar> bars;
      for (auto const& subject : results.subjects()) {
        if (std::find(left_out.begin(), left_out.end(), subject) != left_out.end()) continue;
        if (auto const time = results.median(subject, column)) bars.push_back({subject, *time});
      }
      add(workload_in_words(column), std::move(bars));
    }
  }

  [[nodiscard]] double height() const {
    double y = 48;
    for (std::size_t i = 0; i < panels_.size(); i += panels_a_row_) y += height_of_row(i);
    return y;
  }
  void write(std::ostream& out, std::string const& title, std::string const& machine) const {
    begin_svg(out, height(), title, machine);
    double y = 44;
    for (std::size_t i = 0; i != panels_.size(); ++i) {
      draw(out, panels_[i], 10 + panel_width() * static_cast<double>(i % panels_a_row_), y);
      if (i % panels_a_row_ == panels_a_row_ - 1) y += height_of_row(i / panels_a_row_ * panels_a_row_);
    }
    out << "</svg>\n";
  }

 private:
  static constexpr double bar_height = 15;
  static constexpr double title_height = 26;
  static constexpr double number_width = 54;

  [[nodiscard]] double panel_width() const { return (picture_width - 10) / static_cast<double>(panels_a_row_); }
  [[nodiscard]] double bar_width() const { return panel_width() - names_width_ - number_width; }

  [[nodiscard]] double height_of_row(std::size_t first) const {
    std::size_t most = 0;
    for (std::size_t i = first; i != std::min(first + panels_a_row_, panels_.size()); ++i)
      most = std::max(most, panels_[i].bars.size());
    return title_height + bar_height * static_cast<double>(most) + 12;
  }

  static int rank(std::string const& subject) {
    std::string const kind = kind_of(subject);
    return kind == "ours" || kind == "old" ? 0 : kind == "limit" ? 1 : 2;
  }
  static std::string label(double value) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(value < 1 ? 2 : value < 10 ? 1 : 0) << value * (1 + 1e-9);  // 3.55 is 3.6
    return text.str();
  }

  void draw(std::ostream& out, Panel const& panel, double x, double y) const {
    // Three times the median fills the panel: longer bars are cut.
    std::vector<double> times;
    for (auto const& bar : panel.bars) times.push_back(bar.time);
    std::sort(times.begin(), times.end());
    double const full = std::min(times.back(), 3 * times[times.size() / 2]);
    out << "<text x='" << x << "' y='" << y + 17 << "' class='title'>" << escaped(panel.title) << "</text>\n";
    y += title_height;
    for (auto const& bar : panel.bars) {
      bool const cut = bar.time > full;
      double const length = std::max(bar_width() * std::min(bar.time, full) / full, 1.0);
      double const left = x + names_width_;
      double const base = y + bar_height - 4;
      out << "<text x='" << left - 5 << "' y='" << base << "' text-anchor='end'>"
          << escaped(subject_in_words(bar.subject)) << "</text>"
          << "<rect x='" << left << "' y='" << y + 1 << "' width='" << length << "' height='" << bar_height - 4
          << "' class='" << kind_of(bar.subject) << "'/>";
      out << "<text x='" << left + length + 4 << "' y='" << base << "'>" << (cut ? "» " : "") << label(bar.time)
          << "</text>\n";
      y += bar_height;
    }
  }

  double names_width_;
  std::size_t panels_a_row_;
  std::vector<Panel> panels_;
};

}  // namespace bench
