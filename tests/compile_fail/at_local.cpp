// expect-each: fastalloc: a key or an index names a slot of one pool, and each thread has one of its own here; use
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadLocalPool<int, fastalloc::BitmapAllocator> pool(4);
  auto const handle = pool.allocate_at(1, 2);
  auto const key = pool.reserve_key();
}
