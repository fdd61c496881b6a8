// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadParts: what of a pool belongs to one thread each, how a thread finds its part, and what happens when threads,
// pools or processes end.
//
//   thread_table() (thread_local) | pool id, part | pool id, part | ...        one for all pools; direct-mapped by pool id
//   pool                          first_ -> part -> part                        by next_in_pool
//   thread                        parts  -> part -> part                        by next_in_thread
//
// Pool ids are never used twice, so an entry of a pool that is gone matches none. Lists change under registry.lock and
// the pool's lock together, so either is enough to read them. Order of locks: registry.lock, then a pool's.
//   thread ends first   its parts go back to their pools (thread_ended), and the thread gets none any more
//   pool ends first     its parts leave the threads' lists
//   fork                all locks are held meanwhile; in the child, the parts of threads that are not there are reported (forked)
// Libraries that do not share symbols have a table and a registry each. A pool keeps to the registry of those who used it
// first; the others' code does without parts.
// Everything here is constant-initialised and never destroyed: static objects may use pools in any order.
#pragma once

#include <fastalloc/cache/system_slot.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>
#include <fastalloc/lock/asymmetric_fence.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#if FASTALLOC_POSIX
#include <pthread.h>
#endif

// One table and one registry for all libraries of a program that share symbols, whatever visibility they are compiled with.
#if defined(__GNUC__) && !defined(_WIN32)
#define FASTALLOC_SHARED [[gnu::visibility("default")]]
#define FASTALLOC_OWN [[gnu::visibility("hidden")]]
#else
#define FASTALLOC_SHARED
#define FASTALLOC_OWN
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

class ThreadParts;
struct ThreadTable;

/// What threads write often, each for itself, lies this far apart.
inline constexpr std::size_t cache_line = 64;  ///< bytes

/// The part of a pool that belongs to one thread. Lies in part_memory(), is trivially destructible, given back by free_parts():
/// no lock is held then, since operator new and delete may be the user's and use pools.
struct ThreadPart {
  std::atomic<ThreadTable*> owner{nullptr};  ///< null: no thread
  ThreadParts* pool = nullptr;
  ThreadPart* next_in_pool = nullptr;
  ThreadPart* next_in_thread = nullptr;
};

/// `bytes` bytes for a part; null when there is no memory.
inline void* part_memory(std::size_t bytes) noexcept { return ::operator new(bytes, std::align_val_t{cache_line}, std::nothrow); }
inline void free_parts(ThreadPart* list, ThreadPart* ThreadPart::*next) noexcept {
  while (list != nullptr) ::operator delete(std::exchange(list, list->*next), std::align_val_t{cache_line});
}

struct ThreadTable {
  static constexpr std::size_t size = 128;
  struct Entry {
    std::uint64_t pool = 0;
    ThreadPart* part = nullptr;
  };
  /// Ids are multiples of the size of an entry, so that a place needs no shift.
  static constexpr std::size_t place(std::uint64_t id) noexcept { return static_cast<std::size_t>(id) / sizeof(Entry) % size; }

  Entry entries[size];
  ThreadPart* parts = nullptr;  ///< all of this thread
  bool ended = false;           ///< the thread's end has begun: no parts any more
};

#if FASTALLOC_EMULATED_TLS
inline constinit SystemSlot<ThreadTable> thread_slot{};
inline constinit ThreadTable empty_thread_table{};  ///< of threads without one; never written to

/// The calling thread's table; an empty one until arm_thread().
inline ThreadTable& thread_table() noexcept {
  ThreadTable* const table = thread_slot.get();
  return table == nullptr ? empty_thread_table : *table;
}
#else
FASTALLOC_SHARED inline constinit thread_local ThreadTable this_thread_table{};

FASTALLOC_ALWAYS_INLINE ThreadTable& thread_table() noexcept { return this_thread_table; }
#endif

struct Registry {
  AdaptiveLock lock;
  std::uint64_t last_id = 0;
  ThreadParts* pools = nullptr;
  bool begun = false;
  bool has_fence = false;                    ///< heavy_fence() works here
  std::atomic<ThreadTable*> forker{nullptr};  ///< the thread that is just forking
  int fork_handlers = 0;                     ///< how many of them hold the locks for it
};
FASTALLOC_SHARED inline constinit Registry registry{};
FASTALLOC_OWN inline constinit bool hears_of_forks = false;  ///< each library has handlers of its own: they leave with it

