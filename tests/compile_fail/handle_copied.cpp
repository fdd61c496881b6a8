// expect-each: fastalloc: (an object has one Handle; move or share it|objects have one owner; std::move.. it)
// expect: fastalloc: an object has one Handle
// expect: fastalloc: objects have one owner
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int, fastalloc::BitmapAllocator> pool(9);
  auto handle = pool.allocate(1);
  auto copy = handle;
  decltype(handle) other;
  other = handle;
  auto run = pool.allocate_n(2, 1);
  auto run_copy = run;
  auto batch = pool.allocate_batch_handle(2, 1);
  auto batch_copy = batch;
  batch = batch_copy;
}
