// SPDX-License-Identifier: MIT OR Apache-2.0
// CentralList: the pool as a whole: a SlotSupply, its lock, and all that changes or reports it under that lock:
// opening, growth, shrinking, counts, waiters, events of threads and forks. No pop and push: those are in PoolCore.
// Knows neither T nor slot contents.
//
//   supply_   slots in no thread cache                   caches_   the other slots, and access to them
//   stats_    the counts                                 waiters_  get returned slots before all other threads
//
// Public functions take the lock unless their comment says otherwise. No user code runs under it, except a storage
// under an InterruptLock. Failures are returned as an Error to the caller, which knows T and whether to throw. A
// function that needs every free slot collects the caches first.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/pool/slot_supply.hpp>
#include <fastalloc/stats/basic_stats.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class Stats> class ProcessStats;  // of pools that processes share

/// For pools without waiting; same interface as WaitQueue.
struct NoWaiters {
  static constexpr bool enabled = false;
  struct Deferral {};
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE constexpr bool any() const noexcept { return false; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE constexpr bool offers(std::byte const*) const noexcept { return false; }
  constexpr std::size_t forget() noexcept { return 0; }
};

/// The choices that a pool's core is compiled for. Pools with equal choices share its code.
/// Caches: per-thread slots. Waiters: threads waiting for a slot. KeepsObjects: returned slots hold objects and are not
/// written to. Inline: slots of InlineStorage, else 0.
template <class Shape, class SlotPolicy, class StorageState, class Lock, class Stats, class Checks,
          class Caches = NoCaches, class Waiters = NoWaiters, bool KeepsObjects = false, std::size_t Inline = 0>
struct CoreChoices {
  using shape = Shape;
  using slot_policy = SlotPolicy;
  using storage = StorageState;
  using lock = Lock;
  using stats = Stats;
  using checks = Checks;
  using caches = Caches;
  using waiters = Waiters;
  static constexpr bool keeps_objects = KeepsObjects;
  static constexpr std::size_t inline_slots = Inline;
};

/// The number of pools whose lock a fork holds, for a Lock without data; under the registry's lock.
template <class Lock> inline constinit int locked_for_fork = 0;

/// Choices: a CoreChoices.
template <class Choices> class CentralList {
  template <class> friend class Clearing;
  template <class> friend class Looking;
  template <class> friend class LiveWalk;
  using Shape = typename Choices::shape;
  using SlotPolicy = typename Choices::slot_policy;
  using StorageState = typename Choices::storage;
  using Lock = typename Choices::lock;
  using Stats = typename Choices::stats;
  using Checks = typename Choices::checks;
  using Caches = typename Choices::caches;
  using Waiters = typename Choices::waiters;
  static constexpr std::size_t Inline = Choices::inline_slots;

 public:
  using Supply = SlotSupply<Shape, SlotPolicy, StorageState, Checks>;
  /// True if any thread may ask how many slots are live.
  static constexpr bool counts_for_all = !requires { requires Lock::counts_are_the_owners; };

  CentralList(CentralList const&) = delete;
  CentralList& operator=(CentralList const&) = delete;

  /// Effects: acquires the first block. Returns: false, with the error, on failure; the pool then holds no memory.
  FASTALLOC_NOINLINE bool open(PoolConfig const& config, SlotType const& type, Error& error) noexcept {
    if (auto const valid = config.validate(); !valid) return error = valid.error(), false;
    if (Inline != 0 && config.capacity > Inline) {
      error = Error{.capacity = config.capacity,
                    .limit = Inline,
                    .text = "InlineStorage<N> has room for fewer slots (the limit); raise N"};
      return false;
    }
    if (Inline != 0 && config.alignment > Supply::Store::block_alignment) {
      error = Error{
          .code = ErrorCode::invalid_alignment,
          .capacity = config.capacity,
          .requested = config.alignment,
          .limit = Supply::Store::block_alignment,
          .text = "InlineStorage<N> is aligned as T is (the limit); give T the alignment (alignas), or use HeapStorage",
          .unit = "bytes"};
      return false;
    }
    configure(config, type);
    if (!supply_.add(config.capacity, config.pre_initialize, error)) {
      if (is_attached()) error.capacity = 0;  // the pool in the span is another one
      return false;
    }
    if constexpr (Shape::spans_processes) {
      auto& header = supply_.blocks().header();
      if constexpr (Stats::enabled) stats_.bind(reinterpret_cast<std::byte*>(&header + 1), is_attached());
      if (!is_attached()) header.publish();
    }
    return true;
  }
  /// Effects: opens inline storage after calling before(), unless it is open.
  template <class F> void open_inline(F&& before) noexcept requires(Inline != 0) {
    if constexpr (lock_free)  // after the first use an interrupt handler must not wait for what it interrupted
      if (supply_.total() != 0) return;
    if constexpr (!std::same_as<Caches, NoCaches>) {
      if (has_block()) return;
      caches_.begin();  // takes locks that rank before this pool's
    }
    [[maybe_unused]] auto const guard = inside_slow();
    if (supply_.total() != 0) return;
    before();
    supply_.template add_inline<Inline>();
  }
  /// True if other processes may own objects in the pool.
  [[nodiscard]] constexpr bool is_attached() const noexcept { return supply_.blocks().is_attached(); }
  /// True if files with different checks made parts of the pool.
  [[nodiscard]] bool is_mixed() const noexcept { return supply_.blocks().is_mixed(); }
  /// Effects: opens without a block; the first request acquires config.capacity slots. Requires: `config` is valid.
  void open_empty(PoolConfig const& config, SlotType const& type) noexcept requires(Shape::growing) {
    configure(config, type);
  }

  /// The number of slots that fit in `bytes` bytes. Complexity: a few steps.
  [[nodiscard]] static std::size_t slots_in(std::size_t bytes, SlotType const& type) noexcept {
    using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
    std::size_t const stride = Layout::stride(type.size, type.align, 0);
    if constexpr (Shape::segment > 1) return SegmentStore<typename Supply::Store>::slots_in(bytes, stride);
    std::size_t n = (bytes < Layout::max_fixed_bytes ? bytes : Layout::max_fixed_bytes) / stride;
    if (n > Layout::max_slots) n = Layout::max_slots;
    while (n != 0 && Layout::block(n, stride).bytes > bytes) {
      std::size_t const step = (Layout::block(n, stride).bytes - bytes) / (2 * stride + 2 * sizeof(std::uint64_t));
      n -= step == 0 ? 1 : step < n ? step : n;
    }
    // A step may free more than its slots: whole words of metadata.
    auto more = Layout::block(n + 1, stride);
    for (; more.valid && more.bytes <= bytes; more = Layout::block(n + 1, stride)) ++n;
    return n;
  }

  /// Effects: adds a block so that the capacity is at least `slot_count`.
  bool reserve(std::size_t slot_count, Error& error) {
    return with_memory(error, [&](Purse* purse) {
      if (slot_count <= supply_.total()) return true;
      if (config_.max_capacity != 0 && slot_count > config_.max_capacity) return error = at_max(slot_count), false;
      return add_block(slot_count - supply_.total(), error, purse);
    });
  }

  /// Effects: returns every block without live objects to the storage, each after before(block), called without the
  /// lock. With nothing live and keeps_one, keeps a block of at most the initial capacity. In a fork handler it does
  /// nothing. Returns: bytes released.
  template <class F> std::size_t release_free_blocks(bool keeps_one, F&& before) noexcept {
    if (is_forking()) return 0;
    GrowingBlock* block = nullptr;
    {
      [[maybe_unused]] auto const guard = inside_slow();
      collect();
      block = supply_.detach_free_blocks(keeps_one ? config_.capacity : 0);
    }
    std::size_t bytes = 0;
    if (block != nullptr) {
      Error no_memory;  // the directory then keeps its size
      with_memory(no_memory, [&](Purse* purse) { return supply_.trim_directory(purse); });
    }
    while (block != nullptr) {
      GrowingBlock* const gone = std::exchange(block, block->next);
      before(*gone);
      if constexpr (asks_storage_unlocked) {
        expect_no_lock();
        TurnGuard const turn(turn_);
        bytes += supply_.blocks().release(gone);
      } else {
        [[maybe_unused]] auto const guard = inside_slow();
        bytes += supply_.blocks().release(gone);
      }
    }
    report_damage(nullptr);
    return bytes;
  }

  /// Calls f(block) for every block, with Block::high_water up to date. Takes no lock: for construction and
  /// destruction.
  template <class F> void for_each_block(F&& f) {
    supply_.sync_bump_pointer();
    for (std::size_t b = 0; b != supply_.blocks().count(); ++b) f(supply_.blocks()[b]);
  }

  /// For CompactHandles; see BlockStore.
  void set_owner(AnyOwner* owner) noexcept requires(Shape::segment != 0) { supply_.blocks().set_owner(owner); }

  /// For iterators of pools without a lock.
  [[nodiscard]] Supply& supply() noexcept { return supply_; }
  [[nodiscard]] StorageState const& storage() const noexcept { return supply_.blocks().storage(); }

  [[nodiscard]] std::size_t capacity() const {
    [[maybe_unused]] auto const guard = inside_blocks();
    return slots_usable();
  }
  [[nodiscard]] std::size_t allocated() const {
    [[maybe_unused]] auto const guard = inside();
    return live();
  }
  [[nodiscard]] std::size_t available() const {
    [[maybe_unused]] auto const guard = inside();
    std::size_t const in_use = live();  // first: without a lock other threads go on meanwhile
    std::size_t const usable = slots_usable();
    return usable > in_use ? usable - in_use : 0;
  }
  [[nodiscard]] bool owns(void const* p) const {
    [[maybe_unused]] auto const guard = inside_blocks();
    return supply_.total() != 0 && supply_.blocks().find(p) != nullptr;
  }
  [[nodiscard]] std::size_t index_of(std::byte const* slot) const {
    [[maybe_unused]] auto const guard = inside_blocks();
    return BlockLookup<Shape>::index_of(supply_.blocks(), slot);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t stride() const noexcept { return supply_.blocks().stride(); }

  /// Bytes held from the storage.
  [[nodiscard]] std::size_t bytes() const {
    [[maybe_unused]] auto const guard = inside_blocks();
    return supply_.total() == 0 ? 0 : supply_.blocks().bytes();
  }

  /// The start of the slot that contains `p`. Requires: there is one.
  [[nodiscard]] std::byte* slot_of(void const* p) noexcept {
    [[maybe_unused]] auto const guard = inside_blocks();
    return BlockLookup<Shape>::slot_of(supply_.blocks(), p);
  }

  [[nodiscard]] PoolStatistics statistics() const {
    [[maybe_unused]] auto const guard = inside();
    PoolStatistics result{.total_allocations = caches_.allocations(),
                          .current_usage = live(),
                          .peak_usage = peak(),
                          .capacity = slots_usable()};
    stats_.fill(result);
    return result;
  }
  void reset_statistics() {
    {
      [[maybe_unused]] auto const guard = inside_slow();     // running iterations are told of returned slots
      if constexpr (Stats::enabled) caches_.close(supply_);  // allocations and live slots are those of one moment
      supply_.reset_peak();
      caches_.reset_counts(supply_);
      stats_.reset(live());
      if constexpr (Stats::enabled) caches_.reopen(supply_);
    }
    report_damage(nullptr);
  }

  /// Returns: an error with this pool's values.
  [[nodiscard]] Error describe(ErrorCode code, char const* text, std::size_t requested = 0) const {
    [[maybe_unused]] auto const guard = inside();
    return describe_here(code, text, requested);
  }

  /// True if the pool's bookkeeping is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() {
    if constexpr (lock_free) collect();
    bool right = false;
    {
      [[maybe_unused]] auto const guard = inside_slow();
      if constexpr (!lock_free) collect();
      right = supply_.check_invariants() &&
              (!Stats::enabled || Caches::enabled || lock_free || supply_.peak() >= supply_.live());
    }
    report_damage(nullptr);
    return right;
  }

  /// Reports overwritten links of free slots noted in the block of `slot`, or, for null, in any block. Holds no lock
  /// while it reports.
  FASTALLOC_ALWAYS_INLINE void report_damage([[maybe_unused]] std::byte const* slot) const noexcept {
    if constexpr (Supply::Links::enabled) {
      Error error;
      if (notes_damage(slot, error)) report(error);
    }
  }
  /// True if a slot was handed out, but is neither in use nor available again. Requires: the lock.
  [[nodiscard]] bool is_lost([[maybe_unused]] std::byte const* slot) const noexcept {
    if constexpr (Supply::Links::enabled) return Supply::Links::is_lost(supply_.blocks(), slot);
    return false;
  }

  /// True if the slot was handed to a waiting thread or request, which has not begun to build its object. Requires: the
  /// lock.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_offered([[maybe_unused]] std::byte const* slot) const noexcept {
    return waiters_.offers(slot);
  }

