// SPDX-License-Identifier: MIT OR Apache-2.0
// The cache axis of ThreadSafePool: slots that each thread keeps for itself, in front of the shared slots (the central
// list).
//
//   ThreadCache<N>   up to N slots a thread, moved to and from the central list in batches      default
//   NoCache          each operation goes to the central list
//
// A cache is an array (a magazine: Bonwick and Adams, "Magazines and vmem", 2001). The owner uses its upper end without
// an atomic read-modify-write, and other threads may take its lower end, so every slot stays within reach:
//
//   begin_ ..... floor_ ......... top_ ..... end_
//   | room      | slots          | room      |
//
//   limit_ == floor_; in a closed cache the highest address, which sends the owner's next pop() to the lock
//   end_: in a closed cache null, which sends the owner's next push() to the lock
//
// The owner stores top_ and then reads limit_ (or end_); a thief stores limit_ and then reads top_. One of them sees
// the other's store (Frigo, Leiserson and Randall, "The implementation of the Cilk-5 multithreaded language", 1998, the
// THE protocol; the fence is asymmetric). A slot that the owner is popping stays with the owner. All caches are closed,
// for pop() and push(), before the first is searched, and stay closed until the last has been searched: "nothing found"
// means that at one moment no slot was free. Model: tests/spin/cache_stealing.pml.
#pragma once

#include <fastalloc/arithmetic.hpp>
#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/cache/thread_parts.hpp>
#include <fastalloc/storage/storage.hpp>

#include <cstring>
#include <limits>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default. A thread keeps at most Slots slots, and at most its share of half the capacity, beside idle
/// threads more; when the central list runs dry, other threads take them. A thread gets a cache at its 8th operation in
/// a pool: 128 bytes for up to 4 slots, which grow with use (8 bytes a slot); or at warm_up(), with its full room.
/// Slots from other threads' caches cost a `membarrier` call: 1.8 to 4 µs in a busy virtual machine. If the central
/// list keeps running dry, caches keep fewer slots, down to none, and later more again.
/// Complexity: 1 step; one operation in Slots / 2 moves up to that many slots under the lock; see ThreadSafePool.
template <std::size_t Slots> struct ThreadCache {
  static_assert(Slots <= 65536,
                "fastalloc: a ThreadCache of more than 65536 slots takes half a megabyte for each thread; take fewer");
  static_assert(Slots >= 2, "fastalloc: a ThreadCache of less than two slots cannot work in batches; use NoCache");
  static constexpr std::size_t max_cached = Slots;
};

