// SPDX-License-Identifier: MIT OR Apache-2.0
#include "behaviour/suite.hpp"

using namespace behaviour;

TEST_CASE("suite: non-movable") { run_suite<Rows<Pinned, 6>>(); }
TEST_CASE("suite: over-aligned") { run_suite<Rows<OverAligned, 7>>(); }
TEST_CASE("suite: 10 KiB struct") { run_suite<Rows<Big, 0>>(); }
