// expect-each: fastalloc: pass the resource
// expect: fastalloc: pass the resource, as in std::list<T, PoolAllocator<T>>.resource
// expect: fastalloc: pass the resource: PoolAllocator<T>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pool_allocator.hpp>

int main() {
  fastalloc::PoolAllocator<int> nothing;
  fastalloc::PoolResource resource;
  fastalloc::PoolAllocator<int> address(&resource);
}
