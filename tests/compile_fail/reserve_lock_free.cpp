// expect-first: fastalloc: keys are reserved under a lock, and LockFree has none; use AdaptiveLock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::LockFree, fastalloc::Generations> pool(4);
  auto const key = pool.reserve_key();
}
