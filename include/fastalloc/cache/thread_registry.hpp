// SPDX-License-Identifier: MIT OR Apache-2.0
// What the library keeps of threads and of all pools.
//
//   this_thread() (thread_local)   table -> | pool, part | pool, part | ... a hash table by the pools' addresses
//   registry                       pools <-> pool <-> pool, for forks; free thread records
//
// Locks, in the order in which they may be taken (locks of one rank never nest, except in fork):
//   1  registry.lock         list of pools, free records
//   2  ThreadRecord::lock    one thread's table
//   3  the pool's lock       its lists of parts
// No function here holds one of them while it takes another or calls a storage, operator new or a user's function. Only
// fork takes all: the registry's, that of its own record, then each pool's.
//
// Records are reused, and freed when no thread has one and no pool is enrolled. So a part may point to the record of an
// ended thread. Libraries that share no symbols have separate tables and registries. A pool keeps to the registry of
// the library that constructed it; code of other libraries works without parts. Table and registry are
// constant-initialised and never destroyed: static objects may use pools in any order.
#pragma once

#include <fastalloc/cache/system_slot.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
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
  std::atomic<ThreadPart*> part{nullptr};   ///< null: never used, so a search ends here
};
FASTALLOC_SHARED inline constinit PartEntry no_parts[1];

/// A thread's parts by their pools: a hash table with linear probing (Knuth, "The Art of Computer Programming", volume
/// 3, 6.4). The pool itself is not read: with many pools that would be a miss of the cache, and a page walk.
struct PartTable {
  PartEntry* entries = no_parts;
  std::size_t mask = 0;  ///< bytes of all entries but one; their number is a power of two

  /// A square: of a product with a constant, pools at some equal distances would share few first entries.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static std::size_t hash(ThreadParts const* pool) noexcept {
    std::uint64_t const address = reinterpret_cast<std::uintptr_t>(pool);
    return static_cast<std::size_t>(address * (address + 0x61C88647U) >> 28);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE PartEntry& first(ThreadParts const* pool) const noexcept {
    return *reinterpret_cast<PartEntry*>(reinterpret_cast<std::byte*>(entries) + (hash(pool) & mask));
  }
  [[nodiscard]] PartEntry& next(PartEntry& entry) const noexcept {
    return &entry == entries + mask / sizeof(PartEntry) ? *entries : (&entry)[1];
  }
  [[nodiscard]] std::size_t size() const noexcept { return mask / sizeof(PartEntry) + 1; }
  /// Entries that may be used: a quarter, so that most pools are in their first entries; of a large table half, so that
  /// it takes less of the caches.
  [[nodiscard]] static constexpr std::size_t limit(std::size_t size) noexcept {
    return size <= 256 ? size / 4 : size / 2;
  }

  /// Returns: the pool's entry, or null. Complexity: linear in the entries between its first one and an unused one.
  [[nodiscard]] PartEntry* find(ThreadParts const* pool) const noexcept {
    // relaxed, twice: as in ThreadParts::mine()
    for (PartEntry* entry = &first(pool); entry->part.load(std::memory_order_relaxed) != nullptr; entry = &next(*entry))
      if (entry->pool.load(std::memory_order_relaxed) == pool) return entry;
    return nullptr;
  }
  /// The number of pools in it.
  [[nodiscard]] std::size_t live() const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i != size(); ++i)
      count += entries[i].pool.load(std::memory_order_relaxed) != nullptr ? 1 : 0;
    return count;
  }
};

/// The data of a thread that other threads may read. Reused by a later thread; see Unused.
struct ThreadRecord {
  static constexpr std::size_t least_counters = 256;
  static constexpr std::size_t most_steps = 8;  ///< from a pool's first entry to its own; more, and the table grows

  AdaptiveLock lock;
  bool is_crowded = false;  ///< a pool took more than most_steps
  PartTable table;          ///< as in ThisThread; other threads read it under the lock
  std::size_t used = 0;     ///< entries that are or were in use
  /// As ThisThread::early, where that has no entry left. Only the thread accesses it.
  std::uint32_t* uses = nullptr;
  std::size_t counters = 0;
  ThreadRecord* next_free = nullptr;
  ThreadRecord* next = nullptr;  ///< in the list of all records
  PartEntry first_table[16];     ///< the table, while that suffices

  // All of these require the lock. relaxed, everywhere: it orders them.

