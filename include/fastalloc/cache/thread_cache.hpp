// SPDX-License-Identifier: MIT OR Apache-2.0
// The cache axis of ThreadSafePool: slots that each thread keeps for itself, between it and the shared ones (the depot).
//
//   ThreadCache<N>   up to N slots a thread, moved to and from the depot in batches      default
//   NoCache          each operation goes to the depot
//
// A cache is an array (a magazine: Bonwick and Adams, "Magazines and vmem", 2001) of which the owner uses the upper end
// without an atomic read-modify-write, while others may take the lower end away, so that no slot is ever out of reach:
//
//   begin_ ..... floor_ ......... top_ ..... end_
//   | free      | slots          | free      |
//                 limit_ == floor_, or, in a closed cache, the highest address: the owner's next pop() comes to the lock
//                 end_, or, in a closed cache, null: the owner's next push() does
//
// The owner stores top_ and then looks at limit_ (or end_); a thief stores limit_ and then looks at top_: one of them sees
// the other (Frigo, Leiserson and Randall, "The implementation of the Cilk-5 multithreaded language", 1998, the THE
// protocol; the fence between is asymmetric). A slot that the owner is just popping is left to it. All caches are closed, for
// both, before the first is looked at, and until the last was: so "nothing found" means that at one moment no slot was free.
// tests/spin/cache_stealing.pml is the model of this.
#pragma once

#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/cache/thread_parts.hpp>

#include <algorithm>
#include <limits>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: by default. A thread keeps at most Slots slots, and at most its share of half the capacity; when the depot
/// runs dry they are taken from it. 8 * Slots bytes of heap for each thread that uses the pool.
/// Complexity: 1 step; one operation in Slots / 2 moves up to that many slots under the lock; see ThreadSafePool.
template <std::size_t Slots>
struct ThreadCache {
  static_assert(Slots <= 65536, "fastalloc: a ThreadCache of more than 65536 slots takes half a megabyte for each thread; take fewer");
  static_assert(Slots >= 2, "fastalloc: a ThreadCache of less than two slots cannot work in batches; use NoCache");
  static constexpr std::size_t max_cached = Slots;
};

