// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadSafePool<T, Policies...>: one pool, many threads, exact capacity.
//
//   thread -> its cache (array of slots) -> central list (slots under a lock) -> other threads' caches
//
// Exact capacity: with C slots, any number of threads allocate exactly C objects before one of them gets
// PoolExhausted. Cost: an operation served by the thread's own cache takes no lock and no locked instruction. One
// operation in N / 2 moves a batch to or from the central list under the lock. An empty central list collects all
// caches: one system call (membarrier, 0.2 to 4 µs; none if no other thread has a cache) and one step per cached slot.
// A thread's first operations create its cache on the heap. tests/README.md lists how this is verified.
#pragma once

#include <fastalloc/cache/thread_cache.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>
#include <fastalloc/pool/basic_pool.hpp>
#include <fastalloc/pool/wait_queue.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Bytes of slots that a thread may keep in any case; the pool then prefers growth to searching other caches.
template <class Cache> constexpr std::size_t roomy_bytes = 0;
template <class Cache> requires requires { Cache::roomy_bytes; }
constexpr std::size_t roomy_bytes<Cache> = Cache::roomy_bytes;

/// on_available() and async_allocate(); the specialization is in pool/on_available.hpp.
template <class Objects> class SlotRequests {
  static_assert(sizeof(Objects) == 0, "fastalloc: on_available() and async_allocate() have a header of their own; add "
                                      "#include <fastalloc/pool/on_available.hpp>");
};

