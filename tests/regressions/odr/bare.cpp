// SPDX-License-Identifier: MIT OR Apache-2.0
// Compiled with -ffreestanding: the functions that mean something else there must not take the place of the hosted
// ones.
#include <fastalloc/fastalloc.hpp>

#include "regressions/odr/bare.hpp"

static_assert(!__STDC_HOSTED__);

namespace {
constinit fastalloc::NoDestructor<fastalloc::FixedPool<int, fastalloc::InlineStorage<2>, fastalloc::Generations>> pool;
}

bool bare_pool_works() {
  auto const a = pool->try_allocate(1);
  auto const b = pool->try_allocate(2);
  int sum = 0;
  pool->for_each([&](int value) { sum += value; });
  return a && b && !pool->try_allocate(3) && sum == 3;
}
int bare_pool_fails() {
  auto const a = pool->allocate(1);
  auto const b = pool->allocate(2);
  return *pool->allocate(3);  // the error handler, and the end
}
fastalloc::Key bare_key() {
  static auto const kept = pool->try_allocate(7);
  return pool->key(kept);
}
