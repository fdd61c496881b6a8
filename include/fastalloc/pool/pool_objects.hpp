// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolObjects: the objects in a BasicPool's slots: construction, undo after exceptions, destruction, owner counts.
//
//   Taken -> construct -> on_acquire -> Handle         build();    an exception on the way: unbuild()
//   Handle -> check -> keys end -> on_release -> ~T    dispose();  then return_slot(), now or with the last owner
#pragma once

#include <fastalloc/handle/handle.hpp>
#include <fastalloc/lifetime/hooks.hpp>
#include <fastalloc/pool/pool_base.hpp>
#include <fastalloc/pool/pool_types.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Checks what a T is built from; the messages say what to pass.
template <class T, class Lifetime, class... Args> struct ArgumentCheck {
  static constexpr bool done = true;
  static_assert(!overwrites<Args...> || !Lifetime::keeps_objects,
                "fastalloc: a pool with Recycle hands out objects that init() built, so none is for overwriting; call "
                "allocate(), or leave Recycle out");
  static_assert(!overwrites<Args...> || Lifetime::keeps_objects || Lifetime::template accepts<T, Args...>,
                "fastalloc: an object for overwriting is default-initialised, and T has no default constructor that "
                "can be called; pass allocate() the arguments of another one");
  static_assert(
      overwrites<Args...> || Lifetime::template accepts<T, Args...>,
      "fastalloc: T cannot be built from these arguments; pass what one of T's constructors takes (a pool with "
      "Recycle builds objects by its init function: call allocate() without arguments)");
};

/// Slots taken together; at(i) is the i-th. [next, built) hold objects without an owner, [built, count) hold none.
template <class Pool, class At> struct Building {
  Pool& pool;
  At at;
  std::size_t count;
  std::size_t untouched;
  std::size_t built = 0;
  std::size_t acquired = 0;  ///< objects whose on_acquire() has run
  std::size_t next = 0;

  ~Building() {
    for (std::size_t i = count; i-- > next;) pool.unbuild({at(i), i >= untouched}, i < built, i < acquired);
  }
  template <class Build> FASTALLOC_ALWAYS_INLINE void build_all(Build& build) {
    while (built != count) {
      auto* const object = build(Taken{at(built), built >= untouched});
      ++built;
      call_on_acquire(*object);
      ++acquired;
    }
  }
};

