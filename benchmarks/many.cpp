// SPDX-License-Identifier: MIT OR Apache-2.0
// Many objects at once: as handles one by one, as a batch of handles, and as a batch with one owner. Timed apart: to build n objects
// with their owners, and to give all of them back. Times are those of 64 batches; items are objects. The pool has been used, so nothing is fresh.
#include "subject.hpp"

#include <benchmark/benchmark.h>

#include <fastalloc/fastalloc.hpp>

#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace {

using bench::Object;
using namespace fastalloc;

constexpr std::size_t rounds = 64;  // batches between two looks at the clock

template <class P>
struct OneByOne {
  std::vector<typename P::handle_type> owner;
  void make(P& pool, std::size_t n) {
    owner.reserve(n);
    for (std::size_t i = 0; i != n; ++i) owner.push_back(pool.allocate(i));
  }
  void free() { owner.clear(); }
};
template <class P>
struct Handles {
  std::vector<typename P::handle_type> owner;
  void make(P& pool, std::size_t n) {
    owner.resize(n);
    pool.allocate_batch(n, owner.data(), std::uint64_t{1});
  }
  void free() { owner.clear(); }
};
template <class P>
struct Batch {
  typename P::batch_handle_type owner;
  void make(P& pool, std::size_t n) { owner = pool.allocate_batch_handle(n, std::uint64_t{1}); }
  void free() { owner.reset(); }
};
template <class P>
struct Run {
  typename P::span_handle_type owner;
  void make(P& pool, std::size_t n) { owner = pool.allocate_n(n, std::uint64_t{1}); }
  void free() { owner.reset(); }
};

template <class P, template <class> class Way, bool freeing>
void many(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  auto const n = static_cast<std::size_t>(state.range(0));
  auto const pool = std::make_unique<P>(n * rounds);
  bench::escape(pool.get());
  std::vector<Way<P>> ways(rounds);
  for (auto _ : state) {
    auto const begin = Clock::now();
    for (auto& way : ways) way.make(*pool, n);
    benchmark::ClobberMemory();
    auto const built = Clock::now();
    for (auto& way : ways) way.free();
    benchmark::ClobberMemory();
    auto const end = Clock::now();
    state.SetIterationTime(std::chrono::duration<double>(freeing ? end - built : built - begin).count());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n * rounds));
}

void sizes(benchmark::internal::Benchmark* b) { b->Arg(64)->Arg(1000)->ArgName("n")->UseManualTime(); }

template <class P, template <class> class Way>
void enter(std::string const& name) {
  benchmark::RegisterBenchmark(("build/" + name).c_str(), many<P, Way, false>)->Apply(sizes);
  benchmark::RegisterBenchmark(("free/" + name).c_str(), many<P, Way, true>)->Apply(sizes);
}
template <class P>
void enter_all(std::string const& name) {
  enter<P, OneByOne>(name + ", handles one by one");
  enter<P, Handles>(name + ", allocate_batch");
  enter<P, Batch>(name + ", batch handle");
}

[[maybe_unused]] bool const entered = [] {
  enter_all<FixedPool<Object, NoChecks>>("FixedPool");
  enter_all<GrowingPool<Object, NoChecks>>("GrowingPool");
  enter_all<FixedPool<Object, MutexLock, NoChecks>>("FixedPool, MutexLock");
  enter_all<ThreadSafePool<Object, NoChecks>>("ThreadSafePool");
  enter_all<FixedPool<Object, BitmapAllocator, NoChecks>>("FixedPool, Bitmap");
  enter<FixedPool<Object, BitmapAllocator, NoChecks>, Run>("FixedPool, Bitmap, run");
  return true;
}();

}  // namespace
