// expect: the function of a request may hold up the end of a MovablePool; let a std::unique_ptr own the pool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(fastalloc::MovablePool<fastalloc::ThreadSafePool<int>>& pool) {
  (void)pool->on_available([](auto&) {});
}
