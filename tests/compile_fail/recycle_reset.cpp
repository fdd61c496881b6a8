// expect-first: fastalloc: recycle.. calls reset with the object that came back; write ...T& object
// expect: fastalloc: reset of recycle.. returns void, or false to have the object destroyed
// expect: fastalloc: T cannot be built from what init of recycle.. returns; return a T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <string>

auto build = [] { return std::string(); };
auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4},
                                 fastalloc::recycle(build, [](std::string* s) { s->clear(); }));
auto text = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4},
                                 fastalloc::recycle(build, [](std::string& s) { return s; }));
fastalloc::FixedPool<int, decltype(fastalloc::recycle(build))> other(fastalloc::PoolConfig{.capacity = 4});
