// expect: Beside core.hpp include the policy's own header
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::CompactHandles> pool(4); }
