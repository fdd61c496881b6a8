// SPDX-License-Identifier: MIT OR Apache-2.0
// BasicPool: the one road of all pools.
//
//   allocate(args...) -> core: lock, slot, count, unlock -> lifetime: build T -> hook -> Handle{T*, pool}
//   ~Handle           -> check -> hook -> lifetime: destroy T -> core: lock, slot, unlock
//
// No lock is held and no invariant is open while constructors, destructors, hooks or functions of the user run.
#pragma once

#include <fastalloc/handle/key.hpp>
#include <fastalloc/pool/live_range.hpp>
#include <fastalloc/pool/pool_objects.hpp>

#define FASTALLOC_NEEDS_STATISTICS(type, ...)                                                                          \
  FASTALLOC_UNAVAILABLE("fastalloc: this pool counts nothing; add BasicStats after T, as in FixedPool<T, BasicStats> " \
                        "(AtomicStats where threads share the pool)",                                                  \
                        type, __VA_ARGS__)
#define FASTALLOC_NEEDS_KEYS(type, ...)                                                                  \
  FASTALLOC_UNAVAILABLE("fastalloc: this pool has no keys; write the policy Generations after T, as in " \
                        "FixedPool<T, Generations>",                                                     \
                        type, __VA_ARGS__)

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Derived: the pool, as FixedPool<T, Ps...>. Kind: what it differs in.
template <class Derived, class T, class Kind, class... Ps>
class BasicPool : public PoolObjects<Derived, T, Kind, Ps...> {
  using Objects = PoolObjects<Derived, T, Kind, Ps...>;
  using Types = PoolTypes<T, Kind, Ps...>;
  using Lifetime = typename Types::P::lifetime;
  using Checks = typename Types::P::checks;
  using Owner = typename Kind::template owner<Derived>;
  using Objects::core_, Objects::Growing, Objects::is_locked;
  using Objects::build, Objects::derived, Objects::destroy_objects, Objects::fail_typed, Objects::holds_object,
      Objects::is_shared, Objects::object_in, Objects::prebuild, Objects::report_live_handles, Objects::report_shared,
      Objects::report_typed, Objects::set_erased, Objects::take_or_fail, Objects::try_take_slow;
  static constexpr bool is_inline = Types::inline_slots != 0;
  static constexpr bool is_external = std::same_as<typename Types::storage, ExternalStorage>;
  /// A number of slots is all that it needs.
  static constexpr bool sizes_itself = !is_external && std::default_initializable<Lifetime>;
  static constexpr bool has_live = !is_locked && TracksOccupancy<typename Types::core::Supply::Slots>;

 public:
  static constexpr bool has_statistics = Types::P::stats::enabled;
  static constexpr bool has_keys = Types::P::keys::generation_bits != 0;
  using value_type = T;
  using handle_type = Handle<T, Owner>;
  using lifetime_type = Lifetime;
  using storage_type = typename Types::storage;

  /// Effects: capacity N of InlineStorage<N>; does nothing at run time before the first allocation.
  constexpr BasicPool() noexcept requires is_inline && std::default_initializable<Lifetime> {}

  /// Throws: InvalidConfiguration, AllocationFailed. Complexity: a few steps and what the storage takes; touches no
  /// slot. BitmapAllocator: one for each 4096 slots (the levels above the lowest are cleared); a checks policy: one for
  /// each 64 slots (marks); LockFree with Generations: one for each slot.
  explicit BasicPool(std::size_t capacity) requires sizes_itself
      : BasicPool(
            PoolConfig{.capacity = capacity,
                       .growth_strategy = Kind::doubles ? GrowthStrategy::exponential(2.0) : GrowthStrategy::none()}) {}

  BasicPool(std::size_t, FASTALLOC_ADVICE("fastalloc: pass the memory: FixedPool<T, ExternalStorage> pool(span)"))
      requires is_external
      = delete;
  BasicPool(std::size_t, FASTALLOC_ADVICE("fastalloc: pass PoolConfig{.capacity = n} and recycle(init, reset)"))
      requires(!is_external && !sizes_itself)
      = delete;

