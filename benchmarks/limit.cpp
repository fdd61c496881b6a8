// SPDX-License-Identifier: MIT OR Apache-2.0
// The cases of the limit kernel.
#include "limit.hpp"
#include "workloads.hpp"

namespace bench {

void add_limit_cases() {
  add_cases<Limit>("raw free list");
  add_build<Limit>("raw free list");
}

}  // namespace bench
