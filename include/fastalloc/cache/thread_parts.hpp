// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadParts: the per-thread parts of a pool, how a thread finds its part, and the end of threads, pools and
// processes.
//
//   this_thread() (thread_local)   table -> | pool, part | pool, part | ... indexed by the places of the pools in use
//   pool                           first_ <-> part <-> part: parts with a thread; spare_: parts whose thread has ended
//   registry                       pools <-> pool <-> pool, for forks; free places and free thread records
//
//   table[place & mask].pool == this pool     if and only if the thread has a part of it
//
// The lookup compares the pool in the table, not in the part: several places may share one entry of a small table, and
// the part there, of another pool, may end meanwhile. A lookup takes the same steps for any number of pools, threads
// and parts, and no lock. Places are small numbers, reused after a pool's end, which first takes its parts out of the
// tables of all threads.
//
// Locks, in the order in which they may be taken (locks of one rank never nest, except in fork):
//   1  registry.lock         lists of pools, free places, free records
//   2  ThreadRecord::lock    one thread's table
//   3  the pool's lock       its lists of parts
// No function here holds one of them while it takes another or calls a storage, operator new or a user's function. Only
// fork takes all: the registry's, that of its own record, then each pool's.
//
//   thread ends    marks each part `leaving` under the record's lock, then moves it to the pool's spares under the
//                  pool's lock
//   pool ends      waits for parts that are leaving; takes the others out of their threads' tables
//   fork           the child notifies its pools (in_child) and frees the records of threads that do not exist there
// Records and places are reused, and freed when no thread and no pool has one. So a part may point to the record of an
// ended thread. Libraries that share no symbols have separate tables and registries. A pool keeps to the registry of
// the library that constructed it; code of other libraries works without parts. Table and registry are
// constant-initialised and never destroyed: static objects may use pools in any order.
#pragma once

#include <fastalloc/cache/system_slot.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>
#include <fastalloc/lock/asymmetric_fence.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>
#include <utility>

#if FASTALLOC_POSIX
#include <pthread.h>
#include <unistd.h>
#endif

// One table and one registry for all libraries of a program that share symbols, whatever their visibility.
#if defined(__GNUC__) && !defined(_WIN32)
#define FASTALLOC_SHARED [[gnu::visibility("default")]]
#define FASTALLOC_OWN [[gnu::visibility("hidden")]]
#else
#define FASTALLOC_SHARED
#define FASTALLOC_OWN
#endif

namespace fastalloc::detail::inline FASTALLOC_STATE {

/// The lock of the list of pools in registry.hpp. It is here because forks take it: for each `registry`, of which files
/// with different settings have one each, while there is one list.
struct ListLock {
  std::atomic<bool> is_locked{false};
  int forks = 0;                             ///< registries that have taken it for a fork
  std::atomic<void const*> forker{nullptr};  ///< the address of the forking thread's errno, the same for all files
};
FASTALLOC_ONE constinit ListLock list_lock{};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// A Guard for the list of pools.
class [[nodiscard]] ListGuard {
 public:
  // relaxed: equals this thread only if this thread wrote it
  ListGuard() noexcept : is_locked_(list_lock.forker.load(std::memory_order_relaxed) != &errno) {
    // acquire: pairs with the release below.
    while (is_locked_ && list_lock.is_locked.exchange(true, std::memory_order_acquire)) yield();
  }
  ~ListGuard() {
    if (is_locked_) list_lock.is_locked.store(false, std::memory_order_release);
  }
  ListGuard(ListGuard const&) = delete;
  ListGuard& operator=(ListGuard const&) = delete;

  static void begin_fork() noexcept {
    ListGuard guard;
    guard.is_locked_ = false;  // stays locked
    list_lock.forker.store(&errno, std::memory_order_relaxed);
    ++list_lock.forks;
  }
  static void end_fork() noexcept {
    if (--list_lock.forks != 0) return;
    list_lock.forker.store(nullptr, std::memory_order_relaxed);
    list_lock.is_locked.store(false, std::memory_order_release);
  }

