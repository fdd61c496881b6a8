// expect: T must be an object type
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int&> pool(4);
