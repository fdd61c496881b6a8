// SPDX-License-Identifier: MIT OR Apache-2.0
// expect-each: fastalloc: (a key or an index|threads|a ThreadLocalPool|trim)
// expect: (::key\(|.key(<[^\n]*>)?. is unavailable)
// expect: (::get\(|.get(<[^\n]*>)?. is unavailable)
// expect: (::contains\(|.contains(<[^\n]*>)?. is unavailable)
// expect: (::object_at\(|.object_at(<[^\n]*>)?. is unavailable)
// expect: (::find\(|.find(<[^\n]*>)?. is unavailable)
// expect: (::index_bound\(|.index_bound(<[^\n]*>)?. is unavailable)
// expect: (::live\(|.live(<[^\n]*>)?. is unavailable)
// expect: (::allocate_for\(|.allocate_for(<[^\n]*>)?. is unavailable)
// expect: (::allocate_until\(|.allocate_until(<[^\n]*>)?. is unavailable)
// expect: (::on_available\(|.on_available(<[^\n]*>)?. is unavailable)
// expect: (::async_allocate\(|.async_allocate(<[^\n]*>)?. is unavailable)
// expect: (::trim\(|.trim(<[^\n]*>)?. is unavailable)
#include <fastalloc/fastalloc.hpp>

#include <chrono>

int main() {
  fastalloc::ThreadLocalPool<int> pool(4);
  auto const handle = pool.allocate(1);
  auto const key = pool.key(handle);
  int* const found = pool.get(fastalloc::Key());
  bool const there = pool.contains(fastalloc::Key());
  int* const at = pool.object_at(0);
  int* const live = pool.find(0);
  auto const bound = pool.index_bound();
  for (int& x : pool.live()) x = 1;
  auto const a = pool.allocate_for(std::chrono::seconds(1));
  auto const b = pool.allocate_until(std::chrono::steady_clock::now(), 1);
  pool.on_available([](auto&) {});
  pool.async_allocate(1);
  pool.trim();
}
