// expect-first: fastalloc: init of recycle.. returns nothing; return the object
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4}, fastalloc::recycle([] {}));
