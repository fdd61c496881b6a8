// expect: fastalloc: the slots of this pool are bigger than T .* use allocate_batch_handle
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Make {
  long operator()() const { return 1; }
};
struct Keep {
  void operator()(long&) const {}
};

int main() {
  fastalloc::FixedPool<long, fastalloc::BitmapAllocator, fastalloc::Recycle<Make, Keep>> pool(4);
  auto const run = pool.allocate_n(2);
}
