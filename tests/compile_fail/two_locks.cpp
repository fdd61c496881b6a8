// expect: two locks; keep one of NoLock, MutexLock
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <mutex>

fastalloc::FixedPool<int, std::mutex, fastalloc::MutexLock> pool(4);
