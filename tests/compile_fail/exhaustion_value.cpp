// expect: does not name this exhaustion policy, so the value would have no effect
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() {
  auto const end_one = fastalloc::evict([] { return false; });
  fastalloc::FixedPool<int> pool(fastalloc::PoolConfig{.capacity = 4}, end_one);
}
