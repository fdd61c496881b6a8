// expect: thread caches move slots under a lock, and LockFree has none; write NoCache, or leave LockFree out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::LockFree, fastalloc::ThreadCache<64>> pool(4);
