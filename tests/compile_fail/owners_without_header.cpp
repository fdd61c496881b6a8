// expect: fastalloc: sharing has a header of its own; add #include <fastalloc/pool/sharing.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>
#include <fastalloc/handle/shared_handle.hpp>

fastalloc::SharedHandle<int> f(fastalloc::FixedPool<int, fastalloc::Shared>& pool, int* object) {
  return pool.share(object);
}
