// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadLocalPool<T, Policies...>: a sub-pool for each thread; a handle may be destroyed on any thread.
//
//   allocate()          from the calling thread's sub-pool: no lock, no atomic read-modify-write
//   ~Handle, at home    back into the sub-pool, at the same cost
//   ~Handle, elsewhere  one compare-and-swap onto the remote-return list of its sub-pool (cache/remote_returns.hpp);
//                       the sub-pool takes the whole list back when it runs dry
//   thread exit         the sub-pool stays while objects live in it, then serves the next thread that needs one
//
// A handle's second word points to its sub-pool, so a release needs no lookup.
#pragma once

#include <fastalloc/cache/remote_returns.hpp>
#include <fastalloc/cache/thread_parts.hpp>
#include <fastalloc/lock/adaptive_lock.hpp>
#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The owner thread takes no lock. slow() guards growth, and other threads' queries about blocks.
class OwnerLock {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr bool counts_are_the_owners = true;  ///< only the owner may ask how many slots are live
  constexpr void lock() const noexcept {}
  constexpr void unlock() const noexcept {}
  [[nodiscard]] AdaptiveLock& slow() noexcept { return slow_; }

 private:
  AdaptiveLock slow_;
};

struct ThreadLocalDefaults : Defaults {
  using lock = OwnerLock;
};

template <class Sub> struct ParentOf;
template <class T, class... Ps> struct ParentOf<SubPool<T, Ps...>> {
  using type = ThreadLocalPool<T, Ps...>;
};

struct ThreadLocalKind : FixedKind {
  using defaults = ThreadLocalDefaults;
  static constexpr bool shared = true, local = true;
  static constexpr std::size_t least_link = sizeof(void*);
  template <class Derived> using owner = typename ParentOf<Derived>::type;
  template <class P, class Shape> using caches = RemoteReturns<Shape>;
};

/// One thread's part of the pool.
template <class T, class... Ps>
class SubPool final : public BasicPool<SubPool<T, Ps...>, T, ThreadLocalKind, Ps...>, public ThreadPart {
  using Base = BasicPool<SubPool, T, ThreadLocalKind, Ps...>;

 public:
  using Base::Base;
  using Base::release_free_blocks, Base::reserve_slots, Base::may_grow, Base::has_statistics, Base::lock_of_blocks;
  using Base::needs_no_value;
  using typename Base::exhaustion_type;

