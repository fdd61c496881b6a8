// expect: reserve
// expect: fastalloc: this pool never grows; use GrowingPool, or ThreadSafePool with HeapStorage and a lock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadSafePool<int, fastalloc::InlineStorage<4>> pool;
  pool.reserve(8);
}
