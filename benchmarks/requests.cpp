// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool of one slot that is in use: the next one who wants it asks, the owner releases it, and it is handed on.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <functional>
#include <mutex>
#include <string>

namespace bench::ownership {
namespace {

using namespace fastalloc;

struct Object {
  std::uint64_t words[8];
};

/// As one writes it today: a queue of functions behind a mutex, called in the place of a release.
template <class Pool> class HandQueue {
 public:
  explicit HandQueue(Pool& pool) : pool_(pool) {}
  void ask(std::function<void(typename Pool::handle_type)> function) {
    std::lock_guard const guard(mutex_);
    waiting_.push_back(std::move(function));
  }
  void release(typename Pool::handle_type handle) {
    std::function<void(typename Pool::handle_type)> next;
    {
      std::lock_guard const guard(mutex_);
      if (!waiting_.empty()) {
        next = std::move(waiting_.front());
        waiting_.pop_front();
      }
    }
    handle.reset();
    if (next) next(pool_.allocate());
  }

 private:
  Pool& pool_;
  std::mutex mutex_;
  std::deque<std::function<void(typename Pool::handle_type)>> waiting_;
};

}  // namespace

void add_requests() {
  using Pool = ThreadSafePool<Object, NoChecks>;
  std::string const table = "ask for the next slot, release it, get it";
  add(Threads::one, table, "on_available()", [](benchmark::State& state) {
    Pool pool(1);
    auto held = pool.allocate();
    escape(&pool);
    for (auto _ : state) {
      auto const request = pool.on_available([&](auto& slot) { held = slot.allocate(); });
      held.reset();
      escape(held.get());
    }
  });
  add(Threads::one, table, "a queue of functions of one's own", [](benchmark::State& state) {
    Pool pool(1);
    HandQueue<Pool> queue(pool);
    auto held = pool.allocate();
    escape(&pool);
    for (auto _ : state) {
      queue.ask([&](typename Pool::handle_type handle) { held = std::move(handle); });
      queue.release(std::move(held));
      escape(held.get());
    }
  });
  add(Threads::one, table, "release, then allocate()", [](benchmark::State& state) {
    Pool pool(1);
    auto held = pool.allocate();
    escape(&pool);
    for (auto _ : state) {
      held.reset();
      held = pool.allocate();
      escape(held.get());
    }
  });
}

}  // namespace bench::ownership
