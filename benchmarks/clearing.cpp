// SPDX-License-Identifier: MIT OR Apache-2.0
// The end of all objects of a pool, which nobody owns: clear(), and for_each() with adopt(), which does the same
// without it; beside them a vector of handles that is dropped. Objects of 64 bytes, without and with a destructor. The
// time is that of an object; filling the pool is not counted.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <chrono>
#include <memory>
#include <vector>

namespace bench::ownership {
namespace {

using namespace fastalloc;

struct Ended : Object {
  using Object::Object;
  ~Ended() { escape(this); }
};

enum class Way { handles, for_each, clear };

template <class P> void end_all(benchmark::State& state, std::size_t n, Way way) {
  using Clock = std::chrono::steady_clock;
  std::size_t const rounds = n < 100'000 ? 64 : 1;
  std::vector<std::unique_ptr<P>> pools;
  std::vector<std::vector<typename P::handle_type>> handles(rounds);
  for (std::size_t i = 0; i != rounds; ++i)
    pools.push_back(std::make_unique<P>(
        PoolConfig{.capacity = n, .growth_strategy = GrowthStrategy::none(), .pre_initialize = true}));
  for (auto _ : state) {
    for (std::size_t r = 0; r != rounds; ++r) {
      for (std::size_t i = 0; i != n; ++i) handles[r].push_back(pools[r]->allocate(i));
      if (way == Way::handles) continue;
      for (auto& handle : handles[r]) (void)handle.release();
      handles[r].clear();
    }
    auto const begin = Clock::now();
    for (std::size_t r = 0; r != rounds; ++r) {
      if (way == Way::handles) handles[r].clear();
      else if (way == Way::clear) pools[r]->clear();
      else pools[r]->for_each([&](auto& object) { pools[r]->adopt(&object).reset(); });
    }
    benchmark::ClobberMemory();
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n * rounds));
}

template <class P> void enter(std::string const& pool) {
  for (std::size_t const n : {1'000U, 1'000'000U}) {
    std::string const table = "end " + std::to_string(n) + " objects of a " + pool;
    auto const row = [&](char const* name, Way way) {
      add(Threads::one, table, name, [n, way](benchmark::State& state) { end_all<P>(state, n, way); })
          ->UseManualTime()
          ->Iterations(n < 100'000 ? 20 : 2);  // filling the pool takes most of the time
    };
    row("clear()", Way::clear);
    row("for_each() and adopt()", Way::for_each);
    row("a vector of handles is dropped", Way::handles);
  }
}

}  // namespace

void add_clearing() {
  enter<FixedPool<Object, NoChecks>>("FixedPool");
  enter<FixedPool<Object, Generations, NoChecks>>("FixedPool with Generations");
  enter<FixedPool<Object, BitmapAllocator, NoChecks>>("FixedPool with BitmapAllocator");
  enter<GrowingPool<Object, NoChecks>>("GrowingPool");
  enter<ThreadSafePool<Object, NoChecks>>("ThreadSafePool");
  enter<FixedPool<Ended, NoChecks>>("FixedPool, with destructors");
  enter<FixedPool<Ended, BitmapAllocator, NoChecks>>("FixedPool with BitmapAllocator, with destructors");
  enter<GrowingPool<Ended, NoChecks>>("GrowingPool, with destructors");
  enter<ThreadSafePool<Ended, NoChecks>>("ThreadSafePool, with destructors");
}

}  // namespace bench::ownership
