// expect: an erased Handle<T> does not know whether its pool counts owners; call share.. on the pool's own handle
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() {
  fastalloc::FixedPool<int, fastalloc::Shared> pool(4);
  fastalloc::Handle<int> erased = pool.allocate(1);
  auto shared = erased.share();
}
