// expect: two checks policies; keep one of NoChecks, DebugChecks, FullChecks
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::FullChecks, fastalloc::NoChecks> pool(4);
