// expect-first: fastalloc: owners' counts \(Shared, AtomicShared\) and kept objects \(Recycle\) belong to this run
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool pool(fastalloc::PoolConfig{.capacity = 4}, fastalloc::recycle([] { return 1; }));
  auto const bytes = pool.saved_bytes();
}
