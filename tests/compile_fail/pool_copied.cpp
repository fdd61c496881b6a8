// expect-each: fastalloc: pools do not move; (use MovablePool|pass a pointer)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> fixed(4);
  auto a = fixed;
  fastalloc::GrowingPool<int> growing(4);
  auto b = growing;
  fastalloc::ThreadSafePool<int> shared(4);
  auto c = shared;
  fastalloc::ThreadLocalPool<int> local(4);
  auto d = local;
}
