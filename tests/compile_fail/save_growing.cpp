// expect-first: fastalloc: save\(\) and load\(\) need one block, which is there before; use FixedPool without CompactHandles, or
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::GrowingPool<int> pool(4);
  std::byte bytes[100];
  auto const result = pool.load(bytes);
}
