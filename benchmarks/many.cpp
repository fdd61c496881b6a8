// SPDX-License-Identifier: MIT OR Apache-2.0
// Many objects at once: as handles one by one, as a batch of handles, and as a batch with one owner. Timed apart: to
// build n objects with their owners, and to give all of them back. The pool has been used, so nothing is fresh.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace bench::ownership {
namespace {

using namespace fastalloc;

constexpr std::size_t rounds = 64;  // batches between two looks at the clock

template <class P> struct OneByOne {
  std::vector<typename P::handle_type> owner;
  void make(P& pool, std::size_t n) {
    owner.reserve(n);
    for (std::size_t i = 0; i != n; ++i) owner.push_back(pool.allocate(i));
  }
  void free() { owner.clear(); }
};
template <class P> struct Handles {
  std::vector<typename P::handle_type> owner;
  void make(P& pool, std::size_t n) {
    owner.resize(n);
    pool.allocate_batch(n, owner.data(), std::uint64_t{1});
  }
  void free() { owner.clear(); }
};
template <class P> struct Batch {
  typename P::batch_handle_type owner;
  void make(P& pool, std::size_t n) { owner = pool.allocate_batch_handle(n, std::uint64_t{1}); }
  void free() { owner.reset(); }
};
template <class P> struct Run {
  typename P::span_handle_type owner;
  void make(P& pool, std::size_t n) { owner = pool.allocate_n(n, std::uint64_t{1}); }
  void free() { owner.reset(); }
};

template <class P, template <class> class Way, bool freeing> void many(benchmark::State& state, std::size_t n) {
  using Clock = std::chrono::steady_clock;
  auto const pool = std::make_unique<P>(n * rounds);
  escape(pool.get());
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

template <class P, template <class> class Way> void enter(std::string const& pool, std::string const& way) {
  for (std::size_t const n : {64U, 1000U}) {
    std::string const size = std::to_string(n) + " objects of a " + pool;
    add(Threads::one, "build " + size, way, [n](benchmark::State& state) {
      many<P, Way, false>(state, n);
    })->UseManualTime();
    add(Threads::one, "free " + size, way, [n](benchmark::State& state) {
      many<P, Way, true>(state, n);
    })->UseManualTime();
  }
}
template <class P> void enter_all(std::string const& pool) {
  enter<P, OneByOne>(pool, "handles one by one");
  enter<P, Handles>(pool, "allocate_batch");
  enter<P, Batch>(pool, "allocate_batch_handle");
}

}  // namespace

void add_many() {
  enter_all<FixedPool<Object, NoChecks>>("FixedPool");
  enter_all<GrowingPool<Object, NoChecks>>("GrowingPool");
  enter_all<FixedPool<Object, MutexLock, NoChecks>>("FixedPool with MutexLock");
  enter_all<ThreadSafePool<Object, NoChecks>>("ThreadSafePool");
  enter_all<FixedPool<Object, BitmapAllocator, NoChecks>>("FixedPool with BitmapAllocator");
  enter<FixedPool<Object, BitmapAllocator, NoChecks>, Run>("FixedPool with BitmapAllocator", "allocate_n");
}

}  // namespace bench::ownership
