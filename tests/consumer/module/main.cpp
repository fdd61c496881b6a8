// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that imports the library, and shares objects with a file that includes it (included.cpp).
#include <fastalloc/version.hpp>

#include <cstdio>
#include <memory_resource>
#include <string>
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

  fastalloc::GrowingPool<int, fastalloc::TraceStats<fastalloc::ChromeTrace>> traced(1);
  fastalloc::ChromeTrace::start();
  { auto a = traced.allocate(1); }
  fastalloc::ChromeTrace::stop();
  using Waited = fastalloc::ThreadSafePool<int>;
  Waited waited_for(1);
  int offered = 0;
  fastalloc::SlotRequest const request =
      waited_for.on_available([&](fastalloc::FreeSlot<Waited>& slot) { offered = *slot.allocate(5); });

  auto const other = next_number();
  if (hooks_called != 4 || pool.get(key) != &*answer || *other != 7 || numbers.size() != 3 ||
      fastalloc::summary(pool.statistics()).empty() || offered != 5 || fastalloc::ChromeTrace::to_json().empty() ||
      fastalloc::occupancy_svg(pool).find("<svg") == std::string::npos)
    return 1;
  std::printf("%d of %zu slots\n", *answer, pool.capacity());
}
