// SPDX-License-Identifier: MIT OR Apache-2.0
// The behaviour suite: what every pool does, whatever its policies and T. run_suite<Rows<T, shift>>() runs it on a
// table.
#pragma once

#include "behaviour/rows.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace behaviour {

template <class Row> struct Suite {
  using T = typename Row::value_type;
  using Pool = typename Row::pool_type;
  using Handle = typename Row::handle_type;
  using Handles = std::vector<Handle>;

  /// The equations between the pool's own answers, and with what the test knows.
  [[gnu::noinline]] static void steady(Pool& pool, std::size_t live) {
    EXPECT(pool.check_invariants());
    EXPECT(pool.allocated() == live);
    EXPECT(pool.available() == pool.capacity() - live);
    EXPECT(pool.is_empty() == (live == 0));
    EXPECT(pool.is_full() == (live == pool.capacity()));
    if constexpr (Row::has_statistics) {
      fastalloc::PoolStatistics const s = pool.statistics();
      EXPECT(s.current_usage == live && s.capacity == pool.capacity() && s.available() == pool.available());
      EXPECT(s.peak_usage >= live);
    }
  }

  [[gnu::noinline]] static Handles fill(Pool& pool) {
    Handles handles;
    while (handles.size() != slots) handles.push_back(Row::make(pool, handles.size()));
    return handles;
  }

  static void empty_pool(Pool& pool) {
    steady(pool, 0);
    EXPECT(pool.capacity() == (Row::grows ? 10 : slots));
    T const* const nowhere = nullptr;
    EXPECT(!pool.owns(nowhere));
    EXPECT(!pool.owns(&pool + 1));
    pool.for_each([](T&) { EXPECT_NOT_REACHED("an empty pool has objects"); });
    EXPECT(!pool.adopt(nullptr));
    steady(pool, 0);
  }

  static void filling(Pool& pool) {
    Handles handles;
    std::set<T*> addresses;
    std::set<std::size_t> indices;
    for (std::size_t i = 0; i != slots; ++i) {
      handles.push_back(Row::make(pool, i));
      T* const object = handles.back().get();
      EXPECT(object != nullptr && Row::holds(handles.back(), i));
      EXPECT(reinterpret_cast<std::uintptr_t>(object) % alignof(T) == 0);
      EXPECT(addresses.insert(object).second);
      EXPECT(indices.insert(pool.index_of(handles.back())).second);
      EXPECT(pool.index_of(object) < pool.capacity());
      EXPECT(pool.owns(object) && pool.owns(reinterpret_cast<char*>(object) + sizeof(T) - 1));
      steady(pool, i + 1);
      if (Row::grows) EXPECT(pool.capacity() == (i < 10 ? 10 : i < 20 ? 20 : i < 40 ? 40 : slots));
    }
    for (std::size_t i = 0; i != slots; ++i) EXPECT(Row::holds(handles[i], i));
  }

  static void exhaustion(Pool& pool) {
    Handles handles = fill(pool);
    steady(pool, slots);
    if constexpr (Row::is_recycling) {
      EXPECT(!pool.try_allocate());
    } else {
      auto arg = Kind<T>::arg(5);
      EXPECT(!pool.try_allocate(std::move(arg)));
      if constexpr (Kind<T>::movable_arg) EXPECT(arg == Kind<T>::arg(5));
#if FASTALLOC_EXCEPTIONS
      EXPECT(test::throws<std::bad_alloc>([&] { (void)pool.allocate(std::move(arg)); }));
      if constexpr (Kind<T>::movable_arg) EXPECT(arg == Kind<T>::arg(5));
#endif
    }
#if FASTALLOC_EXCEPTIONS
    using Exception = std::conditional_t<Row::grows, fastalloc::MaxCapacityExceeded, fastalloc::PoolExhausted>;
    fastalloc::Error const error = test::caught<Exception>([&] { (void)Row::make(pool, 0); });
    EXPECT(error.code ==
           (Row::grows ? fastalloc::ErrorCode::max_capacity_exceeded : fastalloc::ErrorCode::pool_exhausted));
    EXPECT(error.capacity == slots && error.allocated == slots);
    EXPECT(error.requested == (Row::grows ? slots + 1 : 1) && error.limit == (Row::grows ? slots : 0));
    EXPECT(error.type_name == fastalloc::detail::type_name<T>());
#endif
    steady(pool, slots);
    handles.pop_back();
    handles.push_back(Row::make(pool, slots - 1));
    for (std::size_t i = 0; i != slots; ++i) EXPECT(Row::holds(handles[i], i));
    steady(pool, slots);
  }

  static void reuse(Pool& pool) {
    Handles handles = fill(pool);
    for (std::size_t i : {std::size_t{3}, std::size_t{0}, slots - 1, std::size_t{64}}) {
      T* const before = handles[i].get();
      Row::drop(handles[i]);
      EXPECT(!handles[i]);
      steady(pool, slots - 1);
      handles[i] = Row::make(pool, i + 100);
      EXPECT(handles[i].get() == before);
      EXPECT(Row::holds(handles[i], i + 100));
      steady(pool, slots);
    }
    T* const low = std::min(handles[20].get(), handles[30].get());
    T* const last = handles[20].get();
    Row::drop(handles[30]);
    Row::drop(handles[20]);
    bool const lowest_first = std::is_same_v<typename Row::slot_policy, fastalloc::BitmapAllocator>;
    EXPECT(Row::make(pool, 1).get() == (lowest_first ? low : last));
  }

  static void any_order(Pool& pool) {
    std::mt19937 random(7);
    for (int round = 0; round != 6; ++round) {
      Handles handles = fill(pool);
      std::vector<std::size_t> order(slots);
      for (std::size_t i = 0; i != slots; ++i) order[i] = round == 0 ? i : round == 1 ? slots - 1 - i : i * 37 % slots;
      if (round > 2) std::shuffle(order.begin(), order.end(), random);
      std::size_t live = slots;
      for (std::size_t i : order) {
        EXPECT(Row::holds(handles[i], i));
        Row::drop(handles[i]);
        steady(pool, --live);
        if (round == 4 && live % 5 == 0) {  // a few come back in between
          handles[i] = Row::make(pool, i);
          EXPECT(Row::holds(handles[i], i));
          Row::drop(handles[i]);
        }
      }
      steady(pool, 0);
    }
  }

  static void batches(Pool& pool) {
    if constexpr (!Row::is_recycling) {
      auto const arg = Kind<T>::arg(9);
      Handles handles;
      handles.push_back(Row::make(pool, 9));
      handles.push_back(Row::make(pool, 9));
      handles.erase(handles.begin());  // one slot was returned, the rest is fresh
      pool.allocate_batch(20, std::back_inserter(handles), arg);
      steady(pool, 21);
      EXPECT(!pool.try_allocate_batch(slots - 20, std::back_inserter(handles), arg));
      steady(pool, 21);
      EXPECT(handles.size() == 21);
      pool.allocate_batch(0, std::back_inserter(handles), arg);
      EXPECT(pool.try_allocate_batch(slots - 21, std::back_inserter(handles), arg));
      steady(pool, slots);
      std::set<T*> addresses;
      for (Handle const& handle : handles) EXPECT(addresses.insert(handle.get()).second && Row::holds(handle, 9));
      EXPECT(!pool.try_allocate(arg));
      handles.clear();
      steady(pool, 0);
      auto values = std::vector<std::remove_const_t<decltype(arg)>>{arg, arg, arg};
      Handles few = pool.allocate_batch(values);
      steady(pool, 3);
      EXPECT(few.size() == 3 && Row::holds(few[2], 9));
      if constexpr (Kind<T>::movable_arg) EXPECT(values[1] == arg);
    } else {
      Handles handles;
      EXPECT(pool.try_allocate_batch(33, std::back_inserter(handles)));
      steady(pool, 33);
      EXPECT(!pool.try_allocate_batch(slots - 32, std::back_inserter(handles)));
      steady(pool, 33);
    }
  }

  static void iteration(Pool& pool) {
    Handles handles = fill(pool);
    for (std::size_t i = 0; i < slots; i += 3) Row::drop(handles[i]);
    std::size_t live = pool.allocated();
    std::vector<T*> expected;
    for (Handle const& handle : handles)
      if (handle) expected.push_back(handle.get());
    std::sort(expected.begin(), expected.end());
    std::vector<T*> met;
    pool.for_each([&](T& object) -> T& {
      met.push_back(std::addressof(object));
      return object;
    });
    EXPECT(met == expected);

    // Releases the current object, one that comes later, and nothing more is met than what lives.
    std::set<T*> gone;
    std::size_t calls = 0;
    pool.for_each([&](T& object) {
      ++calls;
      EXPECT(gone.count(std::addressof(object)) == 0);
      std::size_t left = 2;
      for (auto handle = handles.rbegin(); handle != handles.rend() && left != 0; ++handle) {
        if (!*handle) continue;
        if (left == 1 && handle->get() != std::addressof(object)) continue;
        --left;
        gone.insert(handle->get());
        handle->reset();
      }
    });
    EXPECT(calls + gone.size() >= live);
    steady(pool, live - gone.size());
    handles.clear();
    steady(pool, 0);
  }

  static void hand_over(Pool& pool) {
    Handle handle = Row::make(pool, 4);
    T* const object = handle.release();
    EXPECT(!handle && pool.allocated() == 1);
    handle = pool.adopt(object);
    EXPECT(handle.get() == object && Row::holds(handle, 4));
    steady(pool, 1);

    fastalloc::Handle<T> erased = std::move(handle);
    EXPECT(!handle && erased.get() == object);
    steady(pool, 1);
    erased.reset();
    steady(pool, 0);

    Handle a = Row::make(pool, 1);
    Handle b = Row::make(pool, 2);
    swap(a, b);
    EXPECT(Row::holds(a, 2) && Row::holds(b, 1));
    Handle& alias = a;
    a = std::move(alias);
    EXPECT(Row::holds(a, 2));
    a.swap(alias);
    EXPECT(Row::holds(a, 2));
    a = std::move(b);
    EXPECT(!b && Row::holds(a, 1));
    steady(pool, 1);
    a = nullptr;
    steady(pool, 0);
  }

  static void growth(Pool& pool) {
    if constexpr (Row::grows) {
      Handles handles = fill(pool);
      EXPECT(pool.shrink_to_fit() == 0);
      std::size_t live = slots;
      for (std::size_t i = 0; i != slots; ++i) {
        if (i == 65) continue;  // pins the last block
        Row::drop(handles[i]);
        --live;
        std::size_t const before = pool.capacity();
        std::size_t const bytes = pool.shrink_to_fit();
        EXPECT((bytes == 0) == (pool.capacity() == before));
        steady(pool, live);
      }
      EXPECT(pool.capacity() == 30);
      EXPECT(Row::holds(handles[65], 65));
      handles.clear();
      (void)pool.shrink_to_fit();
      EXPECT(pool.capacity() <= 10);
      steady(pool, 0);
      pool.reserve(25);
      EXPECT(pool.capacity() == 25);
      steady(pool, 0);
      handles = fill(pool);
      EXPECT(pool.capacity() == slots);
      steady(pool, slots);
    } else {
      (void)pool;
    }
  }

  static void run() {
    test::Scene scene(Row::name());
    struct {
      char const* name;
      void (*test)(Pool&);
    } const tests[] = {{"empty pool", empty_pool}, {"filling", filling},     {"exhaustion", exhaustion},
                       {"reuse", reuse},           {"any order", any_order}, {"batches", batches},
                       {"iteration", iteration},   {"hand over", hand_over}, {"growth", growth}};
    for (auto const& each : tests) {
      test::Scene inner(each.name);
      test::Audit audit;
      Row::with_pool([&](Pool& pool) {
        each.test(pool);
        steady(pool, 0);
      });
    }
  }
};

template <class Table> struct RunAll;
template <class... Row> struct RunAll<std::tuple<Row...>> {
  static void run() { (Suite<Row>::run(), ...); }
};

/// Runs the suite on each row of a table.
template <class Table> void run_suite() {
  RunAll<Table>::run();
  SUCCEED();
}

}  // namespace behaviour
