// expect: two cache policies; keep one of ThreadCache<N>, NoCache
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::ThreadCache<8>, fastalloc::NoCache> pool(4);
