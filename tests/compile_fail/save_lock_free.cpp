// expect-first: fastalloc: other threads change a LockFree pool while it is copied; use a lock, or none
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::LockFree> pool(4);
  auto const bytes = pool.saved_bytes();
}
