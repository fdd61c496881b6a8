// expect: the function of on_available\(\) is called with the free slot; write on_available\(\[&\]\(auto& slot\)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(fastalloc::ThreadSafePool<int>& pool) {
  (void)pool.on_available([] {});
}
