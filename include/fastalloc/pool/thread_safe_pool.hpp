// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadSafePool<T, Policies...>: one pool, many threads, exact capacity.
//
//   thread -> its cache (array of slots) -> depot (slots under a lock) -> other threads' caches
//
// With capacity C, any number of threads get exactly C objects before one of them hears that the pool is exhausted.
// What it costs: an operation that the thread's own cache can serve takes no lock and no locked instruction. One in N /
// 2 moves a batch to or from the depot under the lock. When the depot is empty, all caches are emptied into it: one
// system call (membarrier, 0.2 µs; none where no other thread has a cache) and one step for each slot in them. Other
// calls: a thread's first operation makes its cache (heap). tests/README.md says how all that is verified.
#pragma once

#include <fastalloc/cache/thread_cache.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>
#include <fastalloc/pool/basic_pool.hpp>
#include <fastalloc/pool/wait_queue.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct ThreadSafeKind : FixedKind {
  using defaults = ThreadSafeDefaults;
  static constexpr bool shared = true, cached = true;
  template <class P, class Shape>
  using caches = std::conditional_t<P::cached, ThreadCaches<P::cache::max_cached, P::stats::enabled>, Uncached>;
  using waiters = WaitQueue;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: several threads share objects of one kind, and hand them to each other. Fixed by default; with
/// PoolConfig::growth_strategy it grows as a GrowingPool does (not from InlineStorage or ExternalStorage, nor with
/// LockFree).
/// Thread safety: all functions may be called by any thread at any time, but construction and destruction. A handle may
/// be destroyed by any thread. Threads may end, and the pool may be destroyed before they do. After fork() (not from
/// inside for_each()) the child has the pool as it was, without other threads. Complexity, while nobody else has the
/// lock: an operation that the thread's own cache serves takes 1 step. Another takes the lock once or twice and moves
/// at most half a cache (128 slots with ThreadCache<>), each by the steps of the slot policy; allocate() on an empty
/// depot closes all caches: one system call (none where no other thread has one), 2 steps for each thread that has one
/// and one for each slot in them, so at most threads * ThreadCache::max_cached. A thread's 8th operation takes memory
/// for its cache, and some later ones take more (warm_up() takes all of it earlier). Release while somebody waits: one
/// step more for each who is served. NoCache: that of FixedPool. A lock that somebody else has: see the lock policy.
/// Policies: AdaptiveLock and ThreadCache<> by default; NoCache for pools of few slots; LockFree; AtomicStats.
template <class T, class... Policies>
class ThreadSafePool final
    : public detail::BasicPool<ThreadSafePool<T, Policies...>, T, detail::ThreadSafeKind, Policies...> {
  using Base = detail::BasicPool<ThreadSafePool, T, detail::ThreadSafeKind, Policies...>;

 public:
  using Base::Base;
  using typename Base::handle_type;
  using Base::reserve, Base::shrink_to_fit;  // what they say where the pool cannot grow
  ThreadSafePool() requires std::default_initializable<Base> = default;
  ThreadSafePool(FASTALLOC_ADVICE("fastalloc: give a capacity, as in ThreadSafePool<T> pool(1000)"))
      requires(!std::default_initializable<Base>)
      = delete;
  ThreadSafePool(ThreadSafePool const&,
                 FASTALLOC_ADVICE("fastalloc: pools stay in place; pass a reference or pointer")) = delete;

  /// Effects: as try_allocate(), but where every slot is in use, waits until one comes back, from any thread and on any
  /// way, or until `timeout` has passed. Those who wait are served in the order they came; nobody else gets a slot
  /// meanwhile. A timeout of 0 or less does not wait. Complexity: that of try_allocate(), and the wait. Blocks the
  /// thread: coroutines poll with try_allocate(). Returns: an empty handle when time is up; `args` are then untouched.
  template <class Rep, class Period, class... Args>
  [[nodiscard]] handle_type allocate_for(std::chrono::duration<Rep, Period> timeout, Args&&... args) {
    return allocate_until(deadline(timeout), std::forward<Args>(args)...);
  }
  /// The same, until `time`, a point in time of any clock.
  template <class Clock, class Duration, class... Args>
  [[nodiscard]] handle_type allocate_until(std::chrono::time_point<Clock, Duration> time, Args&&... args) {
    return Base::allocate_waiting([&] { return detail::time_left(time).count() == 0; },
                                  [&](auto& waiter) { waiter.wait_until(time); }, std::forward<Args>(args)...);
  }
#if defined(__cpp_lib_jthread)
  /// The same, and gives up when `stop` is requested.
  template <class Rep, class Period, class... Args>
  [[nodiscard]] handle_type allocate_for(std::chrono::duration<Rep, Period> timeout, std::stop_token stop,
                                         Args&&... args) {
    return allocate_until(deadline(timeout), std::move(stop), std::forward<Args>(args)...);
  }
  template <class Clock, class Duration, class... Args>
  [[nodiscard]] handle_type allocate_until(std::chrono::time_point<Clock, Duration> time, std::stop_token stop,
                                           Args&&... args) {
    return Base::allocate_waiting([&] { return stop.stop_requested() || detail::time_left(time).count() == 0; },
                                  [&](auto& waiter) {
                                    std::stop_callback const wake(stop, [&] { waiter.stop(); });
                                    waiter.wait_until(time);
                                  },
                                  std::forward<Args>(args)...);
  }
#endif

  /// Effects: slots that threads keep for themselves go back to where all threads find them. Complexity: linear: 2
  /// steps for each thread's cache, one for each slot in them.
  void trim() noexcept { Base::trim_caches(); }

  /// As in GrowingPool; of pools that may grow.
  // (Conditions are there twice: explicit instantiation, by clang 14, compiles bodies whose first one is false.)
  void reserve(std::size_t slot_count) requires Base::may_grow {
    if constexpr (Base::may_grow) Base::reserve_slots(slot_count);
  }
  std::size_t shrink_to_fit() noexcept requires Base::may_grow {
    if constexpr (Base::may_grow) return Base::release_free_blocks();
    else return 0;
  }

 private:
  template <class Rep, class Period>
  static std::chrono::steady_clock::time_point deadline(std::chrono::duration<Rep, Period> timeout) {
    using Clock = std::chrono::steady_clock;
    if (!(timeout > timeout.zero())) return (Clock::time_point::min)();
    auto const now = Clock::now();
    // Compared as floating point: a timeout of duration::max() must not wrap.
    std::chrono::duration<double> const most = (Clock::time_point::max)() - now;
    return std::chrono::duration<double>(timeout) >= most ? (Clock::time_point::max)()
                                                          : now + std::chrono::ceil<Clock::duration>(timeout);
  }
};

template <class Init, class Reset>
ThreadSafePool(PoolConfig const&, Recycle<Init, Reset>)
    -> ThreadSafePool<std::remove_cvref_t<std::invoke_result_t<Init&>>, Recycle<Init, Reset>>;

}  // namespace fastalloc::inline FASTALLOC_MODE