static_assert(CachePolicy<ThreadCache<>>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Memory for the entries of a magazine, in transit. No lock is held while it is allocated and freed.
struct MagazineRoom {
  std::byte** memory = nullptr;
  std::size_t most = 0;  ///< slots

  MagazineRoom() noexcept = default;
  MagazineRoom(MagazineRoom const&) = delete;
  MagazineRoom& operator=(MagazineRoom const&) = delete;
  ~MagazineRoom() { ::operator delete(static_cast<void*>(memory)); }
};

FASTALLOC_BEGIN_PADDED
/// The cache of one thread in one pool. `counts`: counts for the statistics.
class alignas(cache_line) Magazine : public ThreadPart {
  using Entry = std::byte*;

 public:
  static constexpr std::size_t lookahead = 3;                                    ///< slots
  static constexpr std::size_t least_room = cache_line / sizeof(Entry) - 3 - 1;  ///< slots; the initial room: 4 or 12

  /// The initial room lies in the object; more room comes separately.
  [[nodiscard]] static Magazine* make(std::size_t most) noexcept {
    void* const memory = part_memory(sizeof(Magazine));
    return memory == nullptr ? nullptr : ::new (memory) Magazine(static_cast<std::uint32_t>(most));
  }
  static void make_room(MagazineRoom& room, std::size_t most, bool touch = false) noexcept {
    room.memory = static_cast<Entry*>(::operator new(entries_for(most) * sizeof(Entry), std::nothrow));
    room.most = most;
    if (touch && room.memory != nullptr)
      touch_pages(reinterpret_cast<std::byte*>(room.memory), entries_for(most) * sizeof(Entry));
  }

  /// The owner's. Returns: the last-freed slot; or null, and the owner must take the lock and call settle().
  template <bool counts> FASTALLOC_ALWAYS_INLINE std::byte* pop() noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed) - 1;  // relaxed: written by this thread only
    top_.store(top, owner_store);                                 // before limit_ is read: see light_fence()
    light_fence();
    if (top < limit_.load(owner_load)) [[unlikely]] {
      top_.store(top + 1, owner_publish);  // release: the slot is available to thieves again
      return nullptr;
    }
    look_ahead(top);
    if constexpr (counts) count(top);
    std::byte* const slot = *top;
    FASTALLOC_ASSUME(slot != nullptr);
    return slot;
  }
  /// The owner's. Returns: false when the slot is in the cache, but the owner must take the lock and make room.
  FASTALLOC_ALWAYS_INLINE bool push(std::byte* slot) noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);  // relaxed: written by this thread only
    *top = slot;
    top_.store(top + 1, owner_publish);  // release: a thief that sees it reads the entry; and before end_ is read
    light_fence();
    return top < end_.load(owner_load);
  }

  // The functions below require the pool's lock. Only the owner may call settle(), keep(), fill(), move_to().

  /// pop() under the lock. An empty cache gets its full room back.
  template <bool counts> [[nodiscard]] std::byte* settle() noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed) - 1;
    if (top < floor_) return rebase(begin_), nullptr;
    top_.store(top, std::memory_order_relaxed);
    if constexpr (counts) count(top);
    return *top;
  }
  /// Effects: passes all but the `n` newest slots to `push`.
  template <class Push> void keep(std::size_t n, Push&& push) noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);
    Entry* const stays = size() > n ? top - n : floor_;
    for (Entry* entry = floor_; entry < stays; ++entry) push(*entry);
    rebase(move_entries(stays, top, begin_));
  }
  /// Effects: fills the cache by `pop(entries, n)`, which writes up to n slots and returns how many. Requires: the
  /// cache is empty.
  template <class Pop> std::size_t fill(std::size_t n, Pop&& pop) noexcept {
    std::size_t const count = pop(begin_, n);
    for (std::size_t i = count; i != 0; --i) FASTALLOC_PREFETCH(begin_[i - 1]);
    rebase(begin_ + count);
    return count;
  }
  /// Effects: moves the slots into `room`, which receives the previous memory. Requires: the cache is closed.
  void move_to(MagazineRoom& room) noexcept {
    Entry* const begin = clear(room.memory, room.most);
    Entry* const top = move_entries(floor_, top_.load(std::memory_order_relaxed), begin);
    room.memory = own_room();
    begin_ = begin;
    most_ = static_cast<std::uint32_t>(room.most);
    rebase(top);
  }

  /// Sends every operation of the owner to the lock. seq_cst, twice: ordered before steal() reads top_.
  void close() noexcept {
    end_.store(nullptr, std::memory_order_seq_cst);
    limit_.store(highest(), std::memory_order_seq_cst);
  }
  /// Returns: as granted().
  std::uint32_t open(std::size_t room) noexcept {
    auto const allowed = static_cast<std::uint32_t>(smaller(room, most_));
    // relaxed, twice: publishes nothing to the owner.
    end_.store(begin_ + allowed, std::memory_order_relaxed);
    limit_.store(floor_, std::memory_order_relaxed);
    return allowed;
  }
  // relaxed: under the lock
  [[nodiscard]] bool is_open() const noexcept { return end_.load(std::memory_order_relaxed) != nullptr; }
  /// Requires: the cache is closed, and a heavy fence followed.
  template <class Push> void steal(Push&& push) noexcept {
    // seq_cst: after the store to limit_. The entries are visible, too: push() and the heavy fence (or pop(), where
    // there is no fence) order them before the value that is read.
    Entry* const top = top_.load(std::memory_order_seq_cst);
    for (; floor_ < top; ++floor_) push(*floor_);
  }

  [[nodiscard]] std::size_t size() const noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);  // relaxed: exact when the owner is idle
    return top > floor_ ? static_cast<std::size_t>(top - floor_) : 0;
  }
  /// Slots up to which the owner needs no lock; 0 if the cache is closed.
  [[nodiscard]] std::uint32_t granted() const noexcept {
    Entry* const end = end_.load(std::memory_order_relaxed);  // relaxed: under the lock
    return end == nullptr ? 0 : static_cast<std::uint32_t>(end - begin_);
  }
  /// Slots that fit into the memory. Only the owner changes it.
  [[nodiscard]] std::size_t most() const noexcept { return most_; }
  // relaxed: as in size()
  [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }
  void reset_allocations() noexcept { allocations_.store(0, std::memory_order_relaxed); }
  /// The fewest slots since reset_least(), if counted.
  [[nodiscard]] std::size_t least() const noexcept {
    Entry* const least = least_.load(std::memory_order_relaxed);  // relaxed: as in size()
    return least > floor_ ? smaller(static_cast<std::size_t>(least - floor_), size()) : 0;
  }
  void reset_least() noexcept { least_.store(top_.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  /// The memory of room that came later, or null. For the pool's destruction.
  [[nodiscard]] Entry* own_room() noexcept { return begin_ == first_ ? nullptr : begin_ - lookahead; }

  std::uint32_t wanted = 0;  ///< slots: its share, if it moved slots although that is more than the room; else 0

 private:
  explicit Magazine(std::uint32_t most) noexcept : most_(most), begin_(first_) {
    close();
    rebase(begin_);
  }
  // The entries have as many nulls in front as pop() may look ahead, and one behind for a push() that finds no room.
  static constexpr std::size_t entries_for(std::size_t most) noexcept { return lookahead + most + 1; }
  /// Writes all of it, so no page fault occurs later. Returns: the first entry.
  static Entry* clear(Entry* memory, std::size_t most) noexcept {
    for (std::size_t i = 0; i != entries_for(most); ++i) memory[i] = nullptr;
    return memory + lookahead;
  }
  /// Prefetches the slot that is `lookahead` entries below. In front of the initial room lie top_, limit_ and end_,
  /// which mostly point to this object: then the prefetch does nothing. A thief may be writing them, hence the atomic
  /// load.
  FASTALLOC_ALWAYS_INLINE static void look_ahead([[maybe_unused]] Entry const* top) noexcept {
#if FASTALLOC_PREFETCHES
    using Word [[gnu::may_alias]] = Entry;
    FASTALLOC_PREFETCH(__atomic_load_n(
        reinterpret_cast<Word const*>(reinterpret_cast<std::uintptr_t>(top) - lookahead * sizeof(Entry)),
        __ATOMIC_RELAXED));
#endif
  }
  /// Moves [first, last), which may be empty or reversed. Returns: the end at `to`.
  static Entry* move_entries(Entry const* first, Entry const* last, Entry* to) noexcept {
    if (first >= last) return to;
    std::memmove(static_cast<void*>(to), first, static_cast<std::size_t>(last - first) * sizeof(Entry));
    return to + (last - first);
  }
  static Entry* highest() noexcept { return reinterpret_cast<Entry*>((std::numeric_limits<std::uintptr_t>::max)()); }

  /// Plain loads and stores, because only the owner writes.
  FASTALLOC_ALWAYS_INLINE void count(Entry* top) noexcept {
    allocations_.store(allocations_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (top < least_.load(std::memory_order_relaxed)) least_.store(top, std::memory_order_relaxed);
  }
  /// Effects: the slots are [begin_, top). A closed cache stays closed.
  void rebase(Entry* top) noexcept {
    floor_ = begin_;
    top_.store(top, std::memory_order_relaxed);  // relaxed, twice: other threads read it under the lock only
    if (limit_.load(std::memory_order_relaxed) != highest()) limit_.store(floor_, std::memory_order_relaxed);
    reset_least();
  }

  // Two cache lines: operations that need no lock read and write the second one only, unless they count.
  std::uint32_t most_;
  Entry* begin_;
  Entry* floor_ = nullptr;              ///< the oldest slot; under the lock
  std::atomic<Entry*> least_{nullptr};  ///< the lowest top_ since reset_least()
  std::atomic<std::uint64_t> allocations_{0};

  alignas(cache_line) std::atomic<Entry*> top_{nullptr};  ///< behind the newest slot; the owner's
  std::atomic<Entry*> limit_{nullptr};                    ///< the lower bound of pop()
  std::atomic<Entry*> end_{nullptr};                      ///< the upper bound of push()
  Entry first_[least_room + 1] = {};                      ///< the initial room, and one entry as in entries_for()
};
FASTALLOC_END_PADDED

static_assert(sizeof(Magazine) == 2 * cache_line);

/// Passes events of threads and of the process to a CentralList.
template <class Central> void tell_central(void* pool, PoolEvent event, ThreadPart* part) noexcept {
  auto& central = *static_cast<Central*>(pool);
  switch (event) {
    case PoolEvent::lock: central.lock(); break;
    case PoolEvent::unlock: central.unlock(); break;
    case PoolEvent::before_fork: central.lock_for_fork(); break;
    case PoolEvent::after_fork: central.unlock_after_fork(); break;
    case PoolEvent::in_child: central.stay_alone(); break;
    case PoolEvent::thread_ended: central.end_cache(part); break;
    case PoolEvent::hear_of_forks: ForkHandlers::install();
  }
}

/// For a shared pool without caches: receives fork events, from its construction on, or where that runs at compile time
/// (`lazy`), from its first use.
template <bool lazy> class FASTALLOC_EMPTY_BASES Uncached : public NoCaches, public PoolNode {
 public:
  template <class Central>
  explicit constexpr Uncached(Central* central) noexcept
      : NoCaches(central), PoolNode(central, &tell_central<Central>) {}
  ~Uncached() {
    if (leave_registry()) forget_threads();
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_enrolled() const noexcept { return !lazy || PoolNode::is_enrolled(); }
  void begin() noexcept { enroll(); }
  using PoolNode::end;
  bool enter() noexcept {
    if constexpr (lazy) enroll();
    return is_forking();
  }
  template <class Central> void rebind(Central*) noexcept { PoolNode::rebind(&tell_central<Central>); }
};

/// The caches of one pool over a central list. Requires the pool's lock, except for mine(), attach() and more_room().
/// `roomy_bytes`: for pools that prefer growth to searching other caches: the bytes of slots a thread may always keep.
///
///   allowed_   most slots in a cache. Shrinks, down to 0, when the central list runs dry while caches hold slots; at 0
///              all are closed and every operation goes to the central list. Grows again after 2^patience_ operations
///              in a row found slots in the central list; patience_ grows each time that this was too early.
template <std::size_t max_cached, bool counts, std::size_t roomy_bytes = 0> class ThreadCaches : public ThreadParts {
 public:
  static constexpr bool enabled = true;
  using Room = MagazineRoom;
  /// Operations of a thread before it gets a cache, so that occasional use of a pool costs no more than a lock.
  static constexpr unsigned uses_before_cache = 8;

  template <class Central>
  explicit constexpr ThreadCaches(Central* central) noexcept : ThreadParts(central, &tell_central<Central>) {}
  ~ThreadCaches() {
    ThreadPart* const parts = detach_all();
    for (ThreadPart* part = parts; part != nullptr; part = part->next)
      ::operator delete(static_cast<void*>(static_cast<Magazine*>(part)->own_room()));
    free_parts(parts);
  }
  /// Called at construction: installs the fork handlers before threads start. The pool itself enrolls at its first use.
  void begin() noexcept { hear_of_forks(); }
  /// Called before the pool's lock is taken. Returns: true when the thread is forking and holds the lock already.
  bool enter() noexcept { return enroll(), is_forking(); }
  template <class Central> void rebind(Central*) noexcept { PoolNode::rebind(&tell_central<Central>); }

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Magazine* mine() const noexcept {
    return static_cast<Magazine*>(ThreadParts::mine());
  }
  /// Returns: null for one of the thread's first operations, without memory, at the thread's end, or without a heavy
  /// fence; the caller then goes to the central list.
  [[nodiscard]] FASTALLOC_COLD Magazine* attach(unsigned uses = uses_before_cache) noexcept {
    static constexpr PartSource source{[](PartSource const&) noexcept -> ThreadPart* {
                                         return Magazine::make(smaller(max_cached, Magazine::least_room));
                                       },
                                       [](ThreadPart const&) noexcept { return true; }};
    return static_cast<Magazine*>(ThreadParts::attach(source, true, uses));
  }
  /// Allocates memory for a cache that wants it. Requires: no lock is held.
  void more_room(Magazine const& magazine, MagazineRoom& room) const noexcept {
    if (magazine.wanted != 0) Magazine::make_room(room, smaller(4 * magazine.most(), magazine.wanted));
  }
  /// Allocates memory for the most slots that the cache may have, and touches every page of it.
  void all_room(Magazine const& magazine, MagazineRoom& room) const noexcept {
    if (magazine.most() < max_cached) Magazine::make_room(room, max_cached, true);
  }

  /// Returns: a slot for the caller, whose cache, if any, just had none: from the central list, with a batch for the
  /// cache, else from other caches. `returned_only`: batches contain only slots handed out before. `counted`: the cache
  /// counts the allocation.
  template <class Supply>
  auto pop(Magazine* magazine, MagazineRoom& room, Supply& supply, bool returned_only, bool& counted) noexcept {
    using One = decltype(supply.pop_one());
    note_peak(supply);
    counted = true;
    if (magazine != nullptr) {
      take_room(*magazine, room);
      if (std::byte* const slot = magazine->template settle<counts>()) return One{slot, false};
    }
    for (bool last = false;; last = true) {
      std::size_t const at_hand = returned_only ? supply.returned() : supply.at_hand();
      if (!last && at_hand != 0) be_patient();
      // After gathering, one slot suffices: the next operation takes a batch.
      // An empty central list opens no cache, so that polling a full pool does not walk all caches.
      if (magazine != nullptr && !last && supply.at_hand() != 0 && reopen_one(*magazine, room, supply) &&
          at_hand != 0) {
        std::size_t const batch =
            smaller(greater(at_hand / (count() + 1), 1), (std::size_t{magazine->granted()} + 1) / 2);
        std::size_t untouched = 0;
        if (magazine->fill(batch, [&](std::byte** out, std::size_t n) { return supply.pop_many(out, n, untouched); }) !=
            0)
          return One{magazine->template settle<counts>(), false};
      }
      if (One const taken = supply.pop_one(); taken.slot != nullptr || last) return counted = false, taken;
      if (roomy_bytes != 0 || !gather(supply)) return One{nullptr, false};
      shrink();
    }
  }

  /// Effects: moves the older half of the caller's cache, whose push() found no room, to the central list.
  template <class Supply> void spill(Magazine& magazine, MagazineRoom& room, Supply& supply) noexcept {
    note_peak(supply);
    be_patient();
    bool const open = reopen_one(magazine, room, supply);
    magazine.keep(open ? magazine.granted() / 2 : 0, [&](std::byte* slot) { supply.push(slot); });
  }

  /// Effects: gives new room to the caller's cache.
  template <class Supply> void use_room(Magazine& magazine, MagazineRoom& room, Supply& supply) noexcept {
    note_peak(supply);
    (void)reopen_one(magazine, room, supply);
  }

  /// Effects: moves all slots of the caller's cache to the central list.
  template <class Supply> void surrender(Magazine& magazine, MagazineRoom& room, Supply& supply) noexcept {
    note_peak(supply);
    take_room(magazine, room);
    magazine.keep(0, [&](std::byte* slot) { supply.push(slot); });
  }

  /// Effects: moves all slots of all caches to the central list, and closes every cache until its thread comes to the
  /// lock.
  /// Returns: false when there were none.
  template <class Supply> bool gather(Supply& supply) noexcept {
    if (granted_ == 0) return false;
    granted_ = 0;
    std::size_t const before = supply.at_hand();
    bool others = false;
    Magazine const* const own = mine();
    for_each([&](Magazine& magazine) {
      others = others || (magazine.is_open() && &magazine != own);
      magazine.close();
    });
    // The caller's own cache needs no fence: a single thread makes no system call.
    if (others) heavy_fence();
    note_peak(supply);  // only now: what owners took before they were stopped counts
    for_each([&](Magazine& magazine) { magazine.steal([&](std::byte* slot) { supply.push(slot); }); });
    return supply.at_hand() != before;
  }

  /// Effects: moves all slots to the central list, and sends every operation of every thread to the lock until
  /// reopen().
  template <class Supply> void close(Supply& supply) noexcept {
    ++closed_;
    gather(supply);
  }
  template <class Supply> void poll(Supply&) noexcept {}
  template <class Supply> void reopen(Supply&) noexcept {
    if (closed_ != 0) --closed_;
  }

  /// After a fork: the threads that closed the caches, or owned other caches, do not exist in the child.
  template <class Supply> void stay_alone(Supply& supply) noexcept {
    abandon([&](ThreadPart& part) { return end_cache(&part, supply), true; });
    closed_ = 0;
  }
  /// Takes a cache from its thread; its slots go to the central list.
  template <class Supply> void end_cache(ThreadPart* part, Supply& supply) noexcept {
    note_peak(supply);
    auto& magazine = static_cast<Magazine&>(*part);
    close_one(magazine);
    magazine.steal([&](std::byte* slot) { supply.push(slot); });
    (void)magazine.template settle<false>();  // the cache is empty: its room is whole again
    if constexpr (counts) {
      counts_.before += magazine.allocations();
      magazine.reset_allocations();
    }
  }

  template <class Supply> [[nodiscard]] std::size_t cached(Supply const&) const noexcept {
    if (granted_ == 0) return 0;  // slots in a closed cache are on their way to the central list
    return sum([](Magazine const& m) { return m.size(); });
  }
  /// Allocations since reset_counts() that bypassed the central list.
  [[nodiscard]] std::uint64_t allocations() const noexcept {
    if constexpr (counts)
      return counts_.before + sum([](Magazine const& m) { return static_cast<std::size_t>(m.allocations()); });
    return 0;
  }
  /// The most slots in use since reset_counts(); too high by at most the slots in caches, because a cache reports its
  /// minimum since its last visit to the central list. Exact when one thread uses the pool.
  template <class Supply> [[nodiscard]] std::size_t peak(Supply const& supply) const noexcept {
    if constexpr (!counts) return 0;
    else {
      std::size_t const out = supply.live();
      std::size_t const least = sum([](Magazine const& m) { return m.least(); });
      return greater(counts_.peak, out > least ? out - least : 0);
    }
  }
  /// Requires: the central list has not changed yet.
  template <class Supply> void note_peak(Supply const& supply) noexcept {
    if constexpr (counts) {
      // No peak exceeds live(): this test keeps the polling of a full pool from walking all caches.
      if (supply.live() > counts_.peak) counts_.peak = peak(supply);
      if (Magazine* const magazine = mine()) magazine->reset_least();
    }
  }
  template <class Supply> void reset_counts(Supply const& supply) noexcept {
    if constexpr (counts) {
      counts_.before -= allocations();
      for_each([](Magazine& magazine) { magazine.reset_least(); });  // exact when no owner pops meanwhile
      counts_.peak = supply.live() - smaller(supply.live(), cached(supply));
    }
  }

 private:
  static constexpr std::uint32_t least_patience = 8, most_patience = 20;  ///< as patience_

  /// Slots that a thread may keep: half the capacity is for the caches. Each thread has an equal part of that, and a
  /// quarter of what the others leave.
  template <class Supply> [[nodiscard]] std::size_t share(Supply const& supply, std::size_t others) const noexcept {
    std::size_t const half = supply.total() / 2;
    std::size_t most = greater(greater(half / (count() + 1), half > others ? (half - others) / 4 : 0), 1);
    if constexpr (roomy_bytes != 0) most = greater(most, roomy_bytes / supply.blocks().stride());
    return smaller(smaller(most, allowed_), max_cached);
  }
  /// Effects: closes the cache of one thread.
  void close_one(Magazine& magazine) noexcept {
    granted_ -= magazine.granted();
    magazine.close();
  }
  /// Effects: gives the room to the caller's cache, if it is larger, and closes the cache. Also done where the cache
  /// stays closed: otherwise each operation would allocate room, and free it.
  void take_room(Magazine& magazine, MagazineRoom& room) noexcept {
    if (room.memory == nullptr || room.most <= magazine.most()) return;
    close_one(magazine);
    magazine.move_to(room);
    if (magazine.wanted <= magazine.most()) magazine.wanted = 0;
  }
  /// Effects: opens the caller's cache, with more room if available. Returns: false when it must stay closed.
  template <class Supply> bool reopen_one(Magazine& magazine, MagazineRoom& room, Supply const& supply) noexcept {
    take_room(magazine, room);
    std::uint32_t const others = granted_ - magazine.granted();
    std::size_t const most = share(supply, others);
    if (closed_ != 0 || most == 0) return false;
    magazine.wanted = most > magazine.most() ? static_cast<std::uint32_t>(most) : 0;
    granted_ = others + magazine.open(most);
    return true;
  }
  /// Called when the central list ran dry while caches held slots.
  void shrink() noexcept {
    if (quiet_ >> patience_ != 0) patience_ = least_patience;
    else if (patience_ < most_patience) ++patience_;
    quiet_ = 0;
    allowed_ /= 4;
  }
  /// Called when the central list had a slot or received one.
  void be_patient() noexcept {
    if (quiet_ >> patience_ == 0) ++quiet_;
    if (quiet_ >> patience_ == 0 || allowed_ == max_cached) return;
    quiet_ = 0;
    allowed_ = static_cast<std::uint32_t>(smaller(std::size_t{2} * allowed_ + 1, max_cached));
  }
  template <class F> void for_each(F&& f) noexcept {
    ThreadParts::for_each([&](ThreadPart& part) { f(static_cast<Magazine&>(part)); });
  }
  template <class F> [[nodiscard]] std::size_t sum(F&& f) const noexcept {
    std::size_t result = 0;
    ThreadParts::for_each([&](ThreadPart const& part) { result += f(static_cast<Magazine const&>(part)); });
    return result;
  }

  struct Counts {
    std::size_t peak = 0;      ///< slots
    std::uint64_t before = 0;  ///< allocations of ended caches, less those at the last reset
  };
  struct NoCounts {};

  std::uint32_t allowed_ = max_cached;
  std::uint32_t quiet_ : 24 = 0;                 ///< operations since shrink(); stops at the patience
  std::uint32_t patience_ : 8 = least_patience;  ///< its logarithm to base 2
  std::uint32_t closed_ = 0;   ///< close() without reopen(): one for each iteration, waiting thread and request
  std::uint32_t granted_ = 0;  ///< slots, the sum over all caches; 0: all are closed
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<counts, Counts, NoCounts> counts_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
