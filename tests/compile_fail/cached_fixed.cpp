// expect: ThreadCache stands between the threads of a ThreadSafePool; use that pool, or leave it out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::AdaptiveLock, fastalloc::ThreadCache<>> pool(4);
