// SPDX-License-Identifier: MIT OR Apache-2.0
// The cache axis of ThreadSafePool: slots that each thread keeps for itself, between it and the shared ones (the
// depot).
//
//   ThreadCache<N>   up to N slots a thread, moved to and from the depot in batches      default
//   NoCache          each operation goes to the depot
//
// A cache is an array (a magazine: Bonwick and Adams, "Magazines and vmem", 2001) of which the owner uses the upper end
// without an atomic read-modify-write, while others may take the lower end away, so that no slot is ever out of reach:
//
//   begin_ ..... floor_ ......... top_ ..... end_
//   | free      | slots          | free      |
//                 limit_ == floor_, or, in a closed cache, the highest address: the owner's next pop() comes to the
//                 lock end_, or, in a closed cache, null: the owner's next push() does
//
// The owner stores top_ and then looks at limit_ (or end_); a thief stores limit_ and then looks at top_: one of them
// sees the other (Frigo, Leiserson and Randall, "The implementation of the Cilk-5 multithreaded language", 1998, the
// THE protocol; the fence between is asymmetric). A slot that the owner is just popping is left to it. All caches are
// closed, for both, before the first is looked at, and until the last was: so "nothing found" means that at one moment
// no slot was free. tests/spin/cache_stealing.pml is the model of this.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/cache/thread_parts.hpp>
#include <fastalloc/storage/storage.hpp>

#include <algorithm>
#include <limits>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default. A thread keeps at most Slots slots, and at most its share of half the capacity; when the
/// depot runs dry they are taken from it. A thread gets a cache at its 8th operation in a pool: room for 16 slots, 8
/// bytes each, that grows with use; or at warm_up(), with all its room at once. To take slots from the caches of other
/// threads costs a call of `membarrier`: 1.8 to 4 µs in a busy virtual machine. Where the depot runs dry again and
/// again, caches may keep less, down to nothing, and more again later.
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

/// Memory for the entries of a magazine, on its way in or out; no lock is held when it comes and goes.
struct MagazineRoom {
  std::byte** memory = nullptr;
  std::size_t most = 0;  ///< slots

  MagazineRoom() noexcept = default;
  MagazineRoom(MagazineRoom const&) = delete;
  MagazineRoom& operator=(MagazineRoom const&) = delete;
  ~MagazineRoom() { ::operator delete(static_cast<void*>(memory)); }
};

/// The cache of one thread in one pool. `counts`: keep account for the statistics.
class alignas(cache_line) Magazine : public ThreadPart {
  using Entry = std::byte*;

 public:
  static constexpr std::size_t lookahead = 8;    ///< slots
  static constexpr std::size_t least_room = 16;  ///< slots; what a cache begins with

  /// Its own room follows in the same memory; more comes later.
  [[nodiscard]] static Magazine* make(std::size_t most) noexcept {
    void* const memory = part_memory(sizeof(Magazine) + entries_for(most) * sizeof(Entry));
    return memory == nullptr ? nullptr : ::new (memory) Magazine(most);
  }
  static void make_room(MagazineRoom& room, std::size_t most, bool touch = false) noexcept {
    room.memory = static_cast<Entry*>(::operator new(entries_for(most) * sizeof(Entry), std::nothrow));
    room.most = most;
    if (touch && room.memory != nullptr)
      touch_pages(reinterpret_cast<std::byte*>(room.memory), entries_for(most) * sizeof(Entry));
  }

