// expect: fastalloc: a CompactHandle<T> finds the segments of pools with slots of at most 2048 bytes
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Big {
  char bytes[2049];
};
void f(fastalloc::FixedPool<Big, fastalloc::CompactHandles>& pool) {
  fastalloc::CompactHandle<Big> handle = pool.allocate();
}