  /// `values` are policies that carry a value, and that the type of the pool names: recycle(...),
  /// ExternalStorage(span), a storage of your own. A value that would have no effect does not compile.
  /// Throws: InvalidConfiguration, AllocationFailed; with pre_initialize and Recycle what init() throws.
  /// Complexity: as above; with pre_initialize one step for each page, and with Recycle for each slot.
  template <class... Values> requires((axis_of<std::remove_cvref_t<Values>>() != Axis::none) && ...)
  explicit BasicPool(PoolConfig const& config, Values&&... values)
      : Objects(std::in_place, std::forward<Values>(values)...) {
    Types::template check_values<std::remove_cvref_t<Values>...>();
    Error error;
    if (!open(config, error)) fail(error);
    prebuild(config);
  }
  template <class V> requires(axis_of<std::remove_cvref_t<V>>() == Axis::none)
  BasicPool(PoolConfig const&, V&&,
            FASTALLOC_ADVICE("fastalloc: this is no policy; pass ExternalStorage(span)")) = delete;

  /// As many slots as the span has room for. Throws: InvalidConfiguration when it holds none or is misaligned.
  explicit BasicPool(std::span<std::byte> bytes) requires is_external && std::default_initializable<Lifetime>
      : BasicPool(PoolConfig{.capacity = Types::greater(Types::core::slots_in(bytes.size()), 1)},
                  ExternalStorage(bytes)) {}

  /// The pool that another process made in the span, with the capacity and the alignment that it has.
  /// Throws: InvalidConfiguration where there is none, where it is another kind of pool, or is not ready yet.
  /// Complexity: constant; touches no slot.
  explicit BasicPool(ExternalStorage::Attached storage) requires is_external && std::default_initializable<Lifetime>
      : BasicPool(Types::span_block::config_in(storage), storage) {}

  /// What Result calls: sets `failure` instead of throwing; throws only what copies of `values` throw.
  template <class... Values>
  explicit BasicPool(std::optional<Error>& failure, PoolConfig const& config, Values&&... values)
      : Objects(std::in_place, std::forward<Values>(values)...) {
    Types::template check_values<std::remove_cvref_t<Values>...>();
    Error error;
    if (!open(config, error)) failure = error;
    else if (!swallow([&] { prebuild(config); })) {
      failure = core_.describe(ErrorCode::allocation_failed,
                               "the init function of recycle() threw while objects were built up front");
      failure->type_name = type_name<T>();
    }
  }

  /// A pool, or the error; never throws. The pool is built in place inside the Result.
  template <class... Values>
  [[nodiscard]] static Result<Derived> try_create(PoolConfig const& config, Values&&... values) noexcept {
    return Result<Derived>(std::in_place, config, std::forward<Values>(values)...);
  }

  [[nodiscard]] static Result<Derived> try_create(ExternalStorage::Attached storage) noexcept
      requires is_external && std::default_initializable<Lifetime> {
    return Result<Derived>(std::in_place, Types::span_block::config_in(storage), storage);
  }

  /// Requires: no live handles; otherwise the error handler gets a report with the type, the count and the first
  /// indices, which takes what for_each() does.
  /// Where it returns, the memory goes back to the storage; live objects are not destroyed, except those of Recycle.
  /// A pool that was attached has no say about objects, which may be others': it requires only that this process's
  /// handles are gone.
  ~BasicPool() {
    if (core_.is_attached()) return;
#if __STDC_HOSTED__
    if (core_.is_mixed()) [[unlikely]]
      this->report_mixed();
#endif
    core_.end_use();
    if (core_.allocated() != 0) [[unlikely]]
      report_live_handles();
    if constexpr (Lifetime::keeps_objects)
      core_.for_each_block([&](BlockOf<Growing> const& block) { destroy_objects(block); });
  }

  BasicPool(BasicPool const&) = delete;
  BasicPool& operator=(BasicPool const&) = delete;