  /// True if one more pool finds room in the table. `share`: of the entries that may be used, in quarters.
  [[nodiscard]] bool has_room(std::size_t share = 4) const noexcept {
    return 4 * (used + 1) <= share * PartTable::limit(table.size()) && !wants_more();
  }
  /// True if a larger table would shorten searches. There are limits: 64 to 128 entries a pool.
  [[nodiscard]] bool wants_more() const noexcept { return is_crowded && table.size() < 64 * (used + 1); }
  /// True if operator new used so many pools, while it was to make a part, that the limit is passed.
  [[nodiscard]] bool is_too_full() const noexcept { return used > PartTable::limit(table.size()); }
  /// True if an entry is left, beside the one at which searches end.
  [[nodiscard]] bool has_entry() const noexcept { return used + 2 <= table.size(); }

  /// Requires: has_entry(), and no entry of the pool. A pool that is not in its first entry makes way for one that is.
  void insert(ThreadParts* pool, ThreadPart* part) noexcept {
    PartEntry* entry = &table.first(pool);
    ThreadParts* const other = entry->pool.load(std::memory_order_relaxed);
    if (other != nullptr && &table.first(other) != entry) {
      ThreadPart* const others = entry->part.load(std::memory_order_relaxed);
      write(*entry, pool, part);
      return insert(other, others);
    }
    std::size_t steps = 0;
    for (; entry->pool.load(std::memory_order_relaxed) != nullptr; ++steps) entry = &table.next(*entry);
    if (entry->part.load(std::memory_order_relaxed) == nullptr) ++used;
    write(*entry, pool, part);
    is_crowded = is_crowded || steps > most_steps;
  }
  /// Effects: entries of pools that have ended are unused again, except before entries in use.
  void sweep() noexcept {
    for (std::size_t i = table.size(); i-- != 0;) {
      PartEntry& entry = table.entries[i];
      bool const goes = entry.pool.load(std::memory_order_relaxed) == nullptr &&
                        entry.part.load(std::memory_order_relaxed) != nullptr &&
                        table.next(entry).part.load(std::memory_order_relaxed) == nullptr;
      if (goes) entry.part.store(nullptr, std::memory_order_relaxed), --used;
    }
  }
  /// Effects: the table is empty, and in that memory.
  void use(PartEntry* entries, std::size_t count) noexcept {
    for (std::size_t i = 0; i != count; ++i) ::new (static_cast<void*>(entries + i)) PartEntry;
    table = {entries, (count - 1) * sizeof(PartEntry)};
    used = 0;
    is_crowded = false;
  }
  /// Effects: there is no table. Returns: memory to free, or null. Requires: no pool in the table.
  [[nodiscard]] PartEntry* drop_table() noexcept {
    PartEntry* const old = std::exchange(table, PartTable{}).entries;
    used = 0;
    is_crowded = false;
    return old == no_parts || old == first_table ? nullptr : old;
  }
  /// The same for the counters.
  [[nodiscard]] std::uint32_t* drop_uses() noexcept {
    counters = 0;
    return std::exchange(uses, nullptr);
  }

 private:
  static void write(PartEntry& entry, ThreadParts* pool, ThreadPart* part) noexcept {
    entry.part.store(part, std::memory_order_relaxed);
    entry.pool.store(pool, std::memory_order_relaxed);
  }
};
FASTALLOC_SHARED inline constinit ThreadRecord no_record{};

/// The data of the calling thread that a lookup reads.
struct ThisThread {
  PartTable table;
  ThreadRecord* record = &no_record;  ///< no_record before the first part, and once the thread is ending
  bool ended = false;                 ///< no parts any more
  /// Operations in the thread's first pools before it gets parts: hash << 8 | number; 0: free, which an entry never is
  /// again. So a thread that ends soon needs no record.
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

/// Memory no longer in use; this link lies in it.
struct Stale {
  Stale* next;
};

struct Registry {
  AdaptiveLock lock;
  PoolNode* pools = nullptr;
  /// Pools that enrolled, and records that a thread has. Changed under the lock.
  std::atomic<std::size_t> in_use{0};
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

/// All records, once nothing uses one any more: freed at the end of its scope, without a lock. So a library that is
/// closed leaves nothing behind.
class Unused {
 public:
  Unused() noexcept = default;
  Unused(Unused const&) = delete;
  Unused& operator=(Unused const&) = delete;
  ~Unused() {
    while (records_ != nullptr) delete std::exchange(records_, records_->next);
  }
  /// Notes that a record is free, or that a pool has ended. Requires: the registry's lock.
  void note_end(Registry& of) noexcept {
    // relaxed: the lock
    if (of.in_use.fetch_sub(1, std::memory_order_relaxed) == 1)
      records_ = std::exchange(of.records, of.free_records = nullptr);
  }

 private:
  ThreadRecord* records_ = nullptr;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
