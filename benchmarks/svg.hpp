// SPDX-License-Identifier: MIT OR Apache-2.0
// The parts that all pictures share: 830 px wide, as a page on GitHub is; colours for light and dark, with
// the background, since a page may be light where the system is dark.
#pragma once

#include <ostream>
#include <string>

namespace bench {

constexpr double picture_width = 830;

inline std::string escaped(std::string const& text) {
  std::string out;
  for (char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

/// Opens the picture: its title, and a line below it. The first 44 units of the height are used then.
///
/// Classes: `ours`, `old` (ours, before a change), `limit` (a raw free list), `peer` fill; `ours-line`, ... draw lines.
inline void begin_svg(std::ostream& out, double height, std::string const& title, std::string const& below) {
  struct Colour {
    char const* name;
    char const* light;
    char const* dark;
  };
  static constexpr Colour colours[] = {{"ours", "#0969da", "#58a6ff"},
                                       {"old", "#8fc1f5", "#2f5f96"},
                                       {"limit", "#818b98", "#7d8590"},
                                       {"peer", "#d08a2e", "#c98a2b"}};
  auto const rules = [&out](bool dark) {
    out << ".paper{fill:" << (dark ? "#0d1117" : "#ffffff") << "}text{fill:" << (dark ? "#e6edf3" : "#1f2328")
        << "}.soft{fill:" << (dark ? "#9198a1" : "#59636e") << "}.grid{stroke:" << (dark ? "#343b44" : "#d8dee4")
        << "}.mark{stroke:" << (dark ? "#e6edf3" : "#1f2328") << '}';
    for (Colour const& colour : colours) {
      char const* const value = dark ? colour.dark : colour.light;
      out << '.' << colour.name << "{fill:" << value << "}." << colour.name << "-line{stroke:" << value << '}';
    }
    out << '\n';
  };
  out << "<svg xmlns='http://www.w3.org/2000/svg' width='" << picture_width << "' height='" << height
      << "' viewBox='0 0 " << picture_width << ' ' << height << "' role='img'>\n"
      << "<title>" << escaped(title) << "</title>\n<style>\n"
      << "text{font:11px system-ui,sans-serif}.title{font-weight:bold}.headline{font-weight:bold;font-size:14px}\n"
      << "path,polyline{fill:none}\n";
  rules(false);
  out << "@media (prefers-color-scheme:dark){\n";
  rules(true);
  out << "}\n</style>\n"
      << "<rect width='100%' height='100%' rx='6' class='paper'/>\n"
      << "<text x='10' y='18' class='headline'>" << escaped(title) << "</text>\n"
      << "<text x='10' y='35' class='soft'>" << escaped(below) << "</text>\n";
}

}  // namespace bench
