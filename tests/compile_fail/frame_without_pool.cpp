// expect: this coroutine is given no pool for its frame; make a reference to one its first parameter
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/coroutine.hpp>

// What the compiler calls for a coroutine with the parameters (int&, FixedPool<int>&).
void* frame(int& number, fastalloc::FixedPool<int>& pool) {
  return fastalloc::PooledFrame<>::operator new(100, number, pool);
}
