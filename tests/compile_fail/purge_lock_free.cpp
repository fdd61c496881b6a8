// expect: with LockFree other threads take slots at any time, so their pages cannot be given back; use AdaptiveLock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(fastalloc::FixedPool<int, fastalloc::LockFree>& pool) { (void)pool.purge(); }
