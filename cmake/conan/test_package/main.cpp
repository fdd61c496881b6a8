// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cstdio>
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto answer = pool.allocate(42);
  std::printf("%d of %zu slots\n", *answer, pool.capacity());
}
