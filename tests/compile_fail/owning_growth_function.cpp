// expect: GrowthStrategy::custom takes a trivially copyable function
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <string>

int main() {
  std::string text = "stateful";
  auto const strategy = fastalloc::GrowthStrategy::custom([text](std::size_t n) { return n + text.size(); });
}
