// expect-first: fastalloc: the index in a key has 1 to 32 bits; write BasicGenerations<20, 12>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::BasicGenerations<40, 12>> pool(4);
