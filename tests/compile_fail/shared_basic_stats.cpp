// expect: this statistics policy is not safe .*use AtomicStats or NoStats
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::BasicStats> pool(4);
