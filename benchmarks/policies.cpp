// SPDX-License-Identifier: MIT OR Apache-2.0
// FixedPool with the other slot policies.
#include "pools.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

template <class Policy> void add(std::string const& subject) {
  using Pool = Ours<fastalloc::FixedPool<Object, Policy>>;
  add_cases<Pool>(subject);
  add_build<Pool>(subject);
}

}  // namespace

void add_policy_cases() {
  add<fastalloc::FreeListAllocator>("FixedPool, FreeListAllocator");
  add<fastalloc::BitmapAllocator>("FixedPool, BitmapAllocator");
}

}  // namespace bench
