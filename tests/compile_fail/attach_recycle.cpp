// expect: a pool with Recycle destroys what it keeps when it ends, which other processes may still use; leave Recycle out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using namespace fastalloc;
using Recycled = decltype(recycle([] { return 1; }, [](int&) {}));
FixedPool<int, ExternalStorage, LockFree, Recycled> pool(PoolConfig{.capacity = 4}, Recycled(),
                                                         ExternalStorage::attach({}));
