// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop over all live objects: each is read and written once. Slots: 1,000, 10,000, 100,000; of these as many percent
// live as the table says, picked at random. The std::vector holds the live ones side by side: what a loop can cost at
// least.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#if __has_include(<plf_colony.h>)
#include <plf_colony.h>
#endif

namespace bench::ownership {
namespace {

using namespace fastalloc;

/// Which of n objects die, in random order.
std::vector<std::size_t> victims(std::size_t n, std::size_t percent) {
  std::vector<std::size_t> all(n);
  for (std::size_t i = 0; i != n; ++i) all[i] = i;
  bench::Random random;
  for (std::size_t i = n; i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
  all.resize(n - n * percent / 100);
  return all;
}

struct Full {
  Full(std::size_t n, std::size_t percent) {
    for (std::size_t i = 0; i != n * percent / 100; ++i) objects.emplace_back(i);
  }
  template <class F> void each(F&& f) {
    for (Object& object : objects) f(object);
  }
  std::vector<Object> objects;
};

template <class P> struct Filled {
  Filled(std::size_t n, std::size_t percent) : pool(n) { fill(n, percent); }
  Filled(PoolConfig const& config, std::size_t n, std::size_t percent) : pool(config) { fill(n, percent); }
  void fill(std::size_t n, std::size_t percent) {
    for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate(i));
    for (std::size_t i : victims(n, percent)) handles[i].reset();
  }
  P pool;
  std::vector<typename P::handle_type> handles;
};
template <class P> struct ByForEach : Filled<P> {
  using Filled<P>::Filled;
  template <class F> void each(F&& f) { this->pool.for_each(f); }
};
template <class P> struct ByRange : Filled<P> {
  using Filled<P>::Filled;
  template <class F> void each(F&& f) {
    for (Object& object : this->pool.live()) f(object);
  }
};
struct Growing : ByRange<GrowingPool<Object, BitmapAllocator, NoChecks>> {
  Growing(std::size_t n, std::size_t percent)
      : ByRange({.capacity = 64, .growth_strategy = GrowthStrategy::exponential(2.0)}, n, percent) {}
};

#if __has_include(<plf_colony.h>)
struct Colony {
  Colony(std::size_t n, std::size_t percent) {
    std::vector<plf::colony<Object>::iterator> at;
    for (std::size_t i = 0; i != n; ++i) at.push_back(objects.emplace(i));
    for (std::size_t i : victims(n, percent)) objects.erase(at[i]);
  }
  template <class F> void each(F&& f) {
    for (Object& object : objects) f(object);
  }
  plf::colony<Object> objects;
};
#endif

template <class Subject> void add_loop(std::string const& table, char const* row, std::size_t n, std::size_t percent) {
  add(Threads::one, table, row, [n, percent](benchmark::State& state) {
    auto const subject = std::make_unique<Subject>(n, percent);
    escape(subject.get());
    std::uint64_t sum = 0;
    for (auto _ : state) {
      subject->each([&](Object& object) { sum += ++object.value; });
      benchmark::DoNotOptimize(sum);
      benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(n * percent / 100));
  });
}

}  // namespace

void add_iteration() {
  for (std::size_t const n : {1'000U, 10'000U, 100'000U}) {
    for (std::size_t const percent : {100U, 90U, 50U, 10U}) {
      std::string const table = "loop over " + std::to_string(n) + " slots, " + std::to_string(percent) + " % live";
      add_loop<Full>(table, "std::vector of as many", n, percent);
      add_loop<ByRange<FixedPool<Object, BitmapAllocator, NoChecks>>>(table, "FixedPool, BitmapAllocator, live()", n,
                                                                      percent);
      add_loop<ByForEach<FixedPool<Object, BitmapAllocator, NoChecks>>>(table, "FixedPool, BitmapAllocator, for_each",
                                                                        n, percent);
      add_loop<Growing>(table, "GrowingPool, BitmapAllocator, live()", n, percent);
      add_loop<ByForEach<FixedPool<Object, NoChecks>>>(table, "FixedPool, StackAllocator, for_each", n, percent);
#if __has_include(<plf_colony.h>)
      add_loop<Colony>(table, "plf::colony", n, percent);
#endif
    }
  }
}

}  // namespace bench::ownership
