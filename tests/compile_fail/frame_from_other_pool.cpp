// expect: PooledFrame<&pool> wants the address of a pool of FrameSlots
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/coroutine.hpp>

inline fastalloc::FixedPool<int> numbers(4);

struct promise_type : fastalloc::PooledFrame<&numbers> {};
void* frame() { return promise_type::operator new(100); }
