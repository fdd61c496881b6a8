// expect-first: this storage needs a value; pass it after the PoolConfig, as in ExternalStorage.span
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::ExternalStorage> pool(fastalloc::PoolConfig{.capacity = 4});
