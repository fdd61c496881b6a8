// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop over all live objects: each is read and written once. Slots: 1,000, 10,000, 100,000; of these as many percent live as the
// second argument says, picked at random. `full` is a std::vector of the same objects, at 100 % only: what a loop can cost at least.
// Times are those of a whole loop; items_per_second counts live objects.
#include "subject.hpp"

#include <benchmark/benchmark.h>

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#if __has_include(<plf_colony.h>)
#include <plf_colony.h>
#endif

namespace {

using bench::Object;
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
  Full(std::size_t n, std::size_t) { for (std::size_t i = 0; i != n; ++i) objects.emplace_back(i); }
  template <class F> void each(F&& f) { for (Object& object : objects) f(object); }
  std::vector<Object> objects;
};

template <class P>
struct Filled {
  Filled(std::size_t n, std::size_t percent) : pool(n) { fill(n, percent); }
  Filled(PoolConfig const& config, std::size_t n, std::size_t percent) : pool(config) { fill(n, percent); }
  void fill(std::size_t n, std::size_t percent) {
    for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate(i));
    for (std::size_t i : victims(n, percent)) handles[i].reset();
  }
  P pool;
  std::vector<typename P::handle_type> handles;
};
template <class P>
struct ByForEach : Filled<P> {
  using Filled<P>::Filled;
  template <class F> void each(F&& f) { this->pool.for_each(f); }
};
template <class P>
struct ByRange : Filled<P> {
  using Filled<P>::Filled;
  template <class F> void each(F&& f) { for (Object& object : this->pool.live()) f(object); }
};
struct Growing : ByRange<GrowingPool<Object, BitmapAllocator, NoChecks>> {
  Growing(std::size_t n, std::size_t percent) : ByRange({.capacity = 64, .growth_strategy = GrowthStrategy::exponential(2.0)}, n, percent) {}
};

#if __has_include(<plf_colony.h>)
struct Colony {
  Colony(std::size_t n, std::size_t percent) {
    std::vector<plf::colony<Object>::iterator> at;
    for (std::size_t i = 0; i != n; ++i) at.push_back(objects.emplace(i));
    for (std::size_t i : victims(n, percent)) objects.erase(at[i]);
  }
  template <class F> void each(F&& f) { for (Object& object : objects) f(object); }
  plf::colony<Object> objects;
};
#endif

template <class Subject>
void loop(benchmark::State& state) {
  auto const n = static_cast<std::size_t>(state.range(0));
  auto const percent = static_cast<std::size_t>(state.range(1));
  auto const subject = std::make_unique<Subject>(n, percent);
  bench::escape(subject.get());
  std::uint64_t sum = 0;
  for (auto _ : state) {
    subject->each([&](Object& object) { sum += ++object.value; });
    benchmark::DoNotOptimize(sum);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * (n * percent / 100)));
}

void all(benchmark::internal::Benchmark* b) { b->ArgsProduct({{1'000, 10'000, 100'000}, {10, 50, 90, 100}})->ArgNames({"slots", "live%"}); }
void full(benchmark::internal::Benchmark* b) { b->ArgsProduct({{1'000, 10'000, 100'000}, {100}})->ArgNames({"slots", "live%"}); }

BENCHMARK(loop<Full>)->Name("iterate/std::vector, full")->Apply(full);
BENCHMARK(loop<ByRange<FixedPool<Object, BitmapAllocator, NoChecks>>>)->Name("iterate/FixedPool, Bitmap, live()")->Apply(all);
BENCHMARK(loop<ByForEach<FixedPool<Object, BitmapAllocator, NoChecks>>>)->Name("iterate/FixedPool, Bitmap, for_each")->Apply(all);
BENCHMARK(loop<Growing>)->Name("iterate/GrowingPool, Bitmap, live()")->Apply(all);
BENCHMARK(loop<ByForEach<FixedPool<Object, NoChecks>>>)->Name("iterate/FixedPool, Stack, for_each")->Apply(all);
#if __has_include(<plf_colony.h>)
BENCHMARK(loop<Colony>)->Name("iterate/plf::colony")->Apply(all);
#endif

}  // namespace
