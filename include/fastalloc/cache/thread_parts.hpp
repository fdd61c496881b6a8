// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadParts: the per-thread parts of a pool, how a thread finds its part, and the end of threads, pools and
// processes.
//
//   this_thread() (thread_local)   table -> | pool, part | pool, part | ... a hash table by the pools' addresses
//   pool                           first_ <-> part <-> part: parts with a thread; spare_: parts whose thread has ended
//
//   an entry with the pool exists     if and only if the thread has a part of it
//
// The lookup compares the pool in the table, not in the part, which may be another pool's that ends meanwhile. It takes
// no lock, does not read the pool, and mostly looks at one entry, whatever the number of pools, threads and parts. A
// pool's end first takes its parts out of the tables of all threads, so the next pool at its address finds none.
//
//   thread ends    marks each part `leaving` under the record's lock, then moves it to the pool's spares under the
//                  pool's lock
//   pool ends      waits for parts that are leaving; takes the others out of their threads' tables
// Locks and their order: thread_registry.hpp. Forks: forks.hpp.
#pragma once

#include <fastalloc/cache/forks.hpp>
#include <fastalloc/cache/thread_registry.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>
#include <utility>

#if FASTALLOC_POSIX
#include <pthread.h>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The part of a pool that belongs to one thread. Requires: lies in part_memory(), is trivially destructible, is freed
/// by free_parts() without a lock, because the user's operator new and delete may use pools.
struct ThreadPart {
  std::atomic<ThreadRecord*> owner{nullptr};  ///< null: no thread; or leaving(), borrowed(), orphaned()
  ThreadPart* next = nullptr;                 ///< in first_ or spare_
  ThreadPart* previous = nullptr;             ///< in first_
};

/// How a pool gets its parts.
struct PartSource {
  ThreadPart* (*make)(PartSource const&) noexcept;  ///< a new part; null without memory. Runs without a lock
  bool (*suits)(ThreadPart const&) noexcept;        ///< a spare may serve another thread. Under the pool's lock
};

/// Memory of `bytes` bytes for a part. Returns: null when there is no memory.
inline void* part_memory(std::size_t bytes) noexcept {
  return ::operator new(bytes, std::align_val_t{cache_line}, std::nothrow);
}
inline void free_parts(ThreadPart* list) noexcept {
  while (list != nullptr) ::operator delete(std::exchange(list, list->next), std::align_val_t{cache_line});
}

FASTALLOC_BEGIN_PADDED
/// Operations that find their part read nothing here; slow ones write it.
class alignas(cache_line) ThreadParts : public PoolNode {
 public:
  using PoolNode::PoolNode;

