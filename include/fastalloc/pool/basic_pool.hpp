// SPDX-License-Identifier: MIT OR Apache-2.0
// BasicPool: the public functions of all pools, and their documentation. What they do to an object is in PoolObjects,
// its base, for which the rare functions' headers are specialized, too. README.md, "How a value flows", has the way of
// an object.
//
// Constructors, destructors, hooks and user functions run with no lock held and no invariant open.
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

#define FASTALLOC_NEEDS_SHARING(type, ...)                                                                         \
  FASTALLOC_UNAVAILABLE("fastalloc: objects of this pool have one owner each; write a sharing policy after T, as " \
                        "in FixedPool<T, Shared>, or AtomicShared where threads share them",                       \
                        type, __VA_ARGS__)

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Functions on many objects at once; the specialization is in pool/batches.hpp.
template <class Objects> class Batches {
  static_assert(sizeof(Objects) == 0,
                "fastalloc: batches have a header of their own; add #include <fastalloc/pool/batches.hpp>");
};

/// clear(); the specialization is in pool/clearing.hpp.
template <class Objects> class Clearing {
  static_assert(sizeof(Objects) == 0,
                "fastalloc: clear() has a header of its own; add #include <fastalloc/pool/clearing.hpp>");
};

/// Objects by their index; the specialization is in pool/looking.hpp.
template <class Objects> class Looking {
  static_assert(sizeof(Objects) == 0, "fastalloc: index_bound(), find(), live().from(), and object_at() of a pool that "
                                      "grows have a header of their own; add #include <fastalloc/pool/looking.hpp>");
};

/// Objects in given slots, and keys without objects; the specialization is in pool/identities.hpp.
template <class Objects> class Identities {
  static_assert(sizeof(Objects) == 0, "fastalloc: allocate_at(), reserve_key(), build() and cancel() have a header of "
                                      "their own; add #include <fastalloc/pool/identities.hpp>");
};

/// The state of a pool as bytes; the specialization is in pool/saved_state.hpp.
template <class Objects> class SavedState {
  static_assert(sizeof(Objects) == 0,
                "fastalloc: save(), load() and what belongs to them have a header of their own; add "
                "#include <fastalloc/pool/saved_state.hpp>");
};

/// purge(); the specialization is in pool/purge.hpp.
template <class Core> class Purging {
  static_assert(sizeof(Core) == 0,
                "fastalloc: purge() has a header of its own; add #include <fastalloc/pool/purge.hpp>");
};

/// Owners of objects known by address or key; the specialization is in pool/sharing.hpp.
template <class Objects> class Sharing {
  static_assert(sizeof(Objects) == 0,
                "fastalloc: sharing has a header of its own; add #include <fastalloc/pool/sharing.hpp>");
};

/// Derived: the pool, as FixedPool<T, Ps...>. Kind: its traits.
template <class Derived, class T, class Kind, class... Ps>
class BasicPool : public PoolObjects<Derived, T, Kind, Ps...> {
  using Objects = PoolObjects<Derived, T, Kind, Ps...>;
  using Types = PoolTypes<T, Kind, Ps...>;
  using Lifetime = typename Types::P::lifetime;
  using Checks = typename Types::P::checks;
  using Owner = typename Kind::template owner<Derived>;
  using Objects::core_, Objects::Growing, Objects::is_locked;
  using Objects::build, Objects::derived, Objects::destroy_objects, Objects::is_inline, Objects::is_shared,
      Objects::object_in, Objects::prebuild, Objects::type;
  static constexpr bool is_external = std::same_as<typename Types::storage, ExternalStorage>;

 protected:
  /// No policy has to be passed as a value, except a storage.
  static constexpr bool needs_no_value =
      std::default_initializable<Lifetime> && std::default_initializable<typename Types::P::exhaustion>;

 private:
  /// The constructor needs only a number of slots.
  static constexpr bool sizes_itself = !is_external && needs_no_value;
  static constexpr bool has_live = !is_locked && TracksOccupancy<typename Types::core::Supply::Slots>;

 public:
  static constexpr bool has_statistics = Types::P::stats::enabled;
  static constexpr bool has_keys = Types::P::keys::generation_bits != 0;
  static constexpr bool has_counts = Types::shares;
  /// Bytes of the segments that slots lie in, with CompactHandles; else 0.
  static constexpr std::size_t segment_bytes = Types::segment_bytes;
  using value_type = T;
  using handle_type = Handle<T, Owner>;
  using span_handle_type = SpanHandle<T, Owner>;
  using batch_handle_type = BatchHandle<T, Owner>;
  using key_type = typename KeysOf<typename Types::P::keys>::type;  ///< Key; ShortKey for keys of 4 bytes
  using lifetime_type = Lifetime;
  using storage_type = typename Types::storage;

  /// Effects: capacity N of InlineStorage<N>. Does nothing at run time; the first allocation opens the pool.
  constexpr BasicPool() noexcept requires is_inline && needs_no_value { entry_.enter(*this); }

  /// Throws: InvalidConfiguration, AllocationFailed. Complexity: a few steps plus the storage's time; touches no slot.
  /// BitmapAllocator: one step per 4096 slots (clears the levels above the lowest). A checks policy: one per 64 slots
  /// (marks). LockFree with Generations: one per slot.
  explicit BasicPool(std::size_t capacity) requires sizes_itself : Objects(capacity) { entry_.enter(*this); }

  BasicPool(std::size_t, FASTALLOC_ADVICE("fastalloc: pass the memory: FixedPool<T, ExternalStorage> pool(span)"))
      requires is_external
      = delete;
  BasicPool(std::size_t, FASTALLOC_ADVICE("fastalloc: pass PoolConfig{.capacity = n} and recycle(init, reset)"))
      requires(!is_external && !sizes_itself)
      = delete;

