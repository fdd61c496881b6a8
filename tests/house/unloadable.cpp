// SPDX-License-Identifier: MIT OR Apache-2.0
// A library with pools of one thread. It can be unloaded: nothing in it is STB_GNU_UNIQUE, which the loader keeps
// for good. g++ makes inline variables so, and static members of templates.
#include <fastalloc/fastalloc.hpp>

namespace {
struct Hidden {
  long value;
};
}  // namespace
struct Visible {
  ~Visible() {}
  long value;
};

template <class Pool> static long use() {
  Pool pool(10);
  fastalloc::Handle<typename Pool::value_type> const handle = pool.allocate(typename Pool::value_type{1});
  pool.for_each([](auto& object) { ++object.value; });
  return handle->value;
}

extern "C" long use_all();
extern "C" long use_all() {
  using namespace fastalloc;
  return use<FixedPool<Hidden>>() + use<FixedPool<Visible, BitmapAllocator, BasicStats>>() +
         use<GrowingPool<Visible, Generations>>() + use<GrowingPool<Hidden, FreeListAllocator, FullChecks>>() +
         use<FixedPool<Visible, LockFree, NoChecks>>();
}
#if defined(PLANTED)
template <class T> struct Unique {
  static inline int value = 1;
};
extern "C" int* planted();
extern "C" int* planted() { return &Unique<Visible>::value; }
#endif
