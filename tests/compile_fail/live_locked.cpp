// expect-first: fastalloc: threads may share this pool, and an iterator cannot hold its lock between two steps; use for_each
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadSafePool<int, fastalloc::BitmapAllocator> pool(4);
  for (int& x : pool.live()) x = 1;
}
