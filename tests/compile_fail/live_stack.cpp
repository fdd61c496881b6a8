// expect-first: fastalloc: live\(\) needs a slot allocator that tracks which slots are in use; use BitmapAllocator, or for_each
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  for (int& x : pool.live()) x = 1;
}
