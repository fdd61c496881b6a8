// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolCore: slots on their way to users and back: through the caches, checked, counted, keyed. Does not depend on T.
//
// As in PoolDepot each public function takes the lock, and none calls user code while it is held. Where threads have
// caches, take() and give() go to those, and the depot is behind them.
#pragma once

#include <fastalloc/pool/live_cursor.hpp>
#include <fastalloc/pool/pool_depot.hpp>
#include <fastalloc/pool/slot_guard.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// KeepsObjects: returned slots hold objects and are not written to. The other parameters are those of PoolDepot.
template <class Shape, class SlotPolicy, class StorageState, class Lock, class Stats, class Checks, class Caches,
          class Waiters, bool KeepsObjects, std::size_t Inline>
class PoolCore : public PoolDepot<Shape, SlotPolicy, StorageState, Lock, Stats, Checks, Caches, Waiters, Inline> {
  using Depot = PoolDepot<Shape, SlotPolicy, StorageState, Lock, Stats, Checks, Caches, Waiters, Inline>;
  using Bytes = SlotGuard<Shape, Checks, KeepsObjects, Depot::shared_marks, Depot::Supply::clears_links>;
  using Depot::caches_, Depot::lock_, Depot::lock_free, Depot::stats_, Depot::supply_, Depot::waiters_;
  using Depot::collect, Depot::describe_here, Depot::locked, Depot::locked_slow, Depot::make_room, Depot::mark_taken,
      Depot::note_peak, Depot::note_taken, Depot::serve, Depot::serve_all;

 public:
  /// One thread, one block.
  static constexpr bool alone = !Shape::growing && std::same_as<Lock, NoLock> && std::same_as<Caches, NoCaches>;
  /// Nothing can be done about a full pool, and threads keep no slots for themselves.
  static constexpr bool stays_full = !Shape::growing && !Caches::enabled && !Waiters::enabled;
  using Supply = typename Depot::Supply;
  using Depot::inside, Depot::inside_blocks, Depot::inside_to_take, Depot::inside_slow, Depot::stride;

  constexpr PoolCore() noexcept = default;
  /// `storage`: a StorageState, or Nothing to have a default constructed one.
  template <class S> explicit constexpr PoolCore(S storage) : Depot(std::move(storage)) {}

  /// A slot without any slow path: `slot` is null when none is at hand; take_slow() must be called then.
  FASTALLOC_ALWAYS_INLINE Taken take() {
    Taken taken{nullptr, false};
    if constexpr (Caches::enabled) {
      if (auto* const cache = caches_.mine()) [[likely]]
        taken.slot = cache->template pop<Stats::enabled>();
      if constexpr (Checks::tracks_slots)
        while (taken.slot != nullptr && !locked([&] { return mark_taken(taken.slot); }))
          taken.slot = caches_.mine()->template pop<Stats::enabled>();
    } else {
      [[maybe_unused]] auto const guard = inside_to_take();
      taken = supply_.take();
      if (taken.slot != nullptr) [[likely]]
        note_taken(taken.slot);
    }
    if (taken.slot != nullptr) [[likely]]
      prepare(taken);
    return taken;
  }

  /// take_slow() for those who do not want to know why there is none: no texts need be linked in.
  FASTALLOC_ALWAYS_INLINE Taken take_quietly() requires(stays_full) {
    Taken taken;
    if constexpr (alone) {  // since take() nothing came but what was just opened
      taken = supply_.take_fresh();
      if (taken.slot != nullptr) note_taken(taken.slot);
    } else {
      taken = take_from_depot();
    }
    if (taken.slot != nullptr) prepare(taken);
    else locked([&] { stats_.failed(); });
    return taken;
  }