 private:
  bool is_locked_;
};

class ThreadParts;
struct ThreadRecord;

/// The distance between data that different threads write often.
inline constexpr std::size_t cache_line = 64;  ///< bytes

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

class PoolNode;
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

inline void look_for_child() noexcept;

/// True in the thread that is forking. It holds all locks; other libraries' handlers that run meanwhile may use pools.
[[nodiscard]] inline bool is_forking() noexcept {
  // relaxed: equals this thread only if this thread wrote it
  if (registry.forker.load(std::memory_order_relaxed) != &this_thread()) [[likely]]
    return false;
  return look_for_child(), true;
}
/// A Guard for a lock that a fork takes.
class [[nodiscard]] ForkedGuard {
 public:
  explicit ForkedGuard(AdaptiveLock& lock) noexcept : lock_(is_forking() ? nullptr : &lock) {
    if (lock_ != nullptr) note_lock(), lock_->lock();
  }
  ~ForkedGuard() {
    if (lock_ != nullptr) lock_->unlock(), note_unlock();
  }
  ForkedGuard(ForkedGuard const&) = delete;
  ForkedGuard& operator=(ForkedGuard const&) = delete;

 private:
  AdaptiveLock* lock_;
};

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

/// A Guard for a record's lock. A fork takes only that of its own thread.
class [[nodiscard]] RecordGuard {
 public:
  explicit RecordGuard(ThreadRecord& record) noexcept
      : lock_(is_forking() && &record == registry.forkers_record ? nullptr : &record.lock) {
    if (lock_ != nullptr) note_lock(), lock_->lock();
  }
  ~RecordGuard() {
    if (lock_ != nullptr) lock_->unlock(), note_unlock();
  }
  RecordGuard(RecordGuard const&) = delete;
  RecordGuard& operator=(RecordGuard const&) = delete;

 private:
  AdaptiveLock* lock_;
};

/// Events of threads and of the process.
enum class PoolEvent {
  lock,  ///< takes the pool's lock, for the lists of parts
  unlock,
  before_fork,   ///< takes all locks of the pool
  after_fork,    ///< releases them
  thread_ended,  ///< `part` has lost its thread. Requires: the pool's lock is held
  in_child,      ///< this is the child, without other threads. Requires: the pool's lock is held
  hear_of_forks  ///< installs the fork handlers of the library that constructed the pool
};

/// A pool in the registry's list, which receives fork events.
class PoolNode {
 public:
  using Listener = void (*)(void* pool, PoolEvent event, ThreadPart* part) noexcept;

  constexpr PoolNode(void* pool, Listener listener) noexcept : listener_(listener), pool_(pool) {}
  PoolNode(PoolNode const&) = delete;
  PoolNode& operator=(PoolNode const&) = delete;

  /// Effects: the pool receives fork events from now on. Requires: no lock is held. Complexity: constant.
  void enroll() noexcept {
    // acquire: pairs with the release below. Two threads may enroll an inline pool first; the second then finds it in
    // the list.
    if (!is_enrolled()) enroll_first();
  }
  /// True when enroll() has no effect any more.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_enrolled() const noexcept {
    return state_.load(std::memory_order_acquire) != State::outside;  // acquire: as in enroll()
  }
  /// Ends the pool; enroll() has no effect any more. A pool that no thread used never enters the registry.
  void end() noexcept {
    // relaxed, twice: no other thread uses the pool any more.
    if (state_.load(std::memory_order_relaxed) == State::outside) state_.store(State::left, std::memory_order_relaxed);
  }
  /// Effects: installs the fork handlers of the library that constructed the pool.
  void hear_of_forks() const noexcept { tell(PoolEvent::hear_of_forks); }
  /// Effects: replaces the code pointers left by the library that constructed the pool.
  void rebind(Listener listener) noexcept {
    {
      ForkedGuard guard(home_->lock);  // a fork calls the listener
      listener_ = listener;
    }
    tell(PoolEvent::hear_of_forks);
  }