  /// The part of the calling thread, or null. Complexity: 1 step, or a few where pools share a first entry; no lock.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE ThreadPart* mine() const noexcept {
    // relaxed, twice: this thread wrote the entry; another thread changes it only at its pool's end.
    PartEntry const& entry = this_thread().table.first(this);
    if (entry.pool.load(std::memory_order_relaxed) != this) [[unlikely]]
      return find_mine();
    ThreadPart* const part = entry.part.load(std::memory_order_relaxed);
    FASTALLOC_ASSUME(part != nullptr);
    return part;
  }

  /// Returns: mine(), or a spare that suits, or a new part. Null in the first `uses` calls by this thread, without
  /// memory, at the thread's end, without a heavy fence if needed, or when this code uses another registry than the
  /// pool.
  FASTALLOC_COLD ThreadPart* attach(PartSource const& source, bool needs_fence, unsigned uses) noexcept {
    if (ThreadPart* const part = mine()) return part;
    if (!is_at_home()) return nullptr;
    enroll();
    // relaxed: enroll() synchronized with the store
    if (needs_fence && !registry.has_fence.load(std::memory_order_relaxed)) return nullptr;
    if (this_thread().ended || (uses != 0 && !used(uses))) return nullptr;
    ThreadRecord* const record = record_of_thread();
    if (record == &no_record || !make_room(*record)) return nullptr;
    ThreadPart* const part = take_part(source, orphaned());
    if (part == nullptr) return nullptr;
    // operator new used this pool, and gave the thread a part; or it used so many that the table is full.
    if (ThreadPart* const other = mine(); other != nullptr || !record->has_entry()) {
      lock_pool();
      to_spares(part);
      part->owner.store(nullptr, std::memory_order_relaxed);  // relaxed: the lock orders it
      unlock_pool();
      return other;
    }
    {
      ForkedGuard guard(*record);
      part->owner.store(record, std::memory_order_relaxed);  // relaxed: others compare it under a lock
      record->insert(this, part);
    }
    if (record->wants_more() || record->is_too_full()) (void)make_room(*record);
    return part;
  }

  /// Returns: a spare that suits, or a new part, for the calling thread until give_back(). Null without memory.
  FASTALLOC_COLD ThreadPart* borrow(PartSource const& source) noexcept {
    enroll();
    return take_part(source, borrowed());
  }
  /// Effects: `part` becomes a spare. Requires: no other thread uses the pool.
  void add(ThreadPart& part) noexcept {
    to_first(&part, nullptr);
    to_spares(&part);
  }
  void give_back(ThreadPart& part) noexcept {
    lock_pool();
    // relaxed, twice: the lock orders it. A different owner: the thread has forked meanwhile, and this is the child.
    if (part.owner.load(std::memory_order_relaxed) == borrowed()) {
      to_spares(&part);
      part.owner.store(nullptr, std::memory_order_relaxed);
    }
    unlock_pool();
  }

  /// In the child of a fork: calls reclaim(part) for each part whose thread does not exist. If it returns true, another
  /// thread may use the part, otherwise it is orphaned. Requires: the pool's lock is held.
  template <class F> void abandon(F&& reclaim) noexcept {
    // relaxed, everywhere: there is only one thread.
    for (ThreadPart* part = spare_; part != nullptr; part = part->next)
      part->owner.store(nullptr, std::memory_order_relaxed);
    for (ThreadPart *part = first_, *next = nullptr; part != nullptr; part = next) {
      next = part->next;
      if (part->owner.load(std::memory_order_relaxed) == this_thread().record || is_orphaned(*part)) continue;
      bool const serves = reclaim(*part);
      if (serves) to_spares(part);
      part->owner.store(serves ? nullptr : orphaned(), std::memory_order_relaxed);
    }
  }

  /// True for a part whose thread, in the middle of an unknown operation, did not survive a fork.
  [[nodiscard]] static bool is_orphaned(ThreadPart const& part) noexcept {
    return part.owner.load(std::memory_order_relaxed) == orphaned();
  }

  /// Calls f(part) for each part with a thread. Requires: the pool's lock is held.
  template <class F> void for_each(F&& f) const {
    for (ThreadPart* part = first_; part != nullptr; part = part->next) f(*part);
  }
  /// Calls f(part) for each part without a thread. Requires: the pool's lock is held.
  template <class F> void for_each_spare(F&& f) const {
    for (ThreadPart* part = spare_; part != nullptr; part = part->next) f(*part);
  }
  [[nodiscard]] ThreadPart* first() const noexcept { return first_; }
  /// The number of parts with a thread.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

  /// Effects: takes the parts from their threads and the pool from the registry. Returns: the list of all parts.
  /// Requires: no thread uses the pool any more, except threads that are ending. Complexity: linear in the parts.
  ThreadPart* detach_all() noexcept;

  static void end_thread() noexcept;

 private:
  friend struct ForkHandlers;
  static ThreadRecord* mark(std::uintptr_t number) noexcept { return reinterpret_cast<ThreadRecord*>(number); }
  static ThreadRecord* orphaned() noexcept { return mark(1); }
  static ThreadRecord* leaving() noexcept { return mark(2); }
  static ThreadRecord* borrowed() noexcept { return mark(3); }
  static bool is_thread(ThreadRecord const* owner) noexcept { return reinterpret_cast<std::uintptr_t>(owner) > 3; }

  static ThreadRecord* record_of_thread() noexcept;
  [[nodiscard]] bool used(unsigned uses) const noexcept;
  static bool more_counters(ThreadRecord& record) noexcept;
  static bool make_room(ThreadRecord& record) noexcept;
  /// mine() where the first entry is not the pool's.
  [[nodiscard]] FASTALLOC_NOINLINE ThreadPart* find_mine() const noexcept {
    PartEntry const* const entry = this_thread().table.find(this);
    return entry == nullptr ? nullptr : entry->part.load(std::memory_order_relaxed);  // relaxed: as in mine()
  }

  FASTALLOC_NOINLINE ThreadPart* take_part(PartSource const& source, ThreadRecord* owner) noexcept {
    lock_pool();
    ThreadPart* part = nullptr;
    // Tries a bounded number instead of all spares. Unsuitable ones move behind the others, which are tried next.
    for (int looks = 8; spare_ != nullptr && looks != 0; --looks) {
      ThreadPart* const at = spare_;
      // acquire: pairs with the release in end_thread(), after which the thread has left the part.
      if (at->owner.load(std::memory_order_acquire) == nullptr && source.suits(*at)) {
        if ((spare_ = at->next) == nullptr) last_spare_ = nullptr;
        to_first(part = at, owner);
        break;
      }
      if (at == last_spare_) continue;
      spare_ = at->next;
      at->next = nullptr;
      last_spare_ = last_spare_->next = at;
    }
    unlock_pool();
    if (part != nullptr || (part = source.make(source)) == nullptr) return part;
    lock_pool();
    to_first(part, owner);
    unlock_pool();
    return part;
  }
  void to_first(ThreadPart* part, ThreadRecord* owner) noexcept {
    part->owner.store(owner, std::memory_order_relaxed);  // relaxed: the lock orders it
    part->previous = nullptr;
    part->next = first_;
    if (first_ != nullptr) first_->previous = part;
    first_ = part;
    ++count_;
  }
  void unlink(ThreadPart* part) noexcept {
    (part->previous != nullptr ? part->previous->next : first_) = part->next;
    if (part->next != nullptr) part->next->previous = part->previous;
    --count_;
  }
  void to_spares(ThreadPart* part) noexcept {
    unlink(part);
    if ((part->next = spare_) == nullptr) last_spare_ = part;
    spare_ = part;
  }

  std::uint32_t count_ = 0;
  ThreadPart* first_ = nullptr;
  ThreadPart* spare_ = nullptr;
  ThreadPart* last_spare_ = nullptr;
};
FASTALLOC_END_PADDED

