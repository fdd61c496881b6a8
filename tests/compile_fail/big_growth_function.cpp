// expect: GrowthStrategy::custom takes a trivially copyable function of at most three pointers; capture a
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  std::size_t a = 1, b = 2, c = 3, d = 4;
  auto const strategy = fastalloc::GrowthStrategy::custom([=](std::size_t n) { return n + a + b + c + d; });
}
