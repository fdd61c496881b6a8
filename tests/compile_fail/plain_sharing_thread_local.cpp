// expect: threads may share this pool, and Shared counts the owners of an object without care for that; write AtomicShared
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadLocalPool<int, fastalloc::Shared> pool(4);
