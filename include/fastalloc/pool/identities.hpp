// SPDX-License-Identifier: MIT OR Apache-2.0
// Identities: objects in slots that the caller names, and keys that are given away before their objects exist.
// BasicPool declares and documents the functions.
//
//   allocate_at(index)   the slot must be free                 bitmap: one bit is looked at and cleared
//   allocate_at(key)     the same; the slot's word := the key's generation
//   reserve_key()        word := generation | reserved         the slot counts as allocated and holds no object
//   build(key)           word := generation, then keyed        after an exception: reserved again
//   cancel(key)          word := the next generation           the slot is free
//
// Words change under the lock, so one of several callers gets a reservation.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class Derived, class T, class Kind, class... Ps> class Identities<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Owner = typename Pool::Owner;
  using Keys = typename KeysOf<typename Pool::Types::P::keys>::type;
  using Words = GenerationTable<typename Pool::Core::shape_type>;
  using handle_type = Handle<T, Owner>;
  static constexpr bool tracks_slots = Pool::Checks::tracks_slots;
  static_assert(!Kind::local,
                "fastalloc: an index or a key names a slot of one pool, and a ThreadLocalPool has one for "
                "each thread; use ThreadSafePool");

 public:
  explicit Identities(Pool& pool) noexcept : pool_(pool) {}

  template <bool throws, class... Args> [[nodiscard]] handle_type at(std::size_t index, Args&&... args) {
    check_bitmap();
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    Error error;
    Taken const taken = pop(index, error);
    if (taken.slot == nullptr) return refuse<throws>(error), handle_type();
    return pool_.build(taken, static_cast<Args&&>(args)...);
  }

  template <bool throws, class... Args> [[nodiscard]] handle_type at(Keys key, Args&&... args) {
    if constexpr (check_keys()) return at_keyed<throws>(key, static_cast<Args&&>(args)...);
    else return {};
  }
  template <bool throws> [[nodiscard]] Keys reserve() {
    if constexpr (check_keys()) return reserve_keyed<throws>();
    else return {};
  }
  template <bool throws, class... Args> [[nodiscard]] handle_type build(Keys key, Args&&... args) {
    if constexpr (check_keys()) return build_keyed<throws>(key, static_cast<Args&&>(args)...);
    else return {};
  }
  template <bool throws> bool cancel(Keys key) {
    if constexpr (check_keys()) return cancel_keyed<throws>(key);
    else return false;
  }

 private:
  template <bool throws, class... Args> [[nodiscard]] handle_type at_keyed(Keys key, Args&&... args) {
    check_bitmap();
    static_assert(!Pool::Growing,
                  "fastalloc: in a pool that grows the index in a key is not that of a slot; use FixedPool with "
                  "allocate_at(key, ...), without CompactHandles, or allocate_at(index, ...)");
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    Error error;
    Taken const taken = pop(key, error);
    if (taken.slot == nullptr) return refuse<throws>(error), handle_type();

    GenerationWord& word = pool_.core_.word_of(taken.slot);
    auto const place = [&](std::size_t) { return taken.slot; };
    Building<Pool, decltype(place)> building{pool_, place, 1, taken.untouched ? std::size_t{0} : std::size_t{1}};
    struct Renamed {  // ends before `building`: a slot that goes back has its own generation
      GenerationWord& word;
      GenerationWord before;
      bool done = false;
      ~Renamed() {
        if (!done) Words::change(word, before);
      }
    } renamed{word, word};
    Words::change(word, key.generation());
    T* const object = pool_.construct(taken, static_cast<Args&&>(args)...);
    building.built = 1;
    call_on_acquire(*object);
    building.next = 1;
    renamed.done = true;
    Words::change(word, key.generation() | 1);
    return HandleAccess::make<Owner>(object, pool_.derived());
  }

  template <bool throws> [[nodiscard]] Keys reserve_keyed() {
    check_reserving();
    Taken taken = pool_.core_.pop();
    if (taken.slot == nullptr) {
      taken = pool_.template slow_pop<throws>();
      if (taken.slot == nullptr) return {};
    }
    auto& core = pool_.core_;
    begin(taken);
    Keys const key = reserve(taken.slot);
    if (!key) return core.withdraw({taken.slot, false}), key;
    core.scrub(taken.slot);
    return key;
  }

  template <bool throws, class... Args> [[nodiscard]] handle_type build_keyed(Keys key, Args&&... args) {
    check_reserving();
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    auto& core = pool_.core_;
    GenerationWord const generation = key.generation();
    std::byte* const slot = unreserve(key);
    if (slot == nullptr) return refuse<throws>(not_reserved(key)), handle_type();
    core.prepare({slot, false});
    struct Undo {
      Identities& self;
      std::byte* slot;
      GenerationWord generation;
      bool built = false;
      bool done = false;
      ~Undo() {
        if (!done) self.unbuild(slot, generation, built);
      }
    } undo{*this, slot, generation};
    T* const object = pool_.construct(Taken{slot, false}, static_cast<Args&&>(args)...);
    undo.built = true;
    call_on_acquire(*object);
    undo.done = true;
    Words::change(core.word_of(slot), generation | 1);
    return HandleAccess::make<Owner>(object, pool_.derived());
  }

  template <bool throws> bool cancel_keyed(Keys key) {
    check_reserving();
    bool const done = withdraw(key);
    if (!done) refuse<throws>(not_reserved(key));
    return done;
  }

  static constexpr void check_bitmap() noexcept {
    static_assert(TakesRuns<typename Pool::Supply::Slots>,
                  "fastalloc: allocate_at() asks a bitmap whether the slot is free; write BitmapAllocator after T, as "
                  "in FixedPool<T, BitmapAllocator>");
  }
  static constexpr bool check_keys() noexcept {
    static_assert(Pool::Core::shape_type::keyed,
                  "fastalloc: this pool has no keys; write the policy Generations after T, as in FixedPool<T, "
                  "Generations>");
    return Pool::Core::shape_type::keyed;
  }
  static constexpr void check_reserving() noexcept {
    static_assert(!LockFreePolicy<typename Pool::Types::P::lock>,
                  "fastalloc: keys are reserved under a lock, and LockFree has none; use AdaptiveLock");
    static_assert(Words::can_reserve,
                  "fastalloc: a generation of 31 bits leaves none that marks a reserved slot; write "
                  "Generations, or BasicGenerations<30>");
  }
  template <bool throws> void refuse([[maybe_unused]] Error error) {
    if constexpr (throws) pool_.fail_typed(error);
  }
  [[nodiscard]] auto& words() noexcept { return pool_.core_.supply_.blocks().keys(); }

  /// Returns: the slot, taken; null, with the error, if it is not free.
  FASTALLOC_NOINLINE Taken pop(std::size_t index, Error& error) {
    pool_.open_inline();
    Taken const taken = pop_here(index, error);
    if (taken.slot != nullptr) pool_.core_.prepare(taken);
    return taken;
  }
  Taken pop_here(std::size_t index, Error& error) {
    auto& core = pool_.core_;
    [[maybe_unused]] auto const guard = core.inside();
    core.collect();
    if constexpr (!std::same_as<typename Pool::Core::Caches, NoCaches>) core.note_peak();
    auto& blocks = core.supply_.blocks();
    std::size_t bound = 0;
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      auto& block = blocks[b];
      bound = greater(bound, block.first + block.slot_count);
      std::size_t const place = index - block.first;
      if (place >= block.slot_count) continue;
      Taken const found = take_at(block, place);
      if (found.slot == nullptr) return error = taken_error(block.data + place * core.stride(), index), found;
      core.note_taken(found.slot);
      return found;
    }
    error = core.describe_here(ErrorCode::invalid_handle,
                               "the pool has no slot of the requested index; name one below the limit, or reserve() "
                               "more slots of a GrowingPool first",
                               index);
    error.unit = "(index)";
    error.limit = bound;
    return {nullptr, false};
  }
  /// Takes the slot at a place of a block. Returns: null if it is in use. Untouched slots before it become returned
  /// ones.
  Taken take_at(BlockOf<Pool::Growing>& block, std::size_t place) noexcept {
    auto& supply = pool_.core_.supply_;
    supply.sync_bump_pointer();
    supply.settle();
    std::size_t const stride = pool_.core_.stride();
    std::byte* const slot = block.data + place * stride;
    if (place < block.high_water) {
      std::size_t const free = supply.slots_.free_bits(block.word + place / word_bits, supply.blocks());
      if ((free >> place % word_bits & 1) == 0) return {nullptr, false};
      supply.slots_.pop_run(place, 1, block);
      return {slot, false};
    }
    std::byte* next = block.data + block.high_water * stride;
    supply.hand_out(block, place + 1 - block.high_water);
    for (; next != slot; next += stride) {
      Pool::Core::Bytes::prepare({next, true}, stride);
      begin({next, true});
      pool_.core_.scrub(next);
      supply.push(next);
    }
    return {slot, true};
  }
  Taken pop(Keys key, Error& error) {
    if (Words::is_generation(key.generation())) return pop(std::size_t{key.index()}, error);
    error = nothing_named(key);
    return {nullptr, false};
  }

  /// The slot of a reserved key; null if it is not reserved. Requires: the lock.
  [[nodiscard]] std::byte* reserved_slot(Keys key) noexcept {
    if (!Words::is_generation(key.generation())) return nullptr;
    return words().template find<true>(key.index(), key.generation() | Words::reserved, pool_.core_.supply_.blocks());
  }
  /// Returns: a key for the slot, which is reserved for it; no key if the slot has none left.
  [[nodiscard]] Keys reserve(std::byte* slot) {
    auto& core = pool_.core_;
    [[maybe_unused]] auto const guard = core.inside();
    std::size_t const index = words().index(slot, core.supply_.blocks());
    auto const generation = words().reserve_word(words().word_at(index));
    return generation == 0 ? Keys() : Keys(static_cast<std::uint32_t>(index), generation);
  }
  /// Returns: the slot of a reserved key, which is that of an object from now on; null if it is not reserved.
  [[nodiscard]] std::byte* unreserve(Keys key) {
    auto& core = pool_.core_;
    [[maybe_unused]] auto const guard = core.inside();
    std::byte* const slot = reserved_slot(key);
    if (slot != nullptr) words().unreserve_word(core.word_of(slot), key.generation());
    return slot;
  }
  /// Effects: frees the slot of a reserved key. Returns: false if it is not reserved.
  bool withdraw(Keys key) {
    auto& core = pool_.core_;
    [[maybe_unused]] auto const guard = core.inside();
    std::byte* const slot = reserved_slot(key);
    if (slot == nullptr) return false;
    words().unreserve_word(core.word_of(slot), words().after(key.generation()));
    if constexpr (tracks_slots) core.flip_mark(slot);
    core.stats_.withdrawn();
    core.note_peak();
    core.supply_.push_unused({slot, false});
    if (core.waiters_.any()) core.serve_all();
    return true;
  }
  /// Recycle: a slot that acquire() never saw holds no object.
  void begin([[maybe_unused]] Taken taken) noexcept {
    if constexpr (Pool::Lifetime::keeps_objects)
      if (taken.untouched) pool_.lifetime_.template begin<T>(taken.slot);
  }
  /// A constructor threw: the key is reserved again.
  FASTALLOC_COLD void unbuild(std::byte* slot, GenerationWord generation, bool built) noexcept {
    auto& core = pool_.core_;
    GenerationWord& word = core.word_of(slot);
    Words::change(word, generation);  // the constructor may have made a key
    if (built) pool_.lifetime_.template release<T>(slot), pool_.trace_end(slot);
    Words::change(word, generation);
    core.scrub(slot);
    [[maybe_unused]] auto const guard = core.inside();
    (void)words().reserve_word(word);
  }

  [[nodiscard]] FASTALLOC_COLD Error taken_error(std::byte* slot, std::size_t index) {
    Error error = pool_.core_.describe_here(
        ErrorCode::slot_taken, pool_.core_.is_reserved(slot)
                                   ? "the slot is reserved for a key; build() or cancel() that key first"
                                   : "an object lives in the slot; release it first, or name another slot");
    error.address = slot;
    error.indices[error.index_count++] = index;
    return error;
  }
  [[nodiscard]] FASTALLOC_COLD static Error nothing_named(Keys key) {
    return {.code = ErrorCode::invalid_handle,
            .requested = key.generation(),
            .text = "the key names nothing: pools make no key of this generation; pass one that key() or reserve_key() "
                    "returned",
            .unit = "(generation)",
            .indices = {key.index()},
            .index_count = 1};
  }
  [[nodiscard]] FASTALLOC_COLD Error not_reserved(Keys key) {
    if (!Words::is_generation(key.generation())) return nothing_named(key);
    std::byte* const slot = pool_.core_.find_key(key.index(), key.generation());
    Error error = pool_.core_.describe(
        slot != nullptr ? ErrorCode::slot_taken : ErrorCode::invalid_handle,
        slot != nullptr ? "the key's object was built before; build() it once, and find it by get()"
                        : "the key is not reserved in this pool: another pool made it, it was cancelled, or its object "
                          "is gone; pass a key that reserve_key() of this pool returned",
        key.generation());
    error.unit = "(generation)";
    error.address = slot;
    error.indices[error.index_count++] = key.index();
    return error;
  }

  Pool& pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
