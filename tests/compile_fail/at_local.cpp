// expect-each: fastalloc: a key or an index names a slot of one pool, and each thread has one of its own here; use
// SPDX-License-Identifier: MIT OR Apache-2.0
// expect: (::try_cancel\(|.try_cancel(<[^\n]*>)?. is unavailable)
// expect: (::lock\(|.lock(<[^\n]*>)?. is unavailable)
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadLocalPool<int, fastalloc::BitmapAllocator> pool(4);
  fastalloc::Key const key;
  auto const handle = pool.allocate_at(1, 2);
  auto const reserved = pool.reserve_key();
  auto const tried = pool.try_reserve_key();
  auto const built = pool.build(key, 1);
  auto const tried_to_build = pool.try_build(key, 1);
  pool.cancel(key);
  bool const cancelled = pool.try_cancel(key);
  auto const shared = pool.share(key);
  auto const locked = pool.lock(key);
}
