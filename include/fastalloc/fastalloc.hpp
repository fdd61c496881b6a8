// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc: typed memory pools whose RAII handles return their slot when they are destroyed.
// This header is all that most programs need: pools, handles, policies, configuration, errors, statistics.
// Compiled with -ffreestanding it leaves out what needs threads, a heap or text: include/fastalloc/README.md has the
// list. With a standard library without threads it leaves out the pools of threads.
#pragma once

// Our parameters may have the name of a user's global variable, such as `pool`; -Wshadow would say so.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/checks/no_checks.hpp>
#include <fastalloc/core.hpp>
#include <fastalloc/handle/bound.hpp>
#include <fastalloc/handle/key.hpp>
#include <fastalloc/handle/shared_handle.hpp>
#include <fastalloc/handle/sharing.hpp>
#include <fastalloc/lifetime/construct_on_allocate.hpp>
#include <fastalloc/lifetime/recycle.hpp>
#include <fastalloc/lock/interrupt_lock.hpp>
#include <fastalloc/lock/lock_free.hpp>
#include <fastalloc/pool/batches.hpp>
#include <fastalloc/pool/clearing.hpp>
#include <fastalloc/pool/compact_handles.hpp>
#include <fastalloc/pool/identities.hpp>
#include <fastalloc/pool/looking.hpp>
#include <fastalloc/pool/movable_pool.hpp>
#include <fastalloc/pool/no_destructor.hpp>
#include <fastalloc/pool/saved_state.hpp>
#include <fastalloc/pool/shared_memory.hpp>
#include <fastalloc/pool/sharing.hpp>
#include <fastalloc/slots/generations.hpp>
#include <fastalloc/stats/atomic_stats.hpp>
#include <fastalloc/stats/pool_statistics.hpp>

#if FASTALLOC_HAS_THREADS
#include <fastalloc/cache/thread_cache.hpp>
#include <fastalloc/lock/mutex_lock.hpp>
#include <fastalloc/pool/on_available.hpp>
#include <fastalloc/pool/thread_local_pool.hpp>
#include <fastalloc/pool/thread_safe_pool.hpp>
#endif
#if __STDC_HOSTED__
#include <fastalloc/pool/exhaustion.hpp>
#include <fastalloc/pool/purge.hpp>
#include <fastalloc/stats/report.hpp>
#include <fastalloc/storage/page_storage.hpp>
#endif

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
