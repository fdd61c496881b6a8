// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolCore: a SlotSupply with a lock, counts, checks and growth. Does not depend on T.
//
// Each public function takes the lock; none calls user code while it is held. Failures are reported as an Error to the
// caller, which knows T and whether to throw. Where threads have caches, take() and give() go to those, and the SlotSupply is
// the depot behind them; whoever needs to see every free slot gathers them first.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/pool/live_cursor.hpp>
#include <fastalloc/pool/slot_supply.hpp>
#include <fastalloc/stats/basic_stats.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// For pools that nobody waits at; WaitQueue has the same.
struct NoWaiters {
  static constexpr bool enabled = false;
  [[nodiscard]] constexpr bool any() const noexcept { return false; }
  constexpr void forget() noexcept {}
};

/// Caches: what threads keep for themselves. Waiters: those who wait for a slot. KeepsObjects: returned slots hold objects and
/// are not written to. Inline: slots of InlineStorage, else 0.
template <class Shape, class SlotPolicy, class StorageState, class Lock, class Stats, class Checks, class Caches, class Waiters,
          bool KeepsObjects, std::size_t Inline>
class PoolCore {
 public:
  using Supply = SlotSupply<Shape, SlotPolicy, StorageState, Checks>;

 private:
  static constexpr bool growing = Shape::growing;
  static constexpr bool lock_free = LockFreePolicy<Lock>;
  static constexpr bool shared_marks = HasSlowLock<Lock>;  ///< threads flip marks without a lock

 public:
  constexpr PoolCore() noexcept = default;
  /// `storage`: a StorageState, or Nothing to have a default constructed one.
  template <class S> explicit constexpr PoolCore(S storage) noexcept : supply_(std::move(storage)) {}
  PoolCore(PoolCore const&) = delete;
  PoolCore& operator=(PoolCore const&) = delete;
  /// Those who still wait go away with empty hands.
  ~PoolCore() {
    if constexpr (Waiters::enabled)
      while (!locked_slow([&] { return waiters_.dismiss(); })) waiters_.yield();
  }

  /// Effects: acquires the first block. Returns: false, with the error, when that cannot be done; nothing is held then.
  bool open(PoolConfig const& config, Error& error) noexcept {
    if (auto const valid = config.validate(); !valid) return error = valid.error(), false;
    if (Inline != 0 && config.capacity > Inline) {
      error = Error{.capacity = config.capacity, .limit = Inline, .text = "InlineStorage<N> has room for fewer slots (the limit); raise N"};
      return false;
    }
    configure(config);
    return supply_.add(config.capacity, error);
  }
  /// Effects: the pool has no block yet; the first request acquires config.capacity slots. For shapes of AnySize, whose slots are
  /// `size` bytes, a multiple of config.alignment. Requires: `config` is valid.
  void open_empty(PoolConfig const& config, std::size_t size) noexcept requires(growing && Shape::any_size) {
    configure(config);
    supply_.blocks().set_stride(size);
  }

  /// Slots that `bytes` bytes have room for. Complexity: a few steps.
  [[nodiscard]] static std::size_t slots_in(std::size_t bytes) noexcept {
    using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
    std::size_t n = (bytes < Layout::max_fixed_bytes ? bytes : Layout::max_fixed_bytes) / Shape::size;
    while (n != 0 && Layout::block(n, Shape::size).bytes > bytes) {
      std::size_t const step = (Layout::block(n, Shape::size).bytes - bytes) / (2 * Shape::size + sizeof(void*));
      n -= step == 0 ? 1 : step;
    }
    // A step may free more than its slots: whole words of metadata.
    for (auto more = Layout::block(n + 1, Shape::size); more.valid && more.bytes <= bytes; more = Layout::block(n + 1, Shape::size)) ++n;
    return n;
  }

  /// A slot without any slow path: `slot` is null when none is at hand; take_slow() must be called then.
  FASTALLOC_ALWAYS_INLINE Taken take() {
    Taken taken{nullptr, false};
    if constexpr (Caches::enabled) {
      if (auto* const cache = caches_.mine()) [[likely]] taken.slot = cache->template pop<Stats::enabled>();
      if constexpr (Checks::tracks_slots)
        if (taken.slot != nullptr) locked([&] { mark_taken(taken.slot); });
    } else {
      Guard guard(lock_);
      taken = supply_.take();
      if (taken.slot != nullptr) [[likely]] note_taken(taken.slot);
    }
    if (taken.slot != nullptr) [[likely]] prepare(taken);
    return taken;
  }

