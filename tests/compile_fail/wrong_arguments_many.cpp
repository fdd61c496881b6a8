// expect: T cannot be built from these arguments.*T cannot be built from these arguments
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BitmapAllocator> pool(4);
  auto const run = pool.allocate_n(2, "text");
  auto const batch = pool.allocate_batch_handle(2, "text", 4);
}
