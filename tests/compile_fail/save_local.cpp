// expect-each: fastalloc: each thread of a ThreadLocalPool has its own slots; save a ThreadSafePool<T, NoCache>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadLocalPool<int> pool(4);
  std::byte bytes[100];
  auto const size = pool.saved_bytes();
  auto const written = pool.save(bytes);
  auto const tried = pool.try_save(bytes);
  auto const loaded = pool.load(bytes);
  pool.save_with([](std::size_t, int) {});
  pool.load_with([](auto) {});
}