#if FASTALLOC_EMULATED_TLS
/// Effects: makes this_thread() writable, without operator new, which may be the user's and use pools. Returns: false
/// without memory.
inline bool arm_thread() noexcept {
  if (&this_thread() != &no_thread) return true;
  void* const memory = std::malloc(sizeof(ThisThread));
  if (memory == nullptr) return false;
  Guard guard(registry.lock);
  return thread_slot.set(::new (memory) ThisThread{}) || (std::free(memory), false);
}
/// At the end of the process it does nothing: the other threads were stopped anywhere, and may hold locks forever.
inline void __stdcall thread_event(void*, unsigned long reason, void*) {
  constexpr unsigned long thread_detach = 3;
  ThisThread* const thread = &this_thread();
  if (reason != thread_detach || thread == &no_thread) return;
  ThreadParts::end_thread();
  {
    Guard guard(registry.lock);
    thread_slot.set(nullptr);
  }
  std::free(thread);
}
FASTALLOC_HEAR_OF_THREADS(thread_event);
#else
/// Detects the end of a thread: by the destructor of a thread_local, before or after other destructors; and, for a
/// thread that first uses a pool after all of these, in the destructor of a pthread key, by our own key.
struct ThreadExit {
  constexpr ThreadExit() noexcept = default;
  ~ThreadExit() {
#if FASTALLOC_POSIX
    if (has_key) pthread_setspecific(key, nullptr);
#endif
    ThreadParts::end_thread();
  }

#if FASTALLOC_POSIX
  void arm() noexcept {
    if (has_key || make_key()) (void)pthread_setspecific(key, &this_thread());
  }
  /// Holds no lock while it calls the C library, which has its own locks.
  FASTALLOC_COLD static bool make_key() noexcept {
    pthread_key_t made{};
    if (pthread_key_create(&made, [](void*) { ThreadParts::end_thread(); }) != 0) return false;
    // The key is deleted with the library that made it.
    bool keeps = std::atexit(&forget_key) == 0;
    if (keeps) {
      ForkedGuard guard(registry.lock);
      keeps = !has_key;
      if (keeps) key = made, has_key = true;
    }
    if (!keeps) pthread_key_delete(made);  // another thread was faster
    return has_key;
  }
  static void forget_key() noexcept {
    if (has_key.exchange(false)) pthread_key_delete(key);
  }
  FASTALLOC_LOCAL static inline pthread_key_t key{};
  FASTALLOC_LOCAL static inline std::atomic<bool> has_key{false};
#else
  void arm() noexcept {}
#endif
};
/// The variable is local, so that files without pools of threads do not contain it.
FASTALLOC_SHARED inline bool arm_thread() noexcept {
  static thread_local ThreadExit exit;
  return exit.arm(), true;
}
#endif

