// expect: fastalloc: BoundAllocator takes a PoolResource or SynchronizedPoolResource; for other resources use std::pmr::polymorphic_allocator
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pool_allocator.hpp>

std::pmr::monotonic_buffer_resource memory;

int main() { fastalloc::BoundAllocator<int, memory> const allocator; }
