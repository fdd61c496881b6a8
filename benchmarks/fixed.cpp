// SPDX-License-Identifier: MIT OR Apache-2.0
// FixedPool with its default policies, behind the erased handle, with statistics, and with handles of one word.
#include "pools.hpp"
#include "workloads.hpp"

namespace bench {

void add_fixed_cases() {
  using Pool = fastalloc::FixedPool<Object>;
  add_cases<Ours<Pool>>("FixedPool");
  add_build<Ours<Pool>>("FixedPool");
  add_cases<Ours<Pool, 0, fastalloc::Handle<Object>>>("FixedPool, erased handle");
  add_cases<Ours<fastalloc::FixedPool<Object, fastalloc::BasicStats>>>("FixedPool, BasicStats");
  using Compact = fastalloc::FixedPool<Object, fastalloc::CompactHandles>;
  add_cases<Ours<Compact>>("FixedPool, CompactHandles");
  add_cases<Ours<Compact, 0, fastalloc::CompactHandle<Object>>>("FixedPool, CompactHandle<T>");
}

}  // namespace bench
