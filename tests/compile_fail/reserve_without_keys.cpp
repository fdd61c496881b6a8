// expect-each: fastalloc: this pool has no keys; write the policy Generations after T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BitmapAllocator> pool(4);
  auto const key = pool.reserve_key();
  auto const handle = pool.allocate_at(fastalloc::Key(1, 2), 1);
  auto const built = pool.try_build(key, 1);
  pool.cancel(key);
}
