// SPDX-License-Identifier: MIT OR Apache-2.0
// Names of pools, which may hold any bytes, as valid UTF-8 and XML.
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace fastalloc::detail {

/// The number of bytes of the UTF-8 character at the start of `text`; 0 if there is none. Requires: not empty.
inline std::size_t character(std::string_view text) noexcept {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned const first = byte(0);
  if (first < 0x80) return 1;
  std::size_t const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || length > text.size()) return 0;
  for (std::size_t i = 1; i != length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  bool const is_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  bool const is_none = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
  return is_long || is_none ? 0 : length;
}

/// Text in XML or HTML, also between quotes: '?' for bytes that are not UTF-8 and for characters that XML forbids.
inline std::string xml_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t const length = character(text);
    std::string_view const whole = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(whole.size());
    if (whole == "&") out += "&amp;";
    else if (whole == "<") out += "&lt;";
    else if (whole == ">") out += "&gt;";
    else if (whole == "\"") out += "&quot;";
    else if (whole == "'") out += "&#39;";
    else if (length == 0 || static_cast<unsigned char>(whole[0]) < ' ' || whole == "\x7f" || whole == "\xef\xbf\xbe" ||
             whole == "\xef\xbf\xbf")
      out += '?';
    else out += whole;
  }
  return out;
}

}  // namespace fastalloc::detail
