// expect-each: fastalloc: (this pool never grows|trim\(\))
// expect: (::reserve\(|.reserve(<[^\n]*>)?. is unavailable)
// expect: (::shrink_to_fit\(|.shrink_to_fit(<[^\n]*>)?. is unavailable)
// expect: (::trim\(|.trim(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> fixed(4);
  fixed.reserve(5);
  auto const bytes = fixed.shrink_to_fit();
  fixed.trim();
  fastalloc::ThreadSafePool<int, fastalloc::LockFree> lock_free(4);
  lock_free.reserve(5);
  auto const none = lock_free.shrink_to_fit();
  fastalloc::GrowingPool<int> growing(4);
  growing.trim();
}
