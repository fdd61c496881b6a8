// SPDX-License-Identifier: MIT OR Apache-2.0
// expect-each: fastalloc: the type of this pool does not name this storage, so the value would have no effect; write it after T, too, as in FixedPool<T, ExternalStorage>.config, ExternalStorage.span
// expect: <int, [a-z0-9_:]*FixedKind
// expect: <int, [a-z0-9_:]*GrowingKind
// expect: <int, [a-z0-9_:]*ThreadSafeKind
// expect: <int, [a-z0-9_:]*ThreadLocalKind
// expect: <char, [a-z0-9_:]*FixedKind
// expect: <char, [a-z0-9_:]*GrowingKind
// expect: <char, [a-z0-9_:]*ThreadLocalKind
#include <fastalloc/fastalloc.hpp>

struct MyHeap : fastalloc::HeapStorage {};

void f(std::span<std::byte> bytes) {
  fastalloc::PoolConfig const config{.capacity = 4};
  fastalloc::FixedPool<int> a(config, fastalloc::ExternalStorage(bytes));
  fastalloc::GrowingPool<int> b(config, fastalloc::PageStorage{});
  fastalloc::ThreadSafePool<int> c(config, fastalloc::PageStorage{});
  fastalloc::ThreadLocalPool<int> d(config, fastalloc::PageStorage{});
  auto const e = fastalloc::FixedPool<char>::try_create(config, fastalloc::ExternalStorage(bytes));
  fastalloc::GrowingPool<char> g(config, MyHeap{});  // would be cut to a HeapStorage
  auto const h = fastalloc::ThreadLocalPool<char>::try_create(config, fastalloc::PageStorage{});
}
