// expect-each: fastalloc: this pool does not wait; use ThreadSafePool, or ask again with try_allocate
// expect: (::allocate_for\(|.allocate_for(<[^\n]*>)?. is unavailable)
// expect: (::allocate_until\(|.allocate_until(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <chrono>

int main() {
  fastalloc::FixedPool<int> fixed(4);
  auto const a = fixed.allocate_for(std::chrono::seconds(1), 5);
  fastalloc::GrowingPool<int> growing(4);
  auto const b = growing.allocate_until(std::chrono::steady_clock::now());
}
