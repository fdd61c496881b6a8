// expect-first: fastalloc: find\(\) needs to know which slots are in use; use BitmapAllocator
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  int* const object = pool.find(1);
}
