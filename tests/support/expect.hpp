// SPDX-License-Identifier: MIT OR Apache-2.0
// EXPECT: Catch2's CHECK for templates that are instantiated a hundred times: one call of a plain function, so it costs
// next to nothing to compile. The text of a failure names the case that Scene last set.
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
  explicit Scene(std::string const& text) : before_(scene()) { scene() = before_.empty() ? text : before_ + ", " + text; }
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

#define EXPECT(...) ::test::expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#if FASTALLOC_EXCEPTIONS
/// Runs f, which must throw exactly an E. Returns its error().
template <class E, class F>
fastalloc::Error caught(F&& f) {
  try {
    f();
  } catch (E const& e) {
    EXPECT(e.what() != nullptr && e.what()[0] != '\0');
    return e.error();
  } catch (...) {
    EXPECT(!"another exception was thrown");
    return {};
  }
  EXPECT(!"nothing was thrown");
  return {};
}

/// True when f throws an E.
template <class E, class F>
bool throws(F&& f) {
  try {
    f();
  } catch (E const&) {
    return true;
  } catch (...) {
  }
  return false;
}
#endif

}  // namespace test