  /// The same, and grows, opens inline storage, or takes from other threads' caches. On failure `slot` is null and `error` says why.
  FASTALLOC_COLD Taken take_slow(Error& error, bool count_failure = true) {
    for (;;) {
      if (Taken const taken = take_from_depot(); taken.slot != nullptr) return prepare(taken), taken;
      if (make_room(1, error)) continue;
      if (count_failure) locked([&] { stats_.failed(); });
      return {nullptr, false};
    }
  }

  /// The same, and waits: until `wait(waiter)` returns, or another thread has handed a slot over.
  template <class Wait> Taken take_waiting(Wait&& wait, Error& error) requires Waiters::enabled {
    typename Waiters::Waiter waiter;
    {
      Guard guard(slow_lock(lock_));
      caches_.close(supply_);
      waiters_.push(waiter);
      serve();
    }
    wait(waiter);
    Guard guard(slow_lock(lock_));
    waiters_.leave(waiter);
    caches_.reopen(supply_);
    if (waiter.taken.slot != nullptr) prepare(waiter.taken);
    else stats_.failed(), error = describe_here(ErrorCode::pool_exhausted, "no slot came back in time");
    return waiter.taken;
  }

  /// Takes n slots in one step; those from `out[fresh]` on are fresh. Returns: false, with the error, when there are not so many.
  /// `count` is then 0, but with LockFree, where others may be faster half way: those slots have to be withdrawn.
  FASTALLOC_NOINLINE bool take_all(std::byte** out, std::size_t n, std::size_t& count, std::size_t& fresh, Error& error) {
    for (;;) {
      count = locked([&] {
        if (supply_.at_hand() < n) collect();
        return supply_.at_hand() < n ? 0 : take_here(out, n, fresh);
      });
      prepare_all(out, count, fresh);
      if (count == n) return true;
      if (make_room(n, error) && count == 0) continue;
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
      if (make_room(n, error, true)) continue;
      locked([&] { stats_.failed(); });
      return run;
    }
  }
  /// Sees to it that n slots are at hand for take_many(). Returns: false, with the error, when that cannot be done.
  FASTALLOC_ALWAYS_INLINE bool ensure(std::size_t n, Error& error) {
    while (supply_.at_hand() < n) [[unlikely]] {
      if (caches_.gather(supply_) || make_room(n, error)) continue;
      return stats_.failed(), false;
    }
    return true;
  }
  /// Takes up to n slots, as take_all() does. For pools of one thread.
  FASTALLOC_ALWAYS_INLINE std::size_t take_many(std::byte** out, std::size_t n, std::size_t& fresh) {
    std::size_t const count = take_here(out, n, fresh);
    prepare_all(out, count, fresh);
    return count;
  }

  /// Makes the bytes of a slot in which no object is left unusable.
  FASTALLOC_ALWAYS_INLINE void retire([[maybe_unused]] std::byte* slot) const noexcept {
    if constexpr (Checks::fills && !KeepsObjects) fill(slot, bytes_of(Shape::payload), fill_dead);
    if constexpr (Shape::poisons) poison(slot, bytes_of(Shape::unusable));
  }

  /// Takes back a slot. Requires: check_in_use() marked it, where the checks policy tracks slots.
  FASTALLOC_ALWAYS_INLINE void give(std::byte* slot) noexcept {
    if (is_worn(slot)) [[unlikely]] return leave_out(slot);
    retire_last(slot);
    if constexpr (Caches::enabled) {
      auto* const cache = caches_.mine();
      if (cache == nullptr) [[unlikely]] return give_slow(slot);
      if (!cache->push(slot)) [[unlikely]] make_room_in(*cache);
    } else {
      Guard guard(lock_);
      supply_.give(slot);
      if (waiters_.any()) [[unlikely]] serve_all();
    }
  }

