// SPDX-License-Identifier: MIT OR Apache-2.0
// FASTALLOC_EXCEPTIONS=0 decides how pools report failures. Constructors and hooks of the program may throw anyway,
// and nothing is lost then.
#define FASTALLOC_EXCEPTIONS 0
#include <fastalloc/fastalloc.hpp>

namespace {

struct Item : fastalloc::Poolable {
  explicit Item(int v) : value(v) {
    if (v < 0) throw v;
  }
  ~Item() { ++ended; }
  void on_acquire() {
    if (value == 0) throw value;
  }
  void on_release() {}
  int value;
  static inline int ended = 0;
};

template <class Pool> bool loses_nothing(int value, int ends) {
  Pool pool(10);
  Item::ended = 0;
  for (int i = 0; i != 30; ++i) {
    try {
      auto const handle = pool.allocate(value);
      return false;
    } catch (int) {}
  }
  return pool.allocated() == 0 && Item::ended == ends && pool.check_invariants();
}
template <class Pool> bool is_right() { return loses_nothing<Pool>(-1, 0) && loses_nothing<Pool>(0, 30); }

}  // namespace

int main() {
  using namespace fastalloc;
  return is_right<FixedPool<Item>>() && is_right<GrowingPool<Item>>() && is_right<ThreadSafePool<Item>>() &&
                 is_right<FixedPool<Item, LockFree>>() && is_right<FixedPool<Item, BitmapAllocator, FullChecks>>()
             ? 0
             : 1;
}
