// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cstdio>
#include <fastalloc/fastalloc.hpp>

#if FASTALLOC_VERSION < 100
#error "the version header is not the library's"
#endif

int main() {
  fastalloc::FixedPool<int> numbers(4);
  auto answer = numbers.allocate(42);
  std::printf("%d of %zu slots\n", *answer, numbers.capacity());
}