  /// For thread and process events; see PoolEvent.
  void lock() noexcept { slow_lock(lock_).lock(); }
  void unlock() noexcept {
    if constexpr (Waiters::enabled) {
      auto* const served = waiters_.take_served();
      slow_lock(lock_).unlock();
      Waiters::wake(served);
    } else {
      slow_lock(lock_).unlock();
    }
  }
  /// The same for a fork, which has the locks of all pools: objects without data may be one lock, which it takes once.
  void lock_for_fork() noexcept {
    int& others = locked_for_fork<Lock>;
    if (!std::is_empty_v<Lock> || others++ == 0) lock();
  }
  void unlock_after_fork() noexcept {
    int& others = locked_for_fork<Lock>;
    if (!std::is_empty_v<Lock> || --others == 0) return unlock();
    if constexpr (Waiters::enabled) Waiters::wake(waiters_.take_served());  // no requests, so no user code runs
  }
  /// Ends the pool's use: later calls do not count as a first use.
  void end_use() noexcept { caches_.end(); }
  /// Effects: waiting threads leave without a slot. Returns when all have.
  void dismiss_waiters() noexcept {
    if constexpr (Waiters::enabled)
      while (!dismisses()) waiters_.yield();
  }
  template <class Part> void end_cache(Part* part) noexcept { caches_.end_cache(part, supply_), serve(); }
  void stay_alone() noexcept {
    if constexpr (requires { slow_lock(lock_).stay_alone(); }) slow_lock(lock_).stay_alone();
    if constexpr (asks_storage_unlocked) std::construct_at(&turn_);  // a thread lost in the fork may have held it
    if constexpr (requires { storage().stay_alone(); }) storage().stay_alone();
    supply_.forget_iterations();
    std::size_t const requests = waiters_.forget();
    caches_.stay_alone(supply_);
    for (std::size_t i = 0; i != requests; ++i) caches_.close(supply_);  // once for each that waits
  }
  /// For forks: the lock of a sub-pool.
  [[nodiscard]] auto& lock_of_blocks() noexcept { return block_lock(lock_); }

