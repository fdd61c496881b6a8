// expect: fastalloc: this pool has no keys; write the policy Generations after T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto const handle = pool.allocate();
  return static_cast<int>(pool.key(handle).index());
}
