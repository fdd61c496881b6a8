// SPDX-License-Identifier: MIT OR Apache-2.0
// BasicPool: the one road of all pools.
//
//   allocate(args...) -> core: lock, slot, count, unlock -> lifetime: build T -> hook -> Handle{T*, pool}
//   ~Handle           -> check -> hook -> lifetime: destroy T -> core: lock, slot, unlock
//
// No lock is held and no invariant is open while constructors, destructors, hooks or functions of the user run.
#pragma once

#include <fastalloc/handle/handle.hpp>
#include <fastalloc/handle/key.hpp>
#include <fastalloc/pool/batches.hpp>
#include <fastalloc/pool/live_range.hpp>
#include <fastalloc/pool/pool_types.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Derived: the pool, as FixedPool<T, Ps...>. Kind: what it differs in.
template <class Derived, class T, class Kind, class... Ps>
class BasicPool : public Batches<BasicPool<Derived, T, Kind, Ps...>, T, typename Kind::template owner<Derived>> {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>,
                "fastalloc: T must be an object type without const or volatile; for arrays use std::array<T, N>");
  static_assert(std::is_nothrow_destructible_v<T>,
                "fastalloc: ~T() must be noexcept and accessible; handles destroy objects where nothing may be thrown");

  using Types = PoolTypes<T, Kind, Ps...>;
  using Core = typename Types::core;
  using Lifetime = typename Types::P::lifetime;
  using Sharing = typename Types::P::sharing;
  using Checks = typename Types::P::checks;
  using StorageState = typename Types::storage;
  using Owner = typename Kind::template owner<Derived>;
  static constexpr bool Growing = Types::Growing;
  static constexpr bool is_inline = Types::inline_slots != 0;
  static constexpr bool is_external = std::same_as<StorageState, ExternalStorage>;
  static constexpr std::size_t slot_size = Types::size;
  static constexpr bool is_locked = !std::same_as<typename Types::P::lock, NoLock>;

 public:
  static constexpr bool has_statistics = Types::P::stats::enabled;
  static constexpr bool has_keys = Types::P::keys::generation_bits != 0;
  using value_type = T;
  using handle_type = Handle<T, Owner>;
  using lifetime_type = Lifetime;
  using storage_type = StorageState;

  /// Effects: capacity N of InlineStorage<N>; does nothing at run time before the first allocation.
  constexpr BasicPool() noexcept
    requires is_inline && std::default_initializable<Lifetime>
  {
    if (is_locked) set_erased();
  }

  /// Throws: InvalidConfiguration, AllocationFailed. Complexity: constant; touches no slot.
  explicit BasicPool(std::size_t capacity)
    requires(!is_external) && std::default_initializable<Lifetime>
      : BasicPool(PoolConfig{.capacity = capacity,
                             .growth_strategy = Kind::doubles ? GrowthStrategy::exponential(2.0) : GrowthStrategy::none()}) {}

  /// `values` are policies that carry a value: recycle(...), ExternalStorage(span), a storage of your own.
  /// Throws: InvalidConfiguration, AllocationFailed; with pre_initialize and Recycle what init() throws.
  /// Complexity: constant; with pre_initialize linear in the capacity.
  template <class... Values>
    requires((axis_of<std::remove_cvref_t<Values>>() != Axis::none) && ...)
  explicit BasicPool(PoolConfig const& config, Values&&... values)
      : lifetime_(pick_value<Lifetime>(std::forward<Values>(values)...)), core_(pick_storage(std::forward<Values>(values)...)) {
    Error error;
    if (!open(config, error)) fail(error);
    prebuild(config);
  }

  /// As many slots as the span has room for. Throws: InvalidConfiguration when it holds none or is misaligned.
  explicit BasicPool(std::span<std::byte> bytes)
    requires is_external && std::default_initializable<Lifetime>
      : BasicPool(PoolConfig{.capacity = at_least_one(Core::slots_in(bytes.size()))}, ExternalStorage(bytes)) {}

  /// What Result calls: fills in `error` instead of throwing.
  template <class... Values> explicit BasicPool(Error& error, PoolConfig const& config, Values&&... values) noexcept
      : lifetime_(pick_value<Lifetime>(std::forward<Values>(values)...)), core_(pick_storage(std::forward<Values>(values)...)) {
    if (!open(config, error)) return;
    if (!swallow([&] { prebuild(config); })) {
      error = core_.describe(ErrorCode::allocation_failed, "the init function of recycle() threw while objects were built up front");
      error.type_name = type_name<T>();
    }
  }

  /// A pool, or the error; never throws. The pool is built in place inside the Result.
  template <class... Values>
  [[nodiscard]] static Result<Derived> try_create(PoolConfig const& config, Values&&... values) noexcept {
    return Result<Derived>(std::in_place, config, std::forward<Values>(values)...);
  }

  /// Requires: no live handles; otherwise the error handler gets a report with the type, the count and the first indices.
  /// Where it returns, the memory goes back to the storage; live objects are not destroyed, except those of Recycle.
  ~BasicPool() {
    if (core_.allocated() != 0) [[unlikely]] report_live_handles();
    if constexpr (Lifetime::keeps_objects) core_.for_each_block([&](Block const& block) { destroy_objects(block); });
  }

  BasicPool(BasicPool const&) = delete;
  BasicPool& operator=(BasicPool const&) = delete;

  /// Effects: builds a T from `args` in a free slot, in place. Returns: a handle that owns it.
  /// Throws: PoolExhausted, MaxCapacityExceeded, AllocationFailed (growth), or what T's constructor, init() or on_acquire()
  /// throws; the pool is then as it was. Complexity: constant, except when a GrowingPool grows.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type allocate(Args&&... args) {
    check_arguments<Args...>();
    Taken taken = core_.take();
    if (taken.slot == nullptr) [[unlikely]] taken = take_slow(false);
    return build(taken, std::forward<Args>(args)...);
  }

  /// The same, but returns an empty handle where allocate() would throw for want of a slot; `args` are then untouched.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type try_allocate(Args&&... args) {
    check_arguments<Args...>();
    Taken taken = core_.take();
    if (taken.slot == nullptr) [[unlikely]] {
      taken = take_slow(true);
      if (taken.slot == nullptr) return {};
    }
    return build(taken, std::forward<Args>(args)...);
  }

  [[nodiscard]] std::size_t capacity() const { return core_.capacity(); }
  [[nodiscard]] std::size_t allocated() const { return core_.allocated(); }
  [[nodiscard]] std::size_t available() const { return core_.available(); }
  /// True when every slot is in use; a GrowingPool may still grow.
  [[nodiscard]] bool is_full() const { return core_.available() == 0; }
  /// True when no slot is in use.
  [[nodiscard]] bool is_empty() const { return core_.allocated() == 0; }

  [[nodiscard]] PoolStatistics statistics() const requires has_statistics { return core_.statistics(); }
  /// Effects: totals, failures and growth become 0, the peak becomes the current usage.
  /// Complexity: constant with StackAllocator and BitmapAllocator; linear in the returned slots with FreeListAllocator.
  void reset_statistics() requires has_statistics { core_.reset_statistics(); }

  /// True when `p` points into one of this pool's slots, used or free. Complexity: logarithmic in the number of blocks.
  [[nodiscard]] bool owns(void const* p) const { return core_.owns(p); }

  /// Number of the slot that the object is in: stable while it lives, unique among live objects; below capacity() as long
  /// as shrink_to_fit() gave nothing back. Requires: `handle` is not empty and from this pool.
  [[nodiscard]] std::size_t index_of(handle_type const& handle) const { return index_of(handle.get()); }
  [[nodiscard]] std::size_t index_of(T const* object) const { return core_.index_of(reinterpret_cast<std::byte const*>(object)); }

  /// A key for the object. Requires: `handle` is not empty and from this pool, and the object lives. Complexity: constant.
  /// Thread safety: of threads that own the object, any number at once.
  [[nodiscard]] Key key(handle_type const& handle) const noexcept { return key(handle.get()); }
  [[nodiscard]] Key key(T const* object) const noexcept {
    need_keys();
    auto const [index, generation] = core_.key_of(reinterpret_cast<std::byte const*>(object));
    return Key(index, generation);
  }
  /// The object that `key` was made for, or null when that is gone. Null, too, for a key that never was this pool's: one of another
  /// pool passes with a chance of 2^-31. Complexity: constant. Takes no lock: threads may look up while others allocate and
  /// release; that the object is not released meanwhile, the caller must see to.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* get(Key key) noexcept { return find(key); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T const* get(Key key) const noexcept { return find(key); }
  /// True when get() would find it.
  [[nodiscard]] bool contains(Key key) const noexcept { return find(key) != nullptr; }

  /// Effects: a handle for an object that Handle::release() let go of. Null gives an empty handle. With a checks policy
  /// anything but an object in use that nobody shares goes to the error handler and gives an empty handle; without, it is a requirement.
  [[nodiscard]] handle_type adopt(T* object) {
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (object != nullptr && !core_.check_in_use(object, false, error)) return report_typed(error), handle_type{};
      if (object != nullptr && is_shared(object)) return report_shared(object), handle_type{};
    }
    return HandleAccess::make<Owner>(object, derived());
  }

  /// Calls f(T&) for the live objects in address order. Where threads share the pool: objects that others are just building or
  /// destroying are met, too. f may release any of them, allocate, and shrink the pool; objects released meanwhile are skipped,
  /// objects allocated meanwhile may or may not be met (with BitmapAllocator some behind the current one are, so an f that allocates at
  /// each call may go on until the pool is full); from inside a constructor or hook, objects that are being built are.
  /// Complexity: linear in what lives and in 1/64 of the slots that were handed out; a few instructions an object where no lock is
  /// to be taken. Policies that do not track occupancy take a snapshot, one bit a slot on the heap, and look at every returned slot.
  /// Throws: AllocationFailed when there is no memory for that, and what f throws.
  template <class F> void for_each(F&& f) {
    std::size_t const missing = core_.visit([&](std::byte* slot) { return holds_object(slot) ? (f(*object_in(slot)), true) : true; });
    if (missing == 0) return;
    Error error = core_.describe(ErrorCode::allocation_failed, "no memory for the snapshot that for_each needs; use BitmapAllocator, which needs none");
    error.requested = missing;
    error.unit = "bytes";
    fail_typed(error);
  }

  /// The live objects as a forward range, in address order: what for_each() meets, for loops and algorithms; T const& where the
  /// pool is const. For pools with BitmapAllocator and without a lock. In the body of a loop any object may be released, objects may
  /// be allocated, and blocks come and go, as in for_each(). An iterator may be dereferenced as long as its object lives, and
  /// incremented always: one whose object, or (after shrink_to_fit()) whose block, is gone moves on to what lives behind it.
  /// Complexity: ++ a few steps; a loop is linear in what lives, and in 1/64 of the slots that were handed out. Thread safety: one
  /// thread at a time, for const pools, too.
  [[nodiscard]] auto live() noexcept { return live_as<T>(*this); }
  [[nodiscard]] auto live() const noexcept {
    // A pool that is const from the beginning never handed anything out, so an iterator changes nothing in it.
    return live_as<T const>(const_cast<BasicPool&>(*this));
  }

  /// Bytes that ExternalStorage needs for exactly n slots, with PoolConfig::alignment where that is set; the start must be
  /// aligned to the greater of that and required_alignment(). SIZE_MAX when the product overflows.
  [[nodiscard]] static constexpr std::size_t required_bytes(std::size_t slots, std::size_t alignment = 0) noexcept requires(!Growing) {
    auto const plan = Types::layout::block(slots, Types::layout::stride(alignment));
    return plan.valid ? plan.bytes : std::numeric_limits<std::size_t>::max();
  }
  [[nodiscard]] static constexpr std::size_t required_alignment() noexcept { return Types::layout::block_alignment; }

  /// For tests: true when the pool's own account of its slots is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() { return core_.check_invariants(); }

 protected:
  static constexpr bool may_grow = Growing;

  /// Effects: gives every wholly free block back to the storage. Returns: the bytes.
  std::size_t release_free_blocks() noexcept requires Growing {
    std::size_t bytes = 0;
    for (Block* block = core_.detach_free_blocks(); block != nullptr;) {
      Block* const next = block->next;
      if constexpr (Lifetime::keeps_objects) destroy_objects(*block);
      bytes += core_.release_block(block);
      block = next;
    }
    return bytes;
  }

  /// An object in a slot that may come back while `wait(waiter)` waits; empty when it did not.
  template <class Expired, class Wait, class... Args>
  handle_type allocate_waiting(Expired&& expired, Wait&& wait, Args&&... args) {
    check_arguments<Args...>();
    Error error;
    Taken taken = core_.take();
    if (taken.slot == nullptr) {
      bool const polls = expired();
      taken = core_.take_slow(error, polls);
      if (taken.slot == nullptr && !polls) taken = core_.take_waiting(wait, error);
    }
    if (taken.slot == nullptr) return {};
    return build(taken, std::forward<Args>(args)...);
  }
  void trim_caches() noexcept { core_.trim(); }
  [[nodiscard]] auto& lock_of_blocks() noexcept { return core_.lock_of_blocks(); }

  void reserve_slots(std::size_t slots) requires Growing {
    Error error;
    if (!core_.reserve(slots, error)) fail_typed(error);
  }

 private:
  template <class> friend class fastalloc::detail::OwnerWord;
  template <class Pool, class U, class O>
  friend class Batches;
  template <class Pool, class At>
  friend struct Building;
  template <class Pool, class U>
  friend class LiveIterator;
  using Supply = typename Core::Supply;

  [[nodiscard]] Supply& supply() noexcept { return core_.supply(); }
  template <class U> static auto live_as(BasicPool& pool) noexcept {
    static_assert(!is_locked, "fastalloc: threads may share this pool, and an iterator cannot hold its lock between two steps; use for_each()");
    static_assert(TracksOccupancy<typename Supply::Slots>,
                  "fastalloc: live() needs a slot allocator that tracks which slots are in use; use BitmapAllocator, or for_each()");
    return LiveRange<BasicPool, U>(pool);
  }

  template <class... Args> static constexpr bool nothrow_build = nothrow_on_acquire<T> &&
                                        noexcept(std::declval<Lifetime&>().template acquire<T>(nullptr, false, std::declval<Args>()...));

  template <class... Args> static constexpr void check_arguments() noexcept {
    static_assert(Lifetime::template accepts<T, Args...>,
                  "fastalloc: T cannot be built from these arguments; pass what one of T's constructors takes (a pool with "
                  "Recycle builds objects by its init function: call allocate() without arguments)");
  }

  static constexpr void need_keys() noexcept {
    static_assert(has_keys, "fastalloc: this pool has no keys; write the policy Generations after T");
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* find(Key key) const noexcept {
    need_keys();
    std::byte* const slot = core_.find_key(key.index(), key.generation());
    return slot == nullptr ? nullptr : object_in(slot);
  }

  [[nodiscard]] Derived* derived() noexcept { return static_cast<Derived*>(this); }
  static T* object_in(std::byte* slot) noexcept { return std::launder(reinterpret_cast<T*>(slot)); }
  static constexpr std::size_t at_least_one(std::size_t n) noexcept { return n == 0 ? 1 : n; }

  /// The storage among `values`; Nothing where a default constructed one will do (inline storage is never copied).
  template <class... Values> static constexpr auto pick_storage(Values&&... values) {
    constexpr bool given = (false || ... || std::same_as<std::remove_cvref_t<Values>, StorageState>);
    static_assert(given || std::default_initializable<StorageState>,
                  "fastalloc: this storage needs a value; pass it after the PoolConfig, as in ExternalStorage(span)");
    if constexpr (given) return pick_value<StorageState>(std::forward<Values>(values)...);
    else return Nothing{};
  }

  bool open(PoolConfig const& config, Error& error) noexcept {
    set_erased();
    if (Kind::shared && !Growing && config.growth_strategy.grows())
      error = {.capacity = config.capacity, .text = "a pool in this storage, or with LockFree, cannot grow; set growth_strategy to none(), or use HeapStorage and a lock"};
    else if (core_.open(config, error)) return true;
    error.type_name = type_name<T>();
    return false;
  }
  constexpr void set_erased() noexcept {
    this->set_release([](AnyOwner& owner, void* object, ReleaseOf what) noexcept {
      auto& self = static_cast<BasicPool&>(static_cast<Derived&>(owner));
      if constexpr (Types::shares)
        if (what >= ReleaseOf::shared) return self.release_counts(static_cast<std::byte*>(object) - Types::counts_offset, what);
      self.release_from_handle(what == ReleaseOf::part ? object_in(self.core_.slot_of(object)) : static_cast<T*>(object));
    });
  }

  /// What a constructor that may run at compile time could not do.
  void open_inline() noexcept {
    if constexpr (is_inline && !is_locked) set_erased();
  }

  void prebuild(PoolConfig const& config) {
    if constexpr (Lifetime::keeps_objects) {
      if (!config.pre_initialize) return;
      core_.for_each_new([&](std::byte* slot) { lifetime_.template acquire<T>(slot, true); },
                         [&](std::byte* slot) { lifetime_.template destroy_kept<T>(slot); });
    } else {
      (void)config;
    }
  }

  /// Destroys what a block holds before its memory goes away.
  void destroy_objects(Block const& block) noexcept {
    unpoison(block.data, static_cast<std::size_t>(block.end - block.data));
    std::byte* const end = block.data + block.handed * core_.stride();
    for (std::byte* slot = block.data; slot != end; slot += core_.stride()) lifetime_.template destroy_kept<T>(slot);
  }

  template <class... Args> FASTALLOC_ALWAYS_INLINE T* construct(Taken taken, Args&&... args) {
    if constexpr (Types::shares) counts_of(taken.slot).set_unique();
    return lifetime_.template acquire<T>(taken.slot, taken.fresh, std::forward<Args>(args)...);
  }
  template <class... Args> FASTALLOC_ALWAYS_INLINE handle_type build(Taken taken, Args&&... args) {
    if constexpr (nothrow_build<Args...>) {
      T* const object = construct(taken, std::forward<Args>(args)...);
      call_on_acquire(*object);
      return HandleAccess::make<Owner>(object, derived());
    } else {
      auto const at = [&](std::size_t) { return taken.slot; };
      Building<BasicPool, decltype(at)> building{*this, at, 1, taken.fresh ? std::size_t{0} : std::size_t{1}};
      T* const object = construct(taken, std::forward<Args>(args)...);
      building.built = 1;
      call_on_acquire(*object);
      building.next = 1;
      return HandleAccess::make<Owner>(object, derived());
    }
  }

  FASTALLOC_COLD void unbuild(Taken taken, bool built) noexcept {
    if (built) {
      lifetime_.template release<T>(taken.slot);
      if constexpr (Lifetime::keeps_objects) taken.fresh = false;  // the slot holds an object now
    } else if constexpr (Lifetime::keeps_objects) {
      if (taken.fresh) lifetime_.template begin<T>(taken.slot);  // a batch may return slots that acquire() never saw
    }
    core_.withdraw(taken);
  }

  FASTALLOC_ALWAYS_INLINE void release_from_handle(T* object) noexcept {
    if (dispose(object)) [[likely]] return_slot(reinterpret_cast<std::byte*>(object));
  }
  /// The object's end; its slot stays taken. Returns: false, after a report, where the checks policy refuses the pointer.
  FASTALLOC_ALWAYS_INLINE bool dispose(T* object) noexcept {
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (!core_.check_in_use(object, true, error)) return report_typed(error), false;
    }
    call_on_release(*object);
    lifetime_.template release<T>(reinterpret_cast<std::byte*>(object));
    core_.end_keys(reinterpret_cast<std::byte*>(object));
    if constexpr (Types::shares) core_.retire(reinterpret_cast<std::byte*>(object));
    return true;
  }
  /// Gives back a slot in which no object is left.
  FASTALLOC_ALWAYS_INLINE void return_slot(std::byte* slot) noexcept {
    if constexpr (requires { derived()->is_home(); }) {
      if (!derived()->is_home()) [[unlikely]] return core_.give_remote(slot);
    }
    core_.give(slot);
  }
  /// The same for many, in one step; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void return_slots(At const& at, std::size_t n) noexcept {
    if constexpr (requires { derived()->is_home(); }) {
      if (!derived()->is_home()) [[unlikely]] {
        while (n != 0) core_.give_remote(at(--n));
        return;
      }
    }
    core_.give_many(at, n);
  }
  /// False for a slot that was handed out and holds no object: it is worn, or WeakHandles keep it.
  [[nodiscard]] bool holds_object(std::byte* slot) const noexcept {
    if constexpr (Types::shares)
      if (counts_of(slot).is_dead()) return false;
    return !core_.is_worn(slot);
  }

  [[nodiscard]] static CountsRef counts_of(std::byte* slot) noexcept { return CountsRef(slot + Types::counts_offset, Sharing::counts_are_atomic); }
  [[nodiscard]] static bool is_shared([[maybe_unused]] T* object) noexcept {
    if constexpr (Types::shares) return counts_of(reinterpret_cast<std::byte*>(object)).is_shared();
    return false;
  }
  /// Returns: the counts of an object that had one owner.
  CountsRef share_from_handle(T* object) noexcept {
    static_assert(Types::shares, "fastalloc: objects of this pool have one owner each; name a sharing policy behind T, as in "
                                 "FixedPool<T, Shared>, or AtomicShared where threads share them");
    CountsRef const counts = counts_of(reinterpret_cast<std::byte*>(object));
    counts.set_shared(this);
    return counts;
  }
  /// The last handle of a kind is gone: the end of the object, or of the time for which its slot was kept.
  void release_counts(std::byte* slot, ReleaseOf what) noexcept {
    if (what == ReleaseOf::slot || (dispose(object_in(slot)) && counts_of(slot).drop_weak())) return_slot(slot);
  }

  FASTALLOC_COLD Taken take_slow(bool may_fail) {
    Error error;
    open_inline();
    Taken const taken = core_.take_slow(error);
    if (taken.slot == nullptr && !may_fail) fail_typed(error);
    return taken;
  }

  [[noreturn]] FASTALLOC_COLD static void fail_typed(Error& error) {
    error.type_name = type_name<T>();
    fail(error);
  }
  FASTALLOC_COLD static void report_typed(Error& error) noexcept {
    error.type_name = type_name<T>();
    report(error);
  }

  FASTALLOC_COLD void report_shared(T* object) noexcept {
    Error error = core_.describe(ErrorCode::invalid_handle, "the object is shared and cannot have a Handle; copy one of its SharedHandles, or lock() a WeakHandle");
    error.address = object;
    report_typed(error);
  }
  FASTALLOC_COLD void report_live_handles() noexcept {
    Error error = core_.describe(ErrorCode::live_handles,
                                 "a pool is destroyed while handles to its objects exist; destroy or reset() the handles first, or let the pool live longer");
    bool any_object = false;
    core_.visit([&](std::byte* slot) {
      if (core_.is_worn(slot)) return true;
      any_object = any_object || holds_object(slot);
      if (error.index_count != Error::max_indices) error.indices[error.index_count++] = core_.index_of(slot);
      return error.index_count != Error::max_indices || !any_object;
    });
    if (Types::shares && !any_object)
      error.text = "a pool is destroyed while WeakHandles keep slots of dead objects; destroy or reset() them first, or let the pool live longer";
    report_typed(error);
  }

  FASTALLOC_NO_UNIQUE_ADDRESS Lifetime lifetime_{};
  Core core_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
