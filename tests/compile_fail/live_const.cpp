// expect: read-only|const-qualified
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BitmapAllocator> pool(4);
  auto const& view = pool;
  for (auto& x : view.live()) x = 1;
}
