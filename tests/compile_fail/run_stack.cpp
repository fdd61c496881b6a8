// expect-first: fastalloc: adjacent slots are found in a bitmap; use BitmapAllocator with allocate_n
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::GrowingPool<int> pool(4);
  auto const run = pool.allocate_n(2, 1);
}