  /// Effects: moves the slots of all thread caches to the central list.
  void trim() noexcept {
    [[maybe_unused]] auto const guard = inside();
    collect();
  }

 protected:
  static constexpr bool growing = Shape::growing;
  static constexpr bool lock_free = LockFreePolicy<Lock>;
  static constexpr bool shared_marks = HasSlowLock<Lock>;  ///< threads flip marks without a lock
  /// The storage is user code: while it runs, the pool holds no lock but turn_, which a thread that finds a free slot
  /// never needs. (Excluded: stateless locks such as NoLock, since two of them may be one lock; and locks that mask
  /// interrupts, which stay masked during acquisition, since a handler must not find the heap in mid-change.)
  static constexpr bool asks_storage_unlocked =
      growing && !std::is_empty_v<Lock> && !requires { requires Lock::masks_interrupts; };
  /// True if overwritten links may lead to slots in caches.
  static constexpr bool may_meet_used = Caches::enabled && Supply::checks_own_links;

  constexpr CentralList() noexcept = default;
  template <class S> explicit constexpr CentralList(S storage) : supply_(std::move(storage)) {}
  /// Waiting threads are dismissed without a slot.
  ~CentralList() {
    end_use();
    dismiss_waiters();
  }

  /// Holds one of the pool's locks. From the first use on a fork takes them as well, so a forking thread already holds
  /// them. On unlock wakes the waiters served meanwhile; `Serves`: whether there can be any.
  template <class L, bool Serves = Waiters::enabled> class [[nodiscard]] Inside {
    static constexpr bool is_real = !HasSlowLock<L>;
    static constexpr bool hears_of_forks = is_real && !std::same_as<Caches, NoCaches>;

   public:
    FASTALLOC_ALWAYS_INLINE Inside(CentralList const& central, L& lock) : central_(central), lock_(lock) {
      if constexpr (!hears_of_forks) lock_.lock();
      // A fork holds the locks of all enrolled pools, so a free lock needs no further check.
      else if constexpr (requires {
                           { lock_.try_lock() } -> std::same_as<bool>;
                         }) {
        if (!central.caches_.is_enrolled() || !lock_.try_lock()) [[unlikely]]
          holds_already_ = take_slowly(central, lock);
      } else {
        holds_already_ = take_slowly(central, lock);
      }
      if constexpr (is_real && !std::same_as<L, NoLock>)
        if (!holds_already_) note_lock();
    }
    FASTALLOC_ALWAYS_INLINE ~Inside() {
      if constexpr (is_real && !std::same_as<L, NoLock>)
        if (!holds_already_) note_unlock();
      if constexpr (is_real && Serves)
        if (central_.waiters_.has_served()) [[unlikely]] {
          leave_and_wake(central_, lock_, holds_already_);
          return;
        }
      if (!holds_already_) [[likely]]
        lock_.unlock();
    }
    Inside(Inside const&) = delete;
    Inside& operator=(Inside const&) = delete;

   private:
    // Static, so that the object stays in registers.
    FASTALLOC_NOINLINE static bool take_slowly(CentralList const& central, L& lock) {
      bool const holds_already = central.caches_.enter();
      if (!holds_already) lock.lock();
      return holds_already;
    }
    FASTALLOC_COLD static void leave_and_wake(CentralList const& central, L& lock, bool holds_already) {
      auto* const served = central.waiters_.take_served();
      if (!holds_already) lock.unlock();
      Waiters::wake(served);
    }

    CentralList const& central_;
    L& lock_;
    bool holds_already_ = false;
  };
  /// A Guard where it suffices, since it is smaller.
  template <bool Serves = Waiters::enabled, class L> FASTALLOC_ALWAYS_INLINE auto inside(L& lock) const {
    if constexpr (std::same_as<L, NoLock>) return Nothing{};  // no calls, even if nothing is inlined
    else if constexpr (std::same_as<Caches, NoCaches> && !Waiters::enabled && !FASTALLOC_CHECK_LOCKS)
      return Guard<L>(lock);
    else return Inside<L, Serves>(*this, lock);
  }
  FASTALLOC_ALWAYS_INLINE auto inside() const { return inside(lock_); }
  /// For operations that serve no waiter.
  FASTALLOC_ALWAYS_INLINE auto inside_to_pop() const { return inside<false>(lock_); }
  FASTALLOC_ALWAYS_INLINE auto inside_blocks() const { return inside(block_lock(lock_)); }
  FASTALLOC_ALWAYS_INLINE auto inside_slow() const { return inside(slow_lock(lock_)); }

