// SPDX-License-Identifier: MIT OR Apache-2.0
// Json: a strict parser of JSON (RFC 8259) for tests. Whatever the grammar does not allow is an error, as is text that
// is not UTF-8, and a key that an object has twice.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace test {

struct Json {
  enum class Kind { none, null, boolean, number, string, array, object } kind = Kind::none;
  std::string text;  ///< of a string, decoded; of anything else as it was written
  std::vector<Json> items;
  std::map<std::string, Json> members;

  [[nodiscard]] Json const& operator[](std::string const& key) const {
    static Json const missing;
    auto const at = members.find(key);
    return at == members.end() ? missing : at->second;
  }
  [[nodiscard]] bool has(std::string const& key) const { return members.count(key) != 0; }
  [[nodiscard]] double number() const { return kind == Kind::number ? std::stod(text) : -1; }
};

class JsonParser {
 public:
  /// Returns: the value; of kind `none` if `text` is not exactly one JSON text.
  static Json parse(std::string_view text) {
    JsonParser parser{text};
    Json out;
    parser.value(out, 100);
    parser.space();
    return parser.good_ && parser.at_ == text.size() ? out : Json{};
  }

 private:
  explicit JsonParser(std::string_view text) : text_(text) {}

  [[nodiscard]] int peek() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1; }
  bool fail() { return good_ = false; }
  bool pop(char c) { return peek() == static_cast<unsigned char>(c) ? (++at_, true) : false; }
  void space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t') ++at_;
  }
  bool digits() {
    std::size_t const begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != begin || fail();
  }
  bool number(Json& out) {
    std::size_t const begin = at_;
    (void)pop('-');
    if (!pop('0') && !digits()) return false;
    if (pop('.') && !digits()) return false;
    if (pop('e') || pop('E')) {
      if (!pop('+')) (void)pop('-');
      if (!digits()) return false;
    }
    out.kind = Json::Kind::number;
    out.text = text_.substr(begin, at_ - begin);
    return true;
  }
  bool utf8(std::string& out) {
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text_[at_ + i]); };
    unsigned const first = byte(0);
    std::size_t const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    if (length == 0 || first > 0xf4 || at_ + length > text_.size()) return fail();
    unsigned code = length == 1 ? first : first & (0x7fU >> length);
    for (std::size_t i = 1; i != length; ++i) {
      if ((byte(i) & 0xc0U) != 0x80) return fail();
      code = code << 6 | (byte(i) & 0x3fU);
    }
    if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code < 0xe000))
      return fail();
    out += text_.substr(at_, length);
    at_ += length;
    return true;
  }
  bool string(std::string& out) {
    if (!pop('"')) return fail();
    while (!pop('"')) {
      if (peek() < 0x20) return fail();  // also the end
      if (!pop('\\')) {
        if (!utf8(out)) return false;
        continue;
      }
      static constexpr std::string_view escapes = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
      if (pop('u')) {
        unsigned code = 0;
        for (int i = 0; i != 4; ++i) {
          std::size_t const digit =
              std::string_view("0123456789abcdef0123456789ABCDEF").find(static_cast<char>(peek()));
          if (peek() < 0 || digit == std::string_view::npos) return fail();
          code = code * 16 + static_cast<unsigned>(digit % 16);
          ++at_;
        }
        out += code < 0x80 ? static_cast<char>(code) : '?';
        continue;
      }
      std::size_t const which = peek() < 0 ? std::string_view::npos : escapes.find(static_cast<char>(peek()));
      if (which == std::string_view::npos) return fail();
      out += meanings[which];
      ++at_;
    }
    return true;
  }
  bool value(Json& out, int depth) {
    space();
    if (depth == 0) return fail();
    if (peek() == '"') return out.kind = Json::Kind::string, string(out.text);
    if (pop('[')) {
      out.kind = Json::Kind::array;
      for (space(); !pop(']'); space()) {
        if (!out.items.empty() && !pop(',')) return fail();
        if (!value(out.items.emplace_back(), depth - 1)) return false;
      }
      return true;
    }
    if (pop('{')) {
      out.kind = Json::Kind::object;
      for (space(); !pop('}'); space()) {
        if (!out.members.empty() && !pop(',')) return fail();
        std::string key;
        space();
        if (!string(key)) return false;
        space();
        if (!pop(':') || out.has(key) || !value(out.members[key], depth - 1)) return fail();
      }
      return true;
    }
    for (std::string_view const word : {"true", "false", "null"})
      if (text_.substr(at_, word.size()) == word) {
        out.kind = word == "null" ? Json::Kind::null : Json::Kind::boolean;
        out.text = word;
        return at_ += word.size(), true;
      }
    return number(out);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool good_ = true;
};

}  // namespace test