class alignas(cache_line) ThreadParts {
 public:
  enum class Event {
    lock,          ///< takes the pool's lock, for the list of parts
    unlock,
    before_fork,   ///< takes all locks of the pool
    after_fork,    ///< gives them back
    thread_ended,  ///< `part` has lost its owner. Both locks are held
    forked,        ///< `part` belonged to a thread that is not there in this process. Both locks are held
    in_child,      ///< this is the child; no other thread is there. Both locks are held
  };
  /// Returns: for thread_ended and forked, true when the part is no more needed; else it waits for another thread, or is lost.
  using Listener = bool (*)(void* pool, Event event, ThreadPart* part) noexcept;

  constexpr ThreadParts(void* pool, Listener listener) noexcept : listener_(listener), pool_(pool) {}
  ThreadParts(ThreadParts const&) = delete;
  ThreadParts& operator=(ThreadParts const&) = delete;

  /// The part of the calling thread; null where the table does not have it.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE ThreadPart* mine() const noexcept {
    // relaxed: the id is written once, by a thread that this one heard of the pool from, or by this one.
    std::uint64_t const id = id_.load(std::memory_order_relaxed);
    ThreadTable::Entry const& entry = thread_table().entries[ThreadTable::place(id)];
    if (entry.pool != id) [[unlikely]] return nullptr;
    ThreadPart* const part = entry.part;
    FASTALLOC_ASSUME(part != nullptr);
    return part;
  }

  /// mine(), or the part that the table had lost; null when the thread has none.
  [[nodiscard]] ThreadPart* find() const noexcept {
    if (ThreadPart* const part = mine()) return part;
    Guard guard(home().lock);
    return part_of(&thread_table());
  }
  /// mine(), or the part that the table had lost, or one without a thread, or one that `make()` builds (null: no memory). Null when
  /// the thread is at its end, there is no heavy fence where one is needed, or this code has another registry than the pool. No lock is held while make() runs.
  template <class Make> FASTALLOC_COLD ThreadPart* attach(Make&& make, bool needs_fence) noexcept;

  /// A part without a thread, or one that `make()` builds, for the calling thread until give_back(). Null: no memory.
  template <class Make> FASTALLOC_COLD ThreadPart* borrow(Make&& make) noexcept;
  static void give_back(ThreadPart& part) noexcept {
    Guard guard(part.pool->home().lock);
    part.owner.store(nullptr, std::memory_order_relaxed);  // relaxed: the lock orders it
  }
  /// True for a part of a thread that was not there any more after a fork, in the middle of who knows what.
  [[nodiscard]] static bool is_lost(ThreadPart const& part) noexcept { return part.owner.load(std::memory_order_relaxed) == lost(); }

  /// Calls f(part) for the parts that are not lost.
  template <class F> void for_each(F&& f) const {
    Guard guard(home().lock);
    for (ThreadPart* part = first_; part != nullptr; part = part->next_in_pool)
      if (!is_lost(*part)) f(*part);
  }
  [[nodiscard]] ThreadPart* first() const noexcept { return first_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

  /// Effects: the threads forget their parts. Returns: the list of them, by next_in_pool.
  ThreadPart* detach_all() noexcept;

  /// Effects: events call `listener`, of the library that calls this. Requires: no other thread uses the pool meanwhile.
  void rebind(Listener listener) noexcept {
    Guard guard(home().lock);
    listener_ = listener;
    hear_of_forks();
  }

  /// Effects: the pool hears of forks from now on, not only from its first part on. No lock may be held.
  void enroll() noexcept {
    Guard guard(home().lock);
    enlist();
  }
  static void end_thread() noexcept;

 private:
  friend struct ForkHandlers;
  static ThreadTable* lost() noexcept { return reinterpret_cast<ThreadTable*>(alignof(ThreadTable)); }
  /// The registry that the pool keeps to.
  [[nodiscard]] Registry& home() const noexcept {
    // acq_rel, acquire: a registry is constant-initialised, but whoever sees the pool's choice must not see an older one.
    Registry* found = registry_.load(std::memory_order_acquire);
    if (found == nullptr && registry_.compare_exchange_strong(found, &registry, std::memory_order_acq_rel, std::memory_order_acquire)) found = &registry;
    return *found;
  }
  void enlist() noexcept;
  static void hear_of_forks() noexcept;
  void own(ThreadPart* part) noexcept;
  /// The part of `owner`. Requires: registry.lock is held.
  [[nodiscard]] ThreadPart* part_of(ThreadTable* owner) const noexcept {
    ThreadPart* part = first_;
    while (part != nullptr && part->owner.load(std::memory_order_relaxed) != owner) part = part->next_in_pool;  // relaxed: the lock
    return part;
  }
  void add(ThreadPart* part) noexcept {
    part->pool = this;
    tell(Event::lock);
    part->next_in_pool = std::exchange(first_, part);
    ++count_;
    tell(Event::unlock);
  }
  bool tell(Event event, ThreadPart* part = nullptr) noexcept { return listener_(pool_, event, part); }
  void remove(ThreadPart* part) noexcept {
    unlink(&first_, part, &ThreadPart::next_in_pool);
    --count_;
  }
  static void unlink(ThreadPart** at, ThreadPart* part, ThreadPart* ThreadPart::*next) noexcept {
    while (*at != part) at = &((*at)->*next);
    *at = part->*next;
  }

  static constexpr std::uint64_t no_id = ~std::uint64_t{0};

  std::atomic<std::uint64_t> id_{no_id};  ///< set when a thread first has a part; matches no entry until then
  ThreadPart* first_ = nullptr;
  std::size_t count_ = 0;
  Listener listener_;
  void* pool_;
  ThreadParts* next_pool_ = nullptr;
  mutable std::atomic<Registry*> registry_{nullptr};
};