  /// Effects: moves all slots of thread caches to the central list or to waiting threads. Returns: true if threads
  /// still wait.
  bool collect() noexcept {
    caches_.gather(supply_);
    serve_all();
    return waiters_.any();
  }
  /// True if the central list has n slots, perhaps after collecting the caches.
  bool gathers(std::size_t n) noexcept { return supply_.at_hand() >= n || (collect(), supply_.at_hand() >= n); }
  /// Hands slots of the central list to waiting threads and requests.
  void serve() noexcept {
    if constexpr (Waiters::enabled) {
      while (auto* const waiter = waiters_.first()) {
        // A fork holds all locks, so no user code may run: whoever comes to the lock next serves the request.
        if (waiter->is_request() && Waiters::is_forking()) return;
        do waiter->taken = supply_.pop_one();
        while (waiter->taken.slot != nullptr && !note_taken(waiter->taken.slot));
        if (waiter->taken.slot == nullptr) return;
        if (waiter->is_request()) caches_.reopen(supply_);
        waiters_.hand_over(*waiter);
      }
    }
  }
  FASTALLOC_COLD void serve_all() noexcept {
    if constexpr (lock_free) {
      [[maybe_unused]] auto const guard = inside_slow();
      serve();
    } else {
      serve();
    }
  }

