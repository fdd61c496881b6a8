// SPDX-License-Identifier: MIT OR Apache-2.0
// EXPECT(condition) and EXPECT_NOT_REACHED("why"): Catch2's CHECK for templates that are instantiated a hundred times.
// One call of a plain function, so it costs next to nothing to compile. A failure names the Scene that it happened in.
#pragma once

#include "support/catch.hpp"

#include <fastalloc/error.hpp>

#include <string>

namespace test {

inline std::string& scene() {
  static std::string text;
  return text;
}

/// Names what runs in this scope, for messages.
class Scene {
 public:
  explicit Scene(std::string const& text) : before_(scene()) {
    scene() = before_.empty() ? text : before_ + ", " + text;
  }
  Scene(Scene const&) = delete;
  Scene& operator=(Scene const&) = delete;
  ~Scene() { scene() = before_; }

 private:
  std::string before_;
};

[[gnu::noinline]] inline void expect(bool ok, char const* text, char const* file, int line) {
  if (ok) return;
  FAIL_CHECK(file << ":" << line << ": " << text << " [" << scene() << "]");
}

#define EXPECT_NOT_REACHED(text) ::test::expect(false, text, __FILE__, __LINE__)
#define EXPECT(...) ::test::expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#if FASTALLOC_EXCEPTIONS
/// Runs f, which must throw exactly an E. Returns its error().
template <class E, class F> fastalloc::Error caught(F&& f) {
  try {
    f();
  } catch (E const& e) {
    EXPECT(e.what() != nullptr && e.what()[0] != '\0');
    return e.error();
  } catch (...) {
    EXPECT_NOT_REACHED("another exception was thrown");
    return {};
  }
  EXPECT_NOT_REACHED("nothing was thrown");
  return {};
}

/// True when f throws an E.
template <class E, class F> bool throws(F&& f) {
  try {
    f();
  } catch (E const&) {
    return true;
  } catch (...) {}
  return false;
}
#endif

}  // namespace test
