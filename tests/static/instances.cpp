// SPDX-License-Identifier: MIT OR Apache-2.0
// Explicit instantiation: every member compiles, or is left out where its condition is false.
#include <fastalloc/fastalloc.hpp>

namespace {
struct Item {
  int number = 0;
  long value = 0;
};
}  // namespace

#define FASTALLOC_INSTANTIATE(...)                             \
  template class fastalloc::FixedPool<Item, __VA_ARGS__>;      \
  template class fastalloc::GrowingPool<Item, __VA_ARGS__>;    \
  template class fastalloc::ThreadSafePool<Item, __VA_ARGS__>; \
  template class fastalloc::ThreadLocalPool<Item, __VA_ARGS__>

using namespace fastalloc;

template class fastalloc::FixedPool<Item>;
template class fastalloc::GrowingPool<Item>;
template class fastalloc::ThreadSafePool<Item>;
template class fastalloc::ThreadLocalPool<Item>;
FASTALLOC_INSTANTIATE(BitmapAllocator, AtomicStats, FullChecks);
template class fastalloc::FixedPool<Item, InlineStorage<4>, FreeListAllocator, Generations, NoChecks>;
template class fastalloc::ThreadSafePool<Item, LockFree, InlineStorage<4>, Generations, AtomicShared>;
template class fastalloc::ThreadLocalPool<Item, InlineStorage<4>, FreeListAllocator, BasicStats, DebugChecks>;
template class fastalloc::FixedPool<Item, ExternalStorage, Shared>;

template class fastalloc::Handle<Item>;
template class fastalloc::Handle<Item, FixedPool<Item>>;
template class fastalloc::SharedHandle<Item>;
template class fastalloc::WeakHandle<Item>;
template class fastalloc::BatchHandle<Item, FixedPool<Item>>;
template class fastalloc::SpanHandle<Item, FixedPool<Item, BitmapAllocator>>;
