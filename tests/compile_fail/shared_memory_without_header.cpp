// expect: fastalloc: processes may share this pool, which has a header of its own; add #include <fastalloc/pool/shared_memory.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>
#include <fastalloc/lock/lock_free.hpp>

void f(std::span<std::byte> bytes) {
  fastalloc::FixedPool<int, fastalloc::ExternalStorage, fastalloc::LockFree> pool(bytes);
}
