// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolCore: the path of one slot to its user and back, through caches, checks, counts and keys; CentralList, its base,
// has what concerns the pool as a whole. Does not depend on T.
//
// The lock: as in CentralList. In pools with thread caches pop() and push() use the caches first, without the lock.
#pragma once

#include <fastalloc/pool/central_list.hpp>
#include <fastalloc/pool/live_cursor.hpp>
#include <fastalloc/pool/slot_guard.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Choices: a CoreChoices.
template <class Choices> class PoolCore : public CentralList<Choices> {
  using Central = CentralList<Choices>;
  using Shape = typename Choices::shape;
  using Lock = typename Choices::lock;
  using Stats = typename Choices::stats;
  using Checks = typename Choices::checks;
  using Caches = typename Choices::caches;
  using Waiters = typename Choices::waiters;
  using Bytes = SlotGuard<Choices>;
  template <class> friend class Purging;
  template <class> friend class SlotRequests;
  using Central::caches_, Central::lock_, Central::lock_free, Central::stats_, Central::supply_, Central::waiters_;
  using Central::collect, Central::describe_here, Central::try_to_grow, Central::mark_taken, Central::note_peak,
      Central::note_taken, Central::serve, Central::serve_all;

 public:
  using shape_type = Shape;
  using checks_policy = Checks;
  static constexpr std::size_t inline_slots = Choices::inline_slots;
  /// One thread and one block.
  static constexpr bool alone = !Shape::growing && std::same_as<Lock, NoLock> && std::same_as<Caches, NoCaches>;
  /// True if a full pool can only fail: no growth, no caches, no waiting.
  static constexpr bool stays_full = !Shape::growing && !Caches::enabled && !Waiters::enabled;
  using Supply = typename Central::Supply;
  using Central::inside, Central::inside_blocks, Central::inside_to_pop, Central::inside_slow, Central::stride;

  constexpr PoolCore() noexcept = default;
  /// `storage`: a StorageState, or Nothing for a default constructed one.
  template <class S> explicit constexpr PoolCore(S storage) : Central(std::move(storage)) {}

  /// The fast path. Returns: a slot, or null if none is at hand; call pop_slow() then.
  FASTALLOC_HOT Taken pop() {
    Taken taken{nullptr, false};
    if constexpr (Caches::enabled) {
      if (auto* const cache = caches_.mine()) [[likely]]
        taken.slot = cache->template pop<Stats::enabled>();
      if constexpr (Checks::tracks_slots)
        while (taken.slot != nullptr && !marks_taken(taken.slot))
          taken.slot = caches_.mine()->template pop<Stats::enabled>();
    } else if constexpr (std::same_as<Lock, NoLock>) {
      taken = supply_.pop();
      if constexpr (Central::notes_taken)
        if (taken.slot != nullptr) [[likely]]
          note_taken(taken.slot);
    } else {
      auto const guard = inside_to_pop();
      taken = supply_.pop();
      if constexpr (Central::notes_taken)
        if (taken.slot != nullptr) [[likely]]
          note_taken(taken.slot);
    }
    if constexpr (prepares)
      if (taken.slot != nullptr) [[likely]]
        prepare(taken);
    return taken;
  }

  /// pop_slow() without an Error, so no strings are linked.
  FASTALLOC_ALWAYS_INLINE Taken pop_quietly() requires(stays_full) {
    Taken taken;
    if constexpr (alone) {  // since pop(), only a newly opened block can have slots
      taken = supply_.pop_untouched();
      if (taken.slot != nullptr) note_taken(taken.slot);
    } else {
      taken = pop_from_central();
    }
    if (taken.slot != nullptr) prepare(taken);
    else note_failure();
    return taken;
  }

  /// The slow path: also grows, or empties the caches of other threads. On failure `slot` is null, and `error`, if not
  /// null, holds the reason.
  FASTALLOC_COLD Taken pop_slow(Error* error, bool count_failure = true) {
    if constexpr (alone) {
      Taken const taken = pop_quietly();
      if (taken.slot == nullptr && error != nullptr) try_to_grow(1, error);
      return taken;
    }
    for (;;) {
      if (Taken const taken = pop_from_central(); taken.slot != nullptr) return prepare(taken), taken;
      if (try_to_grow(1, error)) continue;
      if (count_failure) note_failure();
      this->report_damage(nullptr);  // of any slot
      return {nullptr, false};
    }
  }

  void note_failure() {
    if constexpr (!std::same_as<Stats, NoStats>) {
      [[maybe_unused]] auto const guard = inside();
      stats_.failed();
    }
  }
  /// A wait without a slot is a failure, of which a trace hears as a wait.
  void note_end_of_wait() noexcept {
    if constexpr (requires { stats_.timed_out(); }) stats_.timed_out();
    else stats_.failed();
  }
  /// For traces: what was counted, and not told yet.
  auto take_untold() noexcept { return stats_.take_untold(); }
  /// As pop_slow(), but waits until `wait(waiter)` returns or throws, or another thread hands over a slot. After an
  /// exception (from a clock, or a thread cancellation) the thread has left the queue, and `undo(taken)` has returned
  /// the slot, if it got one.
  template <class Wait, class Undo>
  Taken wait_for_slot(Wait&& wait, Undo&& undo, Error& error) requires Waiters::enabled {
    struct Queued {
      PoolCore& core;
      Undo& undo;
      typename Waiters::Waiter waiter{};
      bool done = false;
      bool is_queued = false;

      Queued(PoolCore& c, Undo& u) : core(c), undo(u) {
        auto const guard = core.inside_slow();
        core.caches_.close(core.supply_);
        core.waiters_.push(waiter);
        core.serve();
        is_queued = waiter.is_queued;
      }
      ~Queued() {
        if (done) return;
        leave(nullptr);
        if (waiter.taken.slot != nullptr) core.prepare(waiter.taken), undo(waiter.taken);
      }
      /// After this lock is released a pool under destruction may be gone, unless the waiter got a slot.
      void leave(Error* error) noexcept {
        done = true;
        bool was_served = false;
        {
          auto const guard = core.inside_slow();
          core.caches_.reopen(core.supply_);
          if (error != nullptr && waiter.taken.slot == nullptr)
            core.note_end_of_wait(),
                *error = core.describe_here(ErrorCode::pool_exhausted, "no slot came back in time");
          was_served = core.waiters_.leave(waiter);
        }
        if (was_served) waiter.wait_until_served();
      }
    } queued(*this, undo);
    // The pool may have shrunk since it could not grow; the new block serves the queue.
    if constexpr (Shape::growing)
      if (queued.is_queued) try_to_grow(1, nullptr);
    wait(queued.waiter);
    queued.leave(&error);
    Taken const taken = queued.waiter.taken;
    if (taken.slot != nullptr) prepare(taken);
    return taken;
  }

  /// Takes n slots in one step; those from `out[untouched]` on are untouched. Returns: false, with the error, if there
  /// are fewer. `count` is then 0, except with LockFree, where other threads may interfere half-way, and after slots
  /// were lost: the caller must withdraw those `count` slots.
  FASTALLOC_NOINLINE bool pop_all(std::byte** out, std::size_t n, std::size_t& count, std::size_t& untouched,
                                  Error& error) {
    for (;;) {
      {
        [[maybe_unused]] auto const guard = inside();
        supply_.check_links(n);
        if (supply_.at_hand() < n) collect();
        count = supply_.at_hand() < n ? 0 : pop_here(out, n, untouched);
      }
      prepare_all(out, count, untouched);
      if (count == n) return true;
      if (try_to_grow(n, &error)) {
        if (count == 0) continue;
        if constexpr (Central::may_meet_used) error = this->describe(ErrorCode::pool_exhausted, free_slots_lost, n);
      }
      note_failure();
      return false;
    }
  }
  /// Takes n adjacent slots. Returns: null, with the error, if there are none.
  FASTALLOC_COLD auto pop_run(std::size_t n, Error& error) {
    for (;;) {
      auto const run = pop_run_here(n);
      if (run.data != nullptr) {
        for (std::size_t i = 0; i != n; ++i) prepare({run.data + i * stride(), i >= n - run.untouched});
        return run;
      }
      if (try_to_grow(n, &error, true)) continue;
      note_failure();
      return run;
    }
  }
  /// Effects: makes n slots available, unless another thread takes them. Returns: false, with the error, on failure.
  FASTALLOC_ALWAYS_INLINE bool bring_to_hand(std::size_t n, Error& error) {
    for (;;) {
      {
        [[maybe_unused]] auto const guard = inside();
        if (this->gathers(n)) [[likely]]
          return true;
      }
      if (!try_to_grow(n, &error)) return note_failure(), false;
    }
  }
  /// Takes up to n slots, as pop_all() does. For single-threaded pools.
  FASTALLOC_ALWAYS_INLINE std::size_t pop_many(std::byte** out, std::size_t n, std::size_t& untouched) {
    std::size_t const count = pop_here(out, n, untouched);
    prepare_all(out, count, untouched);
    return count;
  }

  /// Calls f under the lock that every thread takes, with LockFree that of the slow path.
  template <class F> decltype(auto) locked_for_all(F&& f) const {
    [[maybe_unused]] auto const guard = inside_slow();
    return f();
  }

  /// Effects: in pools with caches, creates this thread's cache and allocates its maximum size.
  void warm_up() {
    [[maybe_unused]] auto* const cache = caches_.attach(0);
    if constexpr (Caches::enabled) {
      if (cache == nullptr) return;
      typename Caches::Room room;
      caches_.all_room(*cache, room);
      [[maybe_unused]] auto const guard = inside();
      caches_.use_room(*cache, room, supply_);
    }
  }

  /// Effects: directs thread and fork events to the calling library's functions.
  void rebind() noexcept { caches_.rebind(static_cast<Central*>(this)); }

  /// Makes the bytes of a slot without an object unusable.
  FASTALLOC_ALWAYS_INLINE void scrub(std::byte* slot) const noexcept { Bytes::scrub(slot, stride()); }

  /// Takes back a slot. Requires: claim() marked it, if the checks policy tracks slots.
  FASTALLOC_HOT void push(std::byte* slot) noexcept {
    if constexpr (Bytes::scrubs) scrub_last(slot);
    if constexpr (Caches::enabled) {
      auto* const cache = caches_.mine();
      if (cache == nullptr) [[unlikely]]
        return push_slow(slot);
      if (!cache->push(slot)) [[unlikely]]
        spill(*cache);
    } else if constexpr (std::same_as<Lock, NoLock>) {
      supply_.push(slot);
    } else {
      auto const guard = inside();
      supply_.push(slot);
      if constexpr (Waiters::enabled)
        if (waiters_.any()) [[unlikely]]
          serve_all();
    }
  }

  /// Takes back n slots in one step; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void push_many(At&& at, std::size_t n) noexcept {
    if constexpr (Bytes::scrubs)
      for (std::size_t i = 0; i != n; ++i) scrub_last(at(i));
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Caches::enabled) note_peak();
    supply_.push_many(at, n);
    if (waiters_.any()) [[unlikely]]
      serve_all();
  }

  /// push() on a thread that does not own this sub-pool.
  void push_remote(std::byte* slot) noexcept {
    scrub_last(slot);
    caches_.push(slot);
  }

  /// Takes back a slot without ever having built an object in it.
  FASTALLOC_COLD void withdraw(Taken taken) noexcept {
    end_keys(taken.slot);
    scrub(taken.slot);
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Checks::tracks_slots) this->flip_mark(taken.slot);
    stats_.withdrawn();
    note_peak();
    supply_.push_unused(taken);
    if (waiters_.any()) serve_all();
  }

  /// Calls f once for every slot of a new pool. If f throws, calls `undo` for the slots that f had.
  template <class F, class Undo> void for_each_new(F&& f, Undo&& undo) {
    struct Return {
      PoolCore& core;
      Undo& undo;
      bool done = false;
      ~Return() {
        core.for_each_block([&](BlockOf<Shape::growing> const& block) {
          for (std::byte* slot = block.data + block.high_water * core.stride(); slot != block.data;) {
            slot -= core.stride();
            if (!done) undo(slot);
            if constexpr (Shape::poisons) poison(slot, Bytes::bytes_of(Shape::payload, core.stride()));
            core.supply_.push(slot);
          }
        });
        core.supply_.reset_peak();
      }
    } guard{*this, undo};
    for (Taken taken; (taken = supply_.pop_one()).slot != nullptr;) {
      unpoison(taken.slot, Bytes::bytes_of(Shape::size, stride()));
      f(taken.slot);
    }
    guard.done = true;
  }

  /// Returns: true if `p` is the start of a slot in use; the slot then counts as returned.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool claim(void const* p) noexcept {
    [[maybe_unused]] auto const guard = inside_blocks();
    if constexpr (lock_free)  // another thread may be publishing the block's address right now
      if (supply_.total() == 0) return false;
    return Bytes::claim(supply_.blocks(), p);
  }
  /// Returns: true if `p` is the start of a slot in use. If not, or if claim() refused it, sets the error.
  [[nodiscard]] bool check_in_use(void const* p, Error& error, bool refused = false) const noexcept {
    [[maybe_unused]] auto const guard = inside_blocks();
    if constexpr (lock_free)  // as above
      if (supply_.total() == 0) return Bytes::find(Blocks<false>(), p, refused, error);
    if (Bytes::find(supply_.blocks(), p, refused, error)) {
      if (!is_reserved(static_cast<std::byte const*>(p))) return true;
      error = {
          .code = ErrorCode::invalid_handle, .text = "the slot is reserved; build() its object first", .address = p};
    }
    error.capacity = this->slots_usable();
    if constexpr (Central::counts_for_all) error.allocated = this->live();
    return false;
  }

  /// Returns: the slot of an index; null if there is none. For pools of one block.
  [[nodiscard]] std::byte* slot_at(std::size_t index) const noexcept requires(!Shape::growing) {
    [[maybe_unused]] auto const guard = inside_blocks();
    if (index >= supply_.total()) return nullptr;
    return supply_.blocks()[0].data + index * stride();
  }

  /// Returns: index and generation of the key of the object in `slot`; zeros if the slot's generations are exhausted.
  /// Requires: the caller owns the object.
  [[nodiscard]] auto key_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    std::size_t const index = keys.index(slot, supply_.blocks());
    std::uint32_t const generation = keys.key(keys.word_at(index));
    return std::pair(generation == 0 ? 0 : static_cast<std::uint32_t>(index), generation);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find_key(std::size_t index,
                                                            std::uint32_t generation) const noexcept {
    return supply_.blocks().keys().template find<!std::same_as<Lock, NoLock>>(index, generation | 1, supply_.blocks());
  }
  /// True if the slot's key was given away before its object exists. Requires: the lock.
  [[nodiscard]] bool is_reserved([[maybe_unused]] std::byte const* slot) const noexcept {
    if constexpr (Shape::keyed) return supply_.blocks().keys().is_reserved(word_of(slot));
    return false;
  }
  /// Slots in use without an object.
  [[nodiscard]] std::size_t reserved() const {
    if constexpr (Shape::keyed) {
      [[maybe_unused]] auto const guard = inside();
      return supply_.blocks().keys().reserved_count();
    }
    return 0;
  }
  /// Ends the keys of the object in `slot`.
  FASTALLOC_ALWAYS_INLINE void end_keys([[maybe_unused]] std::byte const* slot) noexcept {
    if constexpr (Shape::keyed) supply_.blocks().keys().end(word_of(slot));
  }

  /// Calls f(slot), without a lock, for the slots of a LiveWalk until f returns false. Returns: 0, or the bytes of a
  /// snapshot that could not be allocated.
  template <class Holds, class F> std::size_t visit(Holds const& holds, F&& f) {
    typename LiveWalk<Central>::Place place;
    LiveWalk<Central> walk(*this, place);
    for (std::byte* slot = walk.first(holds); slot != nullptr && f(slot);) slot = walk.next(holds);
    return walk.missing();
  }

 private:
  template <class> friend class Identities;
  template <class> friend class SavedState;

  /// Returns: a slot for a thread whose own cache is empty.
  Taken pop_from_central() noexcept {
    [[maybe_unused]] auto* const cache = caches_.attach();
    [[maybe_unused]] typename Caches::Room room;
    if constexpr (Caches::enabled)
      if (cache != nullptr) caches_.more_room(*cache, room);
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Waiters::enabled && !lock_free) {
      // Returned slots belong to the waiting threads. So does a slot that was left to this thread when all caches were
      // closed, because it was just popping it.
      if (waiters_.any()) [[unlikely]] {
        if constexpr (Caches::enabled)
          if (cache != nullptr) caches_.surrender(*cache, room, supply_);
        if (collect()) return {nullptr, false};
      }
    }
    if constexpr (Caches::enabled) {
      for (;;) {
        bool counted = false;
        supply_.check_links(max_links);  // before the cache asks for the number of slots
        Taken const taken = caches_.pop(cache, room, supply_, Choices::keeps_objects || Checks::verifies_fill, counted);
        if (taken.slot == nullptr || (counted ? mark_taken(taken.slot) : note_taken(taken.slot))) return taken;
      }
    } else {
      Taken taken = supply_.pop_one();
      if (taken.slot == nullptr && caches_.gather(supply_)) taken = supply_.pop_one();
      if (taken.slot != nullptr) note_taken(taken.slot);
      return taken;
    }
  }
  FASTALLOC_ALWAYS_INLINE bool marks_taken(std::byte* slot) noexcept {
    [[maybe_unused]] auto const guard = inside();
    return mark_taken(slot);
  }
  auto pop_run_here(std::size_t n) {
    [[maybe_unused]] auto const guard = inside();
    collect();
    if constexpr (Caches::enabled) note_peak();
    auto const run = supply_.pop_run(n);
    if (run.data == nullptr) return run;
    if constexpr (Checks::tracks_slots)
      for (std::size_t i = 0; i != n; ++i) mark_taken(run.data + i * stride());
    stats_.allocated(n);
    note_peak();
    return run;
  }
  [[nodiscard]] auto& word_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    return keys.word_at(keys.index(slot, supply_.blocks()));
  }
  /// Pools that count owners retire the slot when its object dies; a second fill would hide writes made since.
  FASTALLOC_ALWAYS_INLINE void scrub_last(std::byte* slot) const noexcept {
    if constexpr (!Shape::counted) scrub(slot);
  }
  FASTALLOC_COLD void push_slow(std::byte* slot) noexcept {
    if (auto* const cache = caches_.attach()) {
      if (!cache->push(slot)) spill(*cache);
      return;
    }
    [[maybe_unused]] auto const guard = inside();
    note_peak();
    supply_.push(slot);
    serve();
  }
  template <class Cache> FASTALLOC_COLD void spill(Cache& cache) noexcept {
    bool const wants_room = cache.wanted != 0;
    typename Caches::Room room;
    {
      [[maybe_unused]] auto const guard = inside();
      caches_.spill(cache, room, supply_);
      serve();
    }
    if (!wants_room) return;
    // Only now: a user's operator new may return slots to this pool, and the full cache had no room for one more.
    caches_.more_room(cache, room);
    [[maybe_unused]] auto const guard = inside();
    caches_.use_room(cache, room, supply_);
  }

  FASTALLOC_ALWAYS_INLINE std::size_t pop_here(std::byte** out, std::size_t n, std::size_t& untouched) noexcept {
    if constexpr (Caches::enabled) note_peak();
    std::size_t count = supply_.pop_many(out, n, untouched);
    if constexpr (Checks::tracks_slots) {
      std::size_t const taken = std::exchange(count, 0);
      for (std::size_t i = 0; i != taken; ++i)
        if (mark_taken(out[i])) out[count++] = out[i];
      untouched -= taken - count;  // untouched slots are in no list, so none of those dropped was untouched
    }
    stats_.allocated(count);
    note_peak();
    return count;
  }
  FASTALLOC_ALWAYS_INLINE void prepare_all(std::byte** out, std::size_t count, std::size_t untouched) const noexcept {
    if constexpr (prepares)
      for (std::size_t i = 0; i != count; ++i) prepare({out[i], i >= untouched});
  }

  /// False if prepare() does nothing.
  static constexpr bool prepares =
      Bytes::prepares || Supply::Links::enabled || (Checks::tracks_slots && !Shape::growing);
  FASTALLOC_ALWAYS_INLINE void prepare(Taken taken) const noexcept {
    if constexpr (Supply::Links::enabled) this->report_damage(taken.slot);
    if constexpr (Checks::tracks_slots && !Shape::growing)
      if (supply_.blocks()[0].tail == nullptr) [[unlikely]]
        report(Error{.text = other_checks, .address = taken.slot});
    Bytes::prepare(taken, stride());
  }

  static constexpr std::size_t max_links = 1024;  ///< slots; more than a cache takes at once
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
