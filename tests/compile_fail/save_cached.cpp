// expect-first: fastalloc: threads keep free slots of this pool in caches, whose order is not saved; write NoCache
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadSafePool<int, fastalloc::InlineStorage<10>> pool;
  std::byte bytes[100];
  auto const result = pool.try_save(bytes);
}
