// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on a pool, and on a model that is too simple to be wrong: a map of the live objects.
//
// The model knows which objects live, where they are, what they hold and who owns them (typed handles, erased handles,
// nobody after release()), and what each number in PoolStatistics must be. After an operation the pool must agree.
// The driver takes every decision from a source (source.hpp), so it is a random test and a fuzz target at once.
//
//   peak   the highest number of live objects since the last reset; whether slots count whose construction failed is
//          left to the slot allocator, so the model has two bounds, which differ only after such a failure
#pragma once

#include "support/test_storage.hpp"
#include "support/tracked.hpp"

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace model {

/// What the pools hold: Tracked, and it can throw (support/tracked.hpp).
template <std::size_t Padding> struct Object : test::ThrowOnNth {
  using ThrowOnNth::ThrowOnNth;
  unsigned char padding[Padding] = {};
};

/// Ends without user code.
class Inert {
 public:
  explicit Inert(std::uint64_t value) : value_((test::fuse().tick(), value)), payload_(cookie ^ value) {}
  [[nodiscard]] std::uint64_t value() const { return value_; }
  [[nodiscard]] bool intact() const { return payload_ == (cookie ^ value_); }

 private:
  static constexpr std::uint64_t cookie = test::Tracked::cookie;
  std::uint64_t value_;
  std::uint64_t payload_;
};

struct Recycled {
  test::ThrowOnNth operator()() const { return test::ThrowOnNth(1); }
};
/// Refuses every seventh value: such objects are built anew.
struct RefuseSeventh {
  bool operator()(test::ThrowOnNth& object) const noexcept { return object.value() % 7 != 0; }
};

template <class Pool> struct Traits;
template <template <class, class...> class Template, class T, class... Ps> struct Traits<Template<T, Ps...>> {
  static constexpr bool recycles = (false || ... || std::is_same_v<Ps, fastalloc::Recycle<Recycled, RefuseSeventh>>);
  static constexpr bool grows = !std::is_same_v<Template<T, Ps...>, fastalloc::FixedPool<T, Ps...>>;
  static constexpr bool counts =
      (false || ... || (std::is_same_v<Ps, fastalloc::BasicStats> || std::is_same_v<Ps, fastalloc::AtomicStats>));
  static constexpr bool is_cached = std::is_same_v<Template<T, Ps...>, fastalloc::ThreadSafePool<T, Ps...>>;
  static constexpr bool is_bitmap = !is_cached && (false || ... || std::is_same_v<Ps, fastalloc::BitmapAllocator>);
  static constexpr bool takes_runs = !recycles && (false || ... || std::is_same_v<Ps, fastalloc::BitmapAllocator>);
  static constexpr bool lowest_first = is_bitmap && !grows && !recycles;
  /// clear() keeps slots as returned ones.
  static constexpr bool keeps_slots = recycles || (false || ... || std::is_same_v<Ps, fastalloc::FullChecks>);
  static constexpr bool can_fail = (false || ... || std::is_same_v<Ps, test::FailingStorage>);
};

/// How the driver uses a pool.
struct Plan {
  std::size_t capacity = 1;      ///< at the beginning
  std::size_t max_capacity = 0;  ///< of a growing pool; 0 = no limit, the driver keeps below 4 * capacity
  std::size_t growth = 0;        ///< linear growth by so many slots; 0 = exponential(2)
  std::size_t alignment = 0;     ///< bytes; keeps slots further apart than they are long
  std::size_t check_every = 1;   ///< operations between two looks at everything
};

template <class Pool, class Source> class Driver {
  using T = typename Pool::value_type;
  using Typed = typename Pool::handle_type;
  using Erased = fastalloc::Handle<T>;
  using Is = Traits<Pool>;

  struct Owned {
    std::uint64_t value = 0;
    Typed typed;
    Erased erased;
    T* loose = nullptr;
    [[nodiscard]] T* get() const { return loose != nullptr ? loose : typed ? typed.get() : erased.get(); }
  };
  /// Many objects with one owner; one of the two is empty.
  struct Group {
    std::uint64_t value = 0;
    typename Pool::batch_handle_type batch;
    typename Pool::span_handle_type run;
    [[nodiscard]] std::size_t size() const { return batch.size() + run.size(); }
    [[nodiscard]] T* get(std::size_t i) const { return batch ? &batch[i] : &run[i]; }
  };

 public:
  Driver(Pool& pool, Plan plan, Source& source) : pool_(pool), plan_(plan), source_(source) {
    capacity_ = plan.capacity;
    if (plan.alignment != 0) stride_ = (sizeof(T) + plan.alignment - 1) / plan.alignment * plan.alignment;
    soft_limit_ = plan.max_capacity != 0 ? plan.max_capacity : Is::grows ? 4 * plan.capacity : plan.capacity;
  }

  /// Returns: an empty string, or what the pool did wrong.
  std::string run(std::size_t operations) {
    for (; operations_ < operations && !source_.ended() && failure_.empty(); ++operations_) {
      step();
      if (operations_ % plan_.check_every == 0) look_closely();
      look();
    }
    look_closely();
    while (!owned_.empty() && failure_.empty()) drop(owned_.size() - 1);
    while (!groups_.empty() && failure_.empty()) drop_group(groups_.size() - 1);
    look_closely();
    for (Owned& owned : owned_) adopt(owned);  // after a failure, so that the pool can be destroyed
    return failure_.empty() ? failure_ : "operation " + std::to_string(operations_) + ": " + failure_;
  }

  [[nodiscard]] std::size_t operations() const { return operations_; }

 private:
  void require(bool ok, char const* text) {
    if (!ok && failure_.empty()) failure_ = text;
  }

  void step() {
    // Waves: the pool fills and empties, so that full, empty and everything between is met.
    if (wave_ == 0) {
      wave_ = 1 + source_.below(2 * soft_limit_ + 8);
      filling_ = source_.below(8);  // 0 mostly releases, 7 mostly allocates
    }
    --wave_;
    std::size_t const choice = source_.below(100);
    if (choice < 80) {
      if (source_.below(8) < filling_) {
        choice % 2 == 0 ? allocate() : try_allocate();
      } else {
        if (!owned_.empty()) drop(source_.below(owned_.size()));
      }
    } else if (choice < 84) {
      shuffle();
    } else if (choice < 88) {
      let_go_or_adopt();
    } else if (choice < 91) {
      choice == 90 ? group() : batch();
    } else if (choice < 93) {
      iterate();
    } else if (choice < 95) {
      throwing();
    } else if (choice < 97) {
      if constexpr (Is::grows) shrink();
    } else if (choice < 98) {
      if constexpr (Is::grows) reserve();
    } else if (choice < 99) {
      source_.below(8) == 0 ? clear() : reset_statistics();
    } else {
      if constexpr (Is::can_fail) no_memory();
    }
  }

  // The model of growth.

  [[nodiscard]] std::size_t live() const { return by_address_.size(); }

  /// Slots that a request for `n` adds; nothing when it cannot be served.
  [[nodiscard]] std::optional<std::size_t> growth_for(std::size_t n) const {
    if (capacity_ - live() >= n) return 0;
    if constexpr (!Is::grows) return std::nullopt;
    std::size_t const wanted = capacity_ == 0 ? plan_.capacity : plan_.growth != 0 ? plan_.growth : capacity_;
    std::size_t const needed = n - (capacity_ - live());
    std::size_t const most =
        plan_.max_capacity != 0 ? plan_.max_capacity - capacity_ : std::numeric_limits<std::size_t>::max();
    if (most < needed) return std::nullopt;
    return std::min(std::max(wanted, needed), most);
  }

  void note_growth(std::size_t slots) {
    if (slots == 0) return;
    ++growths_;
    capacity_ += slots;
  }
  void note_taken(std::size_t n) {
    allocations_ += n;
    note_peak(n);
  }
  void note_peak(std::size_t more) { peak_ = std::max(peak_, live() + more); }
  void note_brief_peak(std::size_t more) { brief_peak_ = std::max(brief_peak_, live() + more); }

  /// An unlimited pool is kept small by the driver.
  [[nodiscard]] bool may_grow(std::size_t n) const {
    return plan_.max_capacity != 0 || !Is::grows || live() + n <= soft_limit_;
  }

  // Operations.

  void own(Typed handle, std::uint64_t value) {
    T* const object = handle.get();
    require(object->value() == value && object->intact(), "a new object does not hold its value");
    require(pool_.owns(object), "the pool does not own a new object");
    require(plan_.alignment == 0 || reinterpret_cast<std::uintptr_t>(object) % plan_.alignment == 0,
            "a new object is not aligned");
    require(by_address_.emplace(object, value).second, "a slot was handed out twice");
    require(!test::ledger().mistakes(), "the ledger noted a mistake");
    Owned owned;
    owned.value = value;
    if (source_.below(4) == 0) {
      owned.erased = std::move(handle);
    } else {
      owned.typed = std::move(handle);
    }
    owned_.push_back(std::move(owned));
  }

  Typed set_value(Typed handle, std::uint64_t value) {
    if constexpr (Is::recycles) {
      if (handle) handle->set_value(value);
    } else {
      (void)value;
    }
    return handle;
  }

  /// The lowest free address of a fixed bitmap pool, as far as the model can tell.
  void check_lowest(T const* object) {
    if constexpr (Is::lowest_first) {
      if (first_ == nullptr) first_ = object;
      auto const stride = stride_;
      auto const* expected = reinterpret_cast<std::byte const*>(first_);
      // Walks the gap-free prefix of the live addresses; the next one must be the new object.
      expected += lowest_ * stride;
      require(reinterpret_cast<std::byte const*>(object) == expected,
              "the bitmap did not hand out the lowest free address");
    }
    if constexpr (Is::is_bitmap) {
      require(returned_.empty() || !std::less<>()(*returned_.begin(), object),
              "the bitmap left out a lower slot that was returned");
      returned_.erase(object);
    }
    (void)object;
  }
  void advance_lowest() {
    if constexpr (Is::lowest_first) {
      if (first_ == nullptr) return;
      auto const* base = reinterpret_cast<std::byte const*>(first_);
      while (by_address_.count(reinterpret_cast<T const*>(base + lowest_ * stride_)) != 0) ++lowest_;
    }
  }
  void note_returned(T const* object) {
    if constexpr (Is::lowest_first) {
      auto const place = static_cast<std::size_t>(reinterpret_cast<std::byte const*>(object) -
                                                  reinterpret_cast<std::byte const*>(first_)) /
                         stride_;
      lowest_ = std::min(lowest_, place);
    }
    if constexpr (Is::is_bitmap) returned_.insert(object);
    (void)object;
  }

  void try_allocate() {
    if (!may_grow(1)) return;
    auto const growth = growth_for(1);
    std::uint64_t const value = ++values_;
    Typed handle;
    if constexpr (Is::recycles) {
      handle = set_value(pool_.try_allocate(), value);
    } else {
      handle = pool_.try_allocate(value);
    }
    require(static_cast<bool>(handle) == growth.has_value(), "try_allocate: success and failure are confused");
    if (!handle) return void(++failures_);
    note_growth(*growth);
    note_taken(1);
    check_lowest(handle.get());
    own(std::move(handle), value);
    advance_lowest();
  }

  void allocate() {
    if (!may_grow(1)) return;
    if (!growth_for(1)) {
#if FASTALLOC_EXCEPTIONS
      try {
        if constexpr (Is::recycles) {
          (void)pool_.allocate();
        } else {
          (void)pool_.allocate(std::uint64_t{1});
        }
        require(false, "allocate: a full pool handed out an object");
      } catch (std::bad_alloc const&) {
        ++failures_;
      }
#endif
      return;
    }
    std::uint64_t const value = ++values_;
    note_growth(*growth_for(1));
    Typed handle;
    if constexpr (Is::recycles) {
      handle = set_value(pool_.allocate(), value);
    } else {
      handle = pool_.allocate(value);
    }
    note_taken(1);
    check_lowest(handle.get());
    own(std::move(handle), value);
    advance_lowest();
  }

  /// The model forgets an object just before the pool does.
  void forget(Owned const& owned) { forget(owned.get(), owned.value); }
  void forget(T* object, std::uint64_t value) {
    require(object->value() == value && object->intact(), "a live object was overwritten");
    by_address_.erase(object);
    note_returned(object);
    ++deallocations_;
  }

  void drop(std::size_t at) {
    std::swap(owned_[at], owned_.back());
    Owned& owned = owned_.back();
    forget(owned);
    adopt(owned);
    owned_.pop_back();
  }

  void shuffle() {
    if (owned_.size() < 2) return;
    std::size_t const first = source_.below(owned_.size());
    Owned& a = owned_[first];
    switch (source_.below(4)) {
      case 0: std::swap(a, owned_[source_.below(owned_.size())]); break;
      case 1: {  // a full handle is assigned to, so its object goes
        std::swap(a, owned_.back());
        Owned& to = owned_[source_.below(owned_.size() - 1)];
        adopt(to);
        forget(to);
        to.typed = std::move(owned_.back().typed);
        to.erased = std::move(owned_.back().erased);
        to.loose = std::exchange(owned_.back().loose, nullptr);
        to.value = owned_.back().value;
        owned_.pop_back();
        break;
      }
      case 2:
        if (a.typed) a.erased = std::move(a.typed);
        break;
      default: {
        Typed& alias = a.typed;
        a.typed = std::move(alias);
        Erased& erased_alias = a.erased;
        a.erased = std::move(erased_alias);
      }
    }
  }
  void adopt(Owned& owned) {
    if (owned.loose != nullptr) owned.typed = pool_.adopt(std::exchange(owned.loose, nullptr));
  }

  void let_go_or_adopt() {
    if (owned_.empty()) return;
    Owned& owned = owned_[source_.below(owned_.size())];
    if (owned.loose != nullptr) {
      adopt(owned);
    } else {
      owned.loose = owned.typed ? owned.typed.release() : owned.erased.release();
    }
  }

  void batch() {
    std::size_t const n = source_.below(soft_limit_ < 300 ? soft_limit_ + 2 : 300);
    if (!may_grow(n)) return;
    auto const growth = growth_for(n);
    std::uint64_t const value = ++values_;
    std::vector<Typed> handles;
    bool done;
    if constexpr (Is::recycles) {
      done = pool_.try_allocate_batch(n, std::back_inserter(handles));
    } else {
      done = pool_.try_allocate_batch(n, std::back_inserter(handles), value);
    }
    require(done == growth.has_value(), "batch: success and failure are confused");
    if (!done) return void(++failures_);
    require(handles.size() == n, "batch: not all objects came");
    note_growth(*growth);
    note_taken(n);
    for (Typed& handle : handles) {
      check_lowest(handle.get());
      own(set_value(std::move(handle), value), value);
      advance_lowest();
    }
  }

  /// Takes a batch or a run as a whole, or returns one.
  void group() {
    if (!groups_.empty() && source_.below(8) >= filling_) return drop_group(source_.below(groups_.size()));
    std::size_t const n = source_.below(soft_limit_ < 200 ? soft_limit_ + 2 : 200);
    if (!may_grow(n)) return;
    Group group;
    group.value = ++values_;
    if constexpr (Is::takes_runs) {
      if (stride_ == sizeof(T) && source_.below(2) == 0) return run(n, group);
    }
    auto const growth = growth_for(n);
    if constexpr (Is::recycles) {
      group.batch = pool_.try_allocate_batch_handle(n);
      for (T& object : group.batch) object.set_value(group.value);
    } else {
      group.batch = pool_.try_allocate_batch_handle(n, group.value);
    }
    require(group.size() == (growth ? n : 0), "batch handle: success and failure are confused");
    if (!growth) return void(++failures_);
    note_growth(*growth);
    own_group(std::move(group));
  }
  /// Where there is a run is not known here for pools of several blocks; but a pool grows, and fails, only for want of
  /// one.
  void run(std::size_t n, Group& group) {
    if constexpr (Is::takes_runs) {
      std::size_t const before = capacity_;
      std::optional<std::size_t> const place = first_fit(n);
      group.run = pool_.try_allocate_n(n, group.value);
      if (std::size_t const grown = pool_.capacity() - before; grown != 0) {
        std::size_t const wanted = before == 0 ? plan_.capacity : plan_.growth != 0 ? plan_.growth : before;
        std::size_t const most = plan_.max_capacity != 0 ? plan_.max_capacity - before : grown;
        require(Is::grows && grown == std::min(std::max(wanted, n), most) && grown >= n,
                "a run made the pool grow by another number of slots");
        note_growth(grown);
      }
      if (!group.run) {
        if (n == 0) return;
        require(!Is::grows || (plan_.max_capacity != 0 && plan_.max_capacity - before < n),
                "a run was refused though the pool may grow");
        require(!Is::lowest_first || !place, "a run was refused though there is one");
        return void(++failures_);
      }
      require(group.run.size() == n, "a run has another length");
      if constexpr (Is::lowest_first) {
        if (first_ == nullptr) first_ = group.run.data();
        require(place && group.run.data() == first_ + *place, "a run is not at the lowest place that fits");
      }
      own_group(std::move(group));
    }
  }
  /// The lowest n free slots side by side, in a pool of one block.
  [[nodiscard]] std::optional<std::size_t> first_fit(std::size_t n) const {
    std::size_t begin = 0;
    if (Is::lowest_first && first_ != nullptr) {
      for (auto const& entry : by_address_) {
        auto const place = static_cast<std::size_t>(entry.first - first_);
        if (place - begin >= n) return begin;
        begin = place + 1;
      }
    }
    return capacity_ - begin >= n ? std::optional(begin) : std::nullopt;
  }
  void own_group(Group group) {
    note_taken(group.size());
    for (std::size_t i = 0; i != group.size(); ++i) {
      T* const object = group.get(i);
      require(object->value() == group.value && object->intact(), "an object of a group does not hold its value");
      require(by_address_.emplace(object, group.value).second, "a slot was handed out twice");
      returned_.erase(object);
      if constexpr (Is::lowest_first) {
        if (first_ == nullptr) first_ = object;
      }
    }
    advance_lowest();
    grouped_ += group.size();
    if (group.size() != 0) groups_.push_back(std::move(group));
  }
  void drop_group(std::size_t at) {
    std::swap(groups_[at], groups_.back());
    Group const& group = groups_.back();
    for (std::size_t i = 0; i != group.size(); ++i) forget(group.get(i), group.value);
    grouped_ -= group.size();
    groups_.pop_back();
  }

  void iterate() {
    std::vector<T const*> expected;
    for (auto const& entry : by_address_) expected.push_back(entry.first);
    std::set<T const*> gone;
    std::size_t met = 0;
    std::size_t next = 0;
    std::size_t const rate = source_.below(6);  // releases a fifth of the time and less
    pool_.for_each([&](T& object) {
      ++met;
      while (next != expected.size() && expected[next] != &object) {
        require(gone.count(expected[next]) != 0, "for_each left out a live object, or came to one out of order");
        ++next;
      }
      require(next != expected.size(), "for_each came to an object that does not live");
      require(gone.count(&object) == 0, "for_each came to an object that was released");
      ++next;
      if (rate == 0 || owned_.empty() || source_.below(5) >= rate) return;
      if (rate == 5 && source_.below(4) == 0) {
        if constexpr (Is::grows) shrink();
      }
      std::size_t const at = source_.below(owned_.size());
      gone.insert(owned_[at].get());
      drop(at);
    });
    for (; next < expected.size(); ++next)
      require(gone.count(expected[next]) != 0, "for_each ended before the last live object");
    require(met + gone.size() >= expected.size(), "for_each left out objects");
  }

  /// A constructor throws; alone, or in the middle of a batch. Nothing may have happened.
  void throwing() {
#if FASTALLOC_EXCEPTIONS
    if constexpr (!Is::recycles) {
      std::size_t const n = 1 + source_.below(6);
      if (!may_grow(n)) return;
      auto const growth = growth_for(n);
      if (!growth) return;
      std::size_t const at = 1 + source_.below(n);
      test::fuse().light(at);
      std::vector<Typed> handles;
      try {
        if (n == 1) {
          (void)pool_.allocate(std::uint64_t{0});
        } else {
          (void)pool_.allocate_batch(n, std::back_inserter(handles), std::uint64_t{0});
        }
        require(false, "a constructor's exception was lost");
      } catch (test::Blown const&) {}
      require(handles.empty(), "a batch wrote handles before it was complete");
      note_growth(*growth);
      note_brief_peak(n);
    } else {
      if (!may_grow(1) || !growth_for(1)) return;
      std::uint64_t const value = ++values_;
      note_growth(*growth_for(1));
      test::fuse().light(1);
      try {
        Typed handle = set_value(pool_.allocate(), value);  // an object that was built before does not throw
        test::fuse().put_out();
        note_taken(1);
        check_lowest(handle.get());
        own(std::move(handle), value);
      } catch (test::Blown const&) {
        note_brief_peak(1);
      }
    }
#endif
  }

  void shrink() {
    if constexpr (Is::grows) {
      std::size_t const before = pool_.capacity();
      std::size_t const bytes = pool_.shrink_to_fit();
      std::size_t const after = pool_.capacity();
      require(after <= before && (bytes == 0) == (after == before), "shrink_to_fit: bytes and capacity disagree");
      require(after >= live(), "shrink_to_fit gave back slots in use");
      if (live() == 0)
        require(after <= plan_.capacity, "shrink_to_fit of an empty pool kept more than the initial capacity");
      capacity_ = after;
      if constexpr (Is::is_bitmap) std::erase_if(returned_, [&](T const* object) { return !pool_.owns(object); });
    }
  }

  void reserve() {
    if constexpr (Is::grows) {
      std::size_t const slots = 1 + source_.below(soft_limit_);
      pool_.reserve(slots);
      if (slots > capacity_) note_growth(slots - capacity_);
    }
  }

  /// All objects end at once; before, nobody owns one.
  void clear() {
    while (!groups_.empty()) drop_group(groups_.size() - 1);
    for (Owned& owned : owned_) {
      if (owned.loose == nullptr) owned.loose = owned.typed ? owned.typed.release() : owned.erased.release();
      forget(owned);
    }
    owned_.clear();
    pool_.clear();
    if constexpr (!Is::keeps_slots) returned_.clear();
  }

  void reset_statistics() {
    if constexpr (Is::counts) {
      pool_.reset_statistics();
      allocations_ = deallocations_ = failures_ = growths_ = 0;
      peak_ = live();
      brief_peak_ = 0;
    }
  }

  /// The storage has nothing: requests that need it fail, and change nothing else.
  void no_memory() {
    if constexpr (Is::can_fail) {
      auto const growth = growth_for(1);
      test::storage_account().fail_after(source_.below(2));
      if (growth && *growth != 0) {
        Typed const handle = pool_.try_allocate(std::uint64_t{1});
        require(!handle, "an object came out of no memory");
        ++failures_;
      } else {
        shrink();
      }
      test::storage_account().allow();
    }
  }

  // What must agree.

  void look() {
    require(pool_.allocated() == live(), "allocated() is wrong");
    require(pool_.capacity() == capacity_, "capacity() is wrong");
    require(pool_.available() == capacity_ - live(), "available() is wrong");
    if constexpr (Is::counts) {
      fastalloc::PoolStatistics const s = pool_.statistics();
      require(s.total_allocations == allocations_, "total_allocations is wrong");
      require(s.total_deallocations == deallocations_, "total_deallocations is wrong");
      require(s.current_usage == live(), "current_usage is wrong");
      require(s.peak_usage >= peak_ && s.peak_usage <= std::max(peak_, brief_peak_), "peak_usage is wrong");
      require(s.capacity == capacity_, "the statistics' capacity is wrong");
      require(s.growth_count == growths_, "growth_count is wrong");
      require(s.allocation_failures == failures_, "allocation_failures is wrong");
    }
  }

  void look_closely() {
    require(pool_.check_invariants(), "check_invariants() is false");
    require(test::ledger().mistakes() == 0, "the ledger noted a mistake");
    std::set<std::size_t> indices;
    for (Owned const& owned : owned_) {
      T* const object = owned.get();
      require(by_address_.count(object) != 0, "the driver lost an object");
      require(object->value() == owned.value && object->intact(), "a live object was overwritten");
      require(indices.insert(pool_.index_of(object)).second, "two live objects have one index");
    }
    for (Group const& group : groups_)
      for (std::size_t i = 0; i != group.size(); ++i) {
        require(group.get(i)->value() == group.value && group.get(i)->intact(),
                "a live object of a group was overwritten");
        require(indices.insert(pool_.index_of(group.get(i))).second, "two live objects have one index");
      }
    require(owned_.size() + grouped_ == live(), "the driver lost count");
    if constexpr (!Is::recycles && std::derived_from<T, test::Tracked>)
      require(test::ledger().live() == before_ + live(), "objects were leaked, or destroyed too early");
  }

  Pool& pool_;
  Plan plan_;
  Source& source_;
  std::string failure_;
  std::size_t operations_ = 0;
  std::size_t soft_limit_ = 0;
  std::size_t wave_ = 0;
  std::size_t filling_ = 4;

  std::size_t before_ = test::ledger().live();
  std::vector<Owned> owned_;
  std::vector<Group> groups_;
  std::size_t grouped_ = 0;  ///< objects in groups_
  std::map<T const*, std::uint64_t> by_address_;
  std::uint64_t values_ = 0;
  std::size_t capacity_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t deallocations_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t growths_ = 0;
  std::size_t peak_ = 0;
  std::size_t brief_peak_ = 0;  ///< with failed constructions
  T const* first_ = nullptr;
  std::size_t lowest_ = 0;
  std::set<T const*> returned_;  ///< free slots that were in use before (bitmap pools)
  std::size_t stride_ = sizeof(T);
};

}  // namespace model