struct ThreadSafeKind : FixedKind {
  using defaults = ThreadSafeDefaults;
  static constexpr bool shared = true, cached = true;
  template <class P, class Shape>
  using caches =
      std::conditional_t<P::cached,
                         ThreadCaches<P::cache::max_cached, P::stats::enabled, roomy_bytes<typename P::cache>>,
                         Uncached<SizedStorage<typename P::storage>>>;
  using waiters = WaitQueue;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: several threads share objects of one type and pass them to each other. Fixed by default; with
/// PoolConfig::growth_strategy it grows as a GrowingPool does (not with InlineStorage, ExternalStorage or LockFree).
/// Policies: AdaptiveLock and ThreadCache<> by default; NoCache for pools of few slots; LockFree; AtomicStats.
/// Thread safety: any thread may call any function at any time, except construction and destruction, and destroy any
/// handle. Threads may end before the pool, and the pool before its threads. After fork() (not from inside
/// for_each()) the child has the pool as it was, without the other threads.
/// Complexity, with the lock uncontended (see the lock policy otherwise): an operation served by the thread's own cache
/// takes 1 step. Others take the lock once or twice and move at most half a cache (128 slots with ThreadCache<>), each
/// at the slot policy's cost. allocate() on an empty central list closes all caches: one system call (none if no other
/// thread has a cache), 2 steps per cache and 1 per cached slot, so at most threads * ThreadCache::max_cached. A
/// thread's 8th operation allocates its cache, and a few later ones enlarge it; warm_up() does all of it early. A
/// release that serves waiting threads takes 1 more step for each. NoCache: that of FixedPool.
template <class T, class... Policies>
class ThreadSafePool final
    : public detail::BasicPool<ThreadSafePool<T, Policies...>, T, detail::ThreadSafeKind, Policies...> {
  using Base = detail::BasicPool<ThreadSafePool, T, detail::ThreadSafeKind, Policies...>;

 public:
  using Base::Base;
  using typename Base::handle_type;
  using Base::reserve, Base::shrink_to_fit;  // the errors for pools that cannot grow
  ThreadSafePool() requires std::default_initializable<Base> = default;
  ThreadSafePool(FASTALLOC_ADVICE("fastalloc: give a capacity, as in ThreadSafePool<T> pool(1000)"))
      requires(!std::default_initializable<Base>)
      = delete;
  ThreadSafePool(ThreadSafePool const&, FASTALLOC_ADVICE("fastalloc: pools do not move; use MovablePool")) = delete;

  /// Effects: as try_allocate(), but if every slot is in use, blocks until any thread releases one or `timeout` has
  /// passed. Waiting threads are served in FIFO order, before any other caller. A timeout <= 0 does not wait. Do not
  /// block in a coroutine; poll with try_allocate().
  /// Returns: an empty handle on timeout; `args` are then untouched. Complexity: that of try_allocate(), and the wait.
  template <class Rep, class Period, class... Args>
  [[nodiscard]] handle_type allocate_for(std::chrono::duration<Rep, Period> timeout, Args&&... args) {
    return allocate_until(deadline(timeout), std::forward<Args>(args)...);
  }
  /// The same, until `time`, on any clock.
  template <class Clock, class Duration, class... Args>
  [[nodiscard]] handle_type allocate_until(std::chrono::time_point<Clock, Duration> time, Args&&... args) {
    return Base::allocate_waiting([&] { return detail::time_left(time).count() == 0; },
                                  [&](auto& waiter) { waiter.wait_until(time); }, std::forward<Args>(args)...);
  }
#if defined(__cpp_lib_jthread)
  /// The same; also returns when `stop` is requested.
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

  /// Effects: calls f(slot) once, as soon as there is a slot for it, without blocking a thread: before on_available()
  /// returns, or at the end of the release that brings the slot back, on the thread that releases. Requests and waiting
  /// threads are served in FIFO order, before any other caller. f gets a FreeSlot& and builds the object:
  ///
  ///   request = pool.on_available([&](auto& slot) {
  ///     if (slot) ready.push(slot.allocate(args...));   // an empty slot: the pool ends
  ///   });
  ///
  /// f runs without a lock and must not throw, block, or end the pool. If f itself, or a destructor that it calls,
  /// releases objects, the requests that they serve run after f: their pools must live until then, or the requests be
  /// cancelled.
  /// Returns: a SlotRequest, the owner of the request, which cancels it at its end. Throws: AllocationFailed without
  /// memory for it, and what a custom growth function throws; f is then not called.
  /// Include <fastalloc/pool/on_available.hpp>, or the umbrella. Complexity: that of allocate(), and an allocation.
  template <class F> [[nodiscard]] auto on_available(F f) {
    return detail::SlotRequests<typename Base::objects>::on_available(*this, std::move(f));
  }
  /// For coroutines: `auto handle = co_await pool.async_allocate(args...);` is allocate() if a slot is free; else it
  /// suspends the coroutine until a slot comes back, as a request of on_available() would, and resumes it on the thread
  /// that releases. `args` are used then.
  /// Returns: an awaitable that gives a handle; empty if the pool ends, `args` are then untouched. Destroying the
  /// suspended coroutine cancels the request. Throws, where it is awaited: as allocate(), but never PoolExhausted.
  template <class... Args> [[nodiscard]] auto async_allocate(Args&&... args) {
    return detail::SlotRequests<typename Base::objects>::awaitable(*this, std::forward<Args>(args)...);
  }
#if defined(__cpp_lib_jthread)
  /// The same; also resumes, with an empty handle, when `stop` is requested, on the thread that requests it.
  template <class... Args> [[nodiscard]] auto async_allocate(std::stop_token stop, Args&&... args) {
    return detail::SlotRequests<typename Base::objects>::stoppable(*this, std::move(stop), std::forward<Args>(args)...);
  }
#endif

  /// Effects: moves all slots from the threads' caches to the central list, where every thread finds them. Complexity:
  /// linear: 2 steps per cache, 1 per cached slot.
  void trim() noexcept { Base::trim_caches(); }

  /// As in GrowingPool; only for pools that may grow.
  // (Each condition appears twice: clang 14 compiles bodies with a false requires-clause in explicit instantiations.)
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
    // Compare as floating point: a timeout of duration::max() must not wrap.
    std::chrono::duration<double> const most = (Clock::time_point::max)() - now;
    return std::chrono::duration<double>(timeout) >= most ? (Clock::time_point::max)()
                                                          : now + std::chrono::ceil<Clock::duration>(timeout);
  }
};

template <class Init, class Reset>
ThreadSafePool(PoolConfig const&, Recycle<Init, Reset>)
    -> ThreadSafePool<std::remove_cvref_t<std::invoke_result_t<Init&>>, Recycle<Init, Reset>>;

}  // namespace fastalloc::inline FASTALLOC_MODE
