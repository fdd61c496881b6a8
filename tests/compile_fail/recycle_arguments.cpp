// expect-first: Recycle builds objects by its init function: call allocate.. without arguments
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4}, fastalloc::recycle([] { return 1; }));
  auto handle = pool.allocate(2);
}
