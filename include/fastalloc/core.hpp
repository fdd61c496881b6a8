// SPDX-License-Identifier: MIT OR Apache-2.0
// The core: FixedPool and GrowingPool with handles, slot allocators, the usual storages and locks, statistics without
// reports. For short compile times. Include MutexLock's own header if needed; it pulls in <mutex>.
// <fastalloc/fastalloc.hpp> has everything; single headers, such as <fastalloc/pool/thread_safe_pool.hpp>, add to this.
#pragma once

// Our parameters may have the name of a user's global variable, such as `pool`; -Wshadow would say so.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#include <fastalloc/config.hpp>
#include <fastalloc/error.hpp>
#include <fastalloc/fwd.hpp>
#include <fastalloc/handle/handle.hpp>
#include <fastalloc/lifetime/poolable.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/pool/fixed_pool.hpp>
#include <fastalloc/pool/growing_pool.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/slots/bitmap_allocator.hpp>
#include <fastalloc/slots/free_list_allocator.hpp>
#include <fastalloc/slots/stack_allocator.hpp>
#include <fastalloc/stats/basic_stats.hpp>
#include <fastalloc/storage/external_storage.hpp>
#include <fastalloc/storage/heap_storage.hpp>
#include <fastalloc/storage/inline_storage.hpp>

#if FASTALLOC_HAS_THREADS
#include <fastalloc/lock/adaptive_lock.hpp>
#endif

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
