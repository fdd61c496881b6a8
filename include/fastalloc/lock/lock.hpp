// SPDX-License-Identifier: MIT OR Apache-2.0
// The lock axis: protection of a pool's own data. No lock is held while user code runs: constructors, destructors,
// hooks, growth functions and the F of for_each() may use the pool.
//
//   NoLock         nothing; one thread at a time            default of FixedPool and GrowingPool
//   AdaptiveLock   spins briefly, then sleeps               default of ThreadSafePool
//   SpinLock       spins; no system call but a yield        real-time threads that do not outnumber processors
//   MutexLock      std::mutex                               where tools or conventions require one
//   LockFree       no lock: a tagged list                   interrupt handlers, shared memory
//   InterruptLock  masks interrupts by your functions       interrupt handlers on one core
//
// Any type with lock() and unlock() fits, std::mutex included. Each object is a separate lock, and a growing pool has
// two; objects without data may all stand for one lock.
#pragma once

#include <fastalloc/fwd.hpp>

#include <concepts>

namespace fastalloc::inline FASTALLOC_MODE {

/// The standard's BasicLockable, default constructible.
template <class L>
concept LockPolicy = std::default_initializable<L> && requires(L lock) {
  lock.lock();
  lock.unlock();
};

/// When to use: one thread, or your own lock around the pool. Complexity: 0 steps, 0 instructions, 0 bytes.
struct NoLock {
  static constexpr bool is_thread_safe = false;
  FASTALLOC_ALWAYS_INLINE constexpr void lock() const noexcept {}
  FASTALLOC_ALWAYS_INLINE constexpr void unlock() const noexcept {}
};

static_assert(LockPolicy<NoLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// An empty lock, for slots that need none; it names the slot allocator to use (lock_free.hpp).
template <class Lock>
concept LockFreePolicy = requires { requires Lock::is_lock_free; };

/// A lock that is empty on the fast path and has another one for slow operations.
template <class Lock>
concept HasSlowLock = requires(Lock& lock) { lock.slow(); };

template <class Lock> FASTALLOC_ALWAYS_INLINE constexpr auto& slow_lock(Lock& lock) noexcept {
  if constexpr (HasSlowLock<Lock>) return lock.slow();
  else return lock;
}

/// The lock for queries about blocks. With LockFree, blocks never change once they exist.
template <class Lock> FASTALLOC_ALWAYS_INLINE constexpr auto& block_lock(Lock& lock) noexcept {
  if constexpr (LockFreePolicy<Lock>) return lock;
  else return slow_lock(lock);
}

// FASTALLOC_CHECK_LOCKS=1, for tests: ends the program when a thread takes one of our locks, or calls a storage, while
// it holds another. Turns do not count, nor do the locks that a fork takes.
#if FASTALLOC_CHECK_LOCKS && FASTALLOC_HAS_THREADS
inline thread_local int locks_held = 0;
inline void expect_no_lock() noexcept {
  if (locks_held != 0) FASTALLOC_TRAP();
}
inline void note_lock() noexcept { expect_no_lock(), ++locks_held; }
inline void note_unlock() noexcept { --locks_held; }
/// For a caller that holds the lock of a list of sub-pools: the locks of the sub-pools come below it.
struct AboveSubPools {
  AboveSubPools() noexcept { note_unlock(); }
  ~AboveSubPools() { note_lock(); }
};
#else
constexpr void expect_no_lock() noexcept {}
constexpr void note_lock() noexcept {}
constexpr void note_unlock() noexcept {}
struct AboveSubPools {};
#endif

/// std::lock_guard without <mutex>.
template <class Lock> class [[nodiscard]] Guard {
 public:
  FASTALLOC_ALWAYS_INLINE explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  FASTALLOC_ALWAYS_INLINE ~Guard() { lock_.unlock(); }
  Guard(Guard const&) = delete;
  Guard& operator=(Guard const&) = delete;

 private:
  Lock& lock_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
