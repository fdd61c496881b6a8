// expect: fastalloc: two keys policies
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::Generations, fastalloc::NoKeys> pool(4);
