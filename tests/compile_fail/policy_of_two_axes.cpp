// expect: a policy has the members of two axes, so its place is unclear; split it
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Both : fastalloc::HeapStorage, fastalloc::NoLock {};
fastalloc::FixedPool<int, Both> pool(4);
