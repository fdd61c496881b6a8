// expect: fastalloc: CAllocator takes PoolResource, or SynchronizedPoolResource for several threads; give it another memory resource as its upstream
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/c_allocator.hpp>

int main() { fastalloc::CAllocator<std::pmr::monotonic_buffer_resource> memory; }
