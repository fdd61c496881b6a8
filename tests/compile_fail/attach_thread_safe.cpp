// expect: processes can share only what lies in the span, and this pool keeps free slots, or those who wait for one, in the pool object; attach to a FixedPool<T, ExternalStorage, LockFree>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using namespace fastalloc;
ThreadSafePool<int, ExternalStorage, LockFree> pool(PoolConfig{.capacity = 4}, ExternalStorage::attach({}));
