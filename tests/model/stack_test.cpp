// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/model_test.hpp"

TEST_CASE("model: StackAllocator") { model::run_all<fastalloc::StackAllocator>(); }
