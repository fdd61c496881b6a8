// expect-first: T cannot be built from these arguments; pass what one of T.s constructors takes
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <string>

int main() {
  fastalloc::FixedPool<std::string> pool(4);
  auto handle = pool.allocate(std::string("a"), std::string("b"), 3.5);
}
