// expect-first: fastalloc: in a pool that grows the index in a key is not that of a slot; use FixedPool with
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::GrowingPool<int, fastalloc::BitmapAllocator, fastalloc::Generations> pool(4);
  auto const handle = pool.allocate_at(fastalloc::Key(1, 2), 1);
}