  /// False if note_taken() does nothing.
  static constexpr bool notes_taken = Checks::tracks_slots || Stats::enabled;
  /// Returns: as mark_taken().
  FASTALLOC_ALWAYS_INLINE bool note_taken(std::byte* slot) noexcept {
    if (!mark_taken(slot)) return false;
    stats_.allocated(1);
    note_peak();
    return true;
  }
  /// Returns: false, with a note, for a slot in use: an overwritten link led to it, even if it was in a cache. The
  /// slots that the link led to before are lost.
  FASTALLOC_ALWAYS_INLINE bool mark_taken([[maybe_unused]] std::byte* slot) noexcept {
    if constexpr (Checks::tracks_slots) {
      bool const in_use = flip_mark(slot);
      if constexpr (may_meet_used) {
        if (!in_use) return true;
        flip_mark(slot);
        Supply::Links::write_note(supply_.blocks(), {true, 1, nullptr});
        return false;
      }
    }
    return true;
  }
  FASTALLOC_ALWAYS_INLINE bool flip_mark(std::byte* slot) noexcept {
    auto const& block = BlockLookup<Shape>::of(supply_.blocks(), slot);
    return SlotMarks::flip<shared_marks>(block, supply_.blocks().place(block, slot));
  }
  FASTALLOC_ALWAYS_INLINE void note_peak() noexcept {
    if constexpr (!Stats::enabled) return;
    else if constexpr (Caches::enabled) caches_.note_peak(supply_);
    else if constexpr (lock_free) stats_.note_peak(supply_.live());
    else if constexpr (!Supply::derives_peak) supply_.note_peak();
  }
  [[nodiscard]] std::size_t peak() const noexcept {
    if constexpr (Caches::enabled) return caches_.peak(supply_);
    else if constexpr (lock_free) return 0;  // AtomicStats keeps it
    else return supply_.peak();
  }
  [[nodiscard]] std::size_t live() const noexcept {
    std::size_t const out = supply_.live();
    std::size_t const cached = caches_.cached(supply_);
    return out > cached ? out - cached : 0;
  }

