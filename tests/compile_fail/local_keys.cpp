// expect-first: fastalloc: a key names a slot of one pool, and a ThreadLocalPool has one for each thread; use Generations with ThreadSafePool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadLocalPool<int, fastalloc::Generations> pool(4);
