// expect-each: fastalloc: objects of this pool have one owner each; write a sharing policy after T
// expect: (::share\(|.share(<[^\n]*>)?. is unavailable)
// expect: (::lock\(|.lock(<[^\n]*>)?. is unavailable)
// expect: (::adopt_shared\(|.adopt_shared(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::Generations> pool(4);
  int object = 0;
  auto const owner = pool.share(&object);
  auto const locked = pool.lock(fastalloc::Key());
  auto const back = pool.adopt_shared(&object);
}
