// expect: an object from the heap has no slot to be kept, counted or named by a key; leave HeapFallback out of pools with
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::HeapFallback, fastalloc::Generations> pool(4); }
