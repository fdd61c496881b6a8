// expect: InlineStorage<0> holds nothing; write InlineStorage<N> with N >= 1
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::InlineStorage<0>> pool;
