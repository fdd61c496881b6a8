// expect-each: fastalloc: the type of this pool does not name this Recycle, so init.. would never be called; leave <T> out, as in FixedPool.config, recycle
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() {
  auto build = [] { return 1; };
  fastalloc::FixedPool<int> a({.capacity = 4}, fastalloc::recycle(build));
  auto other = [] { return 2; };
  fastalloc::FixedPool<int, decltype(fastalloc::recycle(build))> b({.capacity = 4}, fastalloc::recycle(other));
  auto const c = fastalloc::GrowingPool<int>::try_create({.capacity = 4}, fastalloc::recycle(build));
}
