// SPDX-License-Identifier: MIT OR Apache-2.0
// Three copies of the library in one program, each with an error handler and a registry of its own: `fastalloc` here;
// another namespace, and another version in the same namespace, in copy.cpp, which is compiled twice.
#include "copy.hpp"

#include <cstdio>
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

static int errors = 0;

int main() {
  fastalloc::set_error_handler([](fastalloc::Error const&) { ++errors; });
  fastalloc::ThreadSafePool<int, fastalloc::Registered> pool(fastalloc::PoolConfig{.capacity = 4, .name = "main"});
  auto answer = pool.allocate(42);

  bool const right = copy_in_namespace() && copy_of_version();
  std::size_t pools = 0;
  fastalloc::PoolRegistry::for_each([&](fastalloc::PoolInfo const& info) { pools += info.name == "main" ? 1 : 100; });
  auto* const previous = fastalloc::set_error_handler(nullptr);
  fastalloc::PoolStatistics const statistics{.total_allocations = 3, .capacity = 4};
  if (!right || errors != 0 || pools != 1 || previous == nullptr || fastalloc::to_json(statistics).empty()) return 1;
  std::printf("%d of %zu slots\n", *answer, pool.capacity());
}
