// expect-each: fastalloc: this pool counts nothing; add (Basic|Atomic)Stats after T
// expect: (::statistics\(|.statistics(<[^\n]*>)?. is unavailable)
// expect: (::reset_statistics\(|.reset_statistics(<[^\n]*>)?. is unavailable)
// expect: (::total_statistics\(|.total_statistics(<[^\n]*>)?. is unavailable)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

int main() {
  fastalloc::FixedPool<int> pool(4);
  auto const counts = pool.statistics();
  pool.reset_statistics();
  fastalloc::ThreadLocalPool<int> local(4);
  auto const of_thread = local.statistics();
  auto const of_all = local.total_statistics();
}
