// SPDX-License-Identifier: MIT OR Apache-2.0
#include "behaviour/suite.hpp"

using namespace behaviour;

TEST_CASE("suite: throwing constructor") { run_suite<Rows<test::ThrowOnNth, 3>>(); }
TEST_CASE("suite: destructor that frees children") { run_suite<Rows<Node, 5>>(); }
TEST_CASE("suite: every operator is its own") { run_suite<Rows<test::Hostile, 1>>(); }
