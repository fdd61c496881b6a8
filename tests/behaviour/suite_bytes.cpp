// SPDX-License-Identifier: MIT OR Apache-2.0
#include "behaviour/suite.hpp"

using namespace behaviour;

TEST_CASE("suite: 3-byte struct") { run_suite<Rows<Three, 3>>(); }
TEST_CASE("suite: std::string") { run_suite<Rows<std::string, 4>>(); }
TEST_CASE("suite: std::vector") { run_suite<Rows<std::vector<int>, 5>>(); }
