// SPDX-License-Identifier: MIT OR Apache-2.0
// The cases of the limit kernel.
#include "limit.hpp"
#include "workloads.hpp"

namespace bench {

void add_limit_cases() {
  add_cases<Limit>("LIMIT");
  add_build<Limit>("LIMIT");
}

}  // namespace bench
