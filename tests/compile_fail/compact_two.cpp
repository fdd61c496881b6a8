// expect: fastalloc: CompactHandles is written twice; keep one
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::CompactHandles, fastalloc::CompactHandles> pool(4); }