  /// Takes back n slots in one step; at(i) is the i-th.
  template <class At> FASTALLOC_ALWAYS_INLINE void give_many(At&& at, std::size_t n) noexcept {
    if constexpr (Shape::keyed) {
      for (std::size_t i = 0; i != n; ++i) {
        if (!is_worn(at(i))) [[likely]] continue;
        while (n != 0) give(at(--n));
        return;
      }
    }
    if constexpr (Checks::fills || FASTALLOC_ASAN)
      for (std::size_t i = 0; i != n; ++i) retire(at(i));
    Guard guard(lock_);
    if constexpr (Caches::enabled) note_peak();
    supply_.give_many(at, n);
    if (waiters_.any()) [[unlikely]] serve_all();
  }

  /// give(), by a thread that is not the owner of this sub-pool.
  void give_remote(std::byte* slot) noexcept {
    retire_last(slot);
    caches_.push(slot);
  }

  /// Takes back a slot in which nothing was built after all.
  FASTALLOC_COLD void withdraw(Taken taken) noexcept {
    end_keys(taken.slot);
    bool const worn = is_worn(taken.slot);
    if (!worn) retire(taken.slot);
    {
      Guard guard(lock_);
      mark_taken(taken.slot);  // flips back
      stats_.withdrawn();
      note_peak();
      if (!worn) {
        supply_.give_unused(taken);
        if (waiters_.any()) serve_all();
      }
    }
    if (worn) leave_out(taken.slot);
  }

  /// For what happens to threads and to the process; see ThreadParts::Event.
  void lock() noexcept { slow_lock(lock_).lock(); }
  void unlock() noexcept { slow_lock(lock_).unlock(); }
  template <class Part> void retire_cache(Part* part) noexcept { caches_.retire(part, supply_), serve(); }
  void stay_alone() noexcept {
    supply_.forget_iterations();
    waiters_.forget();
    caches_.stay_alone(supply_);
  }
  /// For forks: the lock of a sub-pool.
  [[nodiscard]] auto& lock_of_blocks() noexcept { return block_lock(lock_); }

  /// Effects: all slots that threads keep for themselves are in the depot.
  void trim() noexcept { locked([&] { collect(); }); }

