// expect: fastalloc: no pool with CompactHandles; use Handle<T>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(fastalloc::FixedPool<int>& pool) { fastalloc::CompactHandle<int> handle = pool.allocate(1); }
