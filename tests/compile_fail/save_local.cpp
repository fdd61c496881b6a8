// expect-first: fastalloc: each thread of a ThreadLocalPool has its own slots; save a ThreadSafePool<T, NoCache>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadLocalPool<int> pool(4);
  std::byte bytes[100];
  auto const written = pool.save(bytes);
}
