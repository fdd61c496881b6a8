// expect: two statistics policies; keep one of NoStats, BasicStats
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int, fastalloc::BasicStats, fastalloc::NoStats> pool(4);
