// SPDX-License-Identifier: MIT OR Apache-2.0
// Coroutine frames that are taken by one thread and given back by another, from pools too small for all of them.
#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/fastalloc.hpp>

#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#if defined(__cpp_impl_coroutine)
#include <coroutine>
#endif

#include "concurrency/threads.hpp"
#include "support/catch.hpp"

using namespace fastalloc;
using test::Payload;

namespace {

constexpr std::size_t threads = 4;

/// Brings values from thread to thread: each takes what any has put in.
template <class T> class Exchange {
 public:
  void put(T value) {
    std::lock_guard const guard(mutex_);
    values_.push_back(std::move(value));
  }
  std::optional<T> get() {
    std::lock_guard const guard(mutex_);
    if (values_.empty()) return std::nullopt;
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    return value;
  }

 private:
  std::mutex mutex_;
  std::deque<T> values_;
};

/// Each thread makes some, puts them in, and ends some of those that it finds there; at the end of it nothing is left.
template <class T, class Make, class End> void exchange(std::size_t rounds, Make const& make, End const& end) {
  Exchange<T> between;
  test::run(threads, [&](std::size_t thread) {
    test::Random random(thread + 1);
    for (std::size_t i = 0; i != rounds; ++i) {
      for (std::size_t n = random(6); n-- != 0;) between.put(make(thread * rounds + i));
      for (std::size_t n = random(6); n-- != 0;)
        if (auto one = between.get()) end(*std::move(one));
    }
  });
  while (auto one = between.get()) end(*std::move(one));
}

struct Promise : PooledFrame<> {};

/// A frame as a coroutine has it, with a payload at its start.
struct Frame {
  void* at;
  std::size_t size;
};
template <class P> Frame make_frame(P& pool, std::size_t index) {
  std::size_t const size = sizeof(Payload) + index % 120;  // some are too big for a slot
  void* const at = Promise::operator new(size, pool);
  ::new (at) Payload(index);
  return {at, size};
}
void end_frame(Frame frame) {
  static_cast<Payload*>(frame.at)->~Payload();
  Promise::operator delete(frame.at, frame.size);
}

using Slot = FrameSlot<112>;

}  // namespace

TEMPLATE_TEST_CASE("frames: taken by one thread, given back by another", "", ThreadSafePool<Slot>,
                   (ThreadSafePool<Slot, NoCache, FullChecks>), (ThreadSafePool<Slot, LockFree>),
                   ThreadLocalPool<Slot>) {
  std::size_t const before = Promise::heap_frames().count;
  {
    TestType pool(8);
    exchange<Frame>(test::scaled(3000, 60000), [&](std::size_t index) { return make_frame(pool, index); }, end_frame);
    CHECK(pool.is_empty());
  }
  CHECK(Promise::heap_frames().count > before);
  CHECK(Payload::lives() == 0);
  test::check_faults();
}

#if defined(__cpp_impl_coroutine)
namespace {

class Task {
 public:
  struct promise_type : PooledFrame<> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };

  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }
  void step() { coroutine_.resume(); }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

template <class P> Task part(P&, std::size_t index) {
  Payload const local(index);
  co_await std::suspend_always{};
  local.verify();
}
/// Waits twice; each part of it may be run by another thread, and it may be cancelled after each.
template <class P> Task work(P& pool, std::size_t index) {
  Payload local(index);
  co_await std::suspend_always{};
  Task inner = part(pool, index + 1);
  local.set(index + 2);
  co_await std::suspend_always{};
  inner.step();
}

}  // namespace

TEMPLATE_TEST_CASE("frames: coroutines that wander from thread to thread", "", ThreadSafePool<FrameSlot<256>>,
                   ThreadLocalPool<FrameSlot<256>>) {
  {
    TestType pool(8);
    Exchange<Task> again;
    exchange<Task>(
        test::scaled(2000, 40000), [&](std::size_t index) { return work(pool, index); },
        [&](Task task) {
          task.step();
          if (auto other = again.get()) other->step();  // and ends it
          again.put(std::move(task));
        });
    while (auto task = again.get()) (void)task;
    CHECK(pool.is_empty());
  }
  CHECK(Payload::lives() == 0);
  test::check_faults();
}
#endif
