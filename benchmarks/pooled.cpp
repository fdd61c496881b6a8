// SPDX-License-Identifier: MIT OR Apache-2.0
// new and delete of a class that derives from Pooled: the program says what it says for the subject "new".
#include "pooled.hpp"

#include "workloads.hpp"

namespace bench {

void add_pooled_cases() {
  add_cases<PooledNew<>>("new, Pooled");
  add_cases<PooledNew<fastalloc::NoLock>>("new, Pooled<NoLock>");
}

}  // namespace bench
