// SPDX-License-Identifier: MIT OR Apache-2.0
// expect: fastalloc: a policy value that is not in the pool.s type has no effect; write its type after T, as in FixedPool<T, FullChecks>
// expect: fastalloc: a pool makes its lock, statistics and slot allocator itself, so this value would have no effect; leave it out
// expect: fastalloc: two values for one policy, of which one would have no effect; keep one
// expect: fastalloc: not a policy; pass ExternalStorage
// expect: fastalloc: an argument after the PoolConfig is not a policy
// expect-each: fastalloc: (a policy value|a pool makes|two values|not a policy|an argument)
#include <fastalloc/fastalloc.hpp>

void f(std::span<std::byte> bytes) {
  fastalloc::PoolConfig const config{.capacity = 4};
  fastalloc::FixedPool<int, fastalloc::NoChecks> a(config, fastalloc::FullChecks{});
  fastalloc::FixedPool<int, fastalloc::BasicStats> b(config, fastalloc::BasicStats{});
  fastalloc::FixedPool<int, fastalloc::ExternalStorage> c(config, fastalloc::ExternalStorage(bytes),
                                                          fastalloc::ExternalStorage(bytes));
  fastalloc::FixedPool<int, fastalloc::ExternalStorage> d(config, bytes);
  fastalloc::ThreadLocalPool<int> e(config, 5);
}
