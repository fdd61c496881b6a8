// expect: statistics
// expect: has_statistics
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  return static_cast<int>(pool.statistics().capacity);
}
