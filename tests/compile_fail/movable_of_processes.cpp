// expect: fastalloc: a MovablePool cannot know which objects of a pool that processes share are this process's
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using Pool = fastalloc::FixedPool<int, fastalloc::ExternalStorage, fastalloc::LockFree>;
fastalloc::MovablePool<Pool> pool(std::span<std::byte>{});
