// expect: this statistics policy is not safe where threads hold no lock; use AtomicStats or NoStats
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::LockFree, fastalloc::BasicStats> pool(4);
