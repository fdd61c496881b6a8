// SPDX-License-Identifier: MIT OR Apache-2.0
// Finding an object by its key, against what else finds one by a number: the index into a vector that never loses an
// element, and a hash map of numbers. And handles of one word against those of two, where a million live in a vector.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <memory>
#include <unordered_map>
#include <vector>

namespace bench::ownership {
namespace {

using namespace fastalloc;

/// Looks all of `ids` up in order, reads each object, and lets the next place depend on nothing: as a game's systems
/// do.
template <class Id, class Find> void look_up(benchmark::State& state, std::vector<Id> const& ids, Find&& find) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (auto _ : state) {
    sum += find(ids[i])->value;
    if (++i == ids.size()) i = 0;
  }
  benchmark::DoNotOptimize(sum);
}

template <class Id> void shuffle(std::vector<Id>& ids) {
  Random random;
  for (std::size_t i = ids.size(); i > 1; --i) std::swap(ids[i - 1], ids[random.below(i)]);
}

template <class Pool> void by_key(benchmark::State& state, Pool& pool, std::size_t n) {
  std::vector<typename Pool::handle_type> handles;
  std::vector<Key> keys;
  for (std::size_t i = 0; i != n; ++i) {
    handles.push_back(pool.allocate(i));
    keys.push_back(pool.key(handles.back()));
  }
  shuffle(keys);
  look_up(state, keys, [&](Key key) { return pool.get(key); });
}

void add_look_ups(std::size_t n, std::string const& size) {
  std::string const table = "find one of " + size + " by a number, random order";
  auto const row = [&](char const* name, auto run) { add(Threads::one, table, name, run); };
  row("std::vector, by index", [n](benchmark::State& state) {
    std::vector<Object> objects;
    std::vector<std::size_t> ids;
    for (std::size_t i = 0; i != n; ++i) objects.emplace_back(i), ids.push_back(i);
    shuffle(ids);
    look_up(state, ids, [&](std::size_t id) { return &objects[id]; });
  });
  row("FixedPool, Generations", [n](benchmark::State& state) {
    FixedPool<Object, Generations> pool(n);
    by_key(state, pool, n);
  });
  row("GrowingPool, Generations", [n](benchmark::State& state) {
    GrowingPool<Object, Generations> pool(16);
    by_key(state, pool, n);
  });
  row("ThreadSafePool, Generations", [n](benchmark::State& state) {
    ThreadSafePool<Object, Generations> pool(n);
    by_key(state, pool, n);
  });
  row("std::unordered_map<uint64_t, Object>", [n](benchmark::State& state) {
    std::unordered_map<std::uint64_t, Object> objects;
    std::vector<std::uint64_t> ids;
    for (std::size_t i = 0; i != n; ++i) {
      ids.push_back(i * 0x9E3779B97F4A7C15U);
      objects.emplace(ids.back(), i);
    }
    shuffle(ids);
    look_up(state, ids, [&](std::uint64_t id) { return &objects.find(id)->second; });
  });
}

/// n live in a vector; one after the other, at random, is replaced.
template <class Handle, class Allocate> void churn(benchmark::State& state, std::size_t n, Allocate&& allocate) {
  std::vector<Handle> live;
  live.reserve(n);
  for (std::size_t i = 0; i != n; ++i) live.push_back(allocate(i));
  Random random;
  std::uint64_t value = n;
  for (auto _ : state) live[random.below(n)] = allocate(++value);
}

FixedPool<Object> million_pool(1'000'001);
GrowingPool<Object> million_growing_pool(1'000'001);

void add_churn() {
  std::string const table = "replace a random one of a million";
  add(Threads::one, table, "FixedPool, handles of two words", [](benchmark::State& state) {
    churn<FixedPool<Object>::handle_type>(state, 1'000'000,
                                          [](std::uint64_t value) { return million_pool.allocate(value); });
  });
  add(Threads::one, table, "FixedPool, one word: Bound", [](benchmark::State& state) {
    churn<Bound<million_pool>::handle_type>(state, 1'000'000,
                                            [](std::uint64_t value) { return Bound<million_pool>::allocate(value); });
  });
  add(Threads::one, table, "GrowingPool, one word: Bound", [](benchmark::State& state) {
    churn<Bound<million_growing_pool>::handle_type>(
        state, 1'000'000, [](std::uint64_t value) { return Bound<million_growing_pool>::allocate(value); });
  });
  add(Threads::one, table, "raw pointers, new and delete", [](benchmark::State& state) {
    churn<std::unique_ptr<Object>>(state, 1'000'000,
                                   [](std::uint64_t value) { return std::make_unique<Object>(value); });
  });
}

template <class Pool, bool keyed = false> void pair_of(benchmark::State& state) {
  Pool pool(100);
  std::uint64_t value = 0;
  for (auto _ : state) {
    auto const handle = pool.allocate(++value);
    if constexpr (keyed) benchmark::DoNotOptimize(pool.key(handle));
    else escape(handle.get());
  }
}

void add_pairs() {
  std::string const table = "allocate and release one object";
  add(Threads::one, table, "FixedPool", pair_of<FixedPool<Object>>);
  add(Threads::one, table, "FixedPool, Generations, no key made", pair_of<FixedPool<Object, Generations>>);
  add(Threads::one, table, "FixedPool, Generations, a key made", pair_of<FixedPool<Object, Generations>, true>);
  add(Threads::one, table, "GrowingPool, Generations, no key made", pair_of<GrowingPool<Object, Generations>>);
  add(Threads::one, table, "GrowingPool, Generations, a key made", pair_of<GrowingPool<Object, Generations>, true>);
}

}  // namespace

void add_keys() {
  add_look_ups(1'000, "1,000");
  add_look_ups(100'000, "100,000");
  add_look_ups(1'000'000, "a million");
  add_churn();
  add_pairs();
}

}  // namespace bench::ownership
