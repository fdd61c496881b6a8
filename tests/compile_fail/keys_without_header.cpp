// expect: include the policy.s own header, as <fastalloc/slots/generations.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

void f() { fastalloc::FixedPool<int, fastalloc::Generations> pool(4); }
