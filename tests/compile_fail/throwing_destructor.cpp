// expect: ~T.. must be noexcept and accessible; handles destroy objects where nothing may be thrown
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Thrower {
  ~Thrower() noexcept(false) {}
};
fastalloc::FixedPool<Thrower> pool(4);
