// expect: nodiscard
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() {
  fastalloc::FixedPool<int, fastalloc::Shared> pool(4);
  pool.allocate(1).share();
}
