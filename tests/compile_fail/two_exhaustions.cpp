// expect: two exhaustion policies; keep one of Fail, Evict<F>, HeapFallback
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::HeapFallback, fastalloc::Fail> pool(4); }
