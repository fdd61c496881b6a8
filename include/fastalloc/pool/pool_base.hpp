// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolBase: opening, failing, reporting and closing of a pool; all but the objects. Compiled once per set of policies;
// an ObjectType supplies the facts about T.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/handle/handle.hpp>
#include <fastalloc/handle/sharing.hpp>
#include <fastalloc/pool/pool_core.hpp>
#if __STDC_HOSTED__
#include <fastalloc/pool/pool_names.hpp>
#endif

#include <optional>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The facts about T and its pool that PoolBase needs. One constant per pool type.
struct ObjectType : SlotType {
  std::string_view name;
  Release release;                 ///< for type-erased handles
  bool counts_are_atomic = false;  ///< owner counts
  bool refuses_growth = false;     ///< a growth strategy is an error
  bool doubles = false;            ///< grows by its capacity, if the constructor gets only a number of slots
  bool is_fixed = false;           ///< ignores a growth strategy; for pools with CompactHandles
};

/// Core: a PoolCore. Functions that every pool runs are not FASTALLOC_COLD: g++ treats a function that always calls a
/// cold one as cold itself, and would optimize the loops next to a pool's constructor for size.
template <class Core> class PoolBase : public AnyOwner {
  using Checks = typename Core::checks_policy;
  using Shape = typename Core::shape_type;

 protected:
  static constexpr bool is_inline = Core::inline_slots != 0;

  constexpr PoolBase() noexcept = default;
  /// `storage`: Nothing for a default constructed one. Throws: as fail().
  template <class S>
  FASTALLOC_NOINLINE PoolBase(S storage, PoolConfig const& config, ObjectType const& type) : core_(std::move(storage)) {
    Error error;
    if (!open(config, type, error)) fail(error);
  }
  /// The same for a number of slots; the configuration is built here, once.
  template <class S>
  FASTALLOC_NOINLINE PoolBase(S storage, std::size_t capacity, ObjectType const& type)
      : PoolBase(
            std::move(storage),
            PoolConfig{.capacity = capacity,
                       .growth_strategy = type.doubles ? GrowthStrategy::exponential(2.0) : GrowthStrategy::none()},
            type) {}
  /// The same; sets `failure` instead of throwing.
  template <class S>
  FASTALLOC_NOINLINE PoolBase(S storage, std::optional<Error>& failure, PoolConfig const& config,
                              ObjectType const& type)
      : core_(std::move(storage)) {
    Error error;
    if (!open(config, type, error)) failure = error;
  }
  FASTALLOC_NOINLINE ~PoolBase() {  // once, not in each pool type
#if __STDC_HOSTED__
    forget_name(this);
#endif
  }

  /// Closes the pool: reports live handles and mixed checks, and detaches the threads.
  FASTALLOC_NOINLINE void close(ObjectType const& type) noexcept {
    if (core_.is_attached()) return;
#if __STDC_HOSTED__
    if (core_.is_mixed()) [[unlikely]]
      report_as(core_.describe(ErrorCode::invalid_configuration, other_checks), type);
#endif
    core_.end_use();
    if (core_.allocated() != core_.reserved()) [[unlikely]]
      report_live_handles(type);
  }

  /// Does the part of construction that cannot run at compile time. On the slow path of every request.
  void open_inline([[maybe_unused]] Release release) noexcept {
    if constexpr (is_inline)
      core_.open_inline([&] {
        set_release(release);
        if constexpr (Shape::segment != 0) core_.set_owner(this);
      });
  }
  /// Returns: a slot. Throws if there is none.
  FASTALLOC_COLD Taken pop_or_fail(ObjectType const& type) {
    Error error;
    open_inline(type.release);
    Taken const taken = core_.pop_slow(&error);
    if (taken.slot == nullptr) fail_as(error, type);
    return taken;
  }
  /// Builds no Error if the pool stays full, so no strings are linked.
  FASTALLOC_ALWAYS_INLINE Taken try_pop() {
    if constexpr (Core::stays_full) return core_.pop_quietly();
    else return core_.pop_slow(nullptr);
  }
  /// Returns: a slot, or none.
  FASTALLOC_COLD Taken try_pop_slow() { return try_pop(); }

  /// Marks the object's slot as returned. Returns: false, after a report, if `object` is not in use.
  FASTALLOC_OPTIMIZED FASTALLOC_NOINLINE bool claim_for_release(void* object, ObjectType const& type) noexcept {
    return core_.claim(object) || verify_live(object, type, true);
  }
  /// The same check without marking the slot. Refused: claim() failed, whatever happened since.
  FASTALLOC_NOINLINE bool verify_live(void const* object, ObjectType const& type, bool refused = false) const noexcept {
    Error error;
    if (core_.check_in_use(object, error, refused)) return true;
    report_as(error, type);
    return false;
  }

  /// False for a slot that was handed out but holds no object: WeakHandles keep it, a key is reserved, or a request or
  /// a thread that waited is about to build one.
  [[nodiscard]] bool holds_object([[maybe_unused]] std::byte* slot,
                                  [[maybe_unused]] ObjectType const& type) const noexcept {
    if (core_.is_offered(slot)) return false;
    if constexpr (Shape::counted)
      if (CountsRef(slot + Shape::payload, type.counts_are_atomic).is_dead()) return false;
    // No process can adopt an object marked as returned: its destructor is running, or its process was killed there.
    if constexpr (Shape::spans_processes && Checks::tracks_slots)
      if (Error ignored; !core_.check_in_use(slot, ignored)) return false;
    return !core_.is_lost(slot) && !core_.is_reserved(slot);
  }

  [[noreturn]] FASTALLOC_COLD void fail_as(Error& error, ObjectType const& type) const { fail(named(error, type)); }
  FASTALLOC_COLD void report_as(Error error, ObjectType const& type) const noexcept { report(named(error, type)); }
  /// The same error with the names of the pool and of its objects.
  Error& named(Error& error, ObjectType const& type) const noexcept {
    error.type_name = type.name;
    error.pool_name = pool_name();
    return error;
  }
  [[nodiscard]] std::string_view pool_name() const noexcept {
#if __STDC_HOSTED__
    return name_of(this);
#else
    return {};
#endif
  }
  FASTALLOC_COLD void report_shared(void* object, ObjectType const& type) noexcept {
    constexpr char const* text =
        "the object is shared and cannot have a Handle; copy one of its SharedHandles, or lock() a WeakHandle";
    Error error{.code = ErrorCode::invalid_handle, .text = text};
    if constexpr (Core::counts_for_all) error = core_.describe(ErrorCode::invalid_handle, text);
    error.address = object;
    report_as(error, type);
  }
  FASTALLOC_COLD void report_unshared(void* object, ObjectType const& type) noexcept {
    Error error{.code = ErrorCode::invalid_handle,
                .text = "the object has no SharedHandle that could be taken back; pass what SharedHandle::release() "
                        "returned, or share() it first"};
    error.address = object;
    report_as(error, type);
  }
  FASTALLOC_COLD void report_heap_objects(std::size_t count, ObjectType const& type) const noexcept {
    report_as(Error{.code = ErrorCode::live_handles,
                    .requested = count,
                    .text = "a pool is destroyed while handles to objects from the heap (the requested number) exist; "
                            "destroy or reset() the handles first, or let the pool live longer",
                    .unit = "objects"},
              type);
  }
  FASTALLOC_COLD void report_no_slot(std::size_t index, ObjectType const& type) noexcept {
    Error error = core_.describe(
        ErrorCode::invalid_handle,
        "the pool has no slot of the requested index; pass what index_of() returned for an object of this pool", index);
    error.unit = "(index)";
    report_as(error, type);
  }

  /// For type-erased handles, if destroying an object runs no code and nothing is checked.
  static void release_bytes(AnyOwner& owner, void* object, ReleaseOf what) noexcept {
    auto& core = static_cast<PoolBase&>(owner).core_;
    std::byte* const slot = what == ReleaseOf::part ? core.slot_of(object) : static_cast<std::byte*>(object);
    core.end_keys(slot);
    core.push(slot);
  }

  FASTALLOC_NOINLINE void reserve_slots(std::size_t slot_count, ObjectType const& type) requires Shape::growing {
    if (Error error; !core_.reserve(slot_count, error)) fail_as(error, type);
  }

  Core core_{};

 private:
  bool open(PoolConfig const& config, ObjectType const& type, Error& error) noexcept {
    set_release(type.release);
    if constexpr (Shape::segment != 0) core_.set_owner(this);
    if (type.refuses_growth && config.growth_strategy.grows())
      error = {.capacity = config.capacity,
               .text = "a pool in this storage, or with LockFree, cannot grow; set growth_strategy to none(), or use "
                       "HeapStorage and a lock"};
    else if (open_core(config, type, error)) {
#if __STDC_HOSTED__
      if (config.name.empty() || set_name(this, config.name)) return true;
      error = {.code = ErrorCode::allocation_failed, .text = "no memory for a copy of PoolConfig::name"};
#else
      return true;
#endif
    }
    error.type_name = type.name;
    error.pool_name = config.name;
    return false;
  }
  FASTALLOC_ALWAYS_INLINE bool open_core(PoolConfig const& config, ObjectType const& type, Error& error) noexcept {
    if constexpr (Shape::segment > 1) {
      if (type.is_fixed && config.validate()) {
        PoolConfig fixed = config;
        fixed.growth_strategy = GrowthStrategy::none();
        fixed.max_capacity = config.capacity;
        return core_.open(fixed, type, error);
      }
    }
    return core_.open(config, type, error);
  }
  FASTALLOC_COLD void report_live_handles(ObjectType const& type) noexcept {
    Error error = core_.describe(ErrorCode::live_handles,
                                 "a pool is destroyed while handles to its objects exist; destroy or reset() the "
                                 "handles first, or let the pool live longer");
    bool any_object = false;
    error.allocated -= core_.reserved();
    std::size_t const missing =
        core_.visit([&](std::byte* slot) { return !core_.is_lost(slot) && !core_.is_reserved(slot); },
                    [&](std::byte* slot) {
                      any_object = any_object || holds_object(slot, type);
                      if (error.index_count != Error::max_indices)
                        error.indices[error.index_count++] = core_.index_of(slot);
                      return error.index_count != Error::max_indices || !any_object;
                    });
    // Lost slots have already been reported.
    if (Core::Supply::Links::enabled && missing == 0 && error.index_count == 0) return;
    if (Shape::counted && missing == 0 && !any_object)
      error.text = "a pool is destroyed while WeakHandles keep slots of dead objects; destroy or reset() them first, "
                   "or let the pool live longer";
    report_as(error, type);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
