// expect: ShortKey|Key
// expect-first: (no matching|could not convert|no viable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::Generations32> pool(4);
  int* const found = pool.get(fastalloc::Key());  // of another kind of pool: half of it would be lost
}