  [[nodiscard]] Error describe_here(ErrorCode code, char const* text, std::size_t requested = 0) const noexcept {
    return Error{.code = code, .capacity = slots_usable(), .allocated = live(), .requested = requested, .text = text};
  }
  [[nodiscard]] bool describe_damage(std::byte const* slot, Error& error) const noexcept {
    auto const found = Supply::Links::read_note(supply_.blocks(), slot);
    if (!found.broken) return false;
    error = describe_here(ErrorCode::invalid_handle, free_slot_written);
    error.address = found.slot;
    if (found.slot != nullptr) error.indices[error.index_count++] = supply_.blocks().index_of(found.slot);
    if (found.lost == 0) return true;
    error.text = free_slots_lost;
    if (found.lost != Supply::Links::unknown) error.requested = found.lost;
    return true;
  }
  [[nodiscard]] std::size_t slots_usable() const noexcept {
    return Inline != 0 && supply_.total() == 0 ? Inline : supply_.total();
  }

  /// Effects: makes at least one of `n` more slots available, or sets `error` (if not null) to the reason. Adjacent:
  /// the slots must be adjacent, and no such run exists yet.
  bool try_to_grow(std::size_t n, Error* error, bool adjacent = false) {
    if constexpr (growing) {
      if constexpr (Shape::segment > 1)
        if (adjacent && n > supply_.blocks().longest_run()) {
          if (error != nullptr) *error = describe(ErrorCode::pool_exhausted, supply_.blocks().too_long, n);
          return false;
        }
      Error why;
      bool const made = grow(n, adjacent, why);
      if (error != nullptr) *error = why;
      return made;
    } else {
      bool const at_hand = !lock_free && !adjacent && has_at_hand(n);
      // With LockFree the list was empty, even if slots have been returned since.
      if (!at_hand && error != nullptr)
        *error = describe(ErrorCode::pool_exhausted, adjacent ? none_adjacent : all_in_use, n);
      return at_hand;
    }
  }

