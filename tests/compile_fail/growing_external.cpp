// expect: this storage is one block and cannot grow; use FixedPool with it
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::GrowingPool<int, fastalloc::ExternalStorage> pool(4);