#if FASTALLOC_EMULATED_TLS
/// Effects: the thread has a table, on the heap. (Not by operator new: the user's may use pools.) Returns: false when there is no
/// memory for it.
inline bool arm_thread() noexcept {
  if (&thread_table() != &empty_thread_table) return true;
  void* const memory = std::malloc(sizeof(ThreadTable));
  if (memory == nullptr) return false;
  Guard guard(registry.lock);
  return thread_slot.set(::new (memory) ThreadTable{}) || (std::free(memory), false);
}
/// At the end of the process nothing is left to do, and locks may be held for ever: other threads were stopped wherever they were.
inline void __stdcall thread_event(void*, unsigned long reason, void*) {
  constexpr unsigned long thread_detach = 3;
  ThreadTable* const table = &thread_table();
  if (reason != thread_detach || table == &empty_thread_table) return;
  ThreadParts::end_thread();
  {
    Guard guard(registry.lock);
    thread_slot.set(nullptr);
  }
  std::free(table);
}
FASTALLOC_HEAR_OF_THREADS(thread_event);
#else
/// Its destructor runs when a thread ends, before or after those of other thread_locals. Local to the function: a file that uses no pool
/// of threads has nothing of it.
struct ThreadExit {
  ~ThreadExit() { ThreadParts::end_thread(); }
  void arm() noexcept {}
};
FASTALLOC_SHARED inline bool arm_thread() noexcept {
  static thread_local ThreadExit exit;
  return exit.arm(), true;
}
#endif

struct ForkHandlers {
#if FASTALLOC_POSIX
  static void install() noexcept { pthread_atfork(prepare, parent, child); }
  // Of several libraries that share the registry, each has handlers; the first locks, the last unlocks.
  static void prepare() noexcept {
    // relaxed: it is this thread only if this thread wrote it.
    if (registry.forker.load(std::memory_order_relaxed) != &thread_table()) {
      registry.lock.lock();
      registry.forker.store(&thread_table(), std::memory_order_relaxed);
      for (ThreadParts* pool = registry.pools; pool != nullptr; pool = pool->next_pool_) pool->tell(ThreadParts::Event::before_fork);
    }
    ++registry.fork_handlers;
  }
  static void parent() noexcept {
    if (--registry.fork_handlers != 0) return;
    registry.forker.store(nullptr, std::memory_order_relaxed);  // relaxed: the lock orders it
    for (ThreadParts* pool = registry.pools; pool != nullptr; pool = pool->next_pool_) pool->tell(ThreadParts::Event::after_fork);
    registry.lock.unlock();
  }
  static void child() noexcept {
    ThreadPart* gone = nullptr;
    if (registry.fork_handlers == 1) {
      for (ThreadParts* pool = registry.pools; pool != nullptr; pool = pool->next_pool_) {
        for (ThreadPart *part = pool->first_, *next = nullptr; part != nullptr; part = next) {
          next = part->next_in_pool;
          ThreadTable* const owner = part->owner.load(std::memory_order_relaxed);  // relaxed: the only thread there is
          if (owner == nullptr || owner == &thread_table() || owner == ThreadParts::lost()) continue;
          if (!pool->tell(ThreadParts::Event::forked, part)) {
            part->owner.store(ThreadParts::lost(), std::memory_order_relaxed);
            continue;
          }
          pool->remove(part);
          part->next_in_thread = std::exchange(gone, part);
        }
        pool->tell(ThreadParts::Event::in_child);
      }
    }
    parent();
    free_parts(gone, &ThreadPart::next_in_thread);
  }
#else
  static void install() noexcept {}
#endif
};

