// expect-first: build\(\) and cancel\(\) have a header of their own; add #include <fastalloc/pool/identities.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BitmapAllocator> pool(4);
  auto const handle = pool.allocate_at(1, 2);
}
