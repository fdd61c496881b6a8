// SPDX-License-Identifier: MIT OR Apache-2.0
// Catch2, version 2 or 3, by one include. Tests use the spelling of version 3: Catch::Approx,
// Catch::Matchers::ContainsSubstring, StartsWith, EndsWith, Matches. Without exceptions a failed REQUIRE ends the
// program, and the *_THROWS macros do not exist: put them under `#if FASTALLOC_EXCEPTIONS`.
//
// TEMPLATE_TEST_CASE("name", "", (A), (B) MORE_ROWS((C), (D))): the slices of CI take A and B, all other builds take
// the four. A and B together show each kind of pool, each policy and each kind of T that the four show.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#else

#include <catch2/catch.hpp>

namespace Catch {
using Detail::Approx;
namespace Matchers {
inline auto ContainsSubstring(std::string const& part) { return Contains(part); }
}  // namespace Matchers
}  // namespace Catch

#endif

#if FASTALLOC_SAMPLE
#define MORE_ROWS(...)
#else
#define MORE_ROWS(...) , __VA_ARGS__
#endif