inline void ThreadParts::own(ThreadPart* part) noexcept {
  part->owner.store(&thread_table(), std::memory_order_relaxed);  // relaxed: others only compare it with their own
  part->next_in_thread = std::exchange(thread_table().parts, part);
  std::uint64_t const id = id_.load(std::memory_order_relaxed);
  thread_table().entries[ThreadTable::place(id)] = {id, part};
}

inline void ThreadParts::hear_of_forks() noexcept {
  if (!std::exchange(hears_of_forks, true)) ForkHandlers::install();
}

inline void ThreadParts::enlist() noexcept {
  if (id_.load(std::memory_order_relaxed) != no_id) return;
  Registry& mine = home();
  hear_of_forks();
  if (!std::exchange(mine.begun, true)) mine.has_fence = enable_heavy_fence();
  // No two registries give the same ids: each begins at a multiple of its address.
  if (mine.last_id == 0) mine.last_id = std::uint64_t{reinterpret_cast<std::uintptr_t>(&mine) / sizeof(ThreadTable::Entry)} << 21;
  id_.store(mine.last_id += sizeof(ThreadTable::Entry), std::memory_order_relaxed);
  next_pool_ = std::exchange(mine.pools, this);
}

template <class Make> ThreadPart* ThreadParts::attach(Make&& make, bool needs_fence) noexcept {
  if (thread_table().ended || &home() != &registry || !arm_thread()) return nullptr;
  {
    Guard guard(registry.lock);
    enlist();
    if (needs_fence && !registry.has_fence) return nullptr;
    std::uint64_t const id = id_.load(std::memory_order_relaxed);
    if (ThreadPart* const part = part_of(&thread_table())) return (thread_table().entries[ThreadTable::place(id)] = {id, part}).part;
    if (ThreadPart* const part = part_of(nullptr)) return own(part), part;
  }
  ThreadPart* const part = make();
  if (part == nullptr) return nullptr;
  Guard guard(registry.lock);
  add(part);
  own(part);
  return part;
}

template <class Make> ThreadPart* ThreadParts::borrow(Make&& make) noexcept {
  {
    if (FASTALLOC_EMULATED_TLS && !arm_thread()) return nullptr;
    Guard guard(home().lock);
    enlist();
    if (ThreadPart* const part = part_of(nullptr)) return part->owner.store(&thread_table(), std::memory_order_relaxed), part;
  }
  ThreadPart* const part = make();
  if (part == nullptr) return nullptr;
  Guard guard(home().lock);
  part->owner.store(&thread_table(), std::memory_order_relaxed);
  add(part);
  return part;
}

inline ThreadPart* ThreadParts::detach_all() noexcept {
  Guard guard(home().lock);
  if (id_.load(std::memory_order_relaxed) == no_id) return nullptr;
  ThreadParts** at = &home().pools;
  while (*at != this) at = &(*at)->next_pool_;
  *at = next_pool_;
  for (ThreadPart* part = first_; part != nullptr; part = part->next_in_pool)
    if (ThreadTable* const owner = part->owner.load(std::memory_order_relaxed); owner != nullptr && owner != lost())
      unlink(&owner->parts, part, &ThreadPart::next_in_thread);
  return std::exchange(first_, nullptr);
}

inline void ThreadParts::end_thread() noexcept {
  thread_table().ended = true;
  for (ThreadTable::Entry& entry : thread_table().entries) entry = {};
  ThreadPart* gone = nullptr;
  {
    Guard guard(registry.lock);
    while (ThreadPart* const part = thread_table().parts) {
      thread_table().parts = part->next_in_thread;
      ThreadParts& pool = *part->pool;
      pool.tell(Event::lock);
      // release: a thread that takes the part over sees what this one wrote.
      part->owner.store(nullptr, std::memory_order_release);
      if (pool.tell(Event::thread_ended, part)) {
        pool.remove(part);
        part->next_in_thread = std::exchange(gone, part);
      }
      pool.tell(Event::unlock);
    }
  }
  free_parts(gone, &ThreadPart::next_in_thread);
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_SHARED
#undef FASTALLOC_OWN
#undef FASTALLOC_EMULATED_TLS
#undef FASTALLOC_HEAR_OF_THREADS
