// expect-first: have a header of their own; add #include <fastalloc/pool/saved_state.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto const bytes = pool.saved_bytes();
}