  /// The same, and grows, or takes from other threads' caches. On failure `slot` is null and `error`, where one is
  /// wanted, says why.
  FASTALLOC_COLD Taken take_slow(Error* error, bool count_failure = true) {
    if constexpr (alone) {
      Taken const taken = take_quietly();
      if (taken.slot == nullptr && error != nullptr) make_room(1, error);
      return taken;
    }
    for (;;) {
      if (Taken const taken = take_from_depot(); taken.slot != nullptr) return prepare(taken), taken;
      if (make_room(1, error)) continue;
      if (count_failure) locked([&] { stats_.failed(); });
      this->report_damage(nullptr);  // with no slot
      return {nullptr, false};
    }
  }

  void note_failure() {
    locked([&] { stats_.failed(); });
  }
  /// The same, and waits: until `wait(waiter)` returns or throws, or another thread has handed a slot over. What is
  /// thrown (a clock's exception, the cancellation of the thread) leaves nothing behind: the thread is out of the
  /// queue, and its slot, where it got one, is back. `undo(taken)` gives such a slot back.
  template <class Wait, class Undo>
  Taken take_waiting(Wait&& wait, Undo&& undo, Error& error) requires Waiters::enabled {
    struct Queued {
      PoolCore& core;
      Undo& undo;
      typename Waiters::Waiter waiter{};
      bool done = false;

      Queued(PoolCore& c, Undo& u) : core(c), undo(u) {
        auto const guard = core.inside_slow();
        core.caches_.close(core.supply_);
        core.waiters_.push(waiter);
        core.serve();
      }
      ~Queued() {
        if (done) return;
        leave(nullptr);
        if (waiter.taken.slot != nullptr) core.prepare(waiter.taken), undo(waiter.taken);
      }
      /// Behind this lock a pool that is destroyed may be gone, unless the waiter got a slot.
      void leave(Error* error) noexcept {
        done = true;
        bool const was_served = core.locked_slow([&] {
          core.caches_.reopen(core.supply_);
          if (error != nullptr && waiter.taken.slot == nullptr)
            core.stats_.failed(), *error = core.describe_here(ErrorCode::pool_exhausted, "no slot came back in time");
          return core.waiters_.leave(waiter);
        });
        if (was_served) waiter.wait_until_served();
      }
    } queued(*this, undo);
    wait(queued.waiter);
    queued.leave(&error);
    Taken const taken = queued.waiter.taken;
    if (taken.slot != nullptr) prepare(taken);
    return taken;
  }

