// expect-each: fastalloc: this pool has no keys; write the policy Generations after T
// expect: (::key\(|.key(<[^\n]*>)?. is unavailable)
// expect: (::get\(|.get(<[^\n]*>)?. is unavailable)
// expect: (::contains\(|.contains(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto const handle = pool.allocate();
  auto const key = pool.key(handle);
  auto const of_object = pool.key(handle.get());
  int* const found = pool.get(fastalloc::Key());
  bool const there = pool.contains(fastalloc::Key());
}
