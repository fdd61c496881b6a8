// SPDX-License-Identifier: MIT OR Apache-2.0
// Coroutine frames: from pools and from the heap. One coroutine is created, resumed to its end and destroyed (pair); a thousand
// live, destroyed in random order (bulk); each waits for the next, ten deep (chain). Times are per coroutine.
#include "subject.hpp"

#include <benchmark/benchmark.h>

#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

template <class Frame>
class [[nodiscard]] Task {
 public:
  struct promise_type : Frame {
    Task get_return_object() noexcept { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_value(std::size_t value) noexcept { result = value; }
    void unhandled_exception() noexcept {}
    std::size_t result = 0;
  };

  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }
  std::size_t run() const {
    coroutine_.resume();
    return coroutine_.promise().result;
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

constexpr std::size_t bulk = 1000;
using Slot = fastalloc::FrameSlot<256>;

struct FromHeap {};
fastalloc::FixedPool<Slot> static_frames(bulk);

struct None {
  explicit None(std::size_t) {}
};

template <class Frame, class Pool> [[gnu::noinline]] Task<Frame> one(Pool& pool, std::size_t value) {
  escape(&pool);
  co_return value;
}
template <class Frame, class Pool> Task<Frame> chain(Pool& pool, std::size_t depth) {
  if (depth == 0) co_return 0;
  auto const next = chain<Frame>(pool, depth - 1);
  co_return 1 + next.run();
}

template <class Frame, class Pool>
void pairs(benchmark::State& state) {
  Pool pool(bulk);
  std::size_t sum = 0;
  for (auto _ : state) sum += one<Frame>(pool, 1).run();
  if (sum != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a coroutine did not run");
}

template <class Frame, class Pool>
void bulks(benchmark::State& state) {
  Pool pool(bulk);
  std::vector<std::size_t> order(bulk);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<std::optional<Task<Frame>>> tasks(bulk);
  for (auto _ : state) {
    for (auto& task : tasks) task.emplace(one<Frame>(pool, 1));
    for (std::size_t const i : order) tasks[i].reset();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<benchmark::IterationCount>(bulk));
}

template <class Frame, class Pool>
void chains(benchmark::State& state) {
  Pool pool(bulk);
  std::size_t sum = 0;
  for (auto _ : state) sum += chain<Frame>(pool, 9).run();
  if (sum != 9 * static_cast<std::size_t>(state.iterations())) state.SkipWithError("a chain is broken");
  state.SetItemsProcessed(10 * state.iterations());
}

template <class Frame, class Pool>
void add(char const* name) {
  auto const register_one = [&](char const* what, auto* f) {
    benchmark::RegisterBenchmark((std::string("coroutine ") + what + ", " + name).c_str(), f);
  };
  register_one("pair", &pairs<Frame, Pool>);
  register_one("bulk 1k", &bulks<Frame, Pool>);
  register_one("chain of 10", &chains<Frame, Pool>);
}

[[maybe_unused]] bool const added = [] {
  using fastalloc::PooledFrame;
  add<FromHeap, None>("new");
  add<PooledFrame<&static_frames>, None>("FixedPool, static");
  add<PooledFrame<>, fastalloc::FixedPool<Slot>>("FixedPool");
  add<PooledFrame<>, fastalloc::GrowingPool<Slot>>("GrowingPool");
  add<PooledFrame<>, fastalloc::ThreadLocalPool<Slot>>("ThreadLocalPool");
  add<PooledFrame<>, fastalloc::ThreadSafePool<Slot>>("ThreadSafePool");
  return true;
}();

}  // namespace
}  // namespace bench