  /// Hands every slot of a new pool to f once. Where f throws, `undo` gets those that it had.
  template <class F, class Undo> void for_each_new(F&& f, Undo&& undo) {
    struct Return {
      PoolCore& core;
      Undo& undo;
      bool done = false;
      ~Return() {
        core.supply_.sync_frontier();
        for (std::size_t b = 0; b != core.supply_.blocks().count(); ++b) {
          Block const& block = core.supply_.blocks()[b];
          for (std::byte* slot = block.data + block.handed * core.stride(); slot != block.data;) {
            slot -= core.stride();
            if (!done) undo(slot);
            if constexpr (Shape::poisons) poison(slot, Shape::size);
            core.supply_.give(slot);
          }
        }
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
  [[nodiscard]] bool check_in_use(void const* p, bool take_mark, Error& error) noexcept {
    static_assert(Checks::tracks_slots);
    Guard guard(block_lock(lock_));
    auto const refuse = [&](ErrorCode code, char const* text) {
      error = describe_here(code, text);
      error.address = p;
      return false;
    };
    Block const* const block = supply_.blocks().find(p);
    if (block == nullptr)
      return refuse(ErrorCode::invalid_handle, "the pointer is not from this pool; return it to the pool that handed it out");
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - block->data);
    std::size_t const place = offset / stride();
    if (offset % stride() != 0)
      return refuse(ErrorCode::invalid_handle,
                    "the pointer points into the middle of a slot; pass the address that Handle::release() returned");
    // The second look is for pools without a lock, where another thread may have been faster.
    bool in_use = SlotMarks::test<shared_marks>(*block, place);
    if (in_use && take_mark && !SlotMarks::flip<shared_marks>(*block, place)) {
      SlotMarks::flip<shared_marks>(*block, place);
      in_use = false;
    }
    if (!in_use) {
      refuse(ErrorCode::double_free, "the slot is not in use: its object was returned before; let one owner only return it");
      error.indices[error.index_count++] = block->first + place;
      return false;
    }
    return true;
  }

  /// The start of the slot that holds `p`. Requires: one does.
  [[nodiscard]] std::byte* slot_of(void const* p) noexcept {
    Guard guard(block_lock(lock_));
    std::byte* const data = supply_.blocks().find(p)->data;
    return data + static_cast<std::size_t>(static_cast<std::byte const*>(p) - data) / stride() * stride();
  }

  [[nodiscard]] std::size_t capacity() const { return locked_blocks([&] { return slots_usable(); }); }
  [[nodiscard]] std::size_t allocated() const { return locked([&] { return live(); }); }
  [[nodiscard]] std::size_t available() const { return locked([&] { return slots_usable() - live(); }); }
  [[nodiscard]] bool owns(void const* p) const {
    return locked_blocks([&] { return supply_.total() != 0 && supply_.blocks().find(p) != nullptr; });
  }
  [[nodiscard]] std::size_t index_of(std::byte const* slot) const { return locked_blocks([&] { return supply_.blocks().index_of(slot); }); }
  [[nodiscard]] std::size_t stride() const noexcept { return supply_.blocks().stride(); }

  /// Index and generation of the key of the object in `slot`, which the caller owns.
  [[nodiscard]] auto key_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    std::size_t const index = keys.index(slot, supply_.blocks());
    return std::pair(static_cast<std::uint32_t>(index), keys.key(keys.word(index)));
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find_key(std::size_t index, std::uint32_t generation) const noexcept {
    return supply_.blocks().keys().template find<!std::same_as<Lock, NoLock>>(index, generation, supply_.blocks());
  }
  /// The end of the object in `slot`: its keys are stale.
  FASTALLOC_ALWAYS_INLINE void end_keys([[maybe_unused]] std::byte const* slot) noexcept {
    if constexpr (Shape::keyed) supply_.blocks().keys().end(word_of(slot));
  }
  /// True when the generations of the slot are used up.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_worn([[maybe_unused]] std::byte const* slot) const noexcept {
    if constexpr (Shape::keyed) return supply_.blocks().keys().is_worn(word_of(slot));
    return false;
  }

  [[nodiscard]] PoolStatistics statistics() const {
    return locked([&] {
      PoolStatistics result{.total_allocations = caches_.allocations(), .current_usage = live(), .peak_usage = peak(), .capacity = slots_usable()};
      stats_.fill(result);
      return result;
    });
  }
  void reset_statistics() {
    Guard guard(lock_);
    supply_.reset_peak();
    caches_.reset_counts(supply_);
    stats_.reset(live());
  }

  /// Effects: adds a block so that the capacity is at least `slots`.
  bool reserve(std::size_t slots, Error& error) {
    Guard guard(slow_lock(lock_));
    if (slots <= supply_.usable()) return true;
    if (config_.max_capacity != 0 && slots > config_.max_capacity) return error = at_max(slots), false;
    return add_block(slots - supply_.usable(), error);
  }

  /// Takes every wholly free block out of the pool. Returns: a list of them (Block::next), for release_block().
  [[nodiscard]] Block* detach_free_blocks() noexcept {
    return locked_slow([&] {
      collect();
      return supply_.detach_free_blocks(Shape::any_size ? 0 : config_.capacity);  // AnySize: not one is kept
    });
  }
  /// Gives the memory of a detached block back. Returns its bytes.
  std::size_t release_block(Block* block) noexcept { return locked_slow([&] { return supply_.blocks().release(block); }); }

  /// Calls f(block) for every block, with Block::handed up to date. For the beginning and the end of the pool: no lock is held.
  template <class F> void for_each_block(F&& f) {
    supply_.sync_frontier();
    for (std::size_t b = 0; b != supply_.blocks().count(); ++b) f(supply_.blocks()[b]);
  }

  /// Calls f(slot) for the live slots in address order until it returns false, without the lock. Slots that come back
  /// meanwhile are skipped: they come to the depot at once, caches are closed. Returns: the bytes that a snapshot needs and
  /// that were not to be had, or 0.
  template <class F> std::size_t visit(F&& f) {
    struct Closed {
      PoolCore& core;
      explicit Closed(PoolCore& c) : core(c) { core.locked_slow([&] { core.caches_.close(core.supply_), core.serve(); }); }
      ~Closed() { core.locked_slow([&] { core.caches_.reopen(core.supply_); }); }
    } const closed(*this);
    if constexpr (TracksOccupancy<typename Supply::Slots>) {
      auto cursor = locked_slow([&] { return LiveCursor<Supply>(supply_); });
      while (cursor.slot() != nullptr && f(cursor.slot())) locked_slow([&] { caches_.poll(supply_), cursor.next(); });
      return 0;
    } else {
      Snapshot snapshot;
      std::size_t const missing = locked_slow([&] { return supply_.begin(snapshot); });
      if (missing != 0) return missing;
      struct End {
        PoolCore& core;
        Snapshot& snapshot;
        ~End() { core.locked_slow([&] { core.supply_.end(snapshot); }); }
      } const end{*this, snapshot};
      auto const next = [&] { return locked_slow([&] { return caches_.poll(supply_), supply_.next(snapshot); }); };
      for (std::byte* slot = next(); slot != nullptr && f(slot);) slot = next();
      return 0;
    }
  }
  /// For iterators of pools without a lock.
  [[nodiscard]] Supply& supply() noexcept { return supply_; }

  /// An error with the values of this pool.
  [[nodiscard]] Error describe(ErrorCode code, char const* text) const {
    return locked([&] { return describe_here(code, text); });
  }

  /// True when the pool's own account of its slots is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() {
    return locked([&] {
      collect();
      return supply_.check_invariants() && (!Stats::enabled || Caches::enabled || lock_free || supply_.peak() >= supply_.live());
    });
  }

