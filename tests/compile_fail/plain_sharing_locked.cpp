// expect: threads may share this pool, and Shared counts the owners of an object without care for that; write AtomicShared
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::Shared, fastalloc::MutexLock> pool(4);
