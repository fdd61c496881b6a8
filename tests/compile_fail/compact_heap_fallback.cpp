// expect: fastalloc: an object from the heap lies in no segment that could name its pool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::HeapFallback, fastalloc::CompactHandles> pool(4); }
