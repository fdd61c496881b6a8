// expect-first: fastalloc: recycle.. calls init without arguments, and takes the object that it returns; write recycle
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <string>

auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 4},
                                 fastalloc::recycle([](std::string& s) { s.reserve(100); }));
