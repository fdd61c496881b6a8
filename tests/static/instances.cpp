// SPDX-License-Identifier: MIT OR Apache-2.0
// Explicit instantiation: every member compiles, or is left out where its condition is false.
#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>
#include <fastalloc/storage/budget.hpp>

#include <functional>

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

template class fastalloc::OldestFirst<Item>;
using EndsOldest = Evict<std::reference_wrapper<OldestFirst<Item>>>;
template class fastalloc::GrowingPool<Item, EndsOldest, Generations32, Shared, BitmapAllocator, Registered>;
template class fastalloc::ThreadLocalPool<Item, EndsOldest, AtomicStats>;
template class fastalloc::ThreadSafePool<Item, HeapFallback, AtomicStats, Abandonable>;
template class fastalloc::GrowingPool<Item, Budgeted<>, Registered, NoPoison, FullChecks>;
template class fastalloc::MovablePool<GrowingPool<Item, Generations, AtomicShared>>;
template class fastalloc::MovablePool<FixedPool<Item, ExternalStorage, HeapFallback>>;
template class fastalloc::MovablePool<FixedPool<Item, InlineStorage<4>, Registered>>;
namespace {
struct InPool : Pooled<InPool> {
  int number = 0;
};
}  // namespace
template class fastalloc::Pooled<InPool>;

template class fastalloc::Handle<Item>;
template class fastalloc::Handle<Item, FixedPool<Item>>;
template class fastalloc::SharedHandle<Item>;
template class fastalloc::WeakHandle<Item>;
template class fastalloc::BatchHandle<Item, FixedPool<Item>>;
template class fastalloc::SpanHandle<Item, FixedPool<Item, BitmapAllocator>>;