 private:
  template <class F> FASTALLOC_ALWAYS_INLINE decltype(auto) locked(F&& f) const {
    Guard guard(lock_);
    return f();
  }
  template <class F> decltype(auto) locked_blocks(F&& f) const {
    Guard guard(block_lock(lock_));
    return f();
  }
  template <class F> decltype(auto) locked_slow(F&& f) const {
    Guard guard(slow_lock(lock_));
    return f();
  }

  void configure(PoolConfig const& config) noexcept {
    supply_.blocks().configure(config.alignment, config.pre_initialize);
    if constexpr (growing) config_ = config;
    if constexpr (Inline == 0) caches_.enroll();
  }
  /// What the shape says about the bytes of a slot, where it knows them.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t bytes_of(std::size_t known) const noexcept {
    if constexpr (Shape::any_size) return stride();
    else return known;
  }

  /// A slot for a thread whose own cache has none.
  Taken take_from_depot() noexcept {
    [[maybe_unused]] auto* const cache = caches_.attach();
    Guard guard(lock_);
    if constexpr (Waiters::enabled && !lock_free) {
      // What comes back belongs to those who wait.
      if (waiters_.any() && collect()) [[unlikely]] return {nullptr, false};
    }
    if constexpr (Caches::enabled) {
      bool counted = false;
      Taken const taken = caches_.take(cache, supply_, KeepsObjects || Checks::verifies_fill, counted);
      if (taken.slot == nullptr) return taken;
      if (counted) mark_taken(taken.slot);
      else note_taken(taken.slot);
      return taken;
    } else {
      Taken taken = supply_.take_one();
      if (taken.slot == nullptr && caches_.gather(supply_)) taken = supply_.take_one();
      if (taken.slot != nullptr) note_taken(taken.slot);
      return taken;
    }
  }
  [[nodiscard]] auto& word_of(std::byte const* slot) const noexcept {
    auto const& keys = supply_.blocks().keys();
    return keys.word(keys.index(slot, supply_.blocks()));
  }
  /// Where owners are counted the slot was retired when its object died; a second fill would hide what was written since.
  FASTALLOC_ALWAYS_INLINE void retire_last(std::byte* slot) const noexcept {
    if constexpr (!Shape::counted) retire(slot);
  }
  /// Takes back a worn slot, for good. Iterations ask for its word, and so for the index behind the payload.
  FASTALLOC_COLD void leave_out(std::byte* slot) noexcept {
    retire_last(slot);
    unpoison(slot + Shape::payload, Shape::size - Shape::payload);
    Guard guard(slow_lock(lock_));
    note_peak();
    supply_.retire();
  }
  FASTALLOC_COLD void give_slow(std::byte* slot) noexcept {
    if (auto* const cache = caches_.attach()) {
      if (!cache->push(slot)) make_room_in(*cache);
      return;
    }
    Guard guard(lock_);
    note_peak();
    supply_.give(slot);
    serve();
  }
  template <class Cache> FASTALLOC_COLD void make_room_in(Cache& cache) noexcept {
    Guard guard(lock_);
    caches_.make_room(cache, supply_);
    serve();
  }

  /// Effects: all slots that threads keep for themselves are in the depot, or with those who wait. Returns: true when some wait still.
  bool collect() noexcept {
    caches_.gather(supply_);
    serve();
    return waiters_.any();
  }
  /// Hands slots of the depot to those who wait.
  void serve() noexcept {
    if constexpr (Waiters::enabled) {
      while (auto* const waiter = waiters_.first()) {
        waiter->taken = supply_.take_one();
        if (waiter->taken.slot == nullptr) return;
        note_taken(waiter->taken.slot);
        waiters_.hand_over(*waiter);
      }
    }
  }
  FASTALLOC_COLD void serve_all() noexcept {
    if constexpr (lock_free) {
      Guard guard(slow_lock(lock_));
      serve();
    } else {
      serve();
    }
  }

  FASTALLOC_ALWAYS_INLINE void note_taken(std::byte* slot) noexcept {
    mark_taken(slot);
    stats_.allocated(1);
    note_peak();
  }
  FASTALLOC_ALWAYS_INLINE void mark_taken([[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Checks::tracks_slots) {
      Block const& block = supply_.blocks().of(slot);
      SlotMarks::flip<shared_marks>(block, supply_.blocks().place(block, slot));
    }
  }
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if constexpr (!Stats::enabled) return;
    else if constexpr (Caches::enabled) caches_.note_peak(supply_);
    else if constexpr (lock_free) stats_.note_peak(supply_.live());
    else if constexpr (!Supply::derives_peak) supply_.note_peak();
  }
  [[nodiscard]] std::size_t peak() const noexcept {
    if constexpr (Caches::enabled) return caches_.peak(supply_);
    else if constexpr (lock_free) return 0;  // AtomicStats knows it
    else return supply_.peak();
  }
  [[nodiscard]] std::size_t live() const noexcept {
    std::size_t const out = supply_.live();
    std::size_t const cached = caches_.cached();
    return out > cached ? out - cached : 0;
  }

  FASTALLOC_ALWAYS_INLINE std::size_t take_here(std::byte** out, std::size_t n, std::size_t& fresh) noexcept {
    if constexpr (Caches::enabled) note_peak();
    std::size_t const count = supply_.take_many(out, n, fresh);
    if constexpr (Checks::tracks_slots)
      for (std::size_t i = 0; i != count; ++i) mark_taken(out[i]);
    stats_.allocated(count);
    note_peak();
    return count;
  }
  FASTALLOC_ALWAYS_INLINE void prepare_all(std::byte** out, std::size_t count, std::size_t fresh) const noexcept {
    if constexpr (Checks::fills || FASTALLOC_ASAN)
      for (std::size_t i = 0; i != count; ++i) prepare({out[i], i >= fresh});
  }

  /// Makes the bytes of a slot that the caller has ready for an object. The lock is not held.
  FASTALLOC_ALWAYS_INLINE void prepare([[maybe_unused]] Taken taken) const noexcept {
    if constexpr (Shape::poisons) unpoison(taken.slot, bytes_of(Shape::size));
    if constexpr (Checks::verifies_fill && !KeepsObjects) {
      if (!taken.fresh && !is_filled(taken.slot, bytes_of(Shape::payload), fill_dead, Shape::link_offset, Shape::link_size))
        report(Error{.code = ErrorCode::invalid_handle,
                     .text = "a free slot was written to: somebody used an object after returning it",
                     .address = taken.slot});
    }
    if constexpr (Checks::fills && !KeepsObjects) fill(taken.slot, bytes_of(Shape::payload), fill_new);
  }

  [[nodiscard]] Error describe_here(ErrorCode code, char const* text) const noexcept {
    return Error{.code = code, .capacity = slots_usable(), .allocated = live(), .text = text};
  }
  [[nodiscard]] std::size_t slots_usable() const noexcept {
    return Inline != 0 && supply_.total() == 0 ? Inline : supply_.usable();
  }

  /// Effects: makes at least one of `n` slots more available, or tells why that cannot be. Adjacent: they are wanted side by
  /// side, and there are none such.
  bool make_room(std::size_t n, Error& error, bool adjacent = false) {
    if constexpr (Inline != 0) {
      if (!lock_free || supply_.total() == 0) {
        Guard guard(slow_lock(lock_));
        if (supply_.total() == 0) return open(PoolConfig{.capacity = Inline}, error);
        if constexpr (lock_free) return true;
      }
    }
    if constexpr (lock_free) {  // the list was empty; its count says less, where a thread is stopped half way
      error = describe_here(ErrorCode::pool_exhausted, all_in_use);
      error.requested = n;
      return false;
    }
    std::size_t current = 0;
    std::size_t wanted = 0;
    bool refuses = true;
    if constexpr (growing) {
      // The growth function is the user's: no lock is held, and afterwards everything is looked at anew.
      current = capacity();
      wanted = current == 0 ? 0 : config_.growth_strategy.slots_to_add(current);
      refuses = current == 0 ? !config_.growth_strategy.grows() : wanted == 0;
      // shrink_to_fit may have left less than the pool began with; that much, and no more, is always to be had again.
      if (wanted == 0 && current < config_.capacity) wanted = config_.capacity - current;
    }
    Guard guard(slow_lock(lock_));
    std::size_t const at_hand = supply_.at_hand();
    if ((at_hand >= n && !adjacent) || (growing && supply_.usable() != current)) return true;
    if constexpr (growing) {
      std::size_t const needed = adjacent ? n : n - at_hand;
      if (grow(refuses && wanted < needed ? 0 : wanted, needed, error)) return true;
    } else {
      error = describe_here(ErrorCode::pool_exhausted, all_in_use);
      error.requested = n;
    }
    if (adjacent && error.code == ErrorCode::pool_exhausted) error.text = none_adjacent;
    return false;
  }

  static constexpr char const* all_in_use =
      "every slot of this fixed pool is in use; return handles, raise PoolConfig::capacity, or use a GrowingPool";

  static constexpr char const* none_adjacent =
      "so many adjacent slots are free nowhere in the pool, though capacity less allocated are free in all; return handles, take runs "
      "before single objects, take shorter runs, or let the pool grow";

  bool grow(std::size_t wanted, std::size_t needed, Error& error) noexcept {
    std::size_t const total = supply_.usable();
    std::size_t const most = config_.max_capacity != 0 ? config_.max_capacity - total : std::numeric_limits<std::size_t>::max();
    if (wanted == 0) {
      error = describe_here(ErrorCode::pool_exhausted,
                       config_.growth_strategy.is_custom()
                           ? "every slot is in use and the custom growth function returned 0; let it return the slots to add"
                           : "every slot is in use and the growth strategy is none(); return handles, or set PoolConfig::growth_strategy");
      error.requested = needed;
      return false;
    }
    if (most < needed) return error = at_max(total + needed), false;
    std::size_t const slots = wanted < needed ? needed : wanted;
    return add_block(slots < most ? slots : most, error);
  }

  bool add_block(std::size_t slots, Error& error) noexcept {
    if (!supply_.add(slots, error)) return false;
    return stats_.grown(), serve(), true;
  }

  [[nodiscard]] Error at_max(std::size_t requested) const noexcept {
    Error error = describe_here(ErrorCode::max_capacity_exceeded,
                           "the pool has grown to max_capacity (the limit); return handles, or raise PoolConfig::max_capacity");
    error.requested = requested;
    error.limit = config_.max_capacity;
    return error;
  }

  Supply supply_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Stats stats_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Lock lock_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Waiters waiters_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Caches caches_{this};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, PoolConfig, Nothing> config_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
