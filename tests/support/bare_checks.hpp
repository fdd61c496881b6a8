// SPDX-License-Identifier: MIT OR Apache-2.0
// What FixedPool<T, InlineStorage<N>, ...> does, checked without heap, exceptions, RTTI and a test framework: the
// behaviour suite runs this on the host, examples/embedded on a microcontroller. run_bare_checks() runs all of it.
//
// Whoever includes this defines bare::check(), which counts, and says what failed.
#pragma once

#include <fastalloc/checks/debug_checks.hpp>
#include <fastalloc/handle/shared_handle.hpp>
#include <fastalloc/lifetime/recycle.hpp>
#include <fastalloc/pool/compact_handles.hpp>
#include <fastalloc/pool/fixed_pool.hpp>
#include <fastalloc/slots/bitmap_allocator.hpp>
#include <fastalloc/slots/free_list_allocator.hpp>
#include <fastalloc/slots/generations.hpp>
#include <fastalloc/storage/inline_storage.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace bare {

using namespace fastalloc;

/// Defined by whoever runs the checks. `text`: the condition; `line`: of this file.
void check(bool ok, char const* text, int line);

#define BARE_CHECK(...) ::bare::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __LINE__)

inline constexpr std::size_t slots = 8;

/// Counts the objects that were built, and those that live.
struct Counted {
  static inline int built = 0;
  static inline int live = 0;

  explicit Counted(int n = 0) : number(n) { ++built, ++live; }
  Counted(Counted const&) = delete;
  Counted& operator=(Counted const&) = delete;
  ~Counted() { --live; }
  int number;
};

struct alignas(16) Wide {
  unsigned char bytes[20];
};

/// While it lives, errors that would end the program are counted instead.
class Errors {
 public:
  Errors() : before_(set_error_handler(&note)) { count = 0; }
  Errors(Errors const&) = delete;
  Errors& operator=(Errors const&) = delete;
  ~Errors() { set_error_handler(before_); }

  static inline int count = 0;
  static inline ErrorCode last = ErrorCode::live_handles;
  static inline void const* address = nullptr;

 private:
  static void note(Error const& error) { ++count, last = error.code, address = error.address; }
  ErrorHandler before_;
};

/// Handles of all slots, without a heap.
template <class Pool> struct Full {
  explicit Full(Pool& pool) {
    for (auto& handle : handles) handle = pool.try_allocate();
  }
  typename Pool::handle_type handles[slots];
};

template <class... Policies> void filling() {
  FixedPool<int, InlineStorage<slots>, Policies...> pool;
  BARE_CHECK(pool.capacity() == slots && pool.available() == slots && pool.is_empty());
  {
    Full full(pool);
    std::size_t distinct = 0;
    for (std::size_t i = 0; i != slots; ++i) {
      *full.handles[i] = static_cast<int>(i);
      distinct += pool.index_of(full.handles[i]) == i ? 1 : 0;  // untouched slots come in order
    }
    BARE_CHECK(distinct == slots);
    BARE_CHECK(pool.is_full() && pool.allocated() == slots);
    BARE_CHECK(!pool.try_allocate(1));
    int sum = 0;
    for (auto const& handle : full.handles) sum += *handle;
    BARE_CHECK(sum == 28);
    BARE_CHECK(pool.owns(full.handles[7].get()) && !pool.owns(&pool + 1));
    BARE_CHECK(pool.check_invariants());
  }
  BARE_CHECK(pool.is_empty() && pool.check_invariants());
}

/// What comes back is handed out again: the newest first, or the lowest.
template <bool lowest, class... Policies> void reuse() {
  FixedPool<int, InlineStorage<slots>, Policies...> pool;
  Full full(pool);
  int* const two = full.handles[2].get();
  int* const five = full.handles[5].get();
  full.handles[2].reset();
  full.handles[5].reset();
  full.handles[2] = pool.try_allocate(2);
  full.handles[5] = pool.try_allocate(5);
  BARE_CHECK(full.handles[2].get() == (lowest ? two : five));
  BARE_CHECK(full.handles[5].get() == (lowest ? five : two));
  BARE_CHECK(!pool.try_allocate());
}

template <class... Policies> void objects() {
  Counted::built = 0;
  FixedPool<Counted, InlineStorage<slots>, Policies...> pool;
  BARE_CHECK(Counted::built == 0);
  {
    auto const a = pool.try_allocate(7);
    auto b = pool.try_allocate(8);
    BARE_CHECK(Counted::built == 2 && Counted::live == 2);
    BARE_CHECK(a->number == 7 && (*b).number == 8);
    b.reset();
    BARE_CHECK(!b && Counted::live == 1 && pool.allocated() == 1);
  }
  BARE_CHECK(Counted::live == 0 && Counted::built == 2);
}

