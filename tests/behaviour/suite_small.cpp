// SPDX-License-Identifier: MIT OR Apache-2.0
#include "behaviour/suite.hpp"

using namespace behaviour;

TEST_CASE("suite: int") { run_suite<Rows<int, 0>>(); }
TEST_CASE("suite: char") { run_suite<Rows<char, 1>>(); }
TEST_CASE("suite: empty struct") { run_suite<Rows<Empty, 2>>(); }
