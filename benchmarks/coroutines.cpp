// SPDX-License-Identifier: MIT OR Apache-2.0
// Coroutine frames: from pools and from the heap. One coroutine is created, run to its end and destroyed; a thousand
// live, and are destroyed in random order; each calls the next, ten deep. Times are per coroutine.
#include "ownership.hpp"
#include "subject.hpp"

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

namespace bench::ownership {
namespace {

template <class Frame> class [[nodiscard]] Task {
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

using Slot = fastalloc::FrameSlot<256>;

struct FromHeap {};
fastalloc::FixedPool<Slot> static_frames(1000);

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

template <class Frame, class Pool> void pairs(benchmark::State& state) {
  Pool pool(1000);
  std::size_t sum = 0;
  for (auto _ : state) sum += one<Frame>(pool, 1).run();
  if (sum != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a coroutine did not run");
}

template <class Frame, class Pool> void bulks(benchmark::State& state) {
  Pool pool(1000);
  std::vector<std::size_t> order(1000);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<std::optional<Task<Frame>>> tasks(1000);
  while (state.KeepRunningBatch(1000)) {
    for (auto& task : tasks) task.emplace(one<Frame>(pool, 1));
    for (std::size_t const i : order) tasks[i].reset();
  }
}

template <class Frame, class Pool> void chains(benchmark::State& state) {
  Pool pool(1000);
  while (state.KeepRunningBatch(10))
    if (chain<Frame>(pool, 9).run() != 9) state.SkipWithError("a chain is broken");
}

template <class Frame, class Pool> void add_frames(std::string const& name) {
  add(Threads::one, "a coroutine is created, run and destroyed", name, &pairs<Frame, Pool>);
  add(Threads::one, "a thousand coroutines, destroyed in random order", name, &bulks<Frame, Pool>);
  add(Threads::one, "ten coroutines that call each other", name, &chains<Frame, Pool>);
}

// Adds itself: this file is only linked where there are coroutines.
[[maybe_unused]] bool const added = [] {
  using fastalloc::PooledFrame;
  add_frames<FromHeap, None>("operator new");
  add_frames<PooledFrame<&static_frames>, None>("FixedPool, static");
  add_frames<PooledFrame<>, fastalloc::FixedPool<Slot>>("FixedPool");
  add_frames<PooledFrame<>, fastalloc::GrowingPool<Slot>>("GrowingPool");
  add_frames<PooledFrame<>, fastalloc::ThreadLocalPool<Slot>>("ThreadLocalPool");
  add_frames<PooledFrame<>, fastalloc::ThreadSafePool<Slot>>("ThreadSafePool");
  return true;
}();

}  // namespace
}  // namespace bench::ownership