/// Effects: frees the memory of threads that do not exist after a fork. Requires: no lock is held.
inline void free_stale() noexcept {
  if (registry.stale.load(std::memory_order_relaxed) == nullptr) return;  // relaxed: the exchange reads it again
  // acquire: pairs with the stores of the child's handler.
  Stale* memory = registry.stale.exchange(nullptr, std::memory_order_acquire);
  while (memory != nullptr) ::operator delete(static_cast<void*>(std::exchange(memory, memory->next)));
}

inline ThreadRecord* ThreadParts::record_of_thread() noexcept {
  if (this_thread().record != &no_record || this_thread().ended || !arm_thread()) return this_thread().record;
  free_stale();
  ThreadRecord* made = nullptr;
  for (;;) {
    {
      ForkedGuard guard(registry.lock);
      if (made != nullptr) {
        made->next = std::exchange(registry.records, made);
        made->next_free = std::exchange(registry.free_records, made);
      }
      // A user's operator new may have used pools and made a record.
      if (this_thread().record != &no_record) return this_thread().record;
      if (ThreadRecord* const record = registry.free_records) {
        registry.free_records = record->next_free;
        registry.in_use.fetch_add(1, std::memory_order_relaxed);  // relaxed: the lock
        return this_thread().record = record;
      }
    }
    if ((made = ::new (std::nothrow) ThreadRecord) == nullptr) return &no_record;
  }
}

/// Returns: the counter with the hash, or a free one; null if there is none nearby.
inline std::uint32_t* counter_of(std::uint32_t hash, std::uint32_t* counters, std::size_t size) noexcept {
  for (std::size_t i = 0; i != 16 && i < size; ++i) {
    std::uint32_t& counter = counters[(hash + i) % size];
    if (counter == 0 || counter >> 8 == hash) return &counter;
  }
  return nullptr;
}
/// Effects: there are twice as many counters, or as many, all free, if most must be of pools that have ended. Returns:
/// false without memory.
inline bool ThreadParts::more_counters(ThreadRecord& record) noexcept {
  // relaxed: any number that there was a moment ago
  bool const are_stale = record.counters > 16 * registry.in_use.load(std::memory_order_relaxed);
  std::size_t const size = record.counters == 0 ? ThreadRecord::least_counters : record.counters * (are_stale ? 1 : 2);
  auto* const counters = static_cast<std::uint32_t*>(::operator new(size * sizeof(std::uint32_t), std::nothrow));
  if (counters == nullptr || record.counters > size) {  // operator new used pools and did this
    ::operator delete(counters);
    return counters != nullptr;
  }
  for (std::size_t i = 0; i != size; ++i) counters[i] = 0;
  for (std::size_t i = 0; i != record.counters && !are_stale; ++i)
    if (std::uint32_t const old = record.uses[i]; (old & 255) != 0)
      if (std::uint32_t* const counter = counter_of(old >> 8, counters, size)) *counter = old;
  ::operator delete(std::exchange(record.uses, counters));
  record.counters = size;
  return true;
}
/// True when the thread has used the pool `uses` times.
inline bool ThreadParts::used(unsigned uses) const noexcept {
#if FASTALLOC_EMULATED_TLS
  if (record_of_thread() == &no_record) return false;  // makes this_thread() writable
#endif
  std::uint32_t const hash = PartTable::hash(this) >> 4 & 0xFFFFFF;
  ThisThread& thread = this_thread();
  std::uint32_t* counter = counter_of(hash, thread.early, std::size(thread.early));
  if (counter == nullptr) {
    if (record_of_thread() == &no_record) return false;
    ThreadRecord& record = *thread.record;
    while ((counter = counter_of(hash, record.uses, record.counters)) == nullptr)
      if (!more_counters(record)) return false;
  }
  std::uint32_t const number = (*counter & 255) + 1;
  bool const suffices = number >= uses;
  *counter = hash << 8 | (suffices ? 0 : number);
  return suffices;
}

