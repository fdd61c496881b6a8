// SPDX-License-Identifier: MIT OR Apache-2.0
// Forks: the list of pools that hear of them, the guards of the locks that a fork takes, and the handlers. prepare()
// takes all locks; the child notifies its pools (in_child), and frees the records of threads that do not exist there.
#pragma once

#include <fastalloc/cache/thread_registry.hpp>
#include <fastalloc/lock/asymmetric_fence.hpp>

#include <atomic>
#include <cerrno>
#include <new>
#include <utility>

#if FASTALLOC_POSIX
#include <pthread.h>
#include <unistd.h>
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

inline void look_for_child() noexcept;

/// True in the thread that is forking. It holds all locks; other libraries' handlers that run meanwhile may use pools.
[[nodiscard]] inline bool is_forking() noexcept {
  // relaxed: equals this thread only if this thread wrote it
  if (registry.forker.load(std::memory_order_relaxed) != &this_thread()) [[likely]]
    return false;
  return look_for_child(), true;
}
/// A Guard for a lock that a fork takes: the registry's, or a record's, of which it takes only its own thread's.
class [[nodiscard]] ForkedGuard {
 public:
  explicit ForkedGuard(AdaptiveLock& lock) noexcept : ForkedGuard(lock, is_forking()) {}
  explicit ForkedGuard(ThreadRecord& record) noexcept
      : ForkedGuard(record.lock, is_forking() && &record == registry.forkers_record) {}
  ~ForkedGuard() {
    if (lock_ != nullptr) lock_->unlock(), note_unlock();
  }
  ForkedGuard(ForkedGuard const&) = delete;
  ForkedGuard& operator=(ForkedGuard const&) = delete;

 private:
  ForkedGuard(AdaptiveLock& lock, bool is_held) noexcept : lock_(is_held ? nullptr : &lock) {
    if (lock_ != nullptr) note_lock(), lock_->lock();
  }
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
  /// need. Returns: false if the pool never enrolled; otherwise forget_threads() must follow.
  bool leave_registry() noexcept {
    // relaxed, everywhere: no other thread uses the pool any more
    if (state_.load(std::memory_order_relaxed) != State::enrolled) return false;
    {
      ForkedGuard guard(home_->lock);
      (previous_ != nullptr ? previous_->next_ : home_->pools) = next_;
      if (next_ != nullptr) next_->previous_ = previous_;
    }
    if (is_held()) tell(PoolEvent::after_fork);
    state_.store(State::left, std::memory_order_relaxed);
    return true;
  }
  /// Effects: the pool looks at no record any more.
  void forget_threads() noexcept {
    Unused unused;
    ForkedGuard guard(home_->lock);
    unused.note_end(*home_);
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
    home_->in_use.fetch_add(1, std::memory_order_relaxed);  // relaxed: the lock
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

/// Each library has its own functions and data here, whatever symbols they share otherwise.
struct FASTALLOC_LOCAL ForkHandlers {
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
    std::size_t in_use = this_thread().record != &no_record ? 1 : 0;
    for (PoolNode* pool = registry.pools; pool != nullptr; pool = pool->next_) ++in_use;
    registry.in_use.store(in_use, std::memory_order_relaxed);
    for (ThreadRecord* record = registry.records; record != nullptr; record = record->next) {
      if (record == this_thread().record) continue;
      ::new (static_cast<void*>(&record->lock)) AdaptiveLock;
      if (PartEntry* const table = record->drop_table()) put_off(table);
      if (std::uint32_t* const uses = record->drop_uses()) put_off(uses);
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

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