  /// Takes n slots in one step; those from `out[fresh]` on are fresh. Returns: false, with the error, when there are
  /// not so many. `count` is then 0, but with LockFree, where others may be faster half way, and where slots were lost:
  /// those that there are have to be withdrawn.
  FASTALLOC_NOINLINE bool take_all(std::byte** out, std::size_t n, std::size_t& count, std::size_t& fresh,
                                   Error& error) {
    for (;;) {
      count = locked([&] {
        supply_.check_links(n);
        if (supply_.at_hand() < n) collect();
        return supply_.at_hand() < n ? 0 : take_here(out, n, fresh);
      });
      prepare_all(out, count, fresh);
      if (count == n) return true;
      if (make_room(n, &error)) {
        if (count == 0) continue;
        if constexpr (Depot::may_meet_used) error = this->describe(ErrorCode::pool_exhausted, free_slots_lost, n);
      }
      locked([&] { stats_.failed(); });
      return false;
    }
  }
  /// Takes n adjacent slots. Returns: null, with the error, when there are none.
  FASTALLOC_COLD auto take_run(std::size_t n, Error& error) {
    for (;;) {
      auto const run = locked([&] {
        collect();
        if constexpr (Caches::enabled) note_peak();
        auto const found = supply_.take_run(n);
        if (found.data == nullptr) return found;
        if constexpr (Checks::tracks_slots)
          for (std::size_t i = 0; i != n; ++i) mark_taken(found.data + i * stride());
        stats_.allocated(n);
        note_peak();
        return found;
      });
      if (run.data != nullptr) {
        for (std::size_t i = 0; i != n; ++i) prepare({run.data + i * stride(), i >= n - run.fresh});
        return run;
      }
      if (make_room(n, &error, true)) continue;
      locked([&] { stats_.failed(); });
      return run;
    }
  }
  /// Sees to it that n slots are at hand, as long as no other thread takes them. Returns: false, with the error, when
  /// that cannot be done.
  FASTALLOC_ALWAYS_INLINE bool bring_to_hand(std::size_t n, Error& error) {
    while (!locked([&] { return supply_.at_hand() >= n || (collect(), supply_.at_hand() >= n); })) [[unlikely]] {
      if (make_room(n, &error)) continue;
      return locked([&] { stats_.failed(); }), false;
    }
    return true;
  }
  /// Takes up to n slots, as take_all() does. For pools of one thread.
  FASTALLOC_ALWAYS_INLINE std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) {
    std::size_t const count = take_here(out, n, fresh);
    prepare_all(out, count, fresh);
    return count;
  }

  /// Effects: this thread has its cache, where threads have caches, with all the room that it may ever use, in memory.
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

  /// Effects: events of threads and forks call this library's functions.
  void rebind() noexcept { caches_.rebind(static_cast<Depot*>(this)); }

  /// Makes the bytes of a slot in which no object is left unusable.
  FASTALLOC_ALWAYS_INLINE void retire(std::byte* slot) const noexcept { Bytes::retire(slot, stride()); }

  /// Takes back a slot. Requires: check_in_use() marked it, where the checks policy tracks slots.
  FASTALLOC_ALWAYS_INLINE void give(std::byte* slot) noexcept {
    retire_last(slot);
    if constexpr (Caches::enabled) {
      auto* const cache = caches_.mine();
      if (cache == nullptr) [[unlikely]]
        return give_slow(slot);
      if (!cache->push(slot)) [[unlikely]]
        make_room_in(*cache);
    } else {
      [[maybe_unused]] auto const guard = inside();
      supply_.give(slot);
      if (waiters_.any()) [[unlikely]]
        serve_all();
    }
  }

  /// Takes back n slots in one step; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void give_many(At&& at, std::size_t n) noexcept {
    if constexpr (Checks::fills || FASTALLOC_ASAN)
      for (std::size_t i = 0; i != n; ++i) retire_last(at(i));
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Caches::enabled) note_peak();
    supply_.give_many(at, n);
    if (waiters_.any()) [[unlikely]]
      serve_all();
  }

  /// give(), by a thread that is not the owner of this sub-pool.
  void give_remote(std::byte* slot) noexcept {
    retire_last(slot);
    caches_.push(slot);
  }

  /// Takes back a slot in which nothing was built after all.
  FASTALLOC_COLD void withdraw(Taken taken) noexcept {
    end_keys(taken.slot);
    retire(taken.slot);
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Checks::tracks_slots) this->flip_mark(taken.slot);
    stats_.withdrawn();
    note_peak();
    supply_.give_unused(taken);
    if (waiters_.any()) serve_all();
  }

  /// Hands every slot of a new pool to f once. Where f throws, `undo` gets those that it had.
  template <class F, class Undo> void for_each_new(F&& f, Undo&& undo) {
    struct Return {
      PoolCore& core;
      Undo& undo;
      bool done = false;
      ~Return() {
        core.for_each_block([&](BlockOf<Shape::growing> const& block) {
          for (std::byte* slot = block.data + block.handed * core.stride(); slot != block.data;) {
            slot -= core.stride();
            if (!done) undo(slot);
            if constexpr (Shape::poisons) poison(slot, Shape::payload);
            core.supply_.give(slot);
          }
        });
        core.supply_.reset_peak();
      }
    } guard{*this, undo};
    for (Taken taken; (taken = supply_.take_one()).slot != nullptr;) {
      unpoison(taken.slot, Shape::size);
      f(taken.slot);
    }
    guard.done = true;
  }

  /// True when `p` is the start of a slot in use; otherwise the error says what it is. With `take_mark` the slot counts
  /// as returned from then on.
  [[nodiscard]] bool check_in_use(void const* p, bool take_mark, Error& error) const noexcept {
    [[maybe_unused]] auto const guard = inside_blocks();
    if constexpr (lock_free)  // somebody may just be writing down where the block is
      if (supply_.total() == 0) return Bytes::find(Blocks<false>(), p, take_mark, error);
    if (Bytes::find(supply_.blocks(), p, take_mark, error)) return true;
    error.capacity = this->slots_usable();
    if constexpr (Depot::counts_for_all) error.allocated = this->live();
    return false;
  }

  /// The slot of an index, or null where there is none. For pools of one block.
  [[nodiscard]] std::byte* slot_at(std::size_t index) const noexcept requires(!Shape::growing) {
    [[maybe_unused]] auto const guard = inside_blocks();
    if (index >= supply_.total()) return nullptr;
    return supply_.blocks()[0].data + index * stride();
  }

  /// Index and generation of the key of the object in `slot`, which the caller owns; zeros where the slot's generations
  /// are used up.
  [[nodiscard]] auto key_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    std::size_t const index = keys.index(slot, supply_.blocks());
    std::uint32_t const generation = keys.key(keys.word_at(index));
    return std::pair(generation == 0 ? 0 : static_cast<std::uint32_t>(index), generation);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find_key(std::size_t index,
                                                            std::uint32_t generation) const noexcept {
    return supply_.blocks().keys().template find<!std::same_as<Lock, NoLock>>(index, generation, supply_.blocks());
  }
  /// The end of the object in `slot`: its keys are stale.
  FASTALLOC_ALWAYS_INLINE void end_keys([[maybe_unused]] std::byte const* slot) noexcept {
    if constexpr (Shape::keyed) supply_.blocks().keys().end(word_of(slot));
  }

  /// Calls f(slot) for the live slots for which holds(slot) is true, in address order until it returns false, without
  /// the lock. Slots that come back meanwhile are skipped: they come to the depot at once, caches are closed. holds()
  /// is asked under the lock, so the slot's block is there. Returns: the bytes that a snapshot needs and that were not
  /// to be had, or 0.
  template <class Holds, class F> std::size_t visit(Holds&& holds, F&& f) {
    struct Closed {
      PoolCore& core;
      explicit Closed(PoolCore& c) : core(c) {
        core.locked_slow([&] { core.caches_.close(core.supply_), core.serve(); });
      }
      ~Closed() {
        core.locked_slow([&] { core.caches_.reopen(core.supply_); });
      }
    } const closed(*this);
    struct Report {
      PoolCore& core;
      ~Report() { core.report_damage(nullptr); }
    } const report{*this};
    if constexpr (TracksOccupancy<typename Supply::Slots>) {
      LiveCursor<Supply> cursor;
      locked_slow([&] {
        cursor = LiveCursor<Supply>(supply_);
        while (cursor.slot() != nullptr && !holds(cursor.slot())) cursor.next();
      });
      while (cursor.slot() != nullptr && f(cursor.slot())) {
        locked_slow([&] {
          caches_.poll(supply_);
          do cursor.next();
          while (cursor.slot() != nullptr && !holds(cursor.slot()));
        });
      }
      return 0;
    } else {
      Snapshot snapshot;
      std::size_t const missing = locked_slow([&] { return supply_.begin(snapshot); });
      if (missing != 0) return missing;
      struct End {
        PoolCore& core;
        Snapshot& snapshot;
        ~End() {
          core.locked_slow([&] { core.supply_.end(snapshot); });
        }
      } const end{*this, snapshot};
      auto const next = [&] {
        return locked_slow([&] {
          caches_.poll(supply_);
          std::byte* slot = supply_.next(snapshot);
          while (slot != nullptr && !holds(slot)) slot = supply_.next(snapshot);
          return slot;
        });
      };
      for (std::byte* slot = next(); slot != nullptr && f(slot);) slot = next();
      return 0;
    }
  }

 private:
  /// A slot for a thread whose own cache has none.
  Taken take_from_depot() noexcept {
    [[maybe_unused]] auto* const cache = caches_.attach();
    [[maybe_unused]] typename Caches::Room room;
    if constexpr (Caches::enabled)
      if (cache != nullptr) caches_.more_room(*cache, room);
    [[maybe_unused]] auto const guard = inside();
    if constexpr (Waiters::enabled && !lock_free) {
      // What comes back belongs to those who wait; so does a slot that was left to this thread when all caches were
      // closed, since it was just popping it.
      if (waiters_.any()) [[unlikely]] {
        if constexpr (Caches::enabled)
          if (cache != nullptr) caches_.surrender(*cache, supply_);
        if (collect()) return {nullptr, false};
      }
    }
    if constexpr (Caches::enabled) {
      for (;;) {
        bool counted = false;
        supply_.check_links(max_links);  // before the cache asks how many there are
        Taken const taken = caches_.take(cache, room, supply_, KeepsObjects || Checks::verifies_fill, counted);
        if (taken.slot == nullptr || (counted ? mark_taken(taken.slot) : note_taken(taken.slot))) return taken;
      }
    } else {
      Taken taken = supply_.take_one();
      if (taken.slot == nullptr && caches_.gather(supply_)) taken = supply_.take_one();
      if (taken.slot != nullptr) note_taken(taken.slot);
      return taken;
    }
  }
  [[nodiscard]] auto& word_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    return keys.word_at(keys.index(slot, supply_.blocks()));
  }
  /// Where owners are counted the slot was retired when its object died; a second fill would hide what was written
  /// since.
  FASTALLOC_ALWAYS_INLINE void retire_last(std::byte* slot) const noexcept {
    if constexpr (!Shape::counted) retire(slot);
  }
  FASTALLOC_COLD void give_slow(std::byte* slot) noexcept {
    if (auto* const cache = caches_.attach()) {
      if (!cache->push(slot)) make_room_in(*cache);
      return;
    }
    [[maybe_unused]] auto const guard = inside();
    note_peak();
    supply_.give(slot);
    serve();
  }
  template <class Cache> FASTALLOC_COLD void make_room_in(Cache& cache) noexcept {
    bool const wants_room = cache.wants_room;
    typename Caches::Room room;
    {
      [[maybe_unused]] auto const guard = inside();
      caches_.make_room(cache, room, supply_);
      serve();
    }
    if (!wants_room) return;
    // Only now: operator new may be the user's and give slots back, and behind the full cache is no room for one more.
    caches_.more_room(cache, room);
    [[maybe_unused]] auto const guard = inside();
    caches_.use_room(cache, room, supply_);
  }

  FASTALLOC_ALWAYS_INLINE std::size_t take_here(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    if constexpr (Caches::enabled) note_peak();
    std::size_t count = supply_.take_many(out, n, fresh);
    if constexpr (Checks::tracks_slots) {
      std::size_t const taken = std::exchange(count, 0);
      for (std::size_t i = 0; i != taken; ++i)
        if (mark_taken(out[i])) out[count++] = out[i];
      fresh -= taken - count;  // a fresh slot is in no list
    }
    stats_.allocated(count);
    note_peak();
    return count;
  }
  FASTALLOC_ALWAYS_INLINE void prepare_all(std::byte** out, std::size_t count, std::size_t fresh) const noexcept {
    if constexpr (Checks::fills || FASTALLOC_ASAN)
      for (std::size_t i = 0; i != count; ++i) prepare({out[i], i >= fresh});
  }

  FASTALLOC_ALWAYS_INLINE void prepare(Taken taken) const noexcept {
    this->report_damage(taken.slot);
    if constexpr (Checks::tracks_slots && !Shape::growing)
      if (supply_.blocks()[0].tail == nullptr) [[unlikely]]
        report(Error{.text = other_checks, .address = taken.slot});
    Bytes::prepare(taken, stride());
  }

  static constexpr std::size_t max_links = 1024;  ///< more than a cache takes at once
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