  /// Effects: builds a T from `args` in a free slot, in place. Returns: a handle that owns it.
  /// Throws: PoolExhausted, MaxCapacityExceeded, AllocationFailed (growth), or what T's constructor, init() or
  /// on_acquire() throws; the pool is then as it was.
  /// Complexity: at most 3 steps (take, note a fresh slot, count it) beside those of the slot policy: StackAllocator
  /// and FreeListAllocator 1, LockFree 1 while no other thread comes between, BitmapAllocator 2 a level. A pool of b
  /// blocks: b more where the frontier comes to the next one. With Generations in a pool that grows: 128 more at the
  /// first slot of a page. ThreadSafePool and ThreadLocalPool: see there. A pool that grows here takes one step for
  /// each slot that is free (the metadata moves) and each block, and what the storage takes: reserve() does that
  /// earlier, max_capacity forbids it.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type allocate(Args&&... args) {
    Objects::template check_arguments<Args...>();
    Taken taken = core_.take();
    if (taken.slot == nullptr) [[unlikely]]
      taken = take_or_fail();
    return build(taken, std::forward<Args>(args)...);
  }

  /// The same, but returns an empty handle where allocate() would throw for want of a slot; `args` are then untouched.
  /// Complexity: as allocate(); empty after twice the steps and at most 5 acquisitions of the lock.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type try_allocate(Args&&... args) {
    Objects::template check_arguments<Args...>();
    Taken taken = core_.take();
    if (taken.slot == nullptr) [[unlikely]] {
      taken = try_take_slow();
      if (taken.slot == nullptr) return {};
    }
    return build(taken, std::forward<Args>(args)...);
  }

  /// Effects: whatever only the first allocation by this thread would do: opens inline storage; a ThreadSafePool gives
  /// the thread its cache (where there is memory). For real-time threads before they start, and for pools that
  /// interrupt handlers use. Complexity: 2 steps; with inline storage what construction takes otherwise: with a checks
  /// policy one bit a slot, with LockFree and Generations one word a slot.
  void warm_up() { this->open_inline(), core_.warm_up(); }

  /// Complexity of this and what follows: 1 step, statistics() 5; allocated(), available() and those made of them: one
  /// more for each thread's cache (ThreadSafePool), or for each slot that came back from other threads and lies in the
  /// list (ThreadLocalPool).
  [[nodiscard]] std::size_t capacity() const { return core_.capacity(); }
  [[nodiscard]] std::size_t allocated() const { return core_.allocated(); }
  [[nodiscard]] std::size_t available() const { return core_.available(); }
  /// True when every slot is in use; a GrowingPool may still grow.
  [[nodiscard]] bool is_full() const { return core_.available() == 0; }
  /// True when no slot is in use.
  [[nodiscard]] bool is_empty() const { return core_.allocated() == 0; }

  [[nodiscard]] PoolStatistics statistics() const requires has_statistics { return core_.statistics(); }
  /// Effects: totals, failures and growth become 0, the peak becomes the current usage.
  /// Complexity: at most 8 steps, and one for each thread's cache. While an iteration runs, all slot allocators take
  /// one step for each slot that came back since.
  void reset_statistics() requires has_statistics { core_.reset_statistics(); }
  FASTALLOC_NEEDS_STATISTICS(PoolStatistics, statistics() const requires(!has_statistics));
  FASTALLOC_NEEDS_STATISTICS(void, reset_statistics() requires(!has_statistics));

  /// The storage, for what it has to say, as PageStorage::note(). Complexity: 0 steps.
  [[nodiscard]] storage_type const& storage() const noexcept { return core_.storage(); }

  /// True when `p` points into one of this pool's slots, used or free. Complexity: 1 step; in a pool of b blocks log2 b
  /// + 1.
  [[nodiscard]] bool owns(void const* p) const { return core_.owns(p); }

  /// Number of the slot that the object is in: stable while it lives, unique among live objects; below capacity() as
  /// long as shrink_to_fit() gave nothing back. Requires: `handle` is not empty and from this pool. Complexity: as
  /// owns().
  template <class O> requires(!std::same_as<O, AnyOwner>)
  [[nodiscard]] std::size_t index_of(Handle<T, O> const& handle) const {
    return index_of(handle.operator->());
  }
  [[nodiscard]] std::size_t index_of(T const* object) const {
    return core_.index_of(reinterpret_cast<std::byte const*>(object));
  }

  /// The way back from index_of(): the object in slot `index`, in whatever process it was built. Returns: null where
  /// the pool has no such slot. Requires: the object lives; a checks policy reports where it does not, and where there
  /// is no such slot, and returns null.
  /// Complexity: 1 step; with a checks policy one for the mark, too. Thread safety: as get().
  [[nodiscard]] T* object_at(std::size_t index) noexcept requires(!Growing) {
    std::byte* const slot = core_.slot_at(index);
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (slot == nullptr) {
        error = core_.describe(
            ErrorCode::invalid_handle,
            "the pool has no slot of the requested index; pass what index_of() returned for an object of this pool",
            index);
        error.unit = "(index)";
      }
      if (slot == nullptr || !core_.check_in_use(slot, false, error)) return report_typed(error), nullptr;
    }
    return slot == nullptr ? nullptr : uncovered(slot);
  }
  [[nodiscard]] T const* object_at(std::size_t index) const noexcept requires(!Growing) {
    return const_cast<BasicPool&>(*this).object_at(index);
  }
  FASTALLOC_UNAVAILABLE("fastalloc: object_at() needs a pool of one block; use FixedPool, or add "
                        "Generations after T, and pool.get(key)",
                        T*, object_at(std::size_t) const requires Types::Growing);

  /// A key for the object. Requires: `handle` is not empty and from this pool, and the object lives. Complexity: at
  /// most 3 steps (index, word of the page, word).
  /// Thread safety: of threads that own the object, any number at once.
  /// With a checks policy a pointer to anything but an object of this pool is reported, and its key names nothing; so
  /// is an object whose on_release(), destructor or reset runs: its keys have ended. With BasicGenerations<Bits> the
  /// key is Key(), too, where 2^Bits - 1 objects with keys lived in the slot before.
  template <class O> requires(!std::same_as<O, AnyOwner>)
  [[nodiscard]] Key key(Handle<T, O> const& handle) const noexcept requires has_keys {
    return key(handle.operator->());
  }
  [[nodiscard]] Key key(T const* object) const noexcept requires has_keys {
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (!const_cast<typename Types::core&>(core_).check_in_use(object, false, error))
        return report_typed(error), Key();
    }
    auto const [index, generation] = core_.key_of(reinterpret_cast<std::byte const*>(object));
    return Key(index, generation);
  }
  /// The object that `key` was made for, or null when that is gone, or is being destroyed: keys end before
  /// on_release(), the destructor or Recycle's reset run. (A key that one of these makes ends behind it.) Null, too,
  /// for a key that never was this pool's: one of another pool passes with a chance of 1 in 2^Bits - 1; of the k-th
  /// pool of the process before or behind, not until 2^Bits / 3k objects with keys lived in the slot. Complexity: at
  /// most 3 steps. Takes no lock: threads may look up while others allocate and release; that the object is not
  /// released meanwhile, the caller must see to.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* get(Key key) noexcept requires has_keys { return find(key); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T const* get(Key key) const noexcept requires has_keys { return find(key); }
  /// True when get() would find it.
  [[nodiscard]] bool contains(Key key) const noexcept requires has_keys { return find(key) != nullptr; }
  FASTALLOC_NEEDS_KEYS(Key, key(auto const&) const requires(!has_keys));
  FASTALLOC_NEEDS_KEYS(T*, get(Key) const requires(!has_keys));
  FASTALLOC_NEEDS_KEYS(bool, contains(Key) const requires(!has_keys));

  /// Effects: a handle for an object that Handle::release() let go of. Null gives an empty handle. With a checks policy
  /// anything but an object in use that nobody shares goes to the error handler and gives an empty handle; without, it
  /// is a requirement.
  /// Complexity: 0 steps; with a checks policy those of owns() and one for the mark.
  [[nodiscard]] handle_type adopt(T* object) {
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (object != nullptr && !core_.check_in_use(object, false, error)) return report_typed(error), handle_type{};
      if (object != nullptr && is_shared(object)) return report_shared(object), handle_type{};
    }
    return HandleAccess::make<Owner>(object, derived());
  }

  /// Calls f(T&) for the live objects in address order. f may release any of them, and allocate; objects released
  /// meanwhile are skipped, objects allocated meanwhile may or may not be met (BitmapAllocator meets those behind the
  /// current one, so an f that allocates at each call goes on until the pool is full). Objects that are just being
  /// built or destroyed are met, too: from inside constructors, hooks and Recycle's functions (of a batch: all that it
  /// is made of), and in pools that threads share those of other threads (of a batch that is being freed: all that it
  /// was made of); in memory that processes share, with a checks policy, only those being built. Complexity: with
  /// BitmapAllocator linear in what lives, and in 1/64 of the slots that were handed out. A slot allocator that does
  /// not track occupancy takes a snapshot, one bit a slot on the heap (with -ffreestanding: on the stack, of up to 1024
  /// slots in one block): one step for each returned slot, whatever lives, which with FreeListAllocator reads the slot;
  /// and log2 b in a pool of b blocks. One without MarksReturns looks at all returned slots for each object.
  /// Throws: AllocationFailed when there is no memory for the snapshot, and what f throws.
  template <class F> void for_each(F&& f) {
    auto const visit = [&](std::byte* slot) {
      void(f(*uncovered(slot)));  // what f returns may have an operator, of its own
      return true;
    };
    std::size_t const missing = core_.visit([&](std::byte* slot) { return holds_object(slot); }, visit);
    if (missing == 0) return;
    Error error = core_.describe(
        ErrorCode::allocation_failed,
        "no memory for the snapshot that for_each needs; use BitmapAllocator, which needs none", missing);
    error.unit = "bytes";
    fail_typed(error);
  }

  /// The live objects as a forward range, in address order: what for_each() meets, for loops and algorithms; T const&
  /// where the pool is const. For pools with BitmapAllocator and without a lock. In the body of a loop any object may
  /// be released, objects may be allocated, and blocks come and go, as in for_each(). An iterator may be dereferenced
  /// as long as its object lives, and incremented always: one whose object, or (after shrink_to_fit()) whose block, is
  /// gone moves on to what lives behind it.
  /// Complexity: ++ a few steps; a loop is linear in what lives, and in 1/64 of the slots that were handed out. Thread
  /// safety: one thread at a time, for const pools, too.
  [[nodiscard]] auto live() noexcept requires has_live { return LiveRange<Objects, T>(*this); }
  [[nodiscard]] auto live() const noexcept requires has_live {
    // A pool that is const from the beginning never handed anything out, so an iterator changes nothing in it.
    return LiveRange<Objects, T const>(const_cast<BasicPool&>(*this));
  }
  FASTALLOC_UNAVAILABLE("fastalloc: threads may share this pool, and an iterator cannot hold its lock "
                        "between two steps; use for_each()",
                        std::span<T>, live() const requires Objects::is_locked);
  FASTALLOC_UNAVAILABLE("fastalloc: live() needs a slot allocator that tracks which slots are in use; "
                        "use BitmapAllocator, or for_each()",
                        std::span<T>, live() const requires(!Objects::is_locked && !has_live));

  FASTALLOC_UNAVAILABLE("fastalloc: this pool does not wait; use ThreadSafePool, or ask again with try_allocate()",
                        handle_type, allocate_for(auto const&, auto&&...));
  FASTALLOC_UNAVAILABLE("fastalloc: this pool does not wait; use ThreadSafePool, or ask again with try_allocate()",
                        handle_type, allocate_until(auto const&, auto&&...));
  FASTALLOC_UNAVAILABLE("fastalloc: trim() empties the caches of threads, which a ThreadSafePool has; leave "
                        "the call out (shrink_to_fit() of a GrowingPool gives memory back)",
                        void, trim());
  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows; use GrowingPool, or ThreadSafePool with HeapStorage and "
                        "a lock, or give the whole capacity to the constructor",
                        void, reserve(std::size_t) requires(!Types::Growing));
  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows, so there is nothing to give back; use GrowingPool, or "
                        "ThreadSafePool with HeapStorage and a lock",
                        std::size_t, shrink_to_fit() requires(!Types::Growing));

  /// Bytes that ExternalStorage needs for exactly n slots, with PoolConfig::alignment where that is set; the start must
  /// be aligned to the greater of that and required_alignment(). SIZE_MAX when the product overflows.
  [[nodiscard]] static constexpr std::size_t required_bytes(std::size_t slot_count, std::size_t alignment = 0) noexcept
      requires(!Growing) {
    auto const plan = Types::layout::block(slot_count, Types::layout::stride(alignment), alignment);
    return plan.valid ? plan.bytes : (std::numeric_limits<std::size_t>::max)();
  }
  [[nodiscard]] static constexpr std::size_t required_alignment() noexcept { return Types::layout::block_alignment; }

  /// Effects: the pool keeps the functions of the library that calls this, in place of those of the library that made
  /// it. For a pool in memory that outlives a library (hot reload): erased handles, the ends of threads and forks use
  /// these functions. Requires: both libraries were compiled from the same sources of fastalloc and T, with the same
  /// settings; no other thread uses the pool meanwhile; and a pool of threads was made by a library that is still
  /// there, or shares its symbols with the program. Complexity: constant.
  void rebind() noexcept { this->set_erased(), core_.rebind(); }

  /// For tests: true when the pool's own account of its slots is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() { return core_.check_invariants(); }

 protected:
  static constexpr bool may_grow = Growing;

  /// Effects: gives every wholly free block back to the storage. Returns: the bytes.
  std::size_t release_free_blocks() noexcept requires Growing {
    return core_.release_free_blocks([&]([[maybe_unused]] GrowingBlock const& block) {
      if constexpr (Lifetime::keeps_objects) destroy_objects(block);
    });
  }

  /// An object in a slot that may come back while `wait(waiter)` waits; empty when it did not.
  template <class Expired, class Wait, class... Args>
  handle_type allocate_waiting(Expired&& expired, Wait&& wait, Args&&... args) {
    Objects::template check_arguments<Args...>();
    Error error;
    Taken taken = core_.take();
    if (taken.slot == nullptr) {
      this->open_inline();
      taken = core_.take_slow(&error, false);
    }
    if (taken.slot == nullptr) {
      // Only now, since the clock may throw: what others left in the thread's cache when they closed it is in the
      // depot.
      if (expired()) return core_.note_failure(), handle_type();
      taken = core_.take_waiting(wait, [&](Taken unused) { this->unbuild(unused, false, false); }, error);
      if (taken.slot == nullptr) return {};
    }
    return build(taken, std::forward<Args>(args)...);
  }
  void trim_caches() noexcept { core_.trim(); }
  [[nodiscard]] auto& lock_of_blocks() noexcept { return core_.lock_of_blocks(); }

  void reserve_slots(std::size_t slot_count) requires Growing {
    Error error;
    if (!core_.reserve(slot_count, error)) fail_typed(error);
  }

 private:
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* find(Key key) const noexcept {
    std::byte* const slot = core_.find_key(key.index(), key.generation());
    return slot == nullptr ? nullptr : uncovered(slot);
  }
  /// The object in a slot that another process may have taken: AddressSanitizer knows only of what this one did.
  FASTALLOC_ALWAYS_INLINE static T* uncovered(std::byte* slot) noexcept {
    if constexpr (Types::spans_processes) unpoison(slot, sizeof(T));
    return object_in(slot);
  }

  bool open(PoolConfig const& config, Error& error) noexcept {
    set_erased();
    if (Kind::shared && !Growing && config.growth_strategy.grows())
      error = {.capacity = config.capacity,
               .text = "a pool in this storage, or with LockFree, cannot grow; set growth_strategy to none(), or use "
                       "HeapStorage and a lock"};
    else if (core_.open(config, error)) return true;
    error.type_name = type_name<T>();
    return false;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_NEEDS_STATISTICS
#undef FASTALLOC_NEEDS_KEYS
