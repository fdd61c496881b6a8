// expect-first: fastalloc: an object for overwriting is default-initialised, and T has no default constructor that can be called
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Number {
  explicit Number(int n) : value(n) {}
  int value;
};

int main() {
  fastalloc::GrowingPool<Number> pool(4);
  auto handle = pool.try_allocate_for_overwrite();
}
