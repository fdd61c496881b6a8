// expect: this storage says that threads may not share it; use HeapStorage with ThreadSafePool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct OneThread : fastalloc::HeapStorage {
  static constexpr bool is_thread_safe = false;
};
fastalloc::ThreadSafePool<int, OneThread> pool(4);