 protected:
  void tell(PoolEvent event, ThreadPart* part = nullptr) const noexcept { listener_(pool_, event, part); }
  void lock_pool() const noexcept {
    if (!is_held()) tell(PoolEvent::lock);
  }
  void unlock_pool() const noexcept {
    if (!is_held()) tell(PoolEvent::unlock);
  }
  /// Effects: ends fork events for the pool. If this thread is forking, releases the pool's locks, which ending threads
  /// need.
  void leave_registry() noexcept {
    // relaxed, everywhere: no other thread uses the pool any more
    if (state_.load(std::memory_order_relaxed) != State::enrolled) return;
    {
      ForkedGuard guard(home_->lock);
      (previous_ != nullptr ? previous_->next_ : home_->pools) = next_;
      if (next_ != nullptr) next_->previous_ = previous_;
    }
    if (is_held()) tell(PoolEvent::after_fork);
    state_.store(State::left, std::memory_order_relaxed);
  }
  /// True when this code uses the pool's registry.
  [[nodiscard]] bool is_at_home() const noexcept { return home_ == &registry; }

 private:
  friend struct ForkHandlers;
  FASTALLOC_COLD void enroll_first() noexcept {
    tell(PoolEvent::hear_of_forks);
    ForkedGuard guard(home_->lock);
    if (state_.load(std::memory_order_relaxed) != State::outside) return;  // relaxed: the lock orders it
    // relaxed: the lock
    if (!std::exchange(home_->begun, true)) home_->has_fence.store(enable_heavy_fence(), std::memory_order_relaxed);
    next_ = home_->pools;
    if (next_ != nullptr) next_->previous_ = this;
    home_->pools = this;
    if (is_forking()) tell(PoolEvent::before_fork);  // as for the other pools
    state_.store(State::enrolled, std::memory_order_release);
  }
  enum class State : std::uint8_t { outside, enrolled, left };
  /// True when this thread is forking and so holds the pool's locks.
  [[nodiscard]] bool is_held() const noexcept {
    // relaxed: written by this thread
    return is_forking() && state_.load(std::memory_order_relaxed) == State::enrolled;
  }

  PoolNode* next_ = nullptr;
  PoolNode* previous_ = nullptr;
  Listener listener_;
  void* pool_;

 protected:
  Registry* home_ = &registry;  ///< the registry of the library that constructed the pool

 private:
  std::atomic<State> state_{State::outside};
};

FASTALLOC_BEGIN_PADDED
/// Data that every operation reads lie in the first cache line, data that slow ones write behind it.
class alignas(cache_line) ThreadParts : public PoolNode {
 public:
  using PoolNode::PoolNode;