  /// `values` are policies with state that the pool's type names: recycle(...), ExternalStorage(span), a user-defined
  /// storage. A value without effect does not compile.
  /// Throws: InvalidConfiguration, AllocationFailed; with pre_initialize and Recycle, anything that init() throws.
  /// Complexity: as above; with pre_initialize one step per page, and with Recycle one per slot.
  template <class... Values> requires((axis_of<std::remove_cvref_t<Values>>() != Axis::none) && ...)
  explicit BasicPool(PoolConfig const& config, Values&&... values) : Objects(config, std::forward<Values>(values)...) {
    Types::template check_values<std::remove_cvref_t<Values>...>();
    prebuild(config);
    entry_.enter(*this);  // last: what throws before leaves nothing in the registry
  }
  template <class V> requires(axis_of<std::remove_cvref_t<V>>() == Axis::none)
  BasicPool(PoolConfig const&, V&&, FASTALLOC_ADVICE("fastalloc: not a policy; pass ExternalStorage(span)")) = delete;

  /// As many slots as fit in the span. Throws: InvalidConfiguration if none fits, or the span is misaligned.
  explicit BasicPool(std::span<std::byte> bytes) requires is_external && needs_no_value
      : BasicPool(PoolConfig{.capacity = greater(Types::core::slots_in(bytes.size(), type), 1)},
                  ExternalStorage(bytes)) {}

  /// Attaches to the pool that another process made in the span; capacity and alignment are that pool's.
  /// Throws: InvalidConfiguration if there is no pool, it is of another kind, or it is not ready yet.
  /// Complexity: constant; touches no slot.
  explicit BasicPool(ExternalStorage::Attached storage) requires is_external && needs_no_value
      : BasicPool(Types::process_block::config_in(storage, type), storage) {}

  /// For Result: sets `failure` instead of throwing; throws only what copying `values` throws.
  template <class... Values>
  explicit BasicPool(std::optional<Error>& failure, PoolConfig const& config, Values&&... values)
      : Objects(failure, config, std::forward<Values>(values)...) {
    Types::template check_values<std::remove_cvref_t<Values>...>();
    if (!failure && !swallow([&] { prebuild(config); })) {
      failure = core_.describe(ErrorCode::allocation_failed,
                               "the init function of recycle() threw while objects were built up front");
      failure->type_name = type.name;
      failure->pool_name = config.name;
    }
    if (!failure) entry_.enter(*this);
  }

  /// Returns: the pool, built in place inside the Result, or the error. Never throws.
  template <class... Values>
  [[nodiscard]] static Result<Derived> try_create(PoolConfig const& config, Values&&... values) noexcept {
    return Result<Derived>(std::in_place, config, std::forward<Values>(values)...);
  }

  [[nodiscard]] static Result<Derived> try_create(ExternalStorage::Attached storage) noexcept
      requires is_external && needs_no_value {
    return Result<Derived>(std::in_place, Types::process_block::config_in(storage, type), storage);
  }

  /// Requires: no live handles. Otherwise reports the type, the count and the first indices to the error handler, at
  /// the cost of for_each(). If the handler returns, the storage gets its memory back; live objects are not destroyed,
  /// except those of Recycle. An attached pool does not report live objects, since other processes may own them; it
  /// requires only that this process holds no handles.
  ~BasicPool() {
    entry_.leave();
    if constexpr (Types::P::exhaustion::uses_heap)
      if (std::size_t const left = this->heap_objects_left(); left != 0) [[unlikely]]
        this->report_heap_objects(left, type);
    if constexpr (Types::abandonable) this->close_abandonable();
    else this->close(type);
    if constexpr (Lifetime::keeps_objects)
      if (!core_.is_attached()) core_.for_each_block([&](BlockOf<Growing> const& block) { destroy_objects(block); });
  }

  BasicPool(BasicPool const&) = delete;
  BasicPool& operator=(BasicPool const&) = delete;

  /// Effects: constructs a T from `args` in a free slot. Returns: a handle that owns it.
  /// Throws: PoolExhausted, MaxCapacityExceeded, AllocationFailed (growth), anything that T's constructor, init() or
  /// on_acquire() throws. The pool is then unchanged.
  /// Complexity: at most 3 steps (take, note an untouched slot, count it) plus the slot policy's: StackAllocator and
  /// FreeListAllocator 1, LockFree 1 without contention, BitmapAllocator 2 per level. With b blocks: b more when the
  /// bump pointer moves to the next block. With Generations in a pool that grows: 128 more at the first slot of a page.
  /// Growth takes one step per free slot (the metadata moves) and per block, plus the storage's time; reserve() does it
  /// early, max_capacity forbids it. ThreadSafePool and ThreadLocalPool: see there.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type allocate(Args&&... args) {
    static_assert(Objects::template ArgumentCheck<Args...>::done);
    Taken taken = core_.pop();
    if (taken.slot == nullptr) [[unlikely]]
      taken = this->template slow_pop<true>();
    return build(taken, static_cast<Args&&>(args)...);
  }

  /// The same, but returns an empty handle if allocate() would throw for lack of a slot; `args` are then untouched.
  /// Complexity: as allocate(); a failure takes at most twice the steps and 5 lock acquisitions.
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE handle_type try_allocate(Args&&... args) {
    static_assert(Objects::template ArgumentCheck<Args...>::done);
    Taken taken = core_.pop();
    if (taken.slot == nullptr) [[unlikely]] {
      taken = this->template slow_pop<false>();
      if (taken.slot == nullptr) return {};
    }
    return build(taken, static_cast<Args&&>(args)...);
  }

  /// As the functions without `_for_overwrite`, but the objects are default-initialised, as by
  /// std::make_unique_for_overwrite: members without an initializer or constructor keep the bytes that are there, or
  /// the fill of a checks policy. (allocate() without arguments value-initialises, which zeroes them.) All functions
  /// that take T's arguments take `for_overwrite` instead, as in allocate_batch_handle(n, fastalloc::for_overwrite).
  /// Requires: T is default-constructible; no Recycle.
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

  // Many objects at once: include <fastalloc/pool/batches.hpp>, or the umbrella.

  /// Effects: builds n objects from `args`, with slots taken in one step, and writes their handles to `out`.
  /// Returns: the end of the output. Throws: as allocate(), before anything is written; the pool is then unchanged.
  /// (Exempt: constructors that take slots of this pool may use up those that the batch needs; some handles are then
  /// already written.)
  template <class OutputIt, class... Args> requires(!std::is_reference_v<OutputIt>)
  FASTALLOC_ALWAYS_INLINE OutputIt allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    if (auto error = many().write(n, out, args...)) [[unlikely]]
      this->fail_as(*error, type);
    return out;
  }
  /// The same; returns false if allocate_batch() would throw for lack of slots.
  template <class OutputIt, class... Args>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool try_allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    return !many().write(n, out, args...);
  }
