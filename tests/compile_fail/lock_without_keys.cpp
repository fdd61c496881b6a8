// expect-each: fastalloc: this pool has no keys; write the policy Generations after T
// expect: (::share\(|.share(<[^\n]*>)?. is unavailable)
// expect: (::lock\(|.lock(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadSafePool<int, fastalloc::AtomicShared> pool(4);
  auto const owner = pool.share(fastalloc::Key());
  auto const locked = pool.lock(fastalloc::Key());
}
