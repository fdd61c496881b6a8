// expect: two sharing policies; keep one of Shared .one thread., AtomicShared .several.
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::Shared, fastalloc::AtomicShared> pool(4);
