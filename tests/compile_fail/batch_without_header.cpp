// expect: fastalloc: batches have a header of their own; add #include <fastalloc/pool/batches.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/core.hpp>

void f(fastalloc::FixedPool<int>& pool, fastalloc::FixedPool<int>::handle_type* out) { pool.allocate_batch(4, out); }
