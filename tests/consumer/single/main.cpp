// SPDX-License-Identifier: MIT OR Apache-2.0
// A program of two files over the single header; other.cpp also includes a copy of it with a namespace of its own.
#include <cstdio>
#include <fastalloc_single.hpp>
#include <memory_resource>
#include <vector>

fastalloc::Handle<int> forty();
int two();

int main() {
  fastalloc::FixedPool<int> numbers(4);
  fastalloc::PoolResource resource;
  std::pmr::vector<int> const two_numbers({1, 1}, &resource);
  auto const a = forty();
  auto answer = numbers.allocate(*a + two_numbers[0] + two_numbers[1]);
  std::printf("%d of %zu slots\n", *answer - two() + two(), numbers.capacity());
}