static_assert(CachePolicy<ThreadCache<>>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The cache of one thread in one pool. `counts`: keep account for the statistics.
class alignas(cache_line) Magazine : public ThreadPart {
  using Entry = std::byte*;

 public:
  static constexpr std::size_t lookahead = 8;  ///< slots

  [[nodiscard]] static Magazine* make(std::size_t most) noexcept {
    // In front of the entries lie as many nulls as pop() may look ahead, and one more for its step below the empty cache;
    // behind them one, for the push() that finds that there is no room.
    std::size_t const entries = lookahead + 1 + most + 1;
    void* const memory = part_memory(sizeof(Magazine) + entries * sizeof(Entry));
    return memory == nullptr ? nullptr : ::new (memory) Magazine(lookahead + 1, most);
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

  // What follows needs the pool's lock. Nobody but the owner may call settle(), keep(), fill().

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
  /// Requires: closed, and a heavy fence since.
  template <class Give> void steal(Give&& give) noexcept {
    // seq_cst: after limit_ was written. The entries are there, too: push() and the heavy fence (or pop(), where there is none)
    // order them before the value that is read.
    Entry* const top = top_.load(std::memory_order_seq_cst);
    for (; floor_ < top; ++floor_) give(*floor_);
  }

  [[nodiscard]] std::size_t size() const noexcept {
    Entry* const top = top_.load(std::memory_order_relaxed);  // relaxed: exact when the owner is idle
    return top > floor_ ? static_cast<std::size_t>(top - floor_) : 0;
  }
  [[nodiscard]] std::size_t most() const noexcept { return most_; }
  [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }  // relaxed: as in size()
  /// The fewest slots since reset_least(), where they are counted.
  [[nodiscard]] std::size_t least() const noexcept {
    Entry* const least = least_.load(std::memory_order_relaxed);  // relaxed: as in size()
    return least > floor_ ? (std::min)(static_cast<std::size_t>(least - floor_), size()) : 0;
  }
  void reset_least() noexcept { least_.store(top_.load(std::memory_order_relaxed), std::memory_order_relaxed); }

 private:
  Magazine(std::size_t guard, std::size_t most) noexcept
      : begin_(reinterpret_cast<Entry*>(this + 1) + guard), most_(most) {
    std::fill(begin_ - guard, begin_ + most + 1, nullptr);  // all of them: no page fault later
    close();
    rebase(begin_);
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
  Entry* begin_;
  std::size_t most_;                    ///< slots there is memory for
};

/// Tells a PoolDepot what happens to threads and to the process.
template <class Core> bool tell_core(void* pool, ThreadParts::Event event, ThreadPart* part) noexcept {
  using Event = ThreadParts::Event;
  auto& core = *static_cast<Core*>(pool);
  switch (event) {
    case Event::lock:
    case Event::before_fork: core.lock(); break;
    case Event::unlock:
    case Event::after_fork: core.unlock(); break;
    case Event::in_child: core.stay_alone(); break;
    case Event::thread_ended:
    case Event::forked: core.retire_cache(part);
  }
  return true;
}

/// For a shared pool whose threads keep nothing: it hears of forks.
class Uncached : public NoCaches, public ThreadParts {
 public:
  using NoCaches::attach;
  template <class Core> explicit constexpr Uncached(Core* core) noexcept : NoCaches(core), ThreadParts(core, &tell_core<Core>) {}
  ~Uncached() { detach_all(); }
  template <class Core> void rebind(Core*) noexcept { ThreadParts::rebind(&tell_core<Core>); }
  using ThreadParts::enroll;
};

/// The caches of one pool over a depot. All but mine() and attach() need the pool's lock.
/// `roomy_bytes`: for pools that rather grow than search other caches: a thread may always keep slots of so many bytes.
template <std::size_t max_cached, bool counts, std::size_t roomy_bytes = 0>
class ThreadCaches : public ThreadParts {
 public:
  static constexpr bool enabled = true;

  template <class Core> explicit constexpr ThreadCaches(Core* core) noexcept : ThreadParts(core, &tell_core<Core>) {}
  template <class Core> void rebind(Core*) noexcept { ThreadParts::rebind(&tell_core<Core>); }
  ~ThreadCaches() { free_parts(detach_all(), &ThreadPart::next_in_pool); }

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Magazine* mine() const noexcept { return static_cast<Magazine*>(ThreadParts::mine()); }
  /// Null: no memory, the thread is at its end, or the system has no heavy fence; the caller goes to the depot then.
  [[nodiscard]] FASTALLOC_COLD Magazine* attach() noexcept {
    if (Magazine* const magazine = mine()) return magazine;
    return static_cast<Magazine*>(ThreadParts::attach([]() noexcept { return Magazine::make(max_cached); }, true));
  }

  /// A slot for the caller, whose cache, if it has one, just had none: from the depot, with a batch for the cache, else from
  /// other caches. `returned_only`: batches are of slots that were handed out before.
  /// `counted`: the cache keeps account of it.
  template <class Depot> auto take(Magazine* magazine, Depot& depot, bool returned_only, bool& counted) noexcept {
    using One = decltype(depot.take_one());
    note_peak(depot);
    counted = true;
    if (magazine != nullptr)
      if (std::byte* const slot = magazine->template settle<counts>()) return One{slot, false};
    for (bool last = false;; last = true) {
      if (magazine != nullptr && closed_ == 0) {
        magazine->open(share(depot));
        std::size_t const at_hand = returned_only ? depot.returned() : depot.at_hand();
        std::size_t const batch = std::clamp<std::size_t>(at_hand / (count() + 1), 1, ((std::min)(share(depot), magazine->most()) + 1) / 2);
        std::size_t fresh = 0;
        if (at_hand != 0 && magazine->fill(batch, [&](std::byte** out, std::size_t n) { return depot.take_many(out, n, fresh); }) != 0)
          return One{magazine->template settle<counts>(), false};
      }
      if (One const taken = depot.take_one(); taken.slot != nullptr || last) return counted = false, taken;
      if (roomy_bytes != 0 || !gather(depot)) return One{nullptr, false};
    }
  }

  /// After a push() of the caller's that found no room.
  template <class Depot> void make_room(Magazine& magazine, Depot& depot) noexcept {
    note_peak(depot);
    if (closed_ == 0) magazine.open(share(depot));
    magazine.keep(closed_ == 0 ? (std::min)(share(depot), max_cached) / 2 : 0, [&](std::byte* slot) { depot.give(slot); });
  }

  /// Effects: all slots of all caches are in the depot. Returns: false when there were none.
  template <class Depot> bool gather(Depot& depot) noexcept {
    if (first() == nullptr) return false;
    note_peak(depot);
    std::size_t const before = depot.at_hand();
    for_each([](Magazine& magazine) { magazine.close(); });
    // The caller's own cache is in order as it is: one thread alone makes no system call.
    if (first() != mine() || first()->next_in_pool != nullptr) heavy_fence();
    for_each([&](Magazine& magazine) { magazine.steal([&](std::byte* slot) { depot.give(slot); }); });
    if (closed_ == 0) for_each([&](Magazine& magazine) { magazine.open(share(depot)); });
    return depot.at_hand() != before;
  }

  /// Effects: until reopen(), every operation of every thread comes to the lock; all slots are in the depot.
  template <class Depot> void close(Depot& depot) noexcept {
    ++closed_;
    gather(depot);
  }
  template <class Depot> void poll(Depot&) noexcept {}
  template <class Depot> void reopen(Depot& depot) noexcept {
    if (closed_ != 0 && --closed_ == 0) for_each([&](Magazine& magazine) { magazine.open(share(depot)); });
  }

  /// After a fork: those who closed the caches are gone.
  template <class Depot> void stay_alone(Depot& depot) noexcept {
    closed_ = 1;
    reopen(depot);
  }
  /// A thread's cache goes away: its slots to the depot.
  template <class Depot> void retire(ThreadPart* part, Depot& depot) noexcept {
    note_peak(depot);
    auto& magazine = static_cast<Magazine&>(*part);
    magazine.steal([&](std::byte* slot) { depot.give(slot); });
    before_ += magazine.allocations();
  }

  template <class Depot> [[nodiscard]] std::size_t cached(Depot const&) const noexcept {
    return sum([](Magazine const& m) { return m.size(); });
  }
  /// Allocations that the depot did not see, since reset_counts().
  [[nodiscard]] std::uint64_t allocations() const noexcept {
    return before_ + sum([](Magazine const& m) { return static_cast<std::size_t>(m.allocations()); });
  }
  /// The most slots in use since reset_counts(), or up to what the caches hold more: they tell of the fewest that they held since
  /// they last came to the depot. Exact when one thread uses the pool.
  template <class Depot> [[nodiscard]] std::size_t peak(Depot const& depot) const noexcept {
    std::size_t const out = depot.live();
    std::size_t const least = sum([](Magazine const& m) { return m.least(); });
    return (std::max)(peak_, out > least ? out - least : 0);
  }
  /// Called before the depot changes.
  template <class Depot> void note_peak(Depot const& depot) noexcept {
    if constexpr (!counts) return;
    peak_ = peak(depot);
    if (Magazine* const magazine = mine()) magazine->reset_least();
  }
  template <class Depot> void reset_counts(Depot const& depot) noexcept {
    if constexpr (!counts) return;
    before_ -= allocations();
    for_each([](Magazine& magazine) { magazine.reset_least(); });  // exact when no owner pops meanwhile
    peak_ = depot.live() - (std::min)(depot.live(), cached(depot));
  }

 private:
  /// Slots that a thread may keep: half the capacity belongs to the caches.
  template <class Depot> [[nodiscard]] std::size_t share(Depot const& depot) const noexcept {
    return std::max<std::size_t>({depot.total() / (2 * (count() + 1)), 1, roomy_bytes == 0 ? 1 : roomy_bytes / depot.blocks().stride()});
  }
  template <class F> void for_each(F&& f) noexcept {
    for (ThreadPart* part = first(); part != nullptr; part = part->next_in_pool) f(static_cast<Magazine&>(*part));
  }
  template <class F> [[nodiscard]] std::size_t sum(F&& f) const noexcept {
    std::size_t result = 0;
    for (ThreadPart* part = first(); part != nullptr; part = part->next_in_pool) result += f(static_cast<Magazine const&>(*part));
    return result;
  }

  alignas(cache_line) std::size_t closed_ = 0;  ///< close() without reopen()
  std::size_t peak_ = 0;                        ///< slots
  std::uint64_t before_ = 0;                    ///< allocations of caches that are gone, less those at the last reset
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
