// expect-first: fastalloc: a generation of 31 bits leaves none that marks a reserved slot; write Generations, or
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BasicGenerations<31>> pool(4);
  auto const key = pool.reserve_key();
}
