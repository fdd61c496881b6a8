// SPDX-License-Identifier: MIT OR Apache-2.0
// Writes fastalloc:: like any user. COPY names its function; see main.cpp.
#include "copy.hpp"

#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

#include <unordered_set>

#ifdef FASTALLOC_NAMESPACE
static_assert(sizeof(acme::pools::Key) == 8 &&
              sizeof(acme::pools::FixedPool<int>) == sizeof(fastalloc::FixedPool<int>));
#endif

static int errors = 0;

bool COPY() {
  if (fastalloc::set_error_handler([](fastalloc::Error const&) { ++errors; }) != nullptr) return false;  // main()'s

  fastalloc::ThreadSafePool<int, fastalloc::Registered, fastalloc::Generations> pool(4);
  fastalloc::ThreadSafePool<int, fastalloc::Registered> another(4);
  auto number = pool.allocate(1);
  std::unordered_set<fastalloc::Key> keys{pool.key(number)};

  std::size_t pools = 0;
  fastalloc::PoolRegistry::for_each([&](fastalloc::PoolInfo const&) { ++pools; });
  bool const right = pools == 2 && keys.size() == 1 && errors == 0;
  fastalloc::set_error_handler(nullptr);
  return right;
}
