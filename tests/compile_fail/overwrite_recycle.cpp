// expect-first: fastalloc: a pool with Recycle hands out objects that init\(\) built, so none is for overwriting
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4}, fastalloc::recycle([] { return 1; }));
  auto handle = pool.allocate_for_overwrite();
}
