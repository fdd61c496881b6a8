// SPDX-License-Identifier: MIT OR Apache-2.0
// What the library keeps of threads and of all pools.
//
//   this_thread() (thread_local)   table -> | pool, part | pool, part | ... indexed by the places of the pools in use
//   registry                       pools <-> pool <-> pool, for forks; free places and free thread records
//
// Locks, in the order in which they may be taken (locks of one rank never nest, except in fork):
//   1  registry.lock         list of pools, free places, free records
//   2  ThreadRecord::lock    one thread's table
//   3  the pool's lock       its lists of parts
// No function here holds one of them while it takes another or calls a storage, operator new or a user's function. Only
// fork takes all: the registry's, that of its own record, then each pool's.
//
// Records and places are reused, and freed when no thread and no pool has one. So a part may point to the record of an
// ended thread. Libraries that share no symbols have separate tables and registries. A pool keeps to the registry of
// the library that constructed it; code of other libraries works without parts. Table and registry are
// constant-initialised and never destroyed: static objects may use pools in any order.
#pragma once

#include <fastalloc/cache/system_slot.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace fastalloc::detail::inline FASTALLOC_MODE {

class PoolNode;
class ThreadParts;
struct ThreadPart;
struct ThreadRecord;

/// The distance between data that different threads write often.
inline constexpr std::size_t cache_line = 64;  ///< bytes

/// An entry of a thread's table. The thread writes it; other threads write only `pool`, when the pool ends.
struct PartEntry {
  std::atomic<ThreadParts*> pool{nullptr};  ///< null: no part
  std::atomic<ThreadPart*> part{nullptr};
};
FASTALLOC_SHARED inline constinit PartEntry no_parts[1];

/// The data of a thread that other threads may read. Reused by a later thread; see Unused.
struct ThreadRecord {
  AdaptiveLock lock;
  PartEntry* table = no_parts;  ///< as in ThisThread; other threads read it under the lock
  std::size_t entries = 1;
  /// By place: operations in pools without a part, where ThisThread::early had no entry left. Only the thread accesses
  /// it.
  std::uint8_t* uses = nullptr;
  std::size_t uses_size = 0;
  ThreadRecord* next_free = nullptr;
  ThreadRecord* next = nullptr;  ///< in the list of all records
  PartEntry first_table[16];     ///< table, while that suffices. Without pools when no thread has the record

  /// Effects: there is no table. Returns: memory to free, or null. Requires: the lock, and no pool in the table.
  [[nodiscard]] PartEntry* drop_table() noexcept {
    PartEntry* const old = std::exchange(table, no_parts);
    entries = 1;
    return old == no_parts || old == first_table ? nullptr : old;
  }
};
FASTALLOC_SHARED inline constinit ThreadRecord no_record{};

/// The data of the calling thread that a lookup reads.
struct ThisThread {
  PartEntry* table = no_parts;
  std::size_t mask = 0;               ///< bytes of all entries but one; their number is a power of two
  ThreadRecord* record = &no_record;  ///< no_record before the first part, and once the thread is ending
  bool ended = false;                 ///< no parts any more
  /// Operations in the thread's first pools before it gets parts: place << 8 | number; 0: free. A thread that ends soon
  /// needs no record.
  std::uint32_t early[16] = {};
};

#if FASTALLOC_EMULATED_TLS
inline constinit SystemSlot<ThisThread> thread_slot{};
inline constinit ThisThread no_thread{};  ///< for threads that have no data yet; never written to

inline ThisThread& this_thread() noexcept {
  ThisThread* const thread = thread_slot.get();
  return thread == nullptr ? no_thread : *thread;
}
#else
FASTALLOC_SHARED inline constinit thread_local ThisThread this_thread_here{};

FASTALLOC_ALWAYS_INLINE ThisThread& this_thread() noexcept { return this_thread_here; }
#endif

/// A small number for a pool. Reused; see Unused.
struct Place {
  std::uint32_t number;
  Place* next_free;
};

/// Memory no longer in use; this link lies in it.
struct Stale {
  Stale* next;
};

struct Registry {
  AdaptiveLock lock;
  PoolNode* pools = nullptr;
  Place* free_places = nullptr;
  std::uint32_t places = 0;         ///< numbers assigned so far
  std::uint32_t in_use = 0;         ///< places and records that a pool or a thread has
  ThreadRecord* records = nullptr;  ///< all
  ThreadRecord* free_records = nullptr;
  /// of threads that do not exist after a fork; freed later, because the heap may handle the fork after us
  std::atomic<Stale*> stale{nullptr};
  bool begun = false;
  std::atomic<bool> has_fence{false};        ///< heavy_fence() works here
  std::atomic<ThisThread*> forker{nullptr};  ///< the thread that is forking
  ThreadRecord* forkers_record = nullptr;    ///< the record whose lock it holds; in a handler it may get another one
  int fork_handlers = 0;                     ///< handlers that hold the locks for it
  long forkers_process = 0;                  ///< its process id, to recognise the child
  bool is_child = false;                     ///< begin_child() has run
  std::atomic<std::uint32_t> forks{0};       ///< of which this process is the child
};
FASTALLOC_SHARED inline constinit Registry registry{};

/// All records and places, once nothing has one any more: freed at the end of its scope, without a lock. So a library
/// that is closed leaves nothing behind.
class Unused {
 public:
  Unused() noexcept = default;
  Unused(Unused const&) = delete;
  Unused& operator=(Unused const&) = delete;
  ~Unused() {
    while (records_ != nullptr) delete std::exchange(records_, records_->next);
    while (places_ != nullptr) delete std::exchange(places_, places_->next_free);
  }
  /// Notes that a record or a place is free. Requires: the registry's lock.
  void note_free(Registry& of) noexcept {
    if (--of.in_use != 0) return;
    records_ = std::exchange(of.records, of.free_records = nullptr);
    places_ = std::exchange(of.free_places, nullptr);
    of.places = 0;
  }

 private:
  ThreadRecord* records_ = nullptr;
  Place* places_ = nullptr;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
