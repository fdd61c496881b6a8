// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

static fastalloc::GrowingPool<int> numbers(1);

fastalloc::Handle<int> next_number();
fastalloc::Handle<int> next_number() { return numbers.allocate(7); }