  /// The part of the calling thread, or null. Complexity: constant; no lock.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE ThreadPart* mine() const noexcept {
    // relaxed, everywhere: this thread wrote the place before its entry; another thread changes an entry only at its
    // pool's end.
    std::size_t const at = offset_.load(std::memory_order_relaxed) & this_thread().mask;
    auto const& entry =
        *reinterpret_cast<PartEntry const*>(reinterpret_cast<std::byte const*>(this_thread().table) + at);
    if (entry.pool.load(std::memory_order_relaxed) != this) [[unlikely]]
      return nullptr;
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
    if (this_thread().ended || !find_place()) return nullptr;
    std::size_t const place = this->place();
    if (uses != 0 && !used(place, uses)) return nullptr;
    ThreadRecord* const record = record_of_thread();
    if (record == &no_record || !make_entry(*record, place)) return nullptr;
    ThreadPart* const part = take_part(source, orphaned());
    if (part == nullptr) return nullptr;
    if (ThreadPart* const other = mine()) {  // operator new used this pool, and gave the thread a part
      lock_pool();
      to_spares(part);
      part->owner.store(nullptr, std::memory_order_relaxed);  // relaxed: the lock orders it
      unlock_pool();
      return other;
    }
    RecordGuard guard(*record);
    part->owner.store(record, std::memory_order_relaxed);  // relaxed: others compare it under a lock
    record->table[place].part.store(part, std::memory_order_relaxed);
    record->table[place].pool.store(this, std::memory_order_relaxed);
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
  static bool used(std::size_t place, unsigned uses) noexcept;
  static bool make_entry(ThreadRecord& record, std::size_t place) noexcept;
  static void use_table(ThreadRecord& record, PartEntry* table, std::size_t entries) noexcept;
  bool find_place() noexcept;
  [[nodiscard]] std::size_t place() const noexcept {
    return offset_.load(std::memory_order_relaxed) / sizeof(PartEntry);  // relaxed: this thread saw it written
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

  std::atomic<std::uint32_t> offset_{0};  ///< bytes, of its place in tables; 0 before it has one: a place never used
  std::uint32_t count_ = 0;
  ThreadPart* first_ = nullptr;
  ThreadPart* spare_ = nullptr;
  ThreadPart* last_spare_ = nullptr;
  Place* own_place_ = nullptr;  ///< written under registry.lock
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
  FASTALLOC_OWN static inline pthread_key_t key{};
  FASTALLOC_OWN static inline std::atomic<bool> has_key{false};
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

/// Each library has its own functions and data here, whatever symbols they share otherwise.
struct FASTALLOC_OWN ForkHandlers {
#if FASTALLOC_POSIX
  /// Effects: the library has its handlers, since before main() where it calls this anywhere: a fork that has begun
  /// does not hear of handlers installed since.
  template <class Any = void> static void install() noexcept { (void)&library<Any>, install_once(); }
  /// Once per library: the handlers are removed with it.
  static void install_once() noexcept {
    if (!installed.load(std::memory_order_relaxed) && !installed.exchange(true, std::memory_order_relaxed))
      pthread_atfork(prepare, parent, child);
  }
  // Libraries that share the registry have handlers each; the first locks, the last unlocks.
  static void prepare() noexcept {
    bool const first = !is_forking();
    if (first) registry.lock.lock();
    has_prepared.store(true, std::memory_order_seq_cst);
    if (is_closed.load(std::memory_order_seq_cst)) {
      has_prepared.store(false, std::memory_order_seq_cst);
      if (first) registry.lock.unlock();
      return;
    }
    if (first) {
      registry.forker.store(&this_thread(), std::memory_order_relaxed);
      registry.forkers_record = this_thread().record;
      registry.forkers_record->lock.lock();
      registry.forkers_process = ::getpid();
      for (PoolNode* pool = registry.pools; pool != nullptr; pool = pool->next_) pool->tell(PoolEvent::before_fork);
      ListGuard::begin_fork();
    }
    ++registry.fork_handlers;
  }
  static void parent() noexcept {
    if (!is_prepared()) return;
    if (--registry.fork_handlers == 0) {
      ListGuard::end_fork();
      registry.forker.store(nullptr, std::memory_order_relaxed);  // relaxed: the lock orders it
      registry.is_child = false;
      for (PoolNode* pool = registry.pools; pool != nullptr; pool = pool->next_) pool->tell(PoolEvent::after_fork);
      registry.forkers_record->lock.unlock();
      has_prepared.store(false, std::memory_order_relaxed);
      return registry.lock.unlock();
    }
    has_prepared.store(false, std::memory_order_release);
  }
  static void child() noexcept {
    if (is_prepared()) begin_child(), parent();
  }
  /// Once in the child: before another library's handler uses a pool, which would serve threads that waited there.
  static void begin_child() noexcept {
    if (std::exchange(registry.is_child, true)) return;
    registry.forks.fetch_add(1, std::memory_order_relaxed);  // relaxed: there is only one thread
    registry.lock.stay_alone();
    registry.forkers_record->lock.stay_alone();
    forget_threads();
    for (PoolNode* pool = registry.pools; pool != nullptr; pool = pool->next_) pool->tell(PoolEvent::in_child);
  }

 private:
  /// False if prepare() came after the library's end.
  static bool is_prepared() noexcept {
    return is_forking() && has_prepared.load(std::memory_order_relaxed);  // relaxed: written by this thread
  }
  /// Effects: frees the records of threads that do not exist in the child, whatever they were doing with them.
  static void forget_threads() noexcept {
    registry.free_records = nullptr;
    registry.in_use = registry.places;
    for (Place* place = registry.free_places; place != nullptr; place = place->next_free) --registry.in_use;
    if (this_thread().record != &no_record) ++registry.in_use;
    for (ThreadRecord* record = registry.records; record != nullptr; record = record->next) {
      if (record == this_thread().record) continue;
      ::new (static_cast<void*>(&record->lock)) AdaptiveLock;
      for (PartEntry& entry : record->first_table) entry.pool.store(nullptr, std::memory_order_relaxed);
      if (PartEntry* const table = record->drop_table()) put_off(table);
      if (record->uses != nullptr) put_off(std::exchange(record->uses, nullptr));
      record->uses_size = 0;
      record->next_free = std::exchange(registry.free_records, record);
    }
  }
  static void put_off(void* memory) noexcept {
    // relaxed: there is only one thread
    registry.stale.store(::new (memory) Stale{registry.stale.load(std::memory_order_relaxed)},
                         std::memory_order_relaxed);
  }

  /// When a library is closed, the C library removes its handlers, even between prepare() and parent(). So its end
  /// waits for a fork that has begun, and handlers called from then on do nothing. seq_cst, four times: of prepare()
  /// and the end one sees the other's store.
  struct Library {
    Library() noexcept { install_once(); }
    ~Library() {
      is_closed.store(true, std::memory_order_seq_cst);
      if (!has_prepared.load(std::memory_order_seq_cst) || is_forking()) return;
      while (has_prepared.load(std::memory_order_seq_cst)) detail::yield();
      Guard guard(registry.lock);  // parent() has nothing left to do
    }
  };
  /// From its beginning to its end. A template: only programs that use it initialise it.
  template <class> static inline Library const library{};
  static inline std::atomic<bool> installed{false};
  static inline std::atomic<bool> is_closed{false};
  static inline std::atomic<bool> has_prepared{false};  ///< from prepare() to parent(); under the lock
#else
  static void install() noexcept {}
#endif
};

/// Notifies the pools of the fork if another library's handler runs in the child before ours.
inline void look_for_child() noexcept {
#if FASTALLOC_POSIX
  if (!registry.is_child && registry.forkers_process != ::getpid()) ForkHandlers::begin_child();
#endif
}

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
        ++registry.in_use;
        return this_thread().record = record;
      }
    }
    if ((made = ::new (std::nothrow) ThreadRecord) == nullptr) return &no_record;
  }
}

