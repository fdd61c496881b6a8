// expect-each: fastalloc: (give a capacity|give each thread a capacity|pass the memory|pass PoolConfig)
// expect: FixedPool<T> pool.1000
// expect: GrowingPool<T> pool.1000
// expect: ThreadSafePool<T> pool.1000
// expect: ThreadLocalPool<T> pool.1000
// expect: FixedPool<T, ExternalStorage> pool.span
// expect: pass PoolConfig.*and recycle
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(int start) {
  fastalloc::FixedPool<int> fixed;
  fastalloc::GrowingPool<int> growing;
  fastalloc::ThreadSafePool<int> shared;
  fastalloc::ThreadLocalPool<int> local;
  fastalloc::FixedPool<int, fastalloc::ExternalStorage> external(100);
  auto const init = [start] { return start; };
  fastalloc::FixedPool<int, decltype(fastalloc::recycle(init))> recycling(100);
}
