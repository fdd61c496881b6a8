// expect: pass PoolConfig\{.capacity = n\} and recycle\(init, reset\)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int build() { return 1; }
void clear(int&) {}
fastalloc::FixedPool<int, decltype(fastalloc::recycle(build, clear))> pool(100);  // would call null
