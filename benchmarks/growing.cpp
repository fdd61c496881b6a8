// SPDX-License-Identifier: MIT OR Apache-2.0
// GrowingPool. It starts with a thousand slots and grows by doubling, so what is measured lies in several blocks.
#include "pools.hpp"
#include "workloads.hpp"

namespace bench {

void add_growing_cases() {
  add_cases<Ours<fastalloc::GrowingPool<Object>, small>>("GrowingPool");
  add_build<Ours<fastalloc::GrowingPool<Object>>>("GrowingPool");
  add_cases<Ours<fastalloc::GrowingPool<Object, fastalloc::BasicStats>, small>>("GrowingPool, BasicStats");
  add_cases<Ours<fastalloc::GrowingPool<Object, fastalloc::CompactHandles>, small>>("GrowingPool, CompactHandles");
}

}  // namespace bench
