// expect: LockFree needs one block of slots; use FixedPool or ThreadSafePool with it, or AdaptiveLock with GrowingPool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int, fastalloc::LockFree> pool(4);