  Supply supply_{};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<Shape::spans_processes && Stats::enabled, ProcessStats<Stats>, Stats>
      stats_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Lock lock_{};
  struct NoTurn {};
  using TurnLock = std::conditional_t<asks_storage_unlocked,
                                      std::remove_reference_t<decltype(slow_lock(std::declval<Lock&>()))>, NoTurn>;
  /// Held by the thread that is calling the storage. Outermost of the pool's locks.
  FASTALLOC_NO_UNIQUE_ADDRESS TurnLock turn_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Waiters waiters_{};
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Caches caches_{this};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, PoolLimits, Nothing> config_{};

 private:
  /// Take the lock, as their callers do not.
  [[nodiscard]] bool has_block() const noexcept {
    [[maybe_unused]] auto const guard = inside_slow();
    return supply_.total() != 0;
  }
  [[nodiscard]] bool has_at_hand(std::size_t n) const {
    [[maybe_unused]] auto const guard = inside_slow();
    return supply_.at_hand() >= n;
  }
  [[nodiscard]] bool notes_damage(std::byte const* slot, Error& error) const noexcept {
    [[maybe_unused]] auto const guard = inside_blocks();
    return describe_damage(slot, error);
  }
  bool dismisses() noexcept {
    [[maybe_unused]] auto const guard = inside_slow();
    return waiters_.dismiss();
  }

  void configure(PoolConfig const& config, SlotType const& type) noexcept {
    supply_.blocks().configure(type, config.alignment);
    if constexpr (growing) config_ = PoolLimits(config);
    caches_.begin();
  }

  static constexpr char const* all_in_use =
      "every slot of this fixed pool is in use; return handles, raise PoolConfig::capacity, or use a GrowingPool";
  static constexpr char const* none_adjacent = "so many adjacent slots are free nowhere in the pool, though capacity "
                                               "less allocated are free in all; return handles, take runs "
                                               "before single objects, take shorter runs, or let the pool grow";

  bool grow(std::size_t n, bool adjacent, Error& error) requires growing {
    // The growth function is user code: no lock is held, and afterwards everything is checked anew.
    std::size_t const current = this->capacity();
    std::size_t wanted = current == 0 ? 0 : config_.growth_strategy.slots_to_add(current);
    bool const refuses = current == 0 ? !config_.growth_strategy.grows() : wanted == 0;
    // After shrink_to_fit() the capacity may be below the initial one; growth up to that is always allowed.
    if (wanted == 0 && current < config_.capacity) wanted = config_.capacity - current;
    bool const made = with_memory(error, [&](Purse* purse) {
      if (Caches::enabled && n > 1 && !adjacent) gathers(n);  // slots came into caches since the request looked
      std::size_t const at_hand = supply_.at_hand();
      if ((at_hand >= n && !adjacent) || supply_.total() != current) return true;
      std::size_t const needed = adjacent ? n : n - at_hand;
      if (grow_by(refuses && wanted < needed ? 0 : wanted, needed, error, purse)) return true;
      if (adjacent && error.code == ErrorCode::pool_exhausted) error.text = none_adjacent;
      // Other threads may have filled their caches since the last look. No more slots will come, so collect theirs.
      bool const full = error.code == ErrorCode::pool_exhausted || error.code == ErrorCode::max_capacity_exceeded;
      return Caches::enabled && full && !adjacent && gathers(n);
    });
    if constexpr (asks_storage_unlocked)  // other threads went on while the storage failed
      if (!made && !adjacent && error.code == ErrorCode::allocation_failed) {
        [[maybe_unused]] auto const guard = inside_slow();
        return gathers(n);
      }
    return made;
  }
  [[nodiscard]] static bool is_forking() noexcept {
    if constexpr (Waiters::enabled) return Waiters::is_forking();
    return false;
  }
  /// Holds the turn. A thread that forks has the pool's lock, and whoever has the turn may be waiting for that: it gets
  /// the turn at once or not at all.
  class [[nodiscard]] TurnGuard {
   public:
    explicit TurnGuard(TurnLock& lock) : lock_(lock) {
      if constexpr (requires { static_cast<bool>(lock.try_lock()); })
        if (is_forking()) {
          is_mine_ = lock.try_lock();
          return;
        }
      lock.lock();
    }
    ~TurnGuard() {
      if (is_mine_) lock_.unlock();
    }
    TurnGuard(TurnGuard const&) = delete;
    TurnGuard& operator=(TurnGuard const&) = delete;
    [[nodiscard]] bool is_mine() const noexcept { return is_mine_; }

