// SPDX-License-Identifier: MIT OR Apache-2.0
// expect: fastalloc: an allocator's T must be an object type without const or volatile; write PoolAllocator<std::remove_cv_t<T>>
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pool_allocator.hpp>

int main() {
  fastalloc::PoolResource resource;
  fastalloc::PoolAllocator<int const> const allocator(resource);
}
