// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that includes core.hpp alone.
#include <cstdio>
#include <fastalloc/core.hpp>

int main() {
  fastalloc::FixedPool<int> numbers(4);
  fastalloc::GrowingPool<int, fastalloc::BitmapAllocator> more(1);
  auto a = numbers.allocate(40);
  auto b = more.allocate(1), c = more.allocate(1);
  std::printf("%d of %zu slots\n", *a + *b + *c, numbers.capacity());
}
