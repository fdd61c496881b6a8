// SPDX-License-Identifier: MIT OR Apache-2.0
#include "concurrency/plugin/plugin.hpp"

#include <fastalloc/fastalloc.hpp>

#include <vector>

namespace {
// Types of its own, so that the program has none of this code.
struct Item {
  long value = 0;
};
fastalloc::ThreadSafePool<Item, fastalloc::ThreadCache<19>> shared_pool(50);
fastalloc::ThreadLocalPool<Item> local_pool(50);

template <class Pool> std::size_t fill(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  while (auto handle = pool.try_allocate()) handles.push_back(std::move(handle));
  return handles.size();
}
}  // namespace

std::size_t plugin_use() { return fill(shared_pool) + fill(local_pool); }
