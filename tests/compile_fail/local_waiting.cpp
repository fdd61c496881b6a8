// expect: allocate_for
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <chrono>

int main() {
  fastalloc::ThreadLocalPool<int> pool(4);
  auto const handle = pool.allocate_for(std::chrono::seconds(1));
}
