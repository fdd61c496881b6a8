// expect-first: fastalloc: on_available\(\) and async_allocate\(\) have a header of their own; add #include <fastalloc/pool/on_available.hpp>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/pool/thread_safe_pool.hpp>

int main() {
  fastalloc::ThreadSafePool<int> pool(4);
  (void)pool.on_available([](auto&) {});
}
