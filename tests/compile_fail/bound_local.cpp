// expect: fastalloc: a handle of a ThreadLocalPool has to know its thread's sub-pool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadLocalPool<int> pool(4);
auto const handle = fastalloc::Bound<pool>::allocate(1);
