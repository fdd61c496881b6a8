// expect: for arrays use std::array<T, N>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int[4]> pool(4);
