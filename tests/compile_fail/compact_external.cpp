// expect: fastalloc: with CompactHandles slots lie in segments, which this storage may not be able to align
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

void f(std::span<std::byte> bytes) {
  fastalloc::FixedPool<int, fastalloc::ExternalStorage, fastalloc::CompactHandles> pool(bytes);
}