template <class... Policies> void alignment() {
  FixedPool<Wide, InlineStorage<slots>, Policies...> wide;
  Full full(wide);
  std::size_t aligned = 0;
  for (auto const& handle : full.handles)
    aligned += reinterpret_cast<std::uintptr_t>(handle.get()) % alignof(Wide) == 0 ? 1 : 0;
  BARE_CHECK(aligned == slots);
  FixedPool<char, InlineStorage<slots>, Policies...> narrow;
  Full all(narrow);
  BARE_CHECK(narrow.is_full());
}

template <class... Policies> void handles() {
  FixedPool<Counted, InlineStorage<slots>, Policies...> pool;
  auto a = pool.try_allocate(1);
  auto b = std::move(a);
  BARE_CHECK(!a && b && pool.allocated() == 1);
  a = pool.try_allocate(2);
  swap(a, b);
  BARE_CHECK(a->number == 1 && b->number == 2);
  auto& alias = a;
  a = std::move(alias);
  BARE_CHECK(a && a->number == 1);
  a = std::move(b);
  BARE_CHECK(!b && a->number == 2 && pool.allocated() == 1);
  Counted* const object = a.release();
  BARE_CHECK(!a && pool.allocated() == 1 && Counted::live == 1);
  a = pool.adopt(object);
  BARE_CHECK(a.get() == object && pool.allocated() == 1);
  Handle<Counted> erased = std::move(a);
  BARE_CHECK(erased.get() == object);
  erased.reset();
  BARE_CHECK(pool.is_empty() && Counted::live == 0);
}

/// Mistakes that a checks policy finds. Each is reported once, and changes nothing.
template <class... Policies> void mistakes() {
  Errors const errors;
  FixedPool<int, InlineStorage<slots>, Policies...> pool;
  int elsewhere = 0;
  auto handle = pool.try_allocate(1);
  BARE_CHECK(!pool.adopt(&elsewhere));
  BARE_CHECK(Errors::count == 1 && Errors::last == ErrorCode::invalid_handle && Errors::address == &elsewhere);
  int* const object = handle.release();
  pool.adopt(object).reset();
  BARE_CHECK(!pool.adopt(object));
  BARE_CHECK(Errors::count == 2 && Errors::last == ErrorCode::double_free);
  {
    auto one = pool.try_allocate(2);
    auto two = pool.adopt(one.get());  // a second owner: the mistake shows when both are gone
    one.reset();
    two.reset();
  }
  BARE_CHECK(Errors::count == 3 && Errors::last == ErrorCode::double_free);
  BARE_CHECK(pool.is_empty() && pool.check_invariants());
}

template <class... Policies> void recycling() {
  Counted::built = 0;
  {
    struct Init {
      Counted operator()() const { return Counted(5); }
    };
    struct Reset {
      bool operator()(Counted& object) const { return ++object.number != 7; }  // the second reset refuses
    };
    FixedPool<Counted, InlineStorage<slots>, Recycle<Init, Reset>, Policies...> pool;
    pool.try_allocate().reset();
    BARE_CHECK(Counted::built == 1 && Counted::live == 1);
    BARE_CHECK(pool.try_allocate()->number == 6);
    BARE_CHECK(Counted::built == 1);
    BARE_CHECK(pool.try_allocate()->number == 5);
    BARE_CHECK(Counted::built == 2 && pool.is_empty());
  }
  BARE_CHECK(Counted::live == 0);
}

template <class... Policies> void statistics() {
  FixedPool<int, InlineStorage<slots>, BasicStats, Policies...> pool;
  {
    Full full(pool);
    BARE_CHECK(!pool.try_allocate());
    full.handles[3].reset();
    PoolStatistics const s = pool.statistics();
    BARE_CHECK(s.total_allocations == slots && s.total_deallocations == 1 && s.allocation_failures == 1);
    BARE_CHECK(s.current_usage == slots - 1 && s.peak_usage == slots && s.capacity == slots);
  }
  pool.reset_statistics();
  BARE_CHECK(pool.statistics().total_allocations == 0 && pool.statistics().peak_usage == 0);
}