/// True when the thread has used the pool `uses` times.
inline bool ThreadParts::used(std::size_t place, unsigned uses) noexcept {
#if FASTALLOC_EMULATED_TLS
  if (record_of_thread() == &no_record) return false;  // makes this_thread() writable
#endif
  ThisThread& thread = this_thread();
  for (std::size_t i = 0; i != std::size(thread.early) && place < std::size_t{1} << 24; ++i) {
    std::uint32_t& count = thread.early[(place + i) % std::size(thread.early)];
    if (count != 0 && count >> 8 != place) continue;
    if ((count & 255) + 1 < uses) return count = static_cast<std::uint32_t>(place << 8 | ((count & 255) + 1)), false;
    return count &= ~255U, true;  // for the next pool at this place
  }
  if (record_of_thread() == &no_record) return false;
  ThreadRecord& record = *this_thread().record;
  if (place >= record.uses_size) {
    std::size_t size = 64;
    while (size <= place) size *= 2;
    auto* const counts = static_cast<std::uint8_t*>(::operator new(size, std::nothrow));
    if (counts == nullptr || place < record.uses_size) return ::operator delete(counts), false;
    for (std::size_t i = 0; i != size; ++i) counts[i] = i < record.uses_size ? record.uses[i] : std::uint8_t{0};
    record.uses_size = size;
    ::operator delete(std::exchange(record.uses, counts));
  }
  if (record.uses[place] + 1U < uses) return ++record.uses[place], false;
  return record.uses[place] = 0, true;  // for the next pool at this place
}

