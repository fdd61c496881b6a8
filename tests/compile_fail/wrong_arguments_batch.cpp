// expect: T cannot be built from these arguments
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <iterator>
#include <vector>

int main() {
  fastalloc::FixedPool<int> pool(4);
  std::vector<fastalloc::Handle<int>> handles;
  pool.allocate_batch(2, std::back_inserter(handles), "text");
}