template <class... Policies> void keys() {
  FixedPool<int, InlineStorage<slots>, Generations, Policies...> pool;
  auto handle = pool.try_allocate(3);
  Key const key = pool.key(handle);
  BARE_CHECK(pool.contains(key) && pool.get(key) == handle.get());
  handle.reset();
  BARE_CHECK(!pool.contains(key));
  handle = pool.try_allocate(4);
  BARE_CHECK(pool.get(key) == nullptr && pool.key(handle) != key);
  FixedPool<int, InlineStorage<slots>, Generations, Policies...> other;
  auto const stranger = other.try_allocate(5);
  BARE_CHECK(other.get(pool.key(handle)) == nullptr);
}

template <class... Policies> void sharing() {
  FixedPool<Counted, InlineStorage<slots>, Shared, Policies...> pool;
  WeakHandle<Counted> weak;
  {
    SharedHandle<Counted> const first = pool.try_allocate(9).share();
    SharedHandle<Counted> const second = first;
    weak = first.downgrade();
    BARE_CHECK(first.use_count() == 2 && second->number == 9 && weak.lock());
  }
  BARE_CHECK(!weak.lock() && Counted::live == 0 && pool.allocated() == 1);
  weak = {};
  BARE_CHECK(pool.is_empty());
}

template <class Slots, class... Policies> void iteration() {
  FixedPool<int, InlineStorage<slots>, Slots, Policies...> pool;
  Full full(pool);
  for (std::size_t i = 0; i != slots; ++i) *full.handles[i] = static_cast<int>(i);
  full.handles[0].reset();
  full.handles[5].reset();
  int met = 0;
  int last = 0;
  pool.for_each([&](int& object) { met += object > last ? 1 : 0, last = object; });
  BARE_CHECK(met == 6 && last == 7);
  if constexpr (std::is_same_v<Slots, BitmapAllocator>) {
    met = 0;
    for (int const& object : pool.live()) met += object;
    BARE_CHECK(met == 23);
  }
}

/// Handles of one word, whose pool is found from the object's address.
template <class... Policies> void compact() {
  using Pool = FixedPool<Counted, InlineStorage<slots>, CompactHandles, Policies...>;
  static_assert(sizeof(typename Pool::handle_type) == sizeof(void*));
  Pool pool, other;
  auto strange = other.try_allocate(1);
  for (auto* const each : {&pool, &other}) {
    auto handle = each->try_allocate(2);
    BARE_CHECK(each->owns(handle.get()) && each->allocated() == (each == &pool ? 1U : 2U));
  }
  BARE_CHECK(pool.is_empty() && other.allocated() == 1 && Counted::live == 1);
  BARE_CHECK(!pool.owns(strange.get()));
  strange = pool.try_allocate(3);  // the object of another pool ends in that pool
  BARE_CHECK(other.is_empty() && pool.allocated() == 1);
  strange.reset();
  BARE_CHECK(pool.is_empty() && Counted::live == 0);
}

template <class Slots, class Checks, class... Policies> void with_policies() {
  constexpr bool lowest = std::is_same_v<Slots, BitmapAllocator>;
  filling<Slots, Checks, Policies...>();
  reuse<lowest, Slots, Checks, Policies...>();
  objects<Slots, Checks, Policies...>();
  alignment<Slots, Checks, Policies...>();
  handles<Slots, Checks, Policies...>();
  recycling<Slots, Checks, Policies...>();
  if constexpr (Checks::tracks_slots) mistakes<Slots, Checks, Policies...>();
}

/// Each slot allocator with all that is here, and with and without checks where these play a part. To compile takes
/// seconds, also for a microcontroller; the behaviour suite meets all the other combinations.
inline void run_bare_checks() {
  with_policies<StackAllocator, NoChecks>();
  with_policies<FreeListAllocator, FullChecks>();
  with_policies<BitmapAllocator, DebugChecks>();
  filling<StackAllocator, DebugChecks>();
  filling<FreeListAllocator, NoChecks>();
  filling<BitmapAllocator, NoChecks>();
  mistakes<StackAllocator, FullChecks>();
  statistics<StackAllocator>();
  statistics<BitmapAllocator>();
  keys<StackAllocator>();
  keys<FreeListAllocator>();
  sharing<StackAllocator>();
  sharing<BitmapAllocator, DebugChecks>();
  iteration<StackAllocator>();
  iteration<BitmapAllocator, DebugChecks>();
  with_policies<StackAllocator, FullChecks, CompactHandles>();
  handles<BitmapAllocator, NoChecks, CompactHandles>();
  keys<FreeListAllocator, CompactHandles>();
  sharing<StackAllocator, CompactHandles>();
  compact<StackAllocator, NoChecks>();
  compact<FreeListAllocator, DebugChecks>();
}

}  // namespace bare