  /// The owner's: the slot returned last, or null: then the owner must take the lock and call settle().
  template <bool counts> FASTALLOC_ALWAYS_INLINE std::byte* pop() noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed) - 1;  // relaxed: written by this thread only
    top_.store(top, owner_store);                                 // before limit_ is read: see light_fence()
    light_fence();
    if (top < limit_.load(owner_load)) [[unlikely]] {
      top_.store(top + 1, owner_publish);  // release: the slot is there for thieves again
      return nullptr;
    }
    FASTALLOC_PREFETCH(top[-static_cast<std::ptrdiff_t>(lookahead)]);
    if constexpr (counts) count(top);
    std::byte* const slot = *top;
    FASTALLOC_ASSUME(slot != nullptr);
    return slot;
  }
  /// The owner's. False: the slot is in, but the owner must take the lock and make room.
  FASTALLOC_ALWAYS_INLINE bool push(std::byte* slot) noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);  // relaxed: written by this thread only
    *top = slot;
    top_.store(top + 1, owner_publish);  // release: a thief that sees it reads the entry; and before end_ is read
    light_fence();
    return top < end_.load(owner_load);
  }

  // What follows needs the pool's lock. Nobody but the owner may call settle(), keep(), fill(), move_to().

  /// pop() for one that holds the lock; an empty cache has all its room again.
  template <bool counts> [[nodiscard]] std::byte* settle() noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed) - 1;
    if (top < floor_) return rebase(begin_), nullptr;
    top_.store(top, std::memory_order_relaxed);
    if constexpr (counts) count(top);
    return *top;
  }
  /// Effects: gives all but the `n` newest slots to `give`.
  template <class Give> void keep(std::size_t n, Give&& give) noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);
    Entry* const stays = size() > n ? top - n : floor_;
    for (Entry* entry = floor_; entry < stays; ++entry) give(*entry);
    rebase(std::copy(stays, (std::max)(stays, top), begin_));
  }
  /// Effects: `take(entries, n)` writes up to n slots and returns how many. Requires: the cache is empty.
  template <class Take> std::size_t fill(std::size_t n, Take&& take) noexcept {
    std::size_t const count = take(begin_, n);
    rebase(begin_ + count);
    return count;
  }
  /// Effects: the slots move to `room`, which gets what the cache had. Requires: the cache is closed.
  void move_to(MagazineRoom& room) noexcept {
    Entry* const begin = clear(room.memory, room.most);
    Entry* const top = std::copy(floor_, (std::max)(floor_, top_.load(std::memory_order_relaxed)), begin);
    std::swap(own_, room.memory);
    begin_ = begin;
    most_ = room.most;
    rebase(top);
  }

  /// From here on the owner comes to the lock with each operation. seq_cst, twice: before top_ is read.
  void close() noexcept {
    end_.store(nullptr, std::memory_order_seq_cst);
    limit_.store(highest(), std::memory_order_seq_cst);
  }
  void open(std::size_t room) noexcept {
    // relaxed, twice: the owner needs none of our writes.
    end_.store(begin_ + (std::min)(room, most_), std::memory_order_relaxed);
    limit_.store(floor_, std::memory_order_relaxed);
  }
  // relaxed: under the lock
  [[nodiscard]] bool is_open() const noexcept { return end_.load(std::memory_order_relaxed) != nullptr; }
  /// Requires: closed, and a heavy fence since.
  template <class Give> void steal(Give&& give) noexcept {
    // seq_cst: after limit_ was written. The entries are there, too: push() and the heavy fence (or pop(), where there
    // is none) order them before the value that is read.
    Entry* const top = top_.load(std::memory_order_seq_cst);
    for (; floor_ < top; ++floor_) give(*floor_);
  }

  [[nodiscard]] std::size_t size() const noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);  // relaxed: exact when the owner is idle
    return top > floor_ ? static_cast<std::size_t>(top - floor_) : 0;
  }
  /// Slots there is memory for. Changed by the owner only.
  [[nodiscard]] std::size_t most() const noexcept { return most_; }
  // relaxed: as in size()
  [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }
  void reset_allocations() noexcept { allocations_.store(0, std::memory_order_relaxed); }
  /// The fewest slots since reset_least(), where they are counted.
  [[nodiscard]] std::size_t least() const noexcept {
    Entry* const least = least_.load(std::memory_order_relaxed);  // relaxed: as in size()
    return least > floor_ ? (std::min)(static_cast<std::size_t>(least - floor_), size()) : 0;
  }
  void reset_least() noexcept { least_.store(top_.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  /// The room that came later; for the end of the pool.
  [[nodiscard]] Entry* own_room() const noexcept { return own_; }

  bool wants_room = false;  ///< it had to move slots though its share allows more

 private:
  explicit Magazine(std::size_t most) noexcept : most_(most) {
    begin_ = clear(reinterpret_cast<Entry*>(this + 1), most);
    close();
    rebase(begin_);
  }
  // In front of the entries lie as many nulls as pop() may look ahead, and one more for its step below the empty cache;
  // behind them one, for the push() that finds that there is no room.
  static constexpr std::size_t entries_for(std::size_t most) noexcept { return lookahead + 1 + most + 1; }
  /// All of it is written: no page fault later. Returns: the first entry.
  static Entry* clear(Entry* memory, std::size_t most) noexcept {
    std::fill(memory, memory + entries_for(most), nullptr);
    return memory + lookahead + 1;
  }
  static Entry* highest() noexcept { return reinterpret_cast<Entry*>((std::numeric_limits<std::uintptr_t>::max)()); }

  /// Plain loads and stores: only the owner writes.
  FASTALLOC_ALWAYS_INLINE void count(Entry* top) noexcept {
    allocations_.store(allocations_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (top < least_.load(std::memory_order_relaxed)) least_.store(top, std::memory_order_relaxed);
  }
  /// The slots are now [begin_, top). A closed cache stays so.
  void rebase(Entry* top) noexcept {
    floor_ = begin_;
    top_.store(top, std::memory_order_relaxed);  // relaxed, twice: read by others under the lock only
    if (limit_.load(std::memory_order_relaxed) != highest()) limit_.store(floor_, std::memory_order_relaxed);
    reset_least();
  }

  std::atomic<Entry*> top_{nullptr};    ///< behind the newest slot; the owner's
  std::atomic<Entry*> limit_{nullptr};  ///< what pop() may not go below
  std::atomic<Entry*> end_{nullptr};    ///< where push() finds no more room
  std::atomic<std::uint64_t> allocations_{0};
  std::atomic<Entry*> least_{nullptr};  ///< the lowest top_ since reset_least()
  Entry* floor_ = nullptr;              ///< the oldest slot; under the lock
  Entry* begin_ = nullptr;
  std::size_t most_;
  Entry* own_ = nullptr;  ///< memory of the entries; null while they lie behind the object
};

/// Tells a PoolDepot what happens to threads and to the process.
template <class Core> void tell_core(void* pool, PoolEvent event, ThreadPart* part) noexcept {
  auto& core = *static_cast<Core*>(pool);
  switch (event) {
    case PoolEvent::lock:
    case PoolEvent::before_fork: core.lock(); break;
    case PoolEvent::unlock:
    case PoolEvent::after_fork: core.unlock(); break;
    case PoolEvent::in_child: core.stay_alone(); break;
    case PoolEvent::thread_ended: core.retire_cache(part); break;
    case PoolEvent::hear_of_forks: ForkHandlers::install();
  }
}

/// For a shared pool whose threads keep nothing: it hears of forks.
class Uncached : public NoCaches, public PoolNode {
 public:
  template <class Core>
  explicit constexpr Uncached(Core* core) noexcept : NoCaches(core), PoolNode(core, &tell_core<Core>) {}
  ~Uncached() { leave_registry(); }
  using NoCaches::is_enrolled, NoCaches::end;  // enrolled at construction
  void begin() noexcept { enroll(); }
  bool enter() noexcept { return is_forking(); }
  template <class Core> void rebind(Core*) noexcept { PoolNode::rebind(&tell_core<Core>); }
};

/// The caches of one pool over a depot. All but mine(), attach() and more_room() need the pool's lock.
/// `roomy_bytes`: for pools that rather grow than search other caches: a thread may always keep slots of so many bytes.
///
///   allowed_   slots that a cache may keep at most. Where the depot runs dry though others keep slots, it shrinks,
///              down to 0:
///              then all caches are closed, and every operation goes to the depot. It grows again when patience_
///              operations in a row found slots in the depot; patience_ doubles each time that it grew too early.
template <std::size_t max_cached, bool counts, std::size_t roomy_bytes = 0> class ThreadCaches : public ThreadParts {
 public:
  static constexpr bool enabled = true;
  using Room = MagazineRoom;
  /// Operations of a thread before it gets a cache: a thread that uses a pool once or twice costs no more than a lock.
  static constexpr unsigned uses_before_cache = 8;

  template <class Core> explicit constexpr ThreadCaches(Core* core) noexcept : ThreadParts(core, &tell_core<Core>) {}
  ~ThreadCaches() {
    ThreadPart* const parts = detach_all();
    for (ThreadPart* part = parts; part != nullptr; part = part->next)
      ::operator delete(static_cast<void*>(static_cast<Magazine*>(part)->own_room()));
    free_parts(parts);
  }
  /// At construction: fork handlers are there before threads are. The pool itself joins them at its first use.
  void begin() noexcept { hear_of_forks(); }
  /// Before the pool's lock is taken. Returns: true when the thread has it, since it is forking.
  bool enter() noexcept { return enroll(), is_forking(); }
  template <class Core> void rebind(Core*) noexcept { PoolNode::rebind(&tell_core<Core>); }

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Magazine* mine() const noexcept {
    return static_cast<Magazine*>(ThreadParts::mine());
  }
  /// Null: one of the thread's first operations, no memory, the thread is at its end, or the system has no heavy fence;
  /// the caller goes to the depot then.
  [[nodiscard]] FASTALLOC_COLD Magazine* attach(unsigned uses = uses_before_cache) noexcept {
    constexpr auto any = [](ThreadPart const&) noexcept { return true; };
    constexpr auto make = []() noexcept { return Magazine::make((std::min)(max_cached, Magazine::least_room)); };
    return static_cast<Magazine*>(ThreadParts::attach(any, make, true, uses));
  }
  /// Memory for a cache that wants it. No lock may be held.
  void more_room(Magazine const& magazine, MagazineRoom& room) const noexcept {
    if (magazine.wants_room) Magazine::make_room(room, (std::min)(2 * magazine.most(), max_cached));
  }
  /// The same for all the slots that a cache may ever have, and every page of it is touched.
  void all_room(Magazine const& magazine, MagazineRoom& room) const noexcept {
    if (magazine.most() < max_cached) Magazine::make_room(room, max_cached, true);
  }

  /// A slot for the caller, whose cache, if it has one, just had none: from the depot, with a batch for the cache, else
  /// from other caches. `returned_only`: batches are of slots that were handed out before. `counted`: the cache keeps
  /// account of it.
  template <class Depot>
  auto take(Magazine* magazine, MagazineRoom& room, Depot& depot, bool returned_only, bool& counted) noexcept {
    using One = decltype(depot.take_one());
    note_peak(depot);
    counted = true;
    if (magazine != nullptr)
      if (std::byte* const slot = magazine->template settle<counts>()) return One{slot, false};
    for (bool last = false;; last = true) {
      std::size_t const at_hand = returned_only ? depot.returned() : depot.at_hand();
      if (!last && at_hand != 0) be_patient();
      // Once slots had to be gathered, one will do: the next operation takes a batch.
      // An empty depot opens no cache: a full pool is polled without a walk over all caches.
      if (magazine != nullptr && !last && depot.at_hand() != 0 && reopen_one(*magazine, room, depot) && at_hand != 0) {
        std::size_t const batch =
            std::clamp<std::size_t>(at_hand / (count() + 1), 1, ((std::min)(share(depot), magazine->most()) + 1) / 2);
        std::size_t fresh = 0;
        if (magazine->fill(batch, [&](std::byte** out, std::size_t n) { return depot.take_many(out, n, fresh); }) != 0)
          return One{magazine->template settle<counts>(), false};
      }
      if (One const taken = depot.take_one(); taken.slot != nullptr || last) return counted = false, taken;
      if (roomy_bytes != 0 || !gather(depot)) return One{nullptr, false};
      shrink();
    }
  }

  /// After a push() of the caller's that found no room.
  template <class Depot> void make_room(Magazine& magazine, MagazineRoom& room, Depot& depot) noexcept {
    note_peak(depot);
    be_patient();
    bool const open = reopen_one(magazine, room, depot);
    magazine.keep(open ? (std::min)(share(depot), magazine.most()) / 2 : 0, [&](std::byte* slot) { depot.give(slot); });
  }

  /// Effects: the caller's cache has the room that has come for it, unless all are closed.
  template <class Depot> void use_room(Magazine& magazine, MagazineRoom& room, Depot& depot) noexcept {
    (void)reopen_one(magazine, room, depot);
  }

  /// Effects: all slots of the caller's cache are in the depot.
  template <class Depot> void surrender(Magazine& magazine, Depot& depot) noexcept {
    note_peak(depot);
    magazine.keep(0, [&](std::byte* slot) { depot.give(slot); });
  }

  /// Effects: all slots of all caches are in the depot, and every cache is closed until its thread comes to the lock.
  /// Returns: false when there were none.
  template <class Depot> bool gather(Depot& depot) noexcept {
    if (!any_open_) return false;
    any_open_ = false;
    note_peak(depot);
    std::size_t const before = depot.at_hand();
    bool others = false;
    Magazine const* const own = mine();
    for_each([&](Magazine& magazine) {
      others = others || (magazine.is_open() && &magazine != own);
      magazine.close();
    });
    // The caller's own cache is in order as it is: one thread alone makes no system call.
    if (others) heavy_fence();
    for_each([&](Magazine& magazine) { magazine.steal([&](std::byte* slot) { depot.give(slot); }); });
    return depot.at_hand() != before;
  }

  /// Effects: until reopen(), every operation of every thread comes to the lock; all slots are in the depot.
  template <class Depot> void close(Depot& depot) noexcept {
    ++closed_;
    gather(depot);
  }
  template <class Depot> void poll(Depot&) noexcept {}
  template <class Depot> void reopen(Depot&) noexcept {
    if (closed_ != 0) --closed_;
  }

  /// After a fork: those who closed the caches are gone, and so are the threads of other caches.
  template <class Depot> void stay_alone(Depot& depot) noexcept {
    abandon([&](ThreadPart& part) { return retire(&part, depot), true; });
    closed_ = 0;
  }
  /// A thread's cache loses its thread: its slots to the depot.
  template <class Depot> void retire(ThreadPart* part, Depot& depot) noexcept {
    note_peak(depot);
    auto& magazine = static_cast<Magazine&>(*part);
    magazine.close();
    magazine.steal([&](std::byte* slot) { depot.give(slot); });
    (void)magazine.template settle<false>();  // empty: its room is whole again
    if constexpr (counts) {
      counts_.before += magazine.allocations();
      magazine.reset_allocations();
    }
  }

  template <class Depot> [[nodiscard]] std::size_t cached(Depot const&) const noexcept {
    if (!any_open_) return 0;  // what comes into a closed cache is on its way to the depot
    return sum([](Magazine const& m) { return m.size(); });
  }
  /// Allocations that the depot did not see, since reset_counts().
  [[nodiscard]] std::uint64_t allocations() const noexcept {
    if constexpr (counts)
      return counts_.before + sum([](Magazine const& m) { return static_cast<std::size_t>(m.allocations()); });
    return 0;
  }
  /// The most slots in use since reset_counts(), or up to what the caches hold more: they tell of the fewest that they
  /// held since they last came to the depot. Exact when one thread uses the pool.
  template <class Depot> [[nodiscard]] std::size_t peak(Depot const& depot) const noexcept {
    if constexpr (!counts) return 0;
    else {
      std::size_t const out = depot.live();
      std::size_t const least = sum([](Magazine const& m) { return m.least(); });
      return (std::max)(counts_.peak, out > least ? out - least : 0);
    }
  }
  /// Called before the depot changes.
  template <class Depot> void note_peak(Depot const& depot) noexcept {
    if constexpr (counts) {
      // No peak is above live(): without this look a full pool would be polled at the price of a walk over all caches.
      if (depot.live() > counts_.peak) counts_.peak = peak(depot);
      if (Magazine* const magazine = mine()) magazine->reset_least();
    }
  }
  template <class Depot> void reset_counts(Depot const& depot) noexcept {
    if constexpr (counts) {
      counts_.before -= allocations();
      for_each([](Magazine& magazine) { magazine.reset_least(); });  // exact when no owner pops meanwhile
      counts_.peak = depot.live() - (std::min)(depot.live(), cached(depot));
    }
  }

 private:
  static constexpr std::uint32_t least_patience = 256;  ///< operations

  /// Slots that a thread may keep: half the capacity belongs to the caches.
  template <class Depot> [[nodiscard]] std::size_t share(Depot const& depot) const noexcept {
    std::size_t const part = std::max<std::size_t>(
        {depot.total() / (2 * (count() + 1)), 1, roomy_bytes == 0 ? 1 : roomy_bytes / depot.blocks().stride()});
    return (std::min)({part, std::size_t{allowed_}, max_cached});
  }
  /// Effects: the caller's cache is open, with more room where it has come. Returns: false when it has to stay closed.
  template <class Depot> bool reopen_one(Magazine& magazine, MagazineRoom& room, Depot const& depot) noexcept {
    std::size_t const most = share(depot);
    if (closed_ != 0 || most == 0) return false;
    if (room.memory != nullptr && room.most > magazine.most()) {
      magazine.close();
      magazine.move_to(room);
    }
    magazine.wants_room = most > magazine.most();
    magazine.open(most);
    return any_open_ = true;
  }
  /// The depot ran dry while caches kept slots.
  void shrink() noexcept {
    if (quiet_ < patience_) patience_ = (std::min)(2 * patience_, std::uint32_t{1} << 20);
    else patience_ = least_patience;
    quiet_ = 0;
    allowed_ /= 4;
  }
  /// The depot had a slot, or got one.
  void be_patient() noexcept {
    if (++quiet_ < patience_ || allowed_ == max_cached) return;
    quiet_ = 0;
    allowed_ = static_cast<std::uint32_t>((std::min)(std::size_t{2} * allowed_ + 1, max_cached));
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
    std::uint64_t before = 0;  ///< allocations of caches that are gone, less those at the last reset
  };
  struct NoCounts {};

  std::uint32_t allowed_ = max_cached;
  std::uint32_t patience_ = least_patience;
  std::uint32_t quiet_ = 0;
  std::uint16_t closed_ = 0;  ///< close() without reopen()
  bool any_open_ = false;     ///< a cache was opened since all were closed
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<counts, Counts, NoCounts> counts_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
