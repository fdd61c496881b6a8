// expect-each: fastalloc: only ThreadSafePool tells of free slots; use it, or ask again with try_allocate
// expect: (::on_available\(|.on_available(<[^\n]*>)?. is unavailable)
// expect: (::async_allocate\(|.async_allocate(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> fixed(4);
  fixed.on_available([](auto&) {});
  fastalloc::GrowingPool<int> growing(4);
  growing.async_allocate(1);
}
