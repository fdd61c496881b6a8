// expect-first: fastalloc: objects of this pool have one owner each; write a sharing policy after T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::ThreadLocalPool<int> pool(4);
  int* const object = pool.allocate(1).release();
  auto const owner = pool.share(object);
}