#if __STDC_HOSTED__
  /// Returns: a std::vector of handles to objects built from `values`, one each; elements are moved from an rvalue
  /// range that owns them.
  /// Throws: as allocate_batch(n, out), and std::bad_alloc if n slots are free but the heap has no room for the vector.
  /// The pool is then unchanged.
  template <class Range> requires requires(Range& values) {
    std::end(values);
    { std::begin(values) } -> std::forward_iterator;
  } [[nodiscard]] auto allocate_batch(Range&& values) {
    return many().move_from(std::forward<Range>(values));
  }
#endif

  /// Returns: one owner for n objects, each built from `args`, in the order of taking their slots; an empty handle for
  /// n == 0. (A distinct name, because the second argument of allocate_batch(n, out, args...) is an iterator.)
  /// Throws: as allocate(), and AllocationFailed if the heap has no room for n addresses. The pool is then unchanged.
  /// Complexity: linear: n times that of allocate() and of releasing a handle, under one lock.
  template <class... Args> [[nodiscard]] batch_handle_type allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    if (auto error = many().listed(handle, n, args...)) [[unlikely]]
      this->fail_as(*error, type);
    return handle;
  }
  /// The same; returns an empty handle if the other would throw for lack of slots or memory.
  template <class... Args>
  [[nodiscard]] batch_handle_type try_allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    (void)many().listed(handle, n, args...);
    return handle;
  }

  /// Returns: one owner for n adjacent objects, an array, each built from `args`; an empty handle for n == 0.
  /// Requires: BitmapAllocator, and slots of sizeof(T) bytes: no Recycle, Shared or PoolConfig::alignment, and
  /// Generations only in a pool that does not grow.
  /// Effects: takes the lowest n adjacent free slots of one block (first fit); untouched slots may follow used ones. A
  /// growing pool without such a run adds a block of at least n slots. Slots in thread caches are gathered first.
  /// Throws: PoolExhausted, MaxCapacityExceeded; the pool is then unchanged. If enough slots are free, but no n of them
  /// adjacent, the message says so (Error::requested is n; capacity less allocated are free). Release handles, allocate
  /// runs before single objects, allocate shorter runs, or let the pool grow.
  /// Complexity: linear in the bitmap's words (64 slots each) up to the run, log2 n steps per word, under the lock. No
  /// other way to take slots searches for them.
  /// Fragmentation: none inside a run. A buddy system finds a run in log n steps, but rounds it up to a power of two
  /// and wastes up to half of it. First fit leaves gaps between runs instead; single objects fill them, as they take
  /// the lowest free slot. Runs of one length leave no gap that the next one does not fit.
  template <class... Args> [[nodiscard]] span_handle_type allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    if (auto error = many().adjacent(handle, n, args...)) [[unlikely]]
      this->fail_as(*error, type);
    return handle;
  }
  /// The same; returns an empty handle if the other would throw for lack of slots.
  template <class... Args> [[nodiscard]] span_handle_type try_allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    (void)many().adjacent(handle, n, args...);
    return handle;
  }

  // Objects in given slots, and keys without objects: include <fastalloc/pool/identities.hpp>, or the umbrella.

  /// Effects: builds a T in the slot that index_of() numbers `index`, or in that of `key`, so that get(key) then finds
  /// it: an object under the very id that a server or a saved game names. The key may come from another pool or run.
  /// Requires: BitmapAllocator. For a key: a pool of one block, whose indices are those of keys. Keys of one slot come
  /// from one authority: key() goes on from the given generation, to keys that were perhaps given away before.
  /// Throws: InvalidConfiguration with ErrorCode::slot_taken (Error::indices has the index, Error::address the slot) if
  /// an object lives there or the slot is reserved; invalid_handle for an index that the pool does not have, or a key
  /// that names nothing. GrowingPool does not grow for an index: reserve() first. Anything that T's constructor throws.
  /// The pool is then unchanged.
  /// Complexity: 2 L for the L levels of the bitmap, b with b blocks. A slot beyond those handed out before: linear in
  /// the slots that are skipped, once; they are free slots from then on. ThreadSafePool: gathers the slots of all
  /// caches first, as the wanted one may be there.
  template <class... Args> [[nodiscard]] handle_type allocate_at(std::size_t index, Args&&... args) {
    return identities().template at<true>(index, static_cast<Args&&>(args)...);
  }
  template <class... Args> [[nodiscard]] handle_type allocate_at(key_type key, Args&&... args) {
    return identities().template at<true>(key, static_cast<Args&&>(args)...);
  }
  /// The same; returns an empty handle if the other would throw an error of the pool.
  template <class... Args> [[nodiscard]] handle_type try_allocate_at(std::size_t index, Args&&... args) {
    return identities().template at<false>(index, static_cast<Args&&>(args)...);
  }
  template <class... Args> [[nodiscard]] handle_type try_allocate_at(key_type key, Args&&... args) {
    return identities().template at<false>(key, static_cast<Args&&>(args)...);
  }

  /// Effects: takes a slot, and gives away its key before there is an object: for asynchronous loads, references in
  /// cycles, commands that spawn. The slot counts as allocated. get() and iterations find nothing there.
  /// Returns: the key; Key() if the slot's generations are used up, and the slot is then free again.
  /// Requires: a generation of at most 30 bits, a lock (or one thread): not LockFree.
  /// A pool may end while keys are reserved: they are dropped without a report, since no object is lost.
  /// Throws: as allocate(). Complexity: as allocate(), and one acquisition of the lock.
  template <int = 0> [[nodiscard]] key_type reserve_key() { return identities().template reserve<true>(); }
  /// The same; returns a key that names nothing if the other would throw.
  template <int = 0> [[nodiscard]] key_type try_reserve_key() { return identities().template reserve<false>(); }
  /// Effects: builds the object of a reserved key; get(key) finds it from then on.
  /// Throws: InvalidConfiguration with ErrorCode::slot_taken if the object was built before, with invalid_handle if
  /// this pool did not reserve the key or cancelled it. Anything that T's constructor throws; the key stays reserved.
  /// Complexity: 3 steps. Thread safety: of several calls for one key one succeeds.
  template <class... Args> [[nodiscard]] handle_type build(key_type key, Args&&... args) {
    return identities().template build<true>(key, static_cast<Args&&>(args)...);
  }
  /// The same; returns an empty handle if the other would throw an error of the pool.
  template <class... Args> [[nodiscard]] handle_type try_build(key_type key, Args&&... args) {
    return identities().template build<false>(key, static_cast<Args&&>(args)...);
  }
  /// Effects: frees the slot of a reserved key, which names nothing from then on. Throws: as build().
  template <int = 0> void cancel(key_type key) { (void)identities().template cancel<true>(key); }
  /// The same; returns false if the other would throw.
  template <int = 0> bool try_cancel(key_type key) { return identities().template cancel<false>(key); }

  /// Effects: ends all objects, in address order: keys, on_release(), destructor, as if each had a handle that is
  /// destroyed. Slots are then handed out in the order of a new pool; blocks stay. Recycle resets the objects and keeps
  /// them. Reserved keys are cancelled. Counts as a deallocation of each. Include <fastalloc/pool/clearing.hpp>, or the
  /// umbrella.
  /// Requires: no handle owns an object of the pool; a checks policy reports one that is destroyed later, unless its
  /// slot is in use again. No other thread or process uses the pool meanwhile. Not called by a constructor, destructor,
  /// hook or Recycle function of its own objects. Objects with a SharedHandle or WeakHandle stay, and a checks policy
  /// reports them.
  /// Destructors and hooks may release other objects and allocate, as in for_each(): objects allocated meanwhile end
  /// too, or stay. If some stay, free slots keep the order in which they came back.
  /// Throws: as for_each(), nothing having ended; nothing if objects end without user code and are not counted.
  /// Complexity: objects that end without user code: one step per block; one per 64 slots handed out with
  /// BitmapAllocator, per slot handed out with LockFree, Generations or a checks policy. Others: that of for_each() and
  /// of releasing each.
  template <int = 0> FASTALLOC_ALWAYS_INLINE void clear() noexcept(Objects::clears_at_once) {
    Clearing<Objects>::run(*this);
  }

  // The state of a pool as bytes: include <fastalloc/pool/saved_state.hpp>, or the umbrella.

  /// Bytes that save() writes now: the slots up to the highest that was ever in use, 4 bytes for each with Generations,
  /// 4 for each free one among them (BitmapAllocator: one bit a slot), and a header.
  template <int = 0> [[nodiscard]] std::size_t saved_bytes() const { return saved().bytes(); }
  /// Effects: writes all objects, keys and reserved keys, and the order of free slots. Objects are copied as bytes.
  /// Requires: T is trivially copyable; a pool of one block, without Recycle, Shared, LockFree and thread caches.
  /// Returns: the bytes written. Throws: InvalidConfiguration if the span is too small; nothing is then written.
  /// Complexity: a copy of saved_bytes() bytes, and one step for each free slot (BitmapAllocator: for 64 slots). With
  /// FreeListAllocator that reads the slot. The slots are copied to a multiple of 64 bytes from the span's begin:
  /// fastest if that is aligned to 64 bytes.
  template <int = 0> std::size_t save(std::span<std::byte> out) const { return saved().save(out).value(); }
  template <int = 0> [[nodiscard]] Result<std::size_t> try_save(std::span<std::byte> out) const {
    return saved().save(out);
  }
  /// Effects: makes the pool what it was when it, or one of the same type and configuration in another process or an
  /// earlier run, was saved. Objects keep their slots, so their addresses within one pool; pointers, handles and keys
  /// of objects that were live then are valid afterwards, and what is allocated next gets the same slots and keys as it
  /// did then. No constructor, destructor or hook runs. Bytes behind the saved ones are ignored.
  /// Requires: no handle owns an object that was not live when the pool was saved; release() it before. Objects that
  /// were live then and are not now have no handle: adopt() them. No other thread uses the pool or looks up a key.
  /// Returns: ErrorCode::invalid_data, with the value that is wrong, for data that is cut, damaged, of another version,
  /// byte order, capacity, T or set of policies; the pool is then unchanged. A checksum covers the bookkeeping; any
  /// bytes are an object. It finds accidents, not attacks: load only data from a source that you trust.
  /// Statistics go on: objects that come back count as allocated, those that go as returned.
  /// Complexity: a copy of the data; one step for each free slot, before and after; a checks policy one for each slot.
  template <int = 0> [[nodiscard]] Result<void> load(std::span<std::byte const> data) { return saved().load(data); }
  /// Effects: calls f(key, object) for each live object in address order, f(index, object) in a pool without keys, so
  /// that any serialiser can write any T. As for_each().
  template <class F> void save_with(F&& f) const { saved().visit(f); }
  /// Effects: calls f(build) once. build(key, args...), or build(index, args...), builds an object in that slot, as
  /// allocate_at(), and returns T&; no handle owns it. build.try_build(...) returns null instead of failing.
  /// Requires: what allocate_at() requires; f builds objects by `build` only.
  /// Throws: InvalidConfiguration if the pool is not empty; what allocate_at() and f throw. The objects built by then
  /// are destroyed.
  template <class F> void load_with(F&& f) { saved().build(f); }

  /// Effects: does now what this thread's first allocation would do: opens inline storage; in a ThreadSafePool creates
  /// the thread's cache (if memory allows). Call it before a real-time thread starts, and for pools used by interrupt
  /// handlers. Complexity: 2 steps; with inline storage also the cost of construction: one bit per slot with a checks
  /// policy, one word per slot with LockFree and Generations.
  void warm_up() { this->open_inline(), core_.warm_up(); }

  /// Complexity from here to statistics(): 1 step, statistics() 5. allocated(), available() and functions based on them
  /// take one more per thread cache (ThreadSafePool), or per remote free not yet taken back (ThreadLocalPool).
  [[nodiscard]] std::size_t capacity() const { return core_.capacity(); }
  [[nodiscard]] std::size_t allocated() const { return core_.allocated(); }
  [[nodiscard]] std::size_t available() const { return core_.available(); }
  /// True if every slot is in use; a GrowingPool may still grow.
  [[nodiscard]] bool is_full() const { return core_.available() == 0; }
  /// True if no slot is in use.
  [[nodiscard]] bool is_empty() const { return core_.allocated() == 0; }

  [[nodiscard]] PoolStatistics statistics() const requires has_statistics {
    PoolStatistics result = core_.statistics();
    result.name = name();
    return result;
  }
  /// Effects: sets totals, failures and growth to 0, and the peak to the current usage.
  /// Complexity: at most 8 steps, and one per thread cache. During an iteration every slot allocator takes one step per
  /// slot returned since the iteration began.
  void reset_statistics() requires has_statistics { core_.reset_statistics(); }
  FASTALLOC_NEEDS_STATISTICS(PoolStatistics, statistics() const requires(!has_statistics));
  FASTALLOC_NEEDS_STATISTICS(void, reset_statistics() requires(!has_statistics));

  /// PoolConfig::name, valid while the pool lives; empty if it has none, and in freestanding programs. Complexity:
  /// linear in the named pools of the program.
  [[nodiscard]] std::string_view name() const noexcept { return this->pool_name(); }

  /// Bytes that the pool holds from its storage: slots and metadata, without thread caches. Complexity: as owns(); in
  /// growing pools linear in the blocks.
  [[nodiscard]] std::size_t bytes() const { return core_.bytes(); }

  /// The storage, for its own queries, such as PageStorage::note(). Complexity: 0 steps.
  [[nodiscard]] storage_type const& storage() const noexcept { return core_.storage(); }

  /// Live objects from the heap; 0 without HeapFallback. Complexity: 1 step.
  [[nodiscard]] std::size_t heap_objects() const noexcept {
    if constexpr (Types::P::exhaustion::uses_heap) return this->exhaustion_.count(this->under_lock());
    else return 0;
  }

  /// True if `p`, any pointer, points into one of this pool's slots, used or free. Complexity: 1 step; log2 b + 1 with
  /// b blocks, unless the pool has CompactHandles.
  [[nodiscard]] bool owns(void const* p) const { return core_.owns(p); }

  /// The number of the object's slot: stable while the object lives, unique among live objects, and below
  /// index_bound(). SIZE_MAX for an object from the heap (HeapFallback).
  /// Requires: `handle` is not empty and from this pool. Complexity: as owns().
  template <class O> requires(!std::same_as<O, AnyOwner>)
  [[nodiscard]] std::size_t index_of(Handle<T, O> const& handle) const {
    return index_of(handle.operator->());
  }
  [[nodiscard]] std::size_t index_of(T const* object) const {
    if constexpr (Types::P::exhaustion::uses_heap)
      if (this->is_from_heap(object)) return (std::numeric_limits<std::size_t>::max)();
    return core_.index_of(reinterpret_cast<std::byte const*>(object));
  }
  // index_bound(), find(), live().from(), object_at() of a pool that grows: include <fastalloc/pool/looking.hpp>, or
  // the umbrella. Templates, as what has a header of its own or a requirement: explicit instantiations leave them out.

  /// The length of an array with an element for each index_of(): capacity(), and in a pool from which shrink_to_fit()
  /// took blocks also their indices, below that of the last block that stayed; blocks that are added later come behind.
  /// Growth raises it: resize the array then. Complexity: 1 step; b with b blocks.
  template <int = 0> [[nodiscard]] std::size_t index_bound() const { return Looking<Objects>::bound(*this); }

  /// The inverse of index_of(): the object in slot `index`, whichever process built it.
  /// Requires: the object is live. A checks policy reports an index without one, and returns null.
  /// Returns: null if the pool has no such slot.
  /// Complexity: 1 step, with b blocks at most b; with a checks policy that of owns() more. Thread safety: as get().
  template <int = 0> [[nodiscard]] T* object_at(std::size_t index) noexcept {
    std::byte* const slot = slot_at(index);
    if constexpr (Checks::tracks_slots) {
      if (slot == nullptr) return this->report_no_slot(index, type), nullptr;
      if (!this->verify_live(slot, type)) return nullptr;
    }
    return slot == nullptr ? nullptr : uncovered(slot);
  }
  template <int = 0> [[nodiscard]] T const* object_at(std::size_t index) const noexcept {
    return const_cast<BasicPool&>(*this).object_at(index);
  }

  /// The same, but returns null if the slot is free, without a report. Requires: BitmapAllocator (in a ThreadSafePool
  /// also NoCache), or a checks policy that the pool's type names. Objects under construction are found, and with
  /// BitmapAllocator alone those under destruction, as in for_each().
  /// Complexity: as object_at(), and 1 step for the bit. Thread safety: as get().
  template <class O = Objects> [[nodiscard]] T* find(std::size_t index) noexcept requires Looking<O>::finds {
    return Looking<O>::find(*this, index);
  }
  template <class O = Objects>
  [[nodiscard]] T const* find(std::size_t index) const noexcept requires Looking<O>::finds {
    return Looking<O>::find(*this, index);
  }
  template <class O = Objects>
  FASTALLOC_UNAVAILABLE(
      "fastalloc: find() needs to know which slots are in use; use BitmapAllocator (with NoCache in a "
      "ThreadSafePool), or write FullChecks or DebugChecks after T",
      T*, find(std::size_t) const requires(!Looking<O>::finds));

  /// Returns: a key for the object. Requires: `handle` is not empty and from this pool, and the object is live.
  /// A checks policy reports any other pointer, and any object whose on_release(), destructor or reset is running (its
  /// keys have ended), and returns a key that names nothing. With BasicGenerations<Bits> the result is also Key() once
  /// 2^Bits - 1 objects with keys have lived in the slot.
  /// Complexity: at most 3 steps (index, word of the page, word).
  /// Thread safety: any number of threads that own the object may call it at once.
  template <class O> requires(!std::same_as<O, AnyOwner>)
  [[nodiscard]] key_type key(Handle<T, O> const& handle) const noexcept requires has_keys {
    return key(handle.operator->());
  }
  [[nodiscard]] key_type key(T const* object) const noexcept requires has_keys {
    if constexpr (Checks::tracks_slots)
      if (!this->verify_live(object, type)) return key_type();
    auto const [index, generation] = core_.key_of(reinterpret_cast<std::byte const*>(object));
    return key_type(index, generation);
  }
  /// Returns: the object that `key` was made for; null if it is gone or being destroyed. Keys end before on_release(),
  /// the destructor or Recycle's reset run; a key made by one of these ends after it. Null, too, for a key that this
  /// pool never made: a key of another pool passes with a probability of 1 in 2^Bits - 1; of the k-th pool of the
  /// process before or after this one, not until 2^Bits / 3k objects with keys have lived in the slot.
  /// Complexity: at most 3 steps. Thread safety: takes no lock; threads may look up while others allocate and release.
  /// The caller must ensure that no thread releases this object meanwhile.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* get(key_type key) noexcept requires has_keys { return object_of(key); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T const* get(key_type key) const noexcept requires has_keys {
    return object_of(key);
  }
  /// True if get() would find it.
  [[nodiscard]] bool contains(key_type key) const noexcept requires has_keys { return object_of(key) != nullptr; }
  FASTALLOC_NEEDS_KEYS(Key, key(auto const&) const requires(!has_keys));
  FASTALLOC_NEEDS_KEYS(T*, get(Key) const requires(!has_keys));
  FASTALLOC_NEEDS_KEYS(bool, contains(Key) const requires(!has_keys));

  /// Effects: takes back an object that Handle::release() gave up. Returns: a handle; an empty one for null.
  /// Requires: the object is live and not shared. A checks policy reports any other pointer to the error handler, and
  /// returns an empty handle. Complexity: 0 steps; with a checks policy those of owns() and one for the mark.
  [[nodiscard]] handle_type adopt(T* object) {
    if constexpr (Checks::tracks_slots) {
      if (object != nullptr && !this->is_known(object)) return {};
      if (object != nullptr && is_shared(object)) return this->report_shared(object, type), handle_type{};
    }
    return HandleAccess::make<Owner>(object, derived());
  }

  // Owners of objects that are known by address or key; Shared or AtomicShared. Include <fastalloc/pool/sharing.hpp>,
  // or the umbrella.

  /// Returns: one more owner of an object whose Handle was released, or which has SharedHandles, such as `this` in a
  /// member function; empty for null, and for an object that only WeakHandles keep.
  /// Requires: `object` is live until the call returns, and no Handle owns it. With AtomicShared, too, only one thread
  /// at a time makes the first SharedHandle. A checks policy reports a pointer to no live object; the result is then
  /// empty.
  /// Complexity: 1 step.
  template <int = 0> [[nodiscard]] SharedHandle<T> share(T* object) requires has_counts {
    return sharing().share(object);
  }
  /// The same for get(key); empty when the key is stale.
  template <int = 0> [[nodiscard]] SharedHandle<T> share(key_type key) requires has_counts && has_keys {
    return sharing().share(object_of(key));
  }
  /// Returns: one more owner of the object that `key` was made for; empty when the key is stale, the object is being
  /// destroyed, or a Handle owns it.
  /// Thread safety: with AtomicShared, any threads may call it while others drop the last SharedHandle and allocate
  /// again; not beside shrink_to_fit(). Complexity: at most 8 steps, and 1 for each other thread that counts meanwhile.
  template <int = 0> [[nodiscard]] SharedHandle<T> lock(key_type key) noexcept requires has_counts && has_keys {
    return sharing().lock([&] { return object_of(key); });
  }
  /// Effects: takes back an owner that SharedHandle::release() gave up. Returns: an empty handle for null. A checks
  /// policy reports a pointer to no live object; every pool reports an object without SharedHandles.
  /// Requires: `object` is what release() of a SharedHandle<T> returned. Complexity: 0 steps.
  template <int = 0> [[nodiscard]] SharedHandle<T> adopt_shared(T* object) requires has_counts {
    return sharing().adopt(object);
  }
  /// For intrusive pointers: one more, and one less, SharedHandle. The last one destroys the object, and drop_owner()
  /// then returns true. Requires: the object has SharedHandles. As in:
  ///   void intrusive_ptr_add_ref(T* object) { Pool::add_owner(object); }
  ///   void intrusive_ptr_release(T* object) { Pool::drop_owner(object); }
  template <int = 0> static void add_owner(T* p) noexcept requires has_counts { Sharing<Objects>::add(p); }
  template <int = 0> static bool drop_owner(T* p) noexcept requires has_counts { return Sharing<Objects>::drop(p); }
  FASTALLOC_NEEDS_SHARING(SharedHandle<T>, share(auto const&) requires(!has_counts));
  FASTALLOC_NEEDS_SHARING(SharedHandle<T>, lock(auto const&) requires(!has_counts));
  FASTALLOC_NEEDS_SHARING(SharedHandle<T>, adopt_shared(T*) requires(!has_counts));
  FASTALLOC_NEEDS_KEYS(SharedHandle<T>, share(Key) requires(has_counts && !has_keys));
  FASTALLOC_NEEDS_KEYS(SharedHandle<T>, lock(Key) requires(has_counts && !has_keys));

  /// Effects: calls f(T&) for the live objects in address order. f may release any of them, and allocate. Objects
  /// released meanwhile are skipped; objects allocated meanwhile may or may not be visited. BitmapAllocator visits
  /// those after the current one, so an f that allocates at each call runs until the pool is full. Objects under
  /// construction or destruction are visited, too: in calls from constructors, hooks and Recycle's functions (of a
  /// batch: all of it), and, in pools that threads share, those of other threads (of a batch being freed: all of it).
  /// In memory that processes share, with a checks policy, only those under construction.
  /// Throws: AllocationFailed if there is no memory for the snapshot; anything that f throws.
  /// Complexity: with BitmapAllocator linear in the live objects and in 1/64 of the slots that were handed out. Slot
  /// allocators without occupancy take a snapshot, one bit per slot on the heap (with -ffreestanding: on the stack, for
  /// up to 1024 slots in one block): one step per returned slot (FreeListAllocator reads the slot), and log2 b with b
  /// blocks. Allocators without MarksReturns look at all returned slots for each object.
  template <class F> void for_each(F&& f) {
    auto const visit = [&](std::byte* slot) {
      void(f(*uncovered(slot)));  // void(): the result of f may overload an operator
      return true;
    };
    std::size_t const missing = core_.visit(typename Objects::Holds{*this}, visit);
    if (missing == 0) return;
    Error error = core_.describe(
        ErrorCode::allocation_failed,
        "no memory for the snapshot that for_each needs; use BitmapAllocator, which needs none", missing);
    error.unit = "bytes";
    this->fail_as(error, type);
  }

  /// The same in a const pool: f(T const&). It changes nothing that can be seen; thread safety: as above.
  template <class F> void for_each(F&& f) const {
    const_cast<BasicPool&>(*this).for_each([&](T& object) { void(f(static_cast<T const&>(object))); });
  }

  /// The live objects as a forward range in address order, as for_each() visits them; T const& if the pool is const.
  /// live().from(index) begins at the slot of that index, or the next live object: it.index() of an iterator says where
  /// a later loop goes on (LiveRange::from has an example).
  /// Needs BitmapAllocator and no lock. The loop body may release any object, allocate, and grow or shrink the pool, as
  /// in for_each(). An iterator may be dereferenced while its object is live, and always incremented: if its object
  /// or, after shrink_to_fit(), its block is gone, it moves to the next live object.
  /// Complexity: ++ a few steps; a loop is linear in the live objects and in 1/64 of the slots that were handed out.
  /// Thread safety: one thread at a time, also for const pools.
  [[nodiscard]] auto live() noexcept requires has_live { return LiveRange<Objects, T>(*this); }
  [[nodiscard]] auto live() const noexcept requires has_live {
    // A pool defined const never handed anything out, so an iterator changes nothing in it.
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
  FASTALLOC_UNAVAILABLE("fastalloc: only ThreadSafePool tells of free slots; use it, or ask again with try_allocate()",
                        void, on_available(auto const&));
  FASTALLOC_UNAVAILABLE("fastalloc: only ThreadSafePool tells of free slots; use it, or ask again with try_allocate()",
                        void, async_allocate(auto&&...));
  FASTALLOC_UNAVAILABLE("fastalloc: trim() empties the caches of threads, which a ThreadSafePool has; leave "
                        "the call out (shrink_to_fit() of a GrowingPool gives memory back)",
                        void, trim());
  /// Effects: gives the whole pages between live objects, and those of untouched slots, back to the system; addresses,
  /// objects, keys and capacity stay. Include <fastalloc/pool/purge.hpp>, or the umbrella.
  /// Returns: the bytes of pages that were in memory; 0 where the system has no such call (it needs Linux), for
  /// InlineStorage and ExternalStorage, for locked pages, and without memory for a snapshot as for_each() needs it.
  /// FreeListAllocator, FullChecks, Recycle and Generations in a growing pool keep something in free slots: only pages
  /// that no slot was handed out from are given back.
  /// Complexity: that of for_each(), and 2 system calls for each gap, under the pool's lock: not from a real-time
  /// thread.
  template <int = 0> std::size_t purge() noexcept requires(!Types::P::lock_free) {
    return Purging<typename Types::core>::run(core_);
  }
  FASTALLOC_UNAVAILABLE("fastalloc: with LockFree other threads take slots at any time, so their pages cannot be given "
                        "back; use AdaptiveLock",
                        std::size_t, purge() requires(Types::P::lock_free));

  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows; use GrowingPool, or ThreadSafePool with HeapStorage and "
                        "a lock, or give the whole capacity to the constructor",
                        void, reserve(std::size_t) requires(!Types::may_grow));
  FASTALLOC_UNAVAILABLE("fastalloc: this pool never grows, so there is nothing to give back; use GrowingPool, or "
                        "ThreadSafePool with HeapStorage and a lock",
                        std::size_t, shrink_to_fit() requires(!Types::may_grow));

  /// Bytes that ExternalStorage needs for exactly `slot_count` slots, with PoolConfig::alignment if set. Align the
  /// start to the greater of that and required_alignment(). Returns: SIZE_MAX if the product overflows.
  [[nodiscard]] static constexpr std::size_t required_bytes(std::size_t slot_count, std::size_t alignment = 0) noexcept
      requires(!Growing || is_external) {
    std::size_t const stride = Types::layout::stride(type.size, type.align, alignment);
    if constexpr (Growing) return SegmentStore<typename Types::core::Supply::Store>::span_bytes(slot_count, stride);
    auto const plan = Types::layout::block(slot_count, stride, alignment);
    return plan.valid ? plan.bytes : (std::numeric_limits<std::size_t>::max)();
  }
  [[nodiscard]] static constexpr std::size_t required_alignment() noexcept {
    return greater(Types::layout::block_alignment, type.align);
  }

  /// Effects: replaces the pool's function pointers by those of the calling library. For a pool in memory that outlives
  /// a library (hot reload): type-erased handles, thread exits and forks use these functions.
  /// Requires: both libraries were compiled from the same sources of fastalloc and T, with the same settings; no other
  /// thread uses the pool meanwhile; a pool that threads share was made by a library that is still loaded, or shares
  /// its symbols with the program. Complexity: constant.
  void rebind() noexcept { this->set_release(type.release), core_.rebind(); }

  /// For tests: true if the pool's bookkeeping is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() { return core_.check_invariants(); }

 protected:
  static constexpr bool may_grow = Types::may_grow;
  using objects = Objects;
  using exhaustion_type = typename Types::P::exhaustion;

  /// Effects: returns every block without live objects to the storage. Returns: the bytes released.
  std::size_t release_free_blocks() noexcept requires Growing {
    return core_.release_free_blocks(true, [&]([[maybe_unused]] GrowingBlock const& block) {
      if constexpr (Lifetime::keeps_objects) destroy_objects(block);
    });
  }

  /// Returns: an object in a slot that was returned while `wait(waiter)` waited; empty if none was.
  template <class Expired, class Wait, class... Args>
  handle_type allocate_waiting(Expired&& expired, Wait&& wait, Args&&... args) {
    static_assert(Objects::template ArgumentCheck<Args...>::done);
    Error error;
    Taken taken = core_.pop();
    if (taken.slot == nullptr) {
      [[maybe_unused]] auto const told = this->tracing();
      this->open_inline();
      taken = core_.pop_slow(&error, false);
    }
    if (taken.slot == nullptr) {
      // Only now, since the clock may throw: the central list has the slots left in this cache when other threads
      // closed it.
      if (expired()) {
        [[maybe_unused]] auto const told = this->tracing();
        return core_.note_failure(), handle_type();
      }
      {
        [[maybe_unused]] auto const waiting = this->tracing_wait(taken);
        taken = core_.wait_for_slot(wait, [&](Taken unused) { this->unbuild(unused, false, false); }, error);
      }
      if (taken.slot == nullptr) return {};
    }
    return build(taken, static_cast<Args&&>(args)...);
  }
  void trim_caches() noexcept { core_.trim(); }
  [[nodiscard]] auto& lock_of_blocks() noexcept { return core_.lock_of_blocks(); }

  void reserve_slots(std::size_t slot_count) requires Growing {
    [[maybe_unused]] auto const told = this->tracing();
    Objects::reserve_slots(slot_count, type);
  }

 private:
  template <class U, class O, class Slots> friend class detail::OwnedSlots;

  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE Batches<Objects> many() noexcept {
    return Batches<Objects>(*this);
  }
  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE Sharing<Objects> sharing() noexcept {
    return Sharing<Objects>(*this);
  }
  template <int = 0> [[nodiscard]] SavedState<Objects> saved() const noexcept {
    return SavedState<Objects>(const_cast<BasicPool&>(*this));
  }
  template <int = 0> [[nodiscard]] Identities<Objects> identities() noexcept { return Identities<Objects>(*this); }
  template <int = 0> [[nodiscard]] std::byte* slot_at(std::size_t index) const noexcept {
    if constexpr (Growing) return Looking<Objects>::slot_at(*this, index);
    else return core_.slot_at(index);
  }
  /// For handles that own many slots; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void release_all(At at, std::size_t n) noexcept {
    many().release_all(at, n);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* object_of(key_type key) const noexcept {
    std::byte* const slot = core_.find_key(key.index(), key.generation());
    return slot == nullptr ? nullptr : uncovered(slot);
  }
  /// The object in a slot that another process may have taken: AddressSanitizer sees only this process's accesses.
  FASTALLOC_ALWAYS_INLINE static T* uncovered(std::byte* slot) noexcept {
    if constexpr (Types::spans_processes) unpoison(slot, sizeof(T));
    return object_in(slot);
  }

  FASTALLOC_NO_UNIQUE_ADDRESS typename Types::P::registration::template entry<BasicPool> entry_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_NEEDS_STATISTICS
#undef FASTALLOC_NEEDS_KEYS
#undef FASTALLOC_NEEDS_SHARING
