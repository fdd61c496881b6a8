// expect-first: fastalloc: index_bound\(\), find\(\), live\(\).from\(\), and object_at\(\) of a pool that grows have a header of their own
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto const bound = pool.index_bound();
}
