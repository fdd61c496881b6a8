// expect: two storages; keep one of HeapStorage, InlineStorage<N>, ExternalStorage, PageStorage
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

fastalloc::FixedPool<int, fastalloc::HeapStorage, fastalloc::InlineStorage<4>> pool(4);
