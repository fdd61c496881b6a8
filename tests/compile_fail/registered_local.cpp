// expect: other threads cannot read a thread's sub-pool, so a ThreadLocalPool is in no list; leave Registered out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

void f() { fastalloc::ThreadLocalPool<int, fastalloc::Registered> pool(4); }
