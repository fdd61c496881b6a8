// expect: ~T.. must be noexcept and accessible
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

class Locked {
  ~Locked() = default;
};
fastalloc::FixedPool<Locked> pool(4);
