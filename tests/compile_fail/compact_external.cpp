// expect: fastalloc: with CompactHandles slots lie in segments, and this storage is asked for one block only
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(std::span<std::byte> bytes) {
  fastalloc::FixedPool<int, fastalloc::ExternalStorage, fastalloc::Generations, fastalloc::CompactHandles> pool(bytes);
}
