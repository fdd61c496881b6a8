// expect-each: fastalloc: handles of different types do not compare; compare a.get.. [=<]+ b.get.., or store erased handles: Handle<T>
// expect: a.get.. == b.get
// expect: a.get.. < b.get
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  fastalloc::FixedPool<int, fastalloc::BasicStats> other(4);
  auto const a = pool.allocate(1);
  auto const b = other.allocate(1);
  fastalloc::Handle<int> const erased = pool.allocate(1);
  bool const same = a == b;
  bool const less = a < b;
  bool const mixed = erased != a;
}
