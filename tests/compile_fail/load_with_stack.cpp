// expect-first: fastalloc: allocate_at\(\) asks a bitmap whether the slot is free; write BitmapAllocator after T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  pool.load_with([](auto build) { build(2, 1); });
}