/// Effects: gives the thread's table an entry for the place. Returns: false without memory.
inline bool ThreadParts::make_entry(ThreadRecord& record, std::size_t place) noexcept {
  if (place < record.entries) return true;  // a place is at least 1, so not in no_parts
  if (place < std::size(record.first_table)) {
    RecordGuard guard(record);
    use_table(record, record.first_table, std::size(record.first_table));
    return true;
  }
  std::size_t entries = 2 * std::size(record.first_table);
  while (entries <= place) entries *= 2;
  auto* const table = static_cast<PartEntry*>(::operator new(entries * sizeof(PartEntry), std::nothrow));
  if (table == nullptr) return false;
  PartEntry* old = table;
  {
    RecordGuard guard(record);
    if (place >= record.entries) {  // otherwise operator new used pools and did this
      old = record.table;
      for (std::size_t i = 0; i != entries; ++i) {
        auto* const entry = ::new (static_cast<void*>(table + i)) PartEntry;
        if (i >= record.entries) continue;
        entry->pool.store(old[i].pool.load(std::memory_order_relaxed), std::memory_order_relaxed);
        entry->part.store(old[i].part.load(std::memory_order_relaxed), std::memory_order_relaxed);
      }
      for (PartEntry& entry : record.first_table) entry.pool.store(nullptr, std::memory_order_relaxed);
      use_table(record, table, entries);
    }
  }
  if (old != no_parts && old != record.first_table) ::operator delete(static_cast<void*>(old));
  return true;
}
inline void ThreadParts::use_table(ThreadRecord& record, PartEntry* table, std::size_t entries) noexcept {
  record.table = this_thread().table = table;
  record.entries = entries;
  this_thread().mask = (entries - 1) * sizeof(PartEntry);
}

/// Effects: gives the pool a place. Returns: false without memory.
inline bool ThreadParts::find_place() noexcept {
  // acquire: pairs with the release below.
  if (offset_.load(std::memory_order_acquire) != 0) return true;
  auto const use = [&](Place* place) {
    own_place_ = place;
    ++home_->in_use;
    offset_.store(place->number * std::uint32_t{sizeof(PartEntry)}, std::memory_order_release);
  };
  {
    ForkedGuard guard(home_->lock);
    if (own_place_ != nullptr) return true;
    if (Place* const place = home_->free_places) {
      home_->free_places = place->next_free;
      return use(place), true;
    }
  }
  Place* place = ::new (std::nothrow) Place{};
  if (place == nullptr) return false;
  {
    ForkedGuard guard(home_->lock);
    if (own_place_ == nullptr) {
      place->number = ++home_->places;  // from 1 on
      use(std::exchange(place, nullptr));
    }
  }
  delete place;  // another thread was faster
  return true;
}

inline ThreadPart* ThreadParts::detach_all() noexcept {
  // no fork events from here on: only this thread and ending threads take the pool's locks
  leave_registry();
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
      RecordGuard guard(*owner);
      if (part->owner.load(std::memory_order_relaxed) == owner) {  // otherwise its thread is ending
        owner->table[place()].pool.store(nullptr, std::memory_order_relaxed);
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
  if (own_place_ != nullptr) {
    Unused unused;
    ForkedGuard guard(home_->lock);
    own_place_->next_free = std::exchange(home_->free_places, own_place_);
    unused.note_free(*home_);
  }
  free_stale();
  return gone;
}

inline void ThreadParts::end_thread() noexcept {
  this_thread().ended = true;
  ThreadRecord* const record = std::exchange(this_thread().record, &no_record);
  if (record == &no_record) return;
  this_thread().table = no_parts;
  this_thread().mask = 0;
  PartEntry* const table = record->table;  // only its thread changes it
  for (std::size_t i = 0; i != record->entries && table != no_parts; ++i) {
    ThreadPart* const part = table[i].part.load(std::memory_order_relaxed);  // relaxed: written by this thread
    ThreadParts* of = nullptr;
    {
      RecordGuard guard(*record);
      of = table[i].pool.exchange(nullptr, std::memory_order_relaxed);
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
    RecordGuard guard(*record);
    old = record->drop_table();
  }
  ::operator delete(static_cast<void*>(old));
  ::operator delete(std::exchange(record->uses, nullptr));
  record->uses_size = 0;
  Unused unused;
  ForkedGuard guard(registry.lock);
  record->next_free = std::exchange(registry.free_records, record);
  unused.note_free(registry);
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_SHARED
#undef FASTALLOC_OWN
#undef FASTALLOC_EMULATED_TLS
#undef FASTALLOC_HEAR_OF_THREADS
