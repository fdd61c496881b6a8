// SPDX-License-Identifier: MIT OR Apache-2.0
#include "regressions/exit/objects.hpp"

fastalloc::FixedPool<std::string> global_pool(4);
