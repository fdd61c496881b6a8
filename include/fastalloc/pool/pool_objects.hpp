// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolObjects: what slots of a BasicPool hold: built, undone where something is thrown, ended, counted, reported.
//
//   Taken -> construct -> on_acquire -> Handle         build();    what throws on the way: unbuild()
//   Handle -> check -> keys end -> on_release -> ~T    dispose();  then return_slot(), now or when the last owner goes
#pragma once

#include <fastalloc/handle/handle.hpp>
#include <fastalloc/pool/batches.hpp>
#include <fastalloc/pool/pool_types.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The parameters are those of BasicPool, which derives from this and is its public face.
template <class Derived, class T, class Kind, class... Ps>
class PoolObjects : public Batches<PoolObjects<Derived, T, Kind, Ps...>, T, typename Kind::template owner<Derived>> {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>,
                "fastalloc: T must be an object type without const or volatile; for arrays use std::array<T, N>");
  static_assert(std::is_nothrow_destructible_v<T>,
                "fastalloc: ~T() must be noexcept and accessible; handles destroy objects where nothing may be thrown");
  static_assert(HookCheck<T>::done);

  template <class> friend class fastalloc::detail::OwnerWord;
  template <class Pool, class U, class O> friend class Batches;
  template <class Pool, class At> friend struct Building;
  template <class Pool, class U> friend class LiveIterator;

  using Types = PoolTypes<T, Kind, Ps...>;
  using Core = typename Types::core;
  using Supply = typename Core::Supply;
  using Lifetime = typename Types::P::lifetime;
  using Checks = typename Types::P::checks;
  using StorageState = typename Types::storage;
  using Owner = typename Kind::template owner<Derived>;
  using handle_type = Handle<T, Owner>;
  static constexpr std::size_t slot_size = Types::size;
  /// An object's end runs code of the user, which may use the pool: a destructor, a hook, or the reset of Recycle.
  static constexpr bool ends_by_user_code =
      !std::is_trivially_destructible_v<T> || HasOnRelease<T> || Lifetime::keeps_objects;

 protected:
  static constexpr bool Growing = Types::Growing;
  static constexpr bool is_locked = !std::same_as<typename Types::P::lock, NoLock>;

  constexpr PoolObjects() noexcept = default;
  template <class... Values>
  explicit PoolObjects(std::in_place_t, Values&&... values)
      : lifetime_(pick_value<Lifetime>(std::forward<Values>(values)...)),
        core_(pick_storage(std::forward<Values>(values)...)) {}

  /// The storage among `values`; Nothing where a default constructed one will do (inline storage is never copied).
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

  template <class... Args> static constexpr void check_arguments() noexcept {
    static_assert(
        Lifetime::template accepts<T, Args...>,
        "fastalloc: T cannot be built from these arguments; pass what one of T's constructors takes (a pool with "
        "Recycle builds objects by its init function: call allocate() without arguments)");
  }

  [[nodiscard]] Derived* derived() noexcept { return static_cast<Derived*>(this); }
  static T* object_in(std::byte* slot) noexcept { return std::launder(reinterpret_cast<T*>(slot)); }

  void set_erased() noexcept {
    this->set_release([](AnyOwner& owner, void* object, ReleaseOf what) noexcept {
      auto& self = static_cast<PoolObjects&>(static_cast<Derived&>(owner));
      if constexpr (Types::shares)
        if (what >= ReleaseOf::shared)
          return self.release_counts(static_cast<std::byte*>(object) - Types::counts_offset, what);
      if constexpr (Checks::tracks_slots)  // what lies in no slot is refused by address
        if (what == ReleaseOf::part && !self.core_.owns(object)) what = ReleaseOf::object;
      self.release_from_handle(what == ReleaseOf::part ? object_in(self.core_.slot_of(object))
                                                       : static_cast<T*>(object));
    });
  }

  /// What a constructor that may run at compile time could not do. On the slow path of every request.
  void open_inline() noexcept {
    if constexpr (Types::inline_slots != 0) core_.open_inline([&] { set_erased(); });
  }

  void prebuild([[maybe_unused]] PoolConfig const& config) {
    if constexpr (Lifetime::keeps_objects)
      if (config.pre_initialize)
        core_.for_each_new([&](std::byte* slot) { lifetime_.template acquire<T>(slot, true); },
                           [&](std::byte* slot) { lifetime_.template destroy_kept<T>(slot); });
  }

  /// Destroys what a block holds before its memory goes away.
  void destroy_objects(BlockOf<Growing> const& block) noexcept {
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
      Building<PoolObjects, decltype(at)> building{*this, at, 1, taken.fresh ? std::size_t{0} : std::size_t{1}};
      T* const object = construct(taken, std::forward<Args>(args)...);
      building.built = 1;
      call_on_acquire(*object);
      building.next = 1;
      return HandleAccess::make<Owner>(object, derived());
    }
  }

  /// Acquired: the object heard on_acquire().
  FASTALLOC_COLD void unbuild(Taken taken, bool built, bool acquired) noexcept {
    if (built) {
      core_.end_keys(taken.slot);
      if (acquired) call_on_release(*object_in(taken.slot));
      lifetime_.template release<T>(taken.slot);
      if constexpr (Lifetime::keeps_objects) taken.fresh = false;  // the slot holds an object now
    } else if constexpr (Lifetime::keeps_objects) {
      if (taken.fresh) lifetime_.template begin<T>(taken.slot);  // a batch may return slots that acquire() never saw
    }
    core_.withdraw(taken);
  }

  FASTALLOC_ALWAYS_INLINE void release_from_handle(T* object) noexcept {
    if (dispose(object)) [[likely]]
      return_slot(reinterpret_cast<std::byte*>(object));
  }
  /// The object's end; its slot stays taken. Returns: false, after a report, where the checks policy refuses the
  /// pointer.
  FASTALLOC_ALWAYS_INLINE bool dispose(T* object) noexcept {
    if constexpr (Checks::tracks_slots) {
      Error error;
      if (!core_.check_in_use(object, true, error)) return report_typed(error), false;
    }
    core_.end_keys(reinterpret_cast<std::byte*>(object));  // first: get() must not find what is being destroyed
    call_on_release(*object);
    lifetime_.template release<T>(reinterpret_cast<std::byte*>(object));
    if constexpr (ends_by_user_code)
      core_.end_keys(reinterpret_cast<std::byte*>(object));  // those that were made meanwhile
    if constexpr (Types::shares) {
      core_.retire(reinterpret_cast<std::byte*>(object));
      counts_of(reinterpret_cast<std::byte*>(object)).end_unique();
    }
    return true;
  }
  /// Gives back a slot in which no object is left.
  FASTALLOC_ALWAYS_INLINE void return_slot(std::byte* slot) noexcept {
    if constexpr (requires { derived()->is_home(); }) {
      if (!derived()->is_home()) [[unlikely]]
        return core_.give_remote(slot);
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
  /// False for a slot that was handed out and holds no object: WeakHandles keep it.
  [[nodiscard]] bool holds_object([[maybe_unused]] std::byte* slot) const noexcept {
    if constexpr (Types::shares)
      if (counts_of(slot).is_dead()) return false;
    // What is marked as returned nobody can adopt: somebody is in its destructor, or was killed there.
    if constexpr (Types::spans_processes && Checks::tracks_slots)
      if (Error ignored; !core_.check_in_use(slot, false, ignored)) return false;
    return !core_.is_lost(slot);
  }

  [[nodiscard]] static CountsRef counts_of(std::byte* slot) noexcept {
    return CountsRef(slot + Types::counts_offset, Types::P::sharing::counts_are_atomic);
  }
  [[nodiscard]] static bool is_shared([[maybe_unused]] T* object) noexcept {
    if constexpr (Types::shares) return counts_of(reinterpret_cast<std::byte*>(object)).is_shared();
    return false;
  }
  /// Returns: the counts of an object that had one owner.
  CountsRef share_from_handle(T* object) noexcept {
    static_assert(Types::shares,
                  "fastalloc: objects of this pool have one owner each; name a sharing policy behind T, as in "
                  "FixedPool<T, Shared>, or AtomicShared where threads share them");
    CountsRef const counts = counts_of(reinterpret_cast<std::byte*>(object));
    counts.set_shared(this);
    return counts;
  }
  /// The last handle of a kind is gone: the end of the object, or of the time for which its slot was kept.
  void release_counts(std::byte* slot, ReleaseOf what) noexcept {
    if (what == ReleaseOf::slot || (dispose(object_in(slot)) && counts_of(slot).drop_weak())) return_slot(slot);
  }

  /// A slot, or an exception.
  FASTALLOC_COLD Taken take_or_fail() {
    Error error;
    open_inline();
    Taken const taken = core_.take_slow(&error);
    if (taken.slot == nullptr) fail_typed(error);
    return taken;
  }
  /// A slot, or none: nobody wants to know why, so texts and the values that go with them need not be linked in.
  FASTALLOC_COLD Taken try_take_slow() {
    open_inline();
    if constexpr (Core::stays_full) return core_.take_quietly();
    else return core_.take_slow(nullptr);
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
    constexpr char const* text =
        "the object is shared and cannot have a Handle; copy one of its SharedHandles, or lock() a WeakHandle";
    Error error{.code = ErrorCode::invalid_handle, .text = text};
    if constexpr (Core::counts_for_all) error = core_.describe(ErrorCode::invalid_handle, text);
    error.address = object;
    report_typed(error);
  }
  FASTALLOC_COLD void report_mixed() noexcept {
    Error error = core_.describe(ErrorCode::invalid_configuration, other_checks);
    report_typed(error);
  }
  FASTALLOC_COLD void report_live_handles() noexcept {
    Error error =
        core_.describe(ErrorCode::live_handles, "a pool is destroyed while handles to its objects exist; destroy or "
                                                "reset() the handles first, or let the pool live longer");
    bool any_object = false;
    std::size_t const missing = core_.visit([&](std::byte* slot) { return !core_.is_lost(slot); },
                                            [&](std::byte* slot) {
                                              any_object = any_object || holds_object(slot);
                                              if (error.index_count != Error::max_indices)
                                                error.indices[error.index_count++] = core_.index_of(slot);
                                              return error.index_count != Error::max_indices || !any_object;
                                            });
    if (Supply::Links::enabled && missing == 0 && error.index_count == 0) return;  // lost slots, which were reported
    if (Types::shares && missing == 0 && !any_object)
      error.text = "a pool is destroyed while WeakHandles keep slots of dead objects; destroy or reset() them first, "
                   "or let the pool live longer";
    report_typed(error);
  }

  FASTALLOC_NO_UNIQUE_ADDRESS Lifetime lifetime_{};
  Core core_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
