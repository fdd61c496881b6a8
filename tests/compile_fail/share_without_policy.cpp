// expect-first: objects of this pool have one owner each; name a sharing policy behind T, as in FixedPool<T, Shared>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f() {
  fastalloc::FixedPool<int> pool(4);
  auto shared = pool.allocate(1).share();
}
