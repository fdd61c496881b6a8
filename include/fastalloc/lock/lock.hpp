// SPDX-License-Identifier: MIT OR Apache-2.0
// The lock axis: what guards a pool's own data. Never held while user code runs: constructors, destructors, hooks,
// growth functions and the F of for_each may use the pool.
//
//   NoLock         nothing; one thread at a time            default of FixedPool and GrowingPool
//   AdaptiveLock   spins briefly, then sleeps               default of ThreadSafePool
//   SpinLock       spins; no system call but a yield        real-time threads that do not outnumber processors
//   MutexLock      std::mutex                               where tools or conventions want one
//   LockFree       no lock: a tagged list                   interrupt handlers, shared memory
//   InterruptLock  masks interrupts by functions of yours   interrupt handlers on one core
//
// Any type with lock() and unlock() fits, std::mutex itself included. Each object is a lock of its own, and a pool that
// grows has two; objects without data may all stand for one lock.
#pragma once

#include <fastalloc/fwd.hpp>

#include <concepts>

namespace fastalloc::inline FASTALLOC_MODE {

/// What the standard calls BasicLockable; default constructible.
template <class L>
concept LockPolicy = std::default_initializable<L> && requires(L lock) {
  lock.lock();
  lock.unlock();
};

/// When to use: one thread, or a lock of your own around the pool. Complexity: 0 steps, 0 instructions, 0 bytes.
struct NoLock {
  static constexpr bool is_thread_safe = false;
  constexpr void lock() const noexcept {}
  constexpr void unlock() const noexcept {}
};

static_assert(LockPolicy<NoLock>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// A lock that does nothing since the slots need none; it says which slot allocator that is (lock_free.hpp).
template <class Lock>
concept LockFreePolicy = requires { requires Lock::is_lock_free; };

/// A lock that does nothing on the usual way, and has another one for what is rare.
template <class Lock>
concept HasSlowLock = requires(Lock& lock) { lock.slow(); };

template <class Lock> constexpr auto& slow_lock(Lock& lock) noexcept {
  if constexpr (HasSlowLock<Lock>) return lock.slow();
  else return lock;
}

/// The lock for questions about blocks. Those of LockFree never change, but for being there.
template <class Lock> constexpr auto& block_lock(Lock& lock) noexcept {
  if constexpr (LockFreePolicy<Lock>) return lock;
  else return slow_lock(lock);
}

// FASTALLOC_CHECK_LOCKS=1, for tests: the program ends where a thread takes one of our locks while it holds another, or
// meets a storage while it holds one. Turns do not count, and neither do those that a fork takes.
#if FASTALLOC_CHECK_LOCKS && FASTALLOC_HAS_THREADS
inline thread_local int locks_held = 0;
inline void expect_no_lock() noexcept {
  if (locks_held != 0) __builtin_trap();
}
inline void note_lock() noexcept { expect_no_lock(), ++locks_held; }
inline void note_unlock() noexcept { --locks_held; }
/// The caller holds the lock of a list of sub-pools, below which their own locks come.
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
