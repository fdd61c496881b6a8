// expect: a ThreadCache of less than two slots cannot work in batches; use NoCache
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::ThreadSafePool<int, fastalloc::ThreadCache<1>> pool(4);