/// Effects: makes room for one more pool in the thread's table. Returns: false without memory.
inline bool ThreadParts::make_room(ThreadRecord& record) noexcept {
  for (;;) {
    std::size_t count = 4 * std::size(record.first_table);
    {
      ForkedGuard guard(record);
      if (record.has_room()) return true;
      if (record.table.entries == no_parts) {
        record.use(record.first_table, std::size(record.first_table));
        this_thread().table = record.table;
        return true;
      }
      record.sweep();
      if (record.has_room(3)) return true;  // and the next sweep is far
      std::size_t const live = record.table.live();
      while (PartTable::limit(count) < 2 * live || (record.wants_more() && count <= record.table.size())) count *= 2;
    }
    auto* entries = static_cast<PartEntry*>(::operator new(count * sizeof(PartEntry), std::nothrow));
    if (entries == nullptr) return record.used < PartTable::limit(record.table.size());  // long searches, then
    {
      ForkedGuard guard(record);
      // Otherwise operator new used pools and made room, or needs more.
      if (!record.has_room() && record.table.live() < PartTable::limit(count)) {
        PartTable const old = record.table;
        record.use(entries, count);
        for (std::size_t i = 0; i != old.size(); ++i)
          if (ThreadParts* const pool = old.entries[i].pool.load(std::memory_order_relaxed))
            record.insert(pool, old.entries[i].part.load(std::memory_order_relaxed));
        this_thread().table = record.table;
        entries = old.entries == record.first_table ? nullptr : old.entries;
      }
    }
    ::operator delete(static_cast<void*>(entries));
  }
}

inline ThreadPart* ThreadParts::detach_all() noexcept {
  // no fork events from here on: only this thread and ending threads take the pool's locks
  bool const was_enrolled = leave_registry();
  ThreadPart* gone = nullptr;
  for (bool more = true; more;) {
    lock_pool();
    ThreadPart* const part = first_;
    // acquire: pairs with the releases of a leaving thread.
    ThreadRecord* const owner = part != nullptr ? part->owner.load(std::memory_order_acquire) : nullptr;
    unlock_pool();
    more = part != nullptr;
    if (!more) break;
    bool free = !is_thread(owner) && owner != leaving();
    if (is_thread(owner)) {
      ForkedGuard guard(*owner);
      if (part->owner.load(std::memory_order_relaxed) == owner) {  // otherwise its thread is ending
        if (PartEntry* const entry = owner->table.find(this)) entry->pool.store(nullptr, std::memory_order_relaxed);
        part->owner.store(nullptr, std::memory_order_relaxed);
        free = true;
      }
    }
    if (!free) {
      detail::yield();
      continue;
    }
    lock_pool();
    unlink(part);
    unlock_pool();
    part->next = std::exchange(gone, part);
  }
  while (ThreadPart* const part = spare_) {
    // acquire: pairs with the release in end_thread(): the thread has left the pool.
    while (part->owner.load(std::memory_order_acquire) == leaving()) detail::yield();
    spare_ = part->next;
    part->next = std::exchange(gone, part);
  }
  if (was_enrolled) forget_threads();
  free_stale();
  return gone;
}

inline void ThreadParts::end_thread() noexcept {
  this_thread().ended = true;
  ThreadRecord* const record = std::exchange(this_thread().record, &no_record);
  if (record == &no_record) return;
  this_thread().table = {};
  PartTable const table = record->table;  // only its thread changes it
  for (std::size_t i = 0; i != table.size() && table.entries != no_parts; ++i) {
    // relaxed: written by this thread
    ThreadPart* const part = table.entries[i].part.load(std::memory_order_relaxed);
    if (part == nullptr) continue;
    ThreadParts* of = nullptr;
    {
      ForkedGuard guard(*record);
      of = table.entries[i].pool.exchange(nullptr, std::memory_order_relaxed);
      if (of == nullptr) continue;
      part->owner.store(leaving(), std::memory_order_relaxed);
    }
    ThreadParts& pool = *of;
    pool.lock_pool();
    pool.tell(PoolEvent::thread_ended, part);
    pool.to_spares(part);
    pool.unlock_pool();
    // release: a thread that takes over the part sees the writes of this one; the pool may end from now on.
    part->owner.store(nullptr, std::memory_order_release);
  }
  PartEntry* old = nullptr;
  {
    ForkedGuard guard(*record);
    old = record->drop_table();
  }
  ::operator delete(static_cast<void*>(old));
  ::operator delete(record->drop_uses());
  Unused unused;
  ForkedGuard guard(registry.lock);
  record->next_free = std::exchange(registry.free_records, record);
  unused.note_end(registry);
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_EMULATED_TLS
#undef FASTALLOC_HEAR_OF_THREADS
