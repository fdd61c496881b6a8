// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that imports the library, and shares objects with a file that includes it (included.cpp).
#include <fastalloc/version.hpp>

#include <cstdio>
#include <memory_resource>
#include <vector>

import fastalloc;

#if FASTALLOC_VERSION < 10000
#error "the version header is not the library's"
#endif

fastalloc::Handle<int> next_number();  // included.cpp
std::size_t hooks_called = 0;

struct Hooked : fastalloc::Poolable {
  void on_acquire() { ++hooks_called; }
};
struct Foreign {
  void on_release() noexcept { ++hooks_called; }
};
template <> inline constexpr bool fastalloc::is_poolable<Foreign> = true;
static_assert(fastalloc::SlotAllocator<fastalloc::BitmapAllocator>);

int main() {
  fastalloc::FixedPool<int, fastalloc::Generations, fastalloc::BasicStats> pool(4);
  auto answer = pool.allocate(42);
  auto const key = pool.key(answer);
  fastalloc::ThreadSafePool<Hooked> hooked(10);
  fastalloc::GrowingPool<Foreign> foreign(1);
  { auto a = hooked.allocate(), b = hooked.allocate(); }
  { auto c = foreign.allocate(), d = foreign.allocate(); }

  fastalloc::PoolResource resource;
  std::pmr::vector<int> numbers({1, 2, 3}, &resource);

  auto const other = next_number();
  if (hooks_called != 4 || pool.get(key) != &*answer || *other != 7 || numbers.size() != 3 ||
      fastalloc::summary(pool.statistics()).empty())
    return 1;
  std::printf("%d of %zu slots\n", *answer, pool.capacity());
}
