// SPDX-License-Identifier: MIT OR Apache-2.0
// What the pictures have in common.
#pragma once

#include <ostream>
#include <string>

namespace bench {

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

/// Opens the picture: its title, and a line below it. The first 40 units of the height are used then.
inline void begin_svg(std::ostream& out, double width, double height, std::string const& title,
                      std::string const& below) {
  out << "<svg xmlns='http://www.w3.org/2000/svg' width='" << width << "' height='" << height << "' viewBox='0 0 "
      << width << ' ' << height << "'>\n"
      << "<style>text{font:10px sans-serif;fill:#222}.title{font:bold 13px sans-serif}</style>\n"
      << "<rect width='100%' height='100%' fill='#fff'/>\n"
      << "<text x='10' y='16' class='title'>" << escaped(title) << "</text>\n"
      << "<text x='10' y='31'>" << escaped(below) << "</text>\n";
}

}  // namespace bench
