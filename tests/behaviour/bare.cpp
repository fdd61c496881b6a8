// SPDX-License-Identifier: MIT OR Apache-2.0
// The checks that examples/embedded runs on a microcontroller, on the host.
#include "support/bare_checks.hpp"

#include "support/catch.hpp"
#include "support/expect.hpp"

namespace {

int checks = 0;

}  // namespace

void bare::check(bool ok, char const* text, int line) {
  ++checks;
  test::expect(ok, text, "bare_checks.hpp", line);
}

TEST_CASE("bare checks") {
  checks = 0;
  bare::run_bare_checks();
  CHECK(checks > 100);
}
