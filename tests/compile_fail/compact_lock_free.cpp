// expect: fastalloc: LockFree needs one block of slots, and CompactHandles lays them in several
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::LockFree, fastalloc::CompactHandles> pool(4); }