  // relaxed: a thread sees its own writes, and no other thread ever stores this thread's record.
  [[nodiscard]] bool is_home() const noexcept { return owner.load(std::memory_order_relaxed) == this_thread().record; }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#define FASTALLOC_NEEDS_STATISTICS(type, ...)                                                  \
  FASTALLOC_UNAVAILABLE("fastalloc: this pool counts nothing; add AtomicStats after T, as in " \
                        "ThreadLocalPool<T, AtomicStats>",                                     \
                        type, __VA_ARGS__)
#define FASTALLOC_NEEDS_ONE_POOL(type, ...)                                                       \
  FASTALLOC_UNAVAILABLE("fastalloc: a key or an index names a slot of one pool, and each thread " \
                        "has one of its own here; use ThreadSafePool<T, Generations>",            \
                        type, __VA_ARGS__)
#define FASTALLOC_NEEDS_ONE_STATE(type, ...)                                                                       \
  FASTALLOC_UNAVAILABLE("fastalloc: each thread of a ThreadLocalPool has its own slots; save a ThreadSafePool<T, " \
                        "NoCache>",                                                                                \
                        type, __VA_ARGS__)
#define FASTALLOC_NEEDS_WAITING(type, ...)                                                        \
  FASTALLOC_UNAVAILABLE("fastalloc: a ThreadLocalPool does not wait; use ThreadSafePool, or ask " \
                        "again with try_allocate()",                                              \
                        type, __VA_ARGS__)

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: threads mostly release what they allocated themselves, and each has its own capacity. If slots migrate
/// between threads, or all threads share one capacity, use ThreadSafePool.
///
/// Unless noted, a function acts on the calling thread's sub-pool: PoolConfig::capacity, max_capacity and growth apply
/// per thread (a storage with values is copied for each), and so do allocated(), available(), statistics() and
/// for_each(). A thread's first use creates its sub-pool, or adopts one of an ended thread once all its objects are
/// gone. Slots are at least as big as an address. Pools may be static, members or local.
/// Complexity: that of GrowingPool or FixedPool on the owner's thread. A release on another thread takes 1 step, and 1
/// more for each other thread that interferes. The exception: an allocate() on an empty sub-pool takes back all remote
/// frees, one slot-policy step each. owns(), adopt() and the total_ functions visit every sub-pool. warm_up() creates a
/// thread's sub-pool early. Remote frees wake no thread; use ThreadSafePool to wait.
/// Thread safety: any thread may call any function at any time, except construction, destruction, total_allocated()
/// and total_statistics().
template <class T, class... Policies> class ThreadLocalPool final {
  static_assert(
      (!std::same_as<Policies, ExternalStorage> && ...),
      "fastalloc: the sub-pools of a ThreadLocalPool cannot share one span; use HeapStorage, or a FixedPool a thread");
  using Sub = detail::SubPool<T, Policies...>;
  static_assert(
      !Sub::has_keys,
      "fastalloc: a key names a slot of one pool, and a ThreadLocalPool has one for each thread; use Generations "
      "with ThreadSafePool, or leave it out");
  static_assert((!requires { Policies::is_registered; } && ...),
                "fastalloc: other threads cannot read a thread's sub-pool, so a ThreadLocalPool is in no list; leave "
                "Registered out, or use ThreadSafePool");
  using Parts = detail::ThreadParts;

 public:
  static constexpr std::size_t segment_bytes = Sub::segment_bytes;  ///< as in BasicPool
  using value_type = T;
  using handle_type = typename Sub::handle_type;

  /// Effects: creates the first sub-pool; each other thread creates its own on first use. Throws: as FixedPool.
  template <int = 0>
  explicit ThreadLocalPool(std::size_t slots_per_thread) requires(Sub::needs_no_value)
      : ThreadLocalPool(PoolConfig{.capacity = slots_per_thread}) {}
  ThreadLocalPool(FASTALLOC_ADVICE("fastalloc: give each thread a capacity: ThreadLocalPool<T> pool(1000)")) = delete;
  template <class... Values>
  explicit ThreadLocalPool(PoolConfig const& config, Values&&... values)
      : ThreadLocalPool(PrivateTag{}, config, std::forward<Values>(values)...) {
    Error error;
    if (!adopt_first(config.name, error)) detail::fail(error);
  }
  /// For Result: sets `failure` instead of throwing; throws only what copying `values` throws.
  template <class... Values>
  explicit ThreadLocalPool(std::optional<Error>& failure, PoolConfig const& config, Values&&... values)
      : ThreadLocalPool(PrivateTag{}, config, std::forward<Values>(values)...) {
    if (Error error; !adopt_first(config.name, error)) failure = error;
  }
  template <class... Values>
  [[nodiscard]] static Result<ThreadLocalPool> try_create(PoolConfig const& config, Values&&... values) noexcept {
    return Result<ThreadLocalPool>(std::in_place, config, std::forward<Values>(values)...);
  }
  ThreadLocalPool(ThreadLocalPool const&, FASTALLOC_ADVICE("fastalloc: pools do not move; pass a pointer")) = delete;
  ThreadLocalPool& operator=(ThreadLocalPool const&) = delete;

  /// Requires: no live handles on any thread, as in FixedPool.
  ~ThreadLocalPool() {
    for (detail::ThreadPart* part = parts_.detach_all(); part != nullptr;) {
      auto* const sub = static_cast<Sub*>(std::exchange(part, part->next));
      if (!Parts::is_orphaned(*sub)) delete sub;
    }
    detail::forget_name(this);
  }

  /// Effects: gives the calling thread its sub-pool: a new one, or one of an ended thread. Call it before a real-time
  /// thread starts its work. Throws: AllocationFailed.
  void warm_up() { (void)Visit(*this).get(); }

  /// As in FixedPool. Also throws AllocationFailed if there is no memory for the sub-pool. Complexity: see the class.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type allocate(Args&&... args) {
    if (Sub* const sub = mine()) [[likely]]
      return sub->allocate(static_cast<Args&&>(args)...);
    Raw const raw = allocate_first(static_cast<Args&&>(args)...);
    return detail::HandleAccess::make<ThreadLocalPool>(raw.object, raw.sub);
  }
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type try_allocate(Args&&... args) {
    if (Sub* const sub = mine()) [[likely]]
      return sub->try_allocate(static_cast<Args&&>(args)...);
    Raw const raw = try_allocate_first(static_cast<Args&&>(args)...);
    return detail::HandleAccess::make<ThreadLocalPool>(raw.object, raw.sub);
  }
  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type allocate_for_overwrite() {
    return allocate(for_overwrite);
  }
  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type try_allocate_for_overwrite() {
    return try_allocate(for_overwrite);
  }
  template <class OutputIt> OutputIt allocate_batch_for_overwrite(std::size_t n, OutputIt out) {
    return allocate_batch(n, std::move(out), for_overwrite);
  }
  template <class OutputIt> [[nodiscard]] bool try_allocate_batch_for_overwrite(std::size_t n, OutputIt out) {
    return try_allocate_batch(n, std::move(out), for_overwrite);
  }
  template <class OutputIt, class... Args> OutputIt allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    return Visit(*this).get().allocate_batch(n, out, args...);
  }
  template <class Range> [[nodiscard]] auto allocate_batch(Range&& values) {
    return Visit(*this).get().allocate_batch(std::forward<Range>(values));
  }
  template <class OutputIt, class... Args>
  [[nodiscard]] bool try_allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    Visit visit(*this);
    return visit.sub != nullptr && visit.sub->try_allocate_batch(n, out, args...);
  }

  template <class... Args> [[nodiscard]] auto allocate_batch_handle(std::size_t n, Args const&... args) {
    return Visit(*this).get().allocate_batch_handle(n, args...);
  }
  template <class... Args> [[nodiscard]] auto try_allocate_batch_handle(std::size_t n, Args const&... args) {
    Visit visit(*this);
    return visit.sub != nullptr ? visit.sub->try_allocate_batch_handle(n, args...) : typename Sub::batch_handle_type();
  }
  template <class... Args> [[nodiscard]] auto allocate_n(std::size_t n, Args const&... args) {
    return Visit(*this).get().allocate_n(n, args...);
  }
  template <class... Args> [[nodiscard]] auto try_allocate_n(std::size_t n, Args const&... args) {
    Visit visit(*this);
    return visit.sub != nullptr ? visit.sub->try_allocate_n(n, args...) : typename Sub::span_handle_type();
  }

  /// For a thread without a sub-pool: the values that a new one would have. Creates none.
  [[nodiscard]] std::size_t capacity() const {
    return ask(config_.capacity, [](Sub& sub) { return sub.capacity(); });
  }
  [[nodiscard]] std::size_t allocated() const {
    return ask(std::size_t{0}, [](Sub& sub) { return sub.allocated(); });
  }
  [[nodiscard]] std::size_t available() const {
    return ask(config_.capacity, [](Sub& sub) { return sub.available(); });
  }
  [[nodiscard]] bool is_full() const { return available() == 0; }
  [[nodiscard]] bool is_empty() const { return allocated() == 0; }
  // Each condition appears twice: clang 14 compiles bodies with a false requires-clause in explicit instantiations.
  [[nodiscard]] PoolStatistics statistics() const requires Sub::has_statistics {
    PoolStatistics const none{.capacity = config_.capacity, .name = name()};
    if constexpr (Sub::has_statistics) return ask(none, [](Sub& sub) { return sub.statistics(); });
    else return none;
  }
  void reset_statistics() requires Sub::has_statistics {
    if constexpr (Sub::has_statistics) ask(0, [](Sub& sub) { return sub.reset_statistics(), 0; });
  }
  template <class F> void for_each(F&& f) {
    ask(0, [&](Sub& sub) { return sub.for_each(f), 0; });
  }
  std::size_t purge() noexcept {
    return ask(std::size_t{0}, [](Sub& sub) { return sub.purge(); });
  }
  template <class F> void for_each(F&& f) const {
    ask(0, [&](Sub const& sub) { return sub.for_each(f), 0; });
  }
  /// Ends the objects of the calling thread's sub-pool. Requires: also, that no other thread owns one of them.
  template <int = 0> void clear() {
    ask(0, [](Sub& sub) { return sub.clear(), 0; });
  }
  void reserve(std::size_t slot_count) requires Sub::may_grow {
    if constexpr (Sub::may_grow) Visit(*this).get().reserve_slots(slot_count);
  }
  std::size_t shrink_to_fit() requires Sub::may_grow {
    if constexpr (Sub::may_grow) return Visit(*this).get().release_free_blocks();
    else return 0;
  }
  FASTALLOC_NEEDS_STATISTICS(PoolStatistics, statistics() const requires(!Sub::has_statistics));
  FASTALLOC_NEEDS_STATISTICS(PoolStatistics, total_statistics() const requires(!Sub::has_statistics));
  FASTALLOC_NEEDS_STATISTICS(void, reset_statistics() requires(!Sub::has_statistics));
  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows; write ThreadLocalPool with HeapStorage, or give the whole "
                        "capacity to the constructor",
                        void, reserve(std::size_t) requires(!Sub::may_grow));
  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows, so there is nothing to give back; write "
                        "ThreadLocalPool with HeapStorage",
                        std::size_t, shrink_to_fit() requires(!Sub::may_grow));
  FASTALLOC_NEEDS_WAITING(handle_type, allocate_for(auto const&, auto&&...));
  FASTALLOC_NEEDS_WAITING(handle_type, allocate_until(auto const&, auto&&...));
  FASTALLOC_NEEDS_WAITING(void, on_available(auto const&));
  FASTALLOC_NEEDS_WAITING(void, async_allocate(auto&&...));
  FASTALLOC_UNAVAILABLE("fastalloc: trim() empties the caches of threads, which a ThreadSafePool has; leave "
                        "the call out",
                        void, trim());
  FASTALLOC_UNAVAILABLE("fastalloc: threads may share this pool, and an iterator cannot hold its lock "
                        "between two steps; use for_each()",
                        std::span<T>, live() const);
  FASTALLOC_NEEDS_ONE_POOL(Key, key(auto const&) const);
  FASTALLOC_NEEDS_ONE_POOL(T*, get(Key) const);
  FASTALLOC_NEEDS_ONE_POOL(bool, contains(Key) const);
  FASTALLOC_NEEDS_ONE_POOL(T*, object_at(std::size_t) const);
  FASTALLOC_NEEDS_ONE_POOL(handle_type, allocate_at(auto const&, auto&&...));
  FASTALLOC_NEEDS_ONE_POOL(handle_type, try_allocate_at(auto const&, auto&&...));
  FASTALLOC_NEEDS_ONE_POOL(Key, reserve_key());
  FASTALLOC_NEEDS_ONE_POOL(handle_type, build(auto const&, auto&&...));
  FASTALLOC_NEEDS_ONE_POOL(Key, try_reserve_key());
  FASTALLOC_NEEDS_ONE_POOL(handle_type, try_build(auto const&, auto&&...));
  FASTALLOC_NEEDS_ONE_POOL(void, cancel(auto const&));
  FASTALLOC_NEEDS_ONE_POOL(bool, try_cancel(auto const&));
  FASTALLOC_NEEDS_ONE_POOL(SharedHandle<T>, share(Key));
  FASTALLOC_NEEDS_ONE_POOL(SharedHandle<T>, lock(auto const&));
  FASTALLOC_NEEDS_ONE_STATE(std::size_t, saved_bytes() const);
  FASTALLOC_NEEDS_ONE_STATE(std::size_t, save(auto const&) const);
  FASTALLOC_NEEDS_ONE_STATE(Result<std::size_t>, try_save(auto const&) const);
  FASTALLOC_NEEDS_ONE_STATE(Result<void>, load(auto const&));
  FASTALLOC_NEEDS_ONE_STATE(void, save_with(auto&&) const);
  FASTALLOC_NEEDS_ONE_STATE(void, load_with(auto&&));
  FASTALLOC_NEEDS_ONE_POOL(T*, find(std::size_t) const);
  FASTALLOC_NEEDS_ONE_POOL(std::size_t, index_bound() const);
  [[nodiscard]] bool check_invariants() { return Visit(*this).get().check_invariants(); }

  /// As in FixedPool.
  void rebind() noexcept {
    sum([](Sub& sub) { return sub.rebind(), std::size_t{0}; });
    parts_.rebind(&listen);
  }

  /// Effects: creates the calling thread's sub-pool if it has none. Returns: its storage. Throws: AllocationFailed.
  [[nodiscard]] typename Sub::storage_type const& storage() const { return Visit(*this).get().storage(); }

  /// As in FixedPool.
  [[nodiscard]] std::string_view name() const noexcept { return detail::name_of(this); }

  /// The number of sub-pools; below, the slots in all of them. Complexity, also of the other totals: linear in the
  /// sub-pools; total_allocated() and total_statistics() also in the remote frees not yet taken back.
  [[nodiscard]] std::size_t sub_pools() const {
    return sum([](Sub&) { return std::size_t{1}; });
  }
  [[nodiscard]] std::size_t total_capacity() const {
    return sum([](Sub& sub) { return sub.capacity(); });
  }
  /// Over all sub-pools, including those of ended threads; the peak is the sum of their peaks.
  /// Requires: no other thread is inside a function of this pool.
  [[nodiscard]] std::size_t total_allocated() const {
    return sum([](Sub& sub) { return sub.allocated(); });
  }
  [[nodiscard]] PoolStatistics total_statistics() const requires Sub::has_statistics {
    PoolStatistics total{};
    if constexpr (Sub::has_statistics) sum([&](Sub& sub) { return total += sub.statistics(), std::size_t{0}; });
    total.name = name();
    return total;
  }

  /// True if `p` points into a slot of any sub-pool. Complexity: log2 b + 1 steps per sub-pool, for b blocks; 1 on
  /// average with CompactHandles.
  [[nodiscard]] bool owns(void const* p) const { return home_of(p) != nullptr; }
  /// The object's slot number within its own sub-pool.
  [[nodiscard]] std::size_t index_of(handle_type const& handle) const {
    return detail::HandleAccess::owner(handle)->index_of(handle.get());
  }
  /// As in FixedPool, for an object of any sub-pool. Complexity: as owns(); of add_owner() and drop_owner() 1 step.
  [[nodiscard]] handle_type adopt(T* object) {
    return at_home(object, [&](Sub& sub) { return sub.adopt(object); });
  }
  template <int = 0> [[nodiscard]] SharedHandle<T> share(T* object) {
    return at_home(object, [&](Sub& sub) { return sub.share(object); });
  }
  template <int = 0> [[nodiscard]] SharedHandle<T> adopt_shared(T* object) {
    return at_home(object, [&](Sub& sub) { return sub.adopt_shared(object); });
  }
  template <int = 0> static void add_owner(T* p) noexcept { Sub::add_owner(p); }
  template <int = 0> static bool drop_owner(T* p) noexcept { return Sub::drop_owner(p); }

 private:
  friend struct detail::DebugAccess;
  struct PrivateTag {};
  using Lifetime = typename Sub::lifetime_type;
  using StorageState = typename Sub::storage_type;
  using Exhaustion = typename Sub::exhaustion_type;

  template <class... Values>
  explicit ThreadLocalPool(PrivateTag, PoolConfig const& config, Values&&... values)
      : config_(config), lifetime_(detail::pick_value<Lifetime>(std::forward<Values>(values)...)),
        storage_(detail::pick_value<StorageState>(std::forward<Values>(values)...)),
        exhaustion_(detail::pick_value<Exhaustion>(std::forward<Values>(values)...)) {
    detail::PoolTypes<T, detail::ThreadLocalKind, Policies...>::template check_values<std::remove_cvref_t<Values>...>();
  }

  struct Source : detail::PartSource {
    ThreadLocalPool const& pool;
    Error& error;
  };
  static detail::ThreadPart* make_part(detail::PartSource const& source) noexcept {
    auto const& self = static_cast<Source const&>(source);
    return self.pool.make(self.error);
  }

  /// The calling thread's sub-pool for one operation. An exiting thread has none; it borrows one for the call.
  struct Visit {
    explicit Visit(ThreadLocalPool const& pool) noexcept : sub(pool.mine()) {
      if (sub != nullptr) return;
      Source const source{{&make_part, &is_unused}, pool, error};
      sub = static_cast<Sub*>(pool.parts_.attach(source, false, 0));
      if (sub == nullptr)
        sub = static_cast<Sub*>(pool.parts_.borrow(source)), lender = sub != nullptr ? &pool.parts_ : nullptr;
    }
    ~Visit() {
      if (lender != nullptr) lender->give_back(*sub);
    }
    Visit(Visit const&) = delete;
    Visit& operator=(Visit const&) = delete;
    [[nodiscard]] Sub& get() const {
      if (sub == nullptr) detail::fail(error);
      return *sub;
    }

    Error error{.code = ErrorCode::allocation_failed, .text = "no memory for the sub-pool of this thread"};
    Sub* sub;
    Parts* lender = nullptr;  ///< set if `sub` is borrowed
  };

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Sub* mine() const noexcept { return static_cast<Sub*>(parts_.mine()); }

  /// A handle in registers: returning a Handle would force it into memory on the fast path, too.
  struct Raw {
    T* object;
    Sub* sub;
  };
  template <class... Args> FASTALLOC_COLD Raw allocate_first(Args&&... args) {
    Visit visit(*this);
    return {visit.get().allocate(static_cast<Args&&>(args)...).release(), visit.sub};
  }
  template <class... Args> FASTALLOC_COLD Raw try_allocate_first(Args&&... args) {
    Visit visit(*this);
    return {visit.sub == nullptr ? nullptr : visit.sub->try_allocate(static_cast<Args&&>(args)...).release(),
            visit.sub};
  }

  [[nodiscard]] Sub* make(Error& error) const noexcept {
    PoolConfig const config = config_.named(detail::name_of(this));
    std::optional<Error> failure;
    Sub* sub = nullptr;
    bool const copied =
        detail::swallow([&] { sub = new (std::nothrow) Sub(failure, config, lifetime_, storage_, exhaustion_); });
    if (!copied) failure = detail::value_threw();
    if (!failure) return sub;
    delete sub;
    return error = *failure, nullptr;
  }
  bool adopt_first(std::string_view name, Error& error) noexcept {
    error = {.code = ErrorCode::allocation_failed, .text = "no memory for the first sub-pool", .pool_name = name};
    if (!name.empty() && !detail::set_name(this, name)) return false;
    Sub* const sub = make(error);
    if (sub == nullptr) return error.pool_name = name, false;
    return parts_.add(*sub), true;
  }
  /// A sub-pool of an ended thread is reused only when all its objects are gone, so each thread has the full capacity.
  static bool is_unused(detail::ThreadPart const& part) noexcept {
    return static_cast<Sub const&>(part).allocated() == 0;
  }

  template <class R, class F> R ask(R otherwise, F&& f) const {
    Sub* const sub = mine();
    return sub != nullptr ? f(*sub) : otherwise;
  }
  template <class F> std::size_t sum(F&& f) const {
    std::size_t result = 0;
    auto const add = [&](detail::ThreadPart& part) {
      if (!Parts::is_orphaned(part)) result += f(static_cast<Sub&>(part));
    };
    parts_.enroll();
    detail::ForkedGuard guard(lock_);
    [[maybe_unused]] detail::AboveSubPools const below;
    parts_.for_each(add);
    parts_.for_each_spare(add);
    return result;
  }
  [[nodiscard]] Sub* home_of(void const* p) const {
    Sub* home = nullptr;
    sum([&](Sub& sub) { return sub.owns(p) ? home = &sub, std::size_t{1} : std::size_t{0}; });
    return home;
  }
  /// Calls f(sub-pool of the object); with the calling thread's, which reports it, if the object is of none.
  template <class F> auto at_home(T* object, F&& f) {
    Sub* const home = object == nullptr ? nullptr : home_of(object);
    return home != nullptr ? f(*home) : f(Visit(*this).get());
  }

  detail::PoolLimits config_;
  FASTALLOC_NO_UNIQUE_ADDRESS Lifetime lifetime_;
  FASTALLOC_NO_UNIQUE_ADDRESS StorageState storage_;
  FASTALLOC_NO_UNIQUE_ADDRESS Exhaustion exhaustion_;  ///< each sub-pool has a copy
  static void listen(void* self, detail::PoolEvent event, detail::ThreadPart*) noexcept {
    using Event = detail::PoolEvent;
    auto& pool = *static_cast<ThreadLocalPool*>(self);
    // No thread may be growing at a fork.
    auto const each = [&](auto const& f) {
      auto const of = [&](detail::ThreadPart& part) { f(static_cast<Sub&>(part).lock_of_blocks()); };
      pool.parts_.for_each(of);
      pool.parts_.for_each_spare(of);
    };
    switch (event) {
      case Event::before_fork: pool.lock_.lock(); return each([](auto& lock) { lock.lock(); });
      case Event::after_fork: each([](auto& lock) { lock.unlock(); }); [[fallthrough]];
      case Event::unlock: return pool.lock_.unlock();
      case Event::lock: return pool.lock_.lock();
      case Event::in_child:
        pool.lock_.stay_alone();
        return pool.parts_.abandon([](detail::ThreadPart const&) { return false; });
      case Event::hear_of_forks: return detail::ForkHandlers::install();
      case Event::thread_ended: return;
    }
  }
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Parts parts_{this, &listen};
  mutable AdaptiveLock lock_;  ///< guards the lists of sub-pools
};

}  // namespace fastalloc::inline FASTALLOC_MODE

#undef FASTALLOC_NEEDS_STATISTICS
#undef FASTALLOC_NEEDS_ONE_POOL
#undef FASTALLOC_NEEDS_ONE_STATE
#undef FASTALLOC_NEEDS_WAITING
