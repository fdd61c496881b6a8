// SPDX-License-Identifier: MIT OR Apache-2.0
// Policies<Ps...>: sorts the policies after T by axis, and fills in the defaults. Its error messages say what to type.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/handle/sharing.hpp>
#include <fastalloc/lifetime/construct_on_allocate.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/slots/keys.hpp>
#include <fastalloc/slots/stack_allocator.hpp>
#include <fastalloc/stats/basic_stats.hpp>
#include <fastalloc/storage/heap_storage.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// Default of the exhaustion axis (exhaustion.hpp): a request without a slot fails.
struct Fail {
  static constexpr bool evicts = false, uses_heap = false;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

enum class Axis {
  none,
  several,
  slot_allocator,
  storage,
  lock,
  stats,
  checks,
  lifetime,
  cache,
  keys,
  sharing,
  registration,
  ending,
  poison,
  handles,
  exhaustion
};

/// `P::state<locked>`: what the pool keeps to learn that its owner is gone (movable_pool.hpp).
template <class P>
concept EndingPolicy = requires {
  { P::can_be_abandoned } -> std::convertible_to<bool>;
};

/// Default: AddressSanitizer reports accesses to free slots.
struct Poisoned {
  static constexpr bool poisons_slots = true;
};

/// Default: the pool ends with its owner, after its handles.
struct EndsWithOwner {
  static constexpr bool can_be_abandoned = false;
  struct Nothing {};
  template <bool> using state = Nothing;
};

template <class P>
concept SizedStorage = requires { typename P::template region<64, 8>; };

/// The axis whose members P has; `several` if there is more than one; `none`, too, for a type that is only declared.
template <class P> constexpr Axis axis_of() noexcept { return Axis::none; }
template <class P> requires(sizeof(P) != 0) constexpr Axis axis_of() noexcept {
  Axis axis = Axis::none;
  auto const claim = [&](bool fits, Axis mine) { axis = !fits ? axis : axis == Axis::none ? mine : Axis::several; };
  claim(SlotAllocator<P>, Axis::slot_allocator);
  claim(Storage<P> || SizedStorage<P>, Axis::storage);
  claim(LockPolicy<P>, Axis::lock);
  claim(StatsPolicy<P>, Axis::stats);
  claim(ChecksPolicy<P>, Axis::checks);
  claim(requires { P::keeps_objects; }, Axis::lifetime);
  claim(CachePolicy<P>, Axis::cache);
  claim(KeysPolicy<P>, Axis::keys);
  claim(SharingPolicy<P>, Axis::sharing);
  claim(requires { P::is_registered; }, Axis::registration);
  claim(EndingPolicy<P>, Axis::ending);
  claim(requires { P::poisons_slots; }, Axis::poison);
  claim(std::same_as<P, CompactHandles>, Axis::handles);
  claim(requires { P::evicts; }, Axis::exhaustion);
  return axis;
}

/// The first of Ps on `axis`, else Default.
template <Axis axis, class Default, class... Ps> struct PickPolicy {
  using type = Default;
};
template <Axis axis, class Default, class P, class... Ps> struct PickPolicy<axis, Default, P, Ps...> {
  using type =
      typename std::conditional_t<axis_of<P>() == axis, PickPolicy<axis, P>, PickPolicy<axis, Default, Ps...>>::type;
};

template <class V, class... Ps> constexpr bool one_of = (std::same_as<V, Ps> || ...);
template <class... Ps> constexpr int count_on([[maybe_unused]] Axis axis) noexcept {
  return (0 + ... + (axis_of<Ps>() == axis));
}

/// The slot allocator that the lock policy requires.
template <class Slots, class Lock> struct SlotsUnder {
  using type = Slots;
};
template <class Slots, LockFreePolicy Lock> struct SlotsUnder<Slots, Lock> {
  static_assert(
      requires { requires Slots::can_be_lock_free; },
      "fastalloc: LockFree keeps the free slots in a tagged list, which this slot allocator cannot be: a thread would "
      "read "
      "links or bits that others change. Leave the slot allocator out (or write StackAllocator), or take AdaptiveLock");
  using type = typename Lock::slot_allocator;
};

/// A statistics policy may depend on whether threads share the pool.
template <class Stats, bool Threads> struct StatsUnder {
  using type = Stats;
};
template <class Stats, bool Threads> requires requires { typename Stats::template under<Threads>; }
struct StatsUnder<Stats, Threads> {
  using type = typename Stats::template under<Threads>;
};

/// False only if the policy says so itself.
template <class P> constexpr bool may_be_shared() noexcept {
  if constexpr (requires { P::is_thread_safe; }) return P::is_thread_safe;
  else return true;
}

/// Default: the pool is in no list. Registered (registry.hpp) has the same members.
struct NotRegistered {
  static constexpr bool is_registered = false;
  template <class Pool> struct entry {
    constexpr void enter(Pool&) noexcept {}
    constexpr void leave() noexcept {}
  };
};

template <class D, class... Ps> struct Policies {
  static_assert(
      ((axis_of<Ps>() != Axis::none) && ...),
      "fastalloc: a template argument after T is not a policy. Write one of: StackAllocator, FreeListAllocator, "
      "BitmapAllocator "
      "(slots); "
      "HeapStorage, InlineStorage<N>, ExternalStorage, PageStorage (storage); NoLock, MutexLock, SpinLock, "
      "AdaptiveLock, LockFree, InterruptLock<Enter, Exit> or a "
      "type with lock() and unlock(); ThreadCache<N>, NoCache; NoStats, BasicStats, AtomicStats; ConstructOnAllocate, "
      "Recycle<Init, Reset>; NoChecks, DebugChecks, FullChecks; NoKeys, Generations; Shared, AtomicShared; Registered; "
      "Abandonable; NoPoison; CompactHandles; Fail, Evict<F>, HeapFallback. Beside core.hpp include the policy's own "
      "header, as "
      "<fastalloc/slots/generations.hpp>");
  static_assert(
      ((axis_of<Ps>() != Axis::several) && ...),
      "fastalloc: a policy has the members of two axes, so its place is unclear; split it into one type for each axis");
  static_assert(count_on<Ps...>(Axis::slot_allocator) <= 1,
                "fastalloc: two slot allocators; keep one of StackAllocator, FreeListAllocator, BitmapAllocator");
  static_assert(count_on<Ps...>(Axis::storage) <= 1,
                "fastalloc: two storages; keep one of HeapStorage, InlineStorage<N>, ExternalStorage, PageStorage");
  static_assert(count_on<Ps...>(Axis::lock) <= 1, "fastalloc: two locks; keep one of NoLock, MutexLock, SpinLock, "
                                                  "AdaptiveLock, LockFree, InterruptLock<Enter, Exit>, or your own");
  static_assert(count_on<Ps...>(Axis::stats) <= 1,
                "fastalloc: two statistics policies; keep one of NoStats, BasicStats, AtomicStats");
  static_assert(count_on<Ps...>(Axis::checks) <= 1,
                "fastalloc: two checks policies; keep one of NoChecks, DebugChecks, FullChecks");
  static_assert(count_on<Ps...>(Axis::exhaustion) <= 1,
                "fastalloc: two exhaustion policies; keep one of Fail, Evict<F>, HeapFallback");
  static_assert(count_on<Ps...>(Axis::handles) <= 1, "fastalloc: CompactHandles is written twice; keep one");
  static_assert(count_on<Ps...>(Axis::lifetime) <= 1,
                "fastalloc: two lifetime policies; keep one of ConstructOnAllocate, Recycle<Init, Reset>");

  static_assert(count_on<Ps...>(Axis::keys) <= 1, "fastalloc: two keys policies; keep one of NoKeys, Generations");
  static_assert(count_on<Ps...>(Axis::cache) <= 1,
                "fastalloc: two cache policies; keep one of ThreadCache<N>, NoCache");
  static_assert(count_on<Ps...>(Axis::sharing) <= 1,
                "fastalloc: two sharing policies; keep one of Shared (one thread), AtomicShared (several)");

  using storage = typename PickPolicy<Axis::storage, typename D::storage, Ps...>::type;
  using lock = typename PickPolicy<Axis::lock, typename D::lock, Ps...>::type;
  using slot_allocator =
      typename SlotsUnder<typename PickPolicy<Axis::slot_allocator, typename D::slot_allocator, Ps...>::type,
                          lock>::type;
  using stats = typename StatsUnder<typename PickPolicy<Axis::stats, typename D::stats, Ps...>::type,
                                    !std::same_as<lock, NoLock>>::type;
  using checks = typename PickPolicy<Axis::checks, typename D::checks, Ps...>::type;
  using lifetime = typename PickPolicy<Axis::lifetime, typename D::lifetime, Ps...>::type;
  using cache = typename PickPolicy<Axis::cache, std::conditional_t<LockFreePolicy<lock>, NoCache, typename D::cache>,
                                    Ps...>::type;
  using keys = typename PickPolicy<Axis::keys, typename D::keys, Ps...>::type;
  using sharing = typename PickPolicy<Axis::sharing, NoSharing, Ps...>::type;
  using registration = typename PickPolicy<Axis::registration, NotRegistered, Ps...>::type;
  using exhaustion = typename PickPolicy<Axis::exhaustion, Fail, Ps...>::type;
  using poison = typename PickPolicy<Axis::poison, Poisoned, Ps...>::type;
  static constexpr bool compact = one_of<CompactHandles, Ps...>;
  using ending = typename PickPolicy<Axis::ending, EndsWithOwner, Ps...>::type;
  template <class V>
  static constexpr bool names =
      one_of<V, storage, lock, slot_allocator, stats, checks, lifetime, cache, keys, sharing, exhaustion, Ps...>;
  static constexpr bool cached = cache::max_cached != 0;
  static constexpr bool lock_free = LockFreePolicy<lock>;

  static_assert(!lock_free || !cached,
                "fastalloc: thread caches move slots under a lock, and LockFree has none; write NoCache, or leave "
                "LockFree out: caches seldom need the lock");
  static_assert(!(cached || lock_free) || may_be_shared<stats>(),
                "fastalloc: this statistics policy is not safe where threads hold no lock; use AtomicStats or NoStats");
};

/// The value of a policy type among constructor arguments, else a default constructed one.
template <class P> constexpr P pick_value() {
  static_assert(
      std::default_initializable<P>,
      "fastalloc: this policy has to be passed as a value: Recycle of functions, std::function or lambdas with "
      "captures, which are null or "
      "cannot be made when default constructed, evict() of such functions, or a storage of your own; write it behind "
      "the PoolConfig, as in "
      "pool(PoolConfig{.capacity = 100}, recycle(init, reset))");
  return P();
}
template <class P, class First, class... Rest> constexpr P pick_value(First&& first, Rest&&... rest) {
  if constexpr (std::derived_from<std::remove_cvref_t<First>, P>) return std::forward<First>(first);
  else return pick_value<P>(std::forward<Rest>(rest)...);
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
