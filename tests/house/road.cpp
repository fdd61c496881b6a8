// SPDX-License-Identifier: MIT OR Apache-2.0
// One allocation and one handle's end of each pool, which road.py steps through. Compiled without optimization, checks
// and inlining, so that each function is a step of its own.
#include <fastalloc/fastalloc.hpp>

namespace {

struct Object {
  long value;
  explicit Object(long v) noexcept : value(v) {}
};

template <class Pool> void walk() {
  Pool pool(100);
  for (int i = 0; i != 20; ++i) (void)pool.allocate(i);  // a thread's 8th operation attaches its cache
  alignas(typename Pool::handle_type) std::byte memory[sizeof(typename Pool::handle_type)];
  long const value = 1;
  auto* const handle = ::new (static_cast<void*>(memory)) typename Pool::handle_type(pool.allocate(value));  // allocate
  handle->~Handle();                                                                                         // end
}

}  // namespace

int main() {
  walk<fastalloc::FixedPool<Object>>();
  walk<fastalloc::GrowingPool<Object>>();
  walk<fastalloc::ThreadSafePool<Object>>();
}
