// expect: owners of shared objects find the pool by its address, which is another one in each process; leave Shared or AtomicShared out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using namespace fastalloc;
FixedPool<int, ExternalStorage, LockFree, AtomicShared> pool(PoolConfig{.capacity = 4}, ExternalStorage::attach({}));