   private:
    FASTALLOC_NO_UNIQUE_ADDRESS typename Waiters::Deferral later_{};  ///< ends after the turn: functions may want it
    TurnLock& lock_;
    bool is_mine_ = true;
  };
  /// Effects: calls `change(purse)` under the lock until it succeeds or wants no more memory; see Purse. Returns: its
  /// result, or false, with the error, if there is no memory.
  template <class Change> bool with_memory(Error& error, Change&& change) {
    if constexpr (!asks_storage_unlocked) {
      [[maybe_unused]] auto const guard = inside_slow();
      return change(nullptr);
    } else {
      expect_no_lock();
      TurnGuard const turn(turn_);
      if (!turn.is_mine())
        return error = describe(ErrorCode::allocation_failed,
                                "another thread makes the pool grow, and this one is in a fork handler, which cannot "
                                "wait for it; take the slots before the fork"),
               false;
      struct Rest : Purse {
        Supply& supply;
        explicit Rest(Supply& s) : supply(s) {}
        ~Rest() { supply.blocks().empty(*this); }
      } purse(supply_);
      for (;;) {
        purse.wanted = 0;
        {
          [[maybe_unused]] auto const guard = inside_slow();
          if (bool const done = change(&purse); done || purse.wanted == 0) return done;
        }
        if (supply_.blocks().fill(purse, config_.pre_initialize, error)) continue;
        Error const here = describe({}, nullptr);
        error.capacity = here.capacity;
        error.allocated = here.allocated;
        // Whatever reason the storage gives, the configuration was valid.
        return error.code = ErrorCode::allocation_failed, false;
      }
    }
  }

  bool grow_by(std::size_t wanted, std::size_t needed, Error& error, Purse* purse) noexcept requires growing {
    std::size_t const total = supply_.total();
    std::size_t const most =
        config_.max_capacity != 0 ? config_.max_capacity - total : (std::numeric_limits<std::size_t>::max)();
    if (wanted == 0) {
      error = describe_here(
          ErrorCode::pool_exhausted,
          Shape::segment != 0 && config_.max_capacity == config_.capacity ? all_in_use
          : config_.growth_strategy.is_custom()
              ? "every slot is in use and the custom growth function returned 0; let it return the slots to add"
              : "every slot is in use and the growth strategy is none(); return handles, or set "
                "PoolConfig::growth_strategy",
          needed);
      return false;
    }
    if (most < needed) {
      std::size_t const wraps = (std::numeric_limits<std::size_t>::max)() - total;
      return error = at_max(total + (needed < wraps ? needed : wraps)), false;
    }
    std::size_t const slot_count = wanted < needed ? needed : wanted;
    return add_block(slot_count < most ? slot_count : most, error, purse);
  }

  bool add_block(std::size_t slot_count, Error& error, Purse* purse) noexcept {
    if (supply_.add(slot_count, config_.pre_initialize, error, purse)) return stats_.grown(), serve(), true;
    if (error.code == ErrorCode::invalid_configuration)
      error.code = ErrorCode::allocation_failed;  // too many slots to address: not a configuration error here
    return false;
  }

  [[nodiscard]] Error at_max(std::size_t requested) const noexcept {
    Error error = describe_here(
        ErrorCode::max_capacity_exceeded,
        "the pool has grown to max_capacity (the limit); return handles, or raise PoolConfig::max_capacity", requested);
    error.limit = config_.max_capacity;
    return error;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
