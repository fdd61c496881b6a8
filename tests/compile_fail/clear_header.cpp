// expect-first: fastalloc: clear\(\) has a header of its own; add #include <fastalloc/pool/clearing.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  pool.clear();
}