/// The parameters are those of BasicPool, which derives from this and is its public interface.
template <class Derived, class T, class Kind, class... Ps>
class PoolObjects : public PoolBase<typename PoolTypes<T, Kind, Ps...>::core> {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>,
                "fastalloc: T must be an object type without const or volatile; for arrays use std::array<T, N>");
  static_assert(std::is_nothrow_destructible_v<T>,
                "fastalloc: ~T() must be noexcept and accessible; handles destroy objects where nothing may be thrown");
  static_assert(HookCheck<T>::done);

  template <class> friend class fastalloc::detail::OwnerWord;
  template <class> friend class Batches;
  template <class> friend class Sharing;
  template <class> friend class Identities;
  template <class> friend class Clearing;
  template <class> friend class SavedState;
  template <class> friend class Looking;
  template <class> friend class SlotRequests;
  template <class Pool, class At> friend struct Building;
  template <class Pool, class U> friend class LiveIterator;
  template <class> friend class fastalloc::MovablePool;
  template <class, class> friend class fastalloc::TraceStats;
  friend struct DebugAccess;

  using Types = PoolTypes<T, Kind, Ps...>;
  using Core = typename Types::core;
  using Base = PoolBase<Core>;
  using Supply = typename Core::Supply;
  using Lifetime = typename Types::P::lifetime;
  using Checks = typename Types::P::checks;
  using Exhaustion = typename Types::P::exhaustion;
  using StorageState = typename Types::storage;
  using Owner = typename Kind::template owner<Derived>;
  using handle_type = Handle<T, Owner>;
  using Stats = typename Types::P::stats;
  static constexpr std::size_t slot_size = Types::size;
  static constexpr std::size_t head_places = Types::Growing ? most_head_places : 1;  ///< for CompactHandles
  /// The statistics policy is told of each event while no lock is held; debug/trace_stats.hpp.
  static constexpr bool traces = requires { requires Stats::traces; };
  /// True if ending an object runs user code, which may use the pool: a destructor, a hook, the reset of Recycle, or
  /// the sink of a trace.
  static constexpr bool ends_by_user_code =
      !std::is_trivially_destructible_v<T> || HasOnRelease<T> || !std::same_as<Lifetime, ConstructOnAllocate> || traces;

 protected:
  static constexpr bool Growing = Types::Growing;
  static constexpr bool is_locked = !std::same_as<typename Types::P::lock, NoLock>;
  static constexpr bool abandonable = Types::abandonable;

  /// clear() runs no user code and looks at no counts, so it need not find the live objects.
  static constexpr bool clears_at_once = !ends_by_user_code && !Types::shares;

  using Base::core_;

  constexpr PoolObjects() noexcept = default;
  explicit PoolObjects(std::size_t capacity) : Base(pick_storage(), capacity, type) {}
  template <class... Values>
  explicit PoolObjects(PoolConfig const& config, Values&&... values)
      : Base(pick_storage(std::forward<Values>(values)...), config, type),
        lifetime_(pick_value<Lifetime>(std::forward<Values>(values)...)),
        exhaustion_(pick_value<Exhaustion>(std::forward<Values>(values)...)) {
    if constexpr (Exhaustion::uses_heap) exhaustion_.align_to(config.alignment);
  }
  template <class... Values>
  explicit PoolObjects(std::optional<Error>& failure, PoolConfig const& config, Values&&... values)
      : Base(pick_storage(std::forward<Values>(values)...), failure, config, type),
        lifetime_(pick_value<Lifetime>(std::forward<Values>(values)...)),
        exhaustion_(pick_value<Exhaustion>(std::forward<Values>(values)...)) {
    if constexpr (Exhaustion::uses_heap) exhaustion_.align_to(config.alignment);
  }

  /// The storage among `values`; Nothing for a default constructed one (inline storage is never copied).
  template <class... Values> static constexpr auto pick_storage(Values&&... values) {
    constexpr bool given = (false || ... || std::derived_from<std::remove_cvref_t<Values>, StorageState>);
    static_assert(given || std::default_initializable<StorageState>,
                  "fastalloc: this storage needs a value; pass it after the PoolConfig, as in ExternalStorage(span)");
    if constexpr (given) return pick_value<StorageState>(std::forward<Values>(values)...);
    else return Nothing{};
  }

  template <class... Args>
  static constexpr bool nothrow_build =
      nothrow_on_acquire<T> &&
      noexcept(std::declval<Lifetime&>().template acquire<T>(nullptr, false, std::declval<Args>()...));

  template <class... Args> using ArgumentCheck = detail::ArgumentCheck<T, Lifetime, Args...>;

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Derived* derived() noexcept { return static_cast<Derived*>(this); }
  FASTALLOC_ALWAYS_INLINE static T* object_in(std::byte* slot) noexcept {
    return std::launder(reinterpret_cast<T*>(slot));
  }

  /// For type-erased handles.
  static void release_erased(AnyOwner& owner, void* object, ReleaseOf what) noexcept {
    auto& self = static_cast<PoolObjects&>(static_cast<Derived&>(owner));
    if constexpr (Types::shares)
      if (what >= ReleaseOf::shared)
        return self.release_counts(static_cast<std::byte*>(object) - Types::counts_offset, what);
    if constexpr (Exhaustion::uses_heap)
      if (what == ReleaseOf::part && self.is_from_heap(object))
        if (std::byte* const whole = self.heap_object_at(object, sizeof(T)))
          return self.release_from_handle(object_in(whole));
    if constexpr (Checks::tracks_slots)  // an address in no slot is rejected as such
      if (what == ReleaseOf::part && !self.core_.owns(object)) what = ReleaseOf::object;
    self.release_from_handle(what == ReleaseOf::part ? object_in(self.core_.slot_of(object)) : static_cast<T*>(object));
  }
  static constexpr Release pick_release() noexcept {
    if constexpr (ends_by_user_code || Checks::tracks_slots || Types::shares || Kind::local || abandonable ||
                  Exhaustion::uses_heap)
      return &release_erased;
    else return &Base::release_bytes;
  }
  FASTALLOC_LOCAL static constexpr ObjectType type{{Types::size, Types::least_stride_alignment},
                                                   type_name<T>(),
                                                   pick_release(),
                                                   Types::P::sharing::counts_are_atomic,
                                                   Kind::shared && !Types::may_grow,
                                                   Kind::doubles,
                                                   !Kind::grows && !Kind::shared};

  void prebuild([[maybe_unused]] PoolConfig const& config) {
    if constexpr (Lifetime::keeps_objects)
      if (config.pre_initialize)
        core_.for_each_new([&](std::byte* slot) { lifetime_.template acquire<T>(slot, true); },
                           [&](std::byte* slot) { lifetime_.template destroy_kept<T>(slot); });
  }

  /// Destroys the objects in a block before its memory is released.
  void destroy_objects(BlockOf<Growing> const& block) noexcept {
    unpoison(block.data, static_cast<std::size_t>(block.end - block.data));
    std::byte* const end = block.data + block.high_water * core_.stride();
    for (std::byte* slot = block.data; slot != end; slot += core_.stride()) lifetime_.template destroy_kept<T>(slot);
  }

  template <class... Args> FASTALLOC_ALWAYS_INLINE T* construct(Taken taken, Args&&... args) {
    if constexpr (Types::shares) counts_of(taken.slot).set_unique();
    if constexpr (traces)
      return Stats::built(*this,
                          lifetime_.template acquire<T>(taken.slot, taken.untouched, static_cast<Args&&>(args)...));
    else return lifetime_.template acquire<T>(taken.slot, taken.untouched, static_cast<Args&&>(args)...);
  }
  /// While it lives, failures and growth happen; its end tells the trace of them.
  FASTALLOC_ALWAYS_INLINE auto tracing() {
    if constexpr (traces) return typename Stats::template Scope<PoolObjects>(*this);
    else return Nothing{};
  }
  /// The same for a wait, and for whether it ended with a slot.
  FASTALLOC_ALWAYS_INLINE auto tracing_wait([[maybe_unused]] Taken const& taken) {
    if constexpr (traces) return typename Stats::template Wait<PoolObjects>(*this, taken);
    else return Nothing{};
  }
  FASTALLOC_ALWAYS_INLINE void trace_end([[maybe_unused]] void const* object) noexcept {
    if constexpr (traces) Stats::ended(*this, object);
  }
  template <class... Args> FASTALLOC_ALWAYS_INLINE handle_type build(Taken taken, Args&&... args) {
    static_assert(ArgumentCheck<Args...>::done);
    if constexpr (nothrow_build<Args...>) {
      T* const object = construct(taken, static_cast<Args&&>(args)...);
      if constexpr (HasOnAcquire<T>) call_on_acquire(*object);
      return HandleAccess::make<Owner>(object, static_cast<Derived*>(this));
    } else {
      // Not a handler: an exception that nothing catches keeps the stack of its throw.
      auto const at = [&](std::size_t) { return taken.slot; };
      Building<PoolObjects, decltype(at)> building{*this, at, 1, taken.untouched ? std::size_t{0} : std::size_t{1}};
      T* const object = construct(taken, static_cast<Args&&>(args)...);
      building.built = 1;
      call_on_acquire(*object);
      building.next = 1;
      return HandleAccess::make<Owner>(object, derived());
    }
  }

  /// Acquired: on_acquire() has run.
  FASTALLOC_COLD void unbuild(Taken taken, bool built, bool acquired) noexcept {
    if constexpr (Exhaustion::uses_heap)
      if (is_from_heap(taken.slot)) {
        if (acquired) call_on_release(*object_in(taken.slot));
        if (built) object_in(taken.slot)->~T(), trace_end(taken.slot);
        return give_to_heap(taken.slot, false);
      }
    if (built) {
      core_.end_keys(taken.slot);
      if (acquired) call_on_release(*object_in(taken.slot));
      lifetime_.template release<T>(taken.slot);
      trace_end(taken.slot);
      if constexpr (Lifetime::keeps_objects) taken.untouched = false;  // the slot holds an object now
    } else if constexpr (Lifetime::keeps_objects) {
      if (taken.untouched)
        lifetime_.template begin<T>(taken.slot);  // a batch may return slots that acquire() never saw
    }
    if constexpr (abandonable) return push_or_end(1, [&] { core_.withdraw(taken); });
    core_.withdraw(taken);
  }

  FASTALLOC_ALWAYS_INLINE void release_from_handle(T* object) noexcept {
    if (dispose(object)) [[likely]]
      return_slot(reinterpret_cast<std::byte*>(object));
  }
  /// Ends the object; its slot stays taken. Returns: false, after a report, if the checks policy rejects the pointer.
  FASTALLOC_ALWAYS_INLINE bool dispose(T* object) noexcept {
    if constexpr (Exhaustion::uses_heap)
      if (is_from_heap(object)) [[unlikely]]
        return end_on_heap(object), false;
    if constexpr (Checks::tracks_slots)
      if (!this->claim_for_release(object, type)) return false;
    if constexpr (Core::shape_type::keyed)
      core_.end_keys(reinterpret_cast<std::byte*>(object));  // first: get() must not find an object under destruction
    if constexpr (ends_by_user_code) {
      call_on_release(*object);
      lifetime_.template release<T>(reinterpret_cast<std::byte*>(object));
      if constexpr (traces) trace_end(object);
      core_.end_keys(reinterpret_cast<std::byte*>(object));  // keys made meanwhile
    }
    if constexpr (Types::shares) {
      core_.scrub(reinterpret_cast<std::byte*>(object));
      counts_of(reinterpret_cast<std::byte*>(object)).end_unique();
    }
    return true;
  }
  /// Returns a slot without an object.
  FASTALLOC_ALWAYS_INLINE void return_slot(std::byte* slot) noexcept {
    if constexpr (Kind::local) {
      if (!derived()->is_home()) [[unlikely]]
        return core_.push_remote(slot);
    }
    if constexpr (abandonable) return push_or_end(1, [&] { core_.push(slot); });
    core_.push(slot);
  }
  /// The same for n slots, in one step; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void return_slots(At const& at, std::size_t n) noexcept {
    if constexpr (Kind::local) {
      if (!derived()->is_home()) [[unlikely]] {
        while (n != 0) core_.push_remote(at(--n));
        return;
      }
    }
    if constexpr (abandonable) return push_or_end(n, [&] { core_.push_many(at, n); });
    core_.push_many(at, n);
  }
  /// Returns n slots by push(). If the pool is abandoned and they were the last, ends it.
  template <class Push> FASTALLOC_ALWAYS_INLINE void push_or_end(std::size_t n, Push&& push) noexcept {
    if constexpr (is_locked) {
      if (!ending_.run(push)) [[unlikely]]
        end_counted(n);
    } else {
      push();
      if (ending_.abandoned) [[unlikely]]
        end_unused();
    }
  }
  FASTALLOC_COLD void end_counted(std::size_t n) noexcept {
    if (ending_.slots_gone(n)) delete derived();
  }
  FASTALLOC_COLD void end_unused() noexcept {
    if (kept() == 0) delete derived();
  }
  /// Called at the end of a MovablePool. Returns: true if no slot is in use, so the caller has to end the pool;
  /// otherwise the last slot that comes back ends it.
  FASTALLOC_NOINLINE bool abandon() noexcept requires abandonable {
    if constexpr (is_locked) {
      ending_.abandon();
      core_.dismiss_waiters();
      return ending_.expect(kept());
    } else {
      ending_.abandoned = kept() != 0;
      return !ending_.abandoned;
    }
  }
  void close_abandonable() noexcept requires abandonable {
    if constexpr (is_locked)
      if (ending_.is_abandoned()) return core_.end_use();  // slots were counted instead of given back
    this->close(type);
  }
  [[nodiscard]] static CountsRef counts_of(std::byte* slot) noexcept {
    return CountsRef(slot + Types::counts_offset, Types::P::sharing::counts_are_atomic, Types::generation_bits != 0);
  }
  [[nodiscard]] static bool is_shared([[maybe_unused]] T* object) noexcept {
    if constexpr (Types::shares) return counts_of(reinterpret_cast<std::byte*>(object)).is_shared();
    return false;
  }
  /// Requires: the object has one owner. Returns: its counts.
  CountsRef share_from_handle(T* object) noexcept {
    static_assert(Types::shares,
                  "fastalloc: objects of this pool have one owner each; name a sharing policy behind T, as in "
                  "FixedPool<T, Shared>, or AtomicShared where threads share them");
    CountsRef const counts = counts_of(reinterpret_cast<std::byte*>(object));
    counts.set_shared(this);
    return counts;
  }
  /// Called for the last handle of a kind: ends the object, or returns the slot that was kept for WeakHandles.
  void release_counts(std::byte* slot, ReleaseOf what) noexcept {
    if (what == ReleaseOf::slot || (dispose(object_in(slot)) && counts_of(slot).drop_weak())) return_slot(slot);
  }

  [[noreturn]] FASTALLOC_COLD void fail_typed(Error& error) const { this->fail_as(error, type); }
  void open_inline() noexcept { Base::open_inline(type.release); }
  /// Inline pools share no code with other types, so this is smaller there than passing `release`.
  FASTALLOC_COLD Taken try_take_inline() { return open_inline(), Base::try_pop(); }
  // Not an overload by requires beside Base's, which clang 19 calls ambiguous (CWG 2789).
  FASTALLOC_ALWAYS_INLINE Taken try_pop_slow() {
    if constexpr (Types::inline_slots != 0) return try_take_inline();
    else return Base::try_pop_slow();
  }
  [[nodiscard]] bool holds_object(std::byte* slot) const noexcept { return Base::holds_object(slot, type); }
  /// The same as an object, for walks: lambdas would be types of their own, and the walks, too.
  struct Holds {
    PoolObjects const& pool;
    bool operator()(std::byte* slot) const noexcept { return pool.holds_object(slot); }
  };

  /// A slot for a request that found none at hand. Without one: throws if it `must` find one, else returns none.
  template <bool must> FASTALLOC_ALWAYS_INLINE Taken slow_pop() {
    [[maybe_unused]] auto const told = tracing();
    if constexpr (Exhaustion::evicts || Exhaustion::uses_heap) return pop_exhausted<must>();
    else if constexpr (must) return this->pop_or_fail(type);
    else return try_pop_slow();
  }
  /// The same with an exhaustion policy: as pop_or_fail(), or, unless it `must`, as try_pop_slow().
  template <bool must> FASTALLOC_COLD Taken pop_exhausted() requires(Exhaustion::evicts || Exhaustion::uses_heap) {
    Taken taken = try_pop_slow();
    if constexpr (Exhaustion::evicts) {
      for (int calls = 0; taken.slot == nullptr && calls != Exhaustion::max_calls; ++calls) {
        if (!exhaustion_.make_room(*derived(), !is_locked)) break;
        if ((taken = core_.pop()).slot == nullptr) taken = try_pop_slow();
      }
    } else if (taken.slot == nullptr) {
      taken = {exhaustion_.allocate(sizeof(T), alignof(T), under_lock()), true};
    }
    if (taken.slot != nullptr || !must) return taken;
    return this->pop_or_fail(type);
  }
  /// For the functions of HeapFallback.
  [[nodiscard]] auto under_lock() const noexcept {
    return [this](auto&& f) { return core_.locked_for_all(f); };
  }
  /// The object from the heap of which `bytes` bytes contain `p`; null if there is none. Complexity: linear.
  [[nodiscard]] std::byte* heap_object_at(void const* p, std::size_t bytes) const noexcept {
    return exhaustion_.find(p, bytes, under_lock());
  }
  /// True for an object from the heap.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_from_heap([[maybe_unused]] void const* object) const noexcept {
    if constexpr (Exhaustion::uses_heap) return !core_.owns(object);
    else return false;
  }
  /// For checks policies: the object is live; otherwise reports why not.
  [[nodiscard]] bool is_known(T* object) const noexcept {
    if constexpr (Exhaustion::uses_heap)
      if (heap_object_at(object, 1) != nullptr) return true;
    return this->verify_live(object, type);
  }
  /// Ends an object from the heap.
  FASTALLOC_COLD void end_on_heap(T* object) noexcept requires Exhaustion::uses_heap {
    auto* const memory = reinterpret_cast<std::byte*>(object);
    if constexpr (Checks::tracks_slots)  // first: its destructor may end it once more
      if (!exhaustion_.claim(memory, under_lock())) return void(this->verify_live(object, type));  // reports it
    call_on_release(*object);
    object->~T();
    trace_end(object);
    give_to_heap(memory, Checks::tracks_slots);
  }
  /// Takes back memory without an object.
  FASTALLOC_COLD void give_to_heap(std::byte* memory, bool claimed) noexcept requires Exhaustion::uses_heap {
    exhaustion_.deallocate(memory, alignof(T), under_lock(), claimed);
    auto const forget = [&] { exhaustion_.forget(under_lock()); };
    if constexpr (abandonable) push_or_end(1, forget);  // it may end the pool
    else forget();
  }
  /// At the pool's end: objects from the heap that have not ended.
  [[nodiscard]] std::size_t heap_objects_left() const noexcept requires Exhaustion::uses_heap {
    if constexpr (abandonable && is_locked)
      if (ending_.is_abandoned()) return 0;  // they were counted instead
    return exhaustion_.count(under_lock());
  }
  /// Slots and objects from the heap that handles keep.
  [[nodiscard]] std::size_t kept() const noexcept {
    std::size_t const live = core_.allocated() - core_.reserved();
    if constexpr (Exhaustion::uses_heap) return live + exhaustion_.count(under_lock());
    else return live;
  }

  FASTALLOC_NO_UNIQUE_ADDRESS Lifetime lifetime_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Exhaustion exhaustion_{};
  FASTALLOC_NO_UNIQUE_ADDRESS typename Types::ending ending_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
