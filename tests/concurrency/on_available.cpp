// SPDX-License-Identifier: MIT OR Apache-2.0
// on_available() and async_allocate(): a function or a coroutine gets the first slot that comes back, in order with
// threads that wait, without a lock, once or never.
#include <fastalloc/fastalloc.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if defined(__cpp_impl_coroutine)
#include <coroutine>
#endif
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using namespace std::chrono_literals;
using test::Asleep;
using test::Stopwatch;

#define REQUEST_POOLS(T)                                                                       \
  ThreadSafePool<T>, (ThreadSafePool<T, NoChecks>), (ThreadSafePool<T, NoCache, SpinLock>),    \
      (ThreadSafePool<T, NoCache, MutexLock, BitmapAllocator>), (ThreadSafePool<T, LockFree>), \
      (ThreadSafePool<T, AtomicShared, FreeListAllocator>), (ThreadSafePool<T, Generations>),  \
      (ThreadSafePool<T, InlineStorage<1>>)

namespace {

struct Thrown {};

/// Throws when it is built from a negative number.
struct Number {
  Number() = default;
  explicit Number(int v) : value(v) {
#if FASTALLOC_EXCEPTIONS
    if (v < 0) throw Thrown{};
#endif
  }
  ~Number() { value = -1; }
  int value = 0;
};

template <class Pool> std::unique_ptr<Pool> make_pool() {
  if constexpr (std::default_initializable<Pool>) return std::make_unique<Pool>();
  else return std::make_unique<Pool>(std::size_t{1});
}

}  // namespace

TEMPLATE_TEST_CASE("on_available: a free slot comes at once", "", REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  typename TestType::handle_type got;
  auto request = pool->on_available([&](auto& slot) {
    REQUIRE(slot);
    got = slot.allocate(7);
    CHECK_FALSE(slot);
  });
  REQUIRE(got);
  CHECK(got->value == 7);
  CHECK_FALSE(request);
  CHECK_FALSE(request.cancel());
  CHECK(pool->allocated() == 1);
  CHECK_FALSE(pool->try_allocate());
}

TEMPLATE_TEST_CASE("on_available: slots come in order, after they are back", "", REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  auto held = pool->allocate(0);
  std::vector<int> order;
  std::vector<SlotRequest> requests;
  for (int i = 1; i != 4; ++i)
    requests.push_back(pool->on_available([&, i](auto& slot) {
      REQUIRE(slot);
      order.push_back(i);
      held = slot.allocate(i);
      CHECK_FALSE(pool->try_allocate());
    }));
  CHECK(order.empty());
  CHECK_FALSE(pool->try_allocate());
  for (int i = 1; i != 4; ++i) {
    CHECK(requests.back());
    held.reset();
    REQUIRE(held);
    CHECK(held->value == i);
    CHECK(order.size() == static_cast<std::size_t>(i));
  }
  CHECK_FALSE(requests.back());
  held.reset();
  CHECK(pool->allocated() == 0);
  CHECK(pool->check_invariants());
}

TEMPLATE_TEST_CASE("on_available: an unused slot goes to the next, and then back", "", REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  auto held = pool->allocate(0);
  int calls = 0;
  auto const count = [&](auto& slot) { calls += slot ? 1 : 100; };
  auto const first = pool->on_available(count), second = pool->on_available(count);
  held.reset();
  CHECK(calls == 2);
  CHECK(pool->allocated() == 0);
  CHECK(pool->try_allocate());
}

TEMPLATE_TEST_CASE("on_available: a cancelled request is never served, and nothing is lost", "",
                   REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  auto held = pool->allocate(0);
  auto const never = [](auto&) { FAIL("a cancelled request was served"); };
  auto request = pool->on_available(never);
  CHECK(request.cancel());
  CHECK_FALSE(request.cancel());
  CHECK_FALSE(request);
  { auto const ended = pool->on_available(never); }
  int calls = 0;
  auto other = pool->on_available([&](auto&) { ++calls; });
  request = pool->on_available(never);
  request = std::move(other);
  held.reset();
  CHECK(calls == 1);
  CHECK(pool->try_allocate());
  CHECK(pool->check_invariants());
  SlotRequest empty;
  CHECK_FALSE(empty);
  CHECK_FALSE(empty.cancel());
  empty.detach();
}

TEST_CASE("on_available: a detached request goes on") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  bool called = false;
  pool.on_available([&](auto&) { called = true; }).detach();
  held.reset();
  CHECK(called);
}

TEST_CASE("on_available: a request, then a thread, then a request: the slots go to them in this order") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  std::vector<int> order;  // one at a time: whoever has the slot
  auto const first = pool.on_available([&](auto& slot) {
    order.push_back(1);
    held = slot.allocate(1);
  });
  Asleep asleep;
  std::thread thread([&] {
    asleep.begin();
    auto const mine = pool.allocate_for(1h);
    order.push_back(mine ? 2 : -2);
  });
  asleep.wait();
  auto const last = pool.on_available([&](auto&) { order.push_back(3); });
  held.reset();
  CHECK(order == std::vector{1});
  held.reset();
  thread.join();
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("on_available: a chain of requests takes constant stack") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  constexpr int count = 70'000;
  int calls = 0;
  int depth = 0;
  int deepest = 0;
  for (int i = 0; i != count; ++i)
    pool.on_available([&](auto& slot) {
          deepest = std::max(deepest, ++depth);
          ++calls;
          slot.allocate(1).reset();
          --depth;
        })
        .detach();
  held.reset();
  CHECK(calls == count);
  CHECK(deepest == 1);
  CHECK(pool.allocated() == 0);
}

TEST_CASE("on_available: a request of another pool that is served meanwhile comes after the function") {
  ThreadSafePool<Number> one(1), two(1);
  auto held_one = one.allocate(1), held_two = two.allocate(1);
  std::string order;
  auto const second = two.on_available([&](auto&) { order += "2"; });
  auto const first = one.on_available([&](auto&) {
    order += "[";
    held_two.reset();
    two.for_each([&](Number&) { FAIL("no object is in the slot that is handed over"); });
    CHECK(two.allocated() == 1);
    CHECK_FALSE(two.try_allocate());
    order += "]";
  });
  held_one.reset();
  CHECK(order == "[]2");
  CHECK(two.allocated() == 0);
}

TEST_CASE("on_available: cancelled between the hand-over and the call") {
  ThreadSafePool<Number> one(1), two(1);
  auto held_one = one.allocate(1), held_two = two.allocate(1);
  auto second = two.on_available([&](auto&) { FAIL("was cancelled"); });
  auto const first = one.on_available([&](auto&) {
    held_two.reset();
    CHECK(second.cancel());
  });
  held_one.reset();
  CHECK(two.allocated() == 0);
  CHECK(two.check_invariants());
}

TEMPLATE_TEST_CASE("on_available: a cancelled request leaves nothing behind, even if it was handed a slot", "",
                   REQUEST_POOLS(Number)) {
  ThreadSafePool<Number> one(1);
  auto held_one = one.allocate(1);
  auto two = make_pool<TestType>();
  auto held_two = two->allocate(1);
  auto second = two->on_available([&](auto&) { FAIL("was cancelled"); });
  bool served = false;
  auto const third = two->on_available([&](auto&) { served = true; });
  auto fourth = two->on_available([&](auto&) { FAIL("was cancelled"); });
  auto const first = one.on_available([&](auto&) {
    held_two.reset();
    CHECK(second.cancel());  // the slot goes to the third, which runs behind this function
    CHECK(two->allocated() == 1);
    CHECK(fourth.cancel());
  });
  held_one.reset();
  CHECK(served);
  CHECK(two->allocated() == 0);
  held_one = one.allocate(1);
  held_two = two->allocate(1);
  second = two->on_available([&](auto&) { FAIL("was cancelled"); });
  auto const again = one.on_available([&](auto&) {
    held_two.reset();
    CHECK(second.cancel());
    REQUIRE(two->allocated() == 0);
    CHECK(two->check_invariants());
    two.reset();
  });
  held_one.reset();
  CHECK(two == nullptr);
}

TEST_CASE("on_available: its own function may end the request") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  std::optional<SlotRequest> request;
  bool called = false;
  request = pool.on_available([&](auto&) {
    request.reset();
    called = true;
  });
  held.reset();
  CHECK(called);
  CHECK_FALSE(request);
}

TEMPLATE_TEST_CASE("on_available: at the pool's end the slot is empty", "", REQUEST_POOLS(Number)) {
  auto pool = make_pool<TestType>();
  auto held = pool->allocate(1);
  int calls = 0;
  auto const request = pool->on_available([&](auto& slot) {
    CHECK_FALSE(slot);
    ++calls;
  });
  pool->on_available([&](auto& slot) { calls += slot ? 100 : 1; }).detach();
  auto late = pool->on_available([](auto&) { FAIL("was cancelled"); });
  CHECK(late.cancel());
  (void)held.release();
  test::RecordedErrors errors;
  pool.reset();
  CHECK(calls == 2);
  CHECK(errors.count() == 1);  // of the live object
  CHECK_FALSE(request);
}

TEST_CASE("on_available: a pool that can grow grows") {
  ThreadSafePool<Number> pool(
      PoolConfig{.capacity = 1, .max_capacity = 3, .growth_strategy = GrowthStrategy::linear(1)});
  std::vector<ThreadSafePool<Number>::handle_type> handles;
  std::vector<SlotRequest> requests;
  for (int i = 0; i != 5; ++i)
    requests.push_back(pool.on_available([&](auto& slot) { handles.push_back(slot.allocate(1)); }));
  CHECK(handles.size() == 3);
  std::exchange(handles[0], {}).reset();
  CHECK(handles.size() == 4);
  CHECK(pool.capacity() == 3);
  CHECK(requests[4]);
}

TEST_CASE("on_available: a function whose slot came by growth may make the pool grow again") {
  ThreadSafePool<Number> pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
  std::vector<decltype(pool)::handle_type> held;
  held.push_back(pool.allocate(1));
  SlotRequest const request = pool.on_available([&](auto& slot) {
    held.push_back(slot.allocate(2));
    held.push_back(pool.allocate(3));
    pool.reserve(10);
  });
  CHECK(held.size() == 3);
  CHECK(pool.capacity() == 10);
  held.clear();
  CHECK(pool.check_invariants());
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("on_available: a growth function that throws leaves no request behind") {
  bool throws = true;
  ThreadSafePool<Number> pool(
      PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::custom([&](std::size_t) -> std::size_t {
                                  if (throws) throw Thrown{};
                                  return 0;
                                })});
  auto held = pool.allocate(1);
  int calls = 0;
  auto const shared = std::make_shared<int>(0);  // what the function holds goes with it
  CHECK_THROWS_AS((void)pool.on_available([&, shared](auto&) { ++calls; }), Thrown);
  CHECK(shared.use_count() == 1);
  held.reset();
  CHECK(calls == 0);
  CHECK(pool.try_allocate(2));
  throws = false;
  held = pool.allocate(3);
  SlotRequest const request = pool.on_available([&](auto&) { ++calls; });
  CHECK(calls == 0);
  held.reset();
  CHECK(calls == 1);
}
#endif

TEST_CASE("on_available: with Recycle the slot keeps its object") {
  int built = 0;
  auto const recycled = recycle([&] { return Number(++built); }, [](Number&) { return true; });
  ThreadSafePool pool(PoolConfig{.capacity = 1}, recycled);
  auto held = pool.allocate();
  int value = 0;
  auto const unused = pool.on_available([](auto&) {});
  auto const request = pool.on_available([&](auto& slot) { value = slot.allocate()->value; });
  held.reset();
  CHECK(value == 1);
  CHECK(built == 1);
}

TEST_CASE("on_available: a request counts its allocation") {
  ThreadSafePool<Number, AtomicStats> pool(2);
  auto held = pool.allocate(1);
  auto other = pool.allocate(1);
  auto const request = pool.on_available([&](auto& slot) { held = slot.allocate(2); });
  auto const unused = pool.on_available([](auto&) {});
  held.reset();
  other.reset();
  auto const statistics = pool.statistics();
  CHECK(statistics.total_allocations == 3);
  CHECK(statistics.current_usage == 1);
  CHECK(statistics.peak_usage == 2);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("on_available: a slot serves once, and not at the pool's end") {
  auto pool = std::make_unique<ThreadSafePool<Number>>(std::size_t{1});
  int refused = 0;
  auto const twice = [&](auto& slot) {
    try {
      auto const first = slot.allocate(1), second = slot.allocate(2);
    } catch (PoolExhausted const& error) {
      CHECK(error.error().to_string().find("test the slot before allocate()") != std::string::npos);
      ++refused;
    }
  };
  auto const now = pool->on_available(twice);
  CHECK(refused == 1);
  CHECK(pool->allocated() == 0);
  auto held = pool->allocate(1);
  auto const at_the_end = pool->on_available(twice);
  (void)held.release();
  test::RecordedErrors errors;
  pool.reset();
  CHECK(refused == 2);
}

TEMPLATE_TEST_CASE("on_available: a constructor that throws gives the slot back", "", REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  auto held = pool->allocate(0);
  bool caught = false;
  auto const request = pool->on_available([&](auto& slot) {
    try {
      (void)slot.allocate(-1);
    } catch (Thrown const&) {
      caught = true;
    }
    CHECK_FALSE(slot);
  });
  bool served = false;
  auto const next = pool->on_available([&](auto& slot) { served = static_cast<bool>(slot); });
  held.reset();
  CHECK(caught);
  CHECK(served);
  CHECK(pool->allocated() == 0);
}
#endif

TEST_CASE("on_available: the end of a request waits for its function on another thread, cancel() does not") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  std::atomic<int> step{0};
  std::atomic<bool> ended{false};
  std::optional<SlotRequest> request = pool.on_available([&](auto&) {
    step = 1;
    while (step != 2) std::this_thread::yield();
    ended = true;
  });
  std::thread thread([&] { held.reset(); });
  while (step != 1) std::this_thread::yield();
  CHECK_FALSE(request->cancel());
  CHECK_FALSE(ended);
  step = 2;
  request.reset();
  CHECK(ended);
  thread.join();
}

TEST_CASE("on_available: threads that allocate, release, ask and cancel: each request is served once or cancelled") {
  constexpr std::size_t threads = 4, slots_in_all = 3;
  ThreadSafePool<test::Payload> pool(slots_in_all);
  std::atomic<std::size_t> asked{0}, served{0}, cancelled{0}, inside{0};
  {
    test::run(threads, [&](std::size_t thread) {
      test::Random random(thread + 1);
      Stopwatch const watch;
      std::vector<SlotRequest> mine;
      while (watch.time() < test::slice()) {
        auto handle = pool.try_allocate(std::uint64_t{thread});
        for (std::size_t n = random(3); n-- != 0;) {
          ++asked;
          mine.push_back(pool.on_available([&](auto& slot) {
            ++served;
            test::faults().expect(static_cast<bool>(slot), "no slot before the pool's end");
            test::faults().expect(++inside <= slots_in_all, "more functions with slots than slots");
            auto object = slot.allocate(std::uint64_t{7});
            --inside;  // from the next line on the slot may serve another thread's request
            object.reset();
          }));
        }
        if (mine.size() > 8) {
          for (auto& request : mine) cancelled += request.cancel() ? 1 : 0;
          mine.clear();
        }
        if (random(4) == 0) pool.for_each([](test::Payload&) {});
      }
      for (auto& request : mine) cancelled += request.cancel() ? 1 : 0;
    });
  }
  test::check_faults();
  CHECK(served + cancelled == asked);
  CHECK(served != 0);
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

#if (defined(__unix__) || defined(__APPLE__)) && !FASTALLOC_TSAN
TEST_CASE("on_available: after fork() the child has the requests, too") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  int calls = 0;
  auto request = pool.on_available([&](auto&) { ++calls; });
  Asleep asleep;
  std::atomic<bool> got{false};
  std::thread waits([&] {  // exists in the parent only
    asleep.begin();
    got = static_cast<bool>(pool.allocate_for(1h));
  });
  asleep.wait();
  auto second = pool.on_available([&](auto&) { ++calls; });
  auto third = pool.on_available([&](auto&) { calls += 100; });
  ::pid_t const child = ::fork();
  if (child == 0) {
    bool right = third.cancel();
    held.reset();
    right = right && calls == 2 && pool.allocated() == 0 && pool.try_allocate();
    std::_Exit(right ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(third.cancel());
  held.reset();
  waits.join();
  CHECK(got);
  CHECK(calls == 2);
}

TEST_CASE("on_available: a child that is forked while another thread runs a function does not wait for it") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(1);
  std::atomic<int> step{0};
  std::optional<SlotRequest> request = pool.on_available([&](auto&) {
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  std::thread thread([&] { held.reset(); });
  while (step != 1) std::this_thread::yield();
  ::pid_t const child = ::fork();
  if (child == 0) {
    request.reset();
    std::_Exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  step = 2;
  thread.join();
}
#endif

#if defined(__cpp_impl_coroutine)

namespace {

/// A coroutine that runs until it first waits, and ends by itself, or with its owner.
class Task {
 public:
  struct promise_type {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::abort(); }
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }
  [[nodiscard]] bool done() const { return handle_.done(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class Pool> Task use(Pool& pool, std::vector<int>& order, int value) {
  auto const handle = co_await pool.async_allocate(value);
  order.push_back(handle ? handle->value : -1);
}

}  // namespace

TEMPLATE_TEST_CASE("async_allocate: coroutines get their objects in order", "", REQUEST_POOLS(Number)) {
  auto pool = make_pool<TestType>();
  std::vector<int> order;
  auto const at_once = use(*pool, order, 5);
  CHECK(at_once.done());
  CHECK(order == std::vector{5});
  auto held = pool->allocate(0);
  std::vector<Task> tasks;
  for (int i = 0; i != 4; ++i) tasks.push_back(use(*pool, order, i));
  tasks.erase(tasks.begin() + 1);  // ends a suspended coroutine, and its request
  CHECK(order == std::vector{5});
  held.reset();
  CHECK(order == std::vector{5, 0, 2, 3});
  for (auto const& task : tasks) CHECK(task.done());
  CHECK(pool->allocated() == 0);

  held = pool->allocate(0);
  auto const last = use(*pool, order, 9);
  (void)held.release();
  test::RecordedErrors errors;
  pool.reset();
  CHECK(last.done());
  CHECK(order.back() == -1);
}

TEST_CASE("async_allocate: a chain of coroutines takes constant stack") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(0);
  std::vector<int> order;
  std::vector<Task> tasks;
  for (int i = 0; i != 20'000; ++i) tasks.push_back(use(pool, order, i));
  held.reset();
  CHECK(order.size() == 20'000);
  CHECK(order.back() == 19'999);
}

TEST_CASE("async_allocate: arguments are moved in when the object is built, and untouched without one") {
  using Pool = ThreadSafePool<std::unique_ptr<int>>;
  Pool pool(1);
  auto held = pool.allocate(nullptr);
  auto value = std::make_unique<int>(3);
  auto const ask = [](Pool& from, std::unique_ptr<int>& what, int& got) -> Task {
    auto const handle = co_await from.async_allocate(std::move(what));
    got = handle ? **handle : -1;
  };
  int got = 0;
  { auto const ends = ask(pool, value, got); }
  REQUIRE(value);
  auto const task = ask(pool, value, got);
  CHECK(value);
  held.reset();
  CHECK(got == 3);
  CHECK_FALSE(value);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("async_allocate: the constructor's exception comes out of co_await") {
  ThreadSafePool<Number> pool(1);
  auto held = pool.allocate(0);
  int caught = 0;
  auto const ask = [](ThreadSafePool<Number>& from, int& count) -> Task {
    try {
      auto const handle = co_await from.async_allocate(-1);
      count = 100;
    } catch (Thrown const&) {
      ++count;
    }
  };
  auto const waits = ask(pool, caught);
  CHECK(caught == 0);
  held.reset();
  CHECK(caught == 1);
  auto const at_once = ask(pool, caught);
  CHECK(caught == 2);
  CHECK(pool.allocated() == 0);
}
#endif

#if defined(__cpp_lib_jthread)
namespace {

template <class Pool> Task stoppable(Pool& pool, std::stop_token stop, std::atomic<int>& got) {
  auto const handle = co_await pool.async_allocate(std::move(stop), 1);
  got += handle ? 1 : 100;
}

}  // namespace

TEMPLATE_TEST_CASE("async_allocate: a stop request resumes with an empty handle", "", REQUEST_POOLS(Number)) {
  auto const pool = make_pool<TestType>();
  std::atomic<int> got{0};
  std::stop_source source;
  {
    auto const free = stoppable(*pool, source.get_token(), got);
    CHECK(got == 1);
  }
  auto held = pool->allocate(0);
  auto const waits = stoppable(*pool, source.get_token(), got);
  CHECK(got == 1);
  source.request_stop();
  CHECK(got == 101);
  auto const late = stoppable(*pool, source.get_token(), got);
  CHECK(got == 201);
  held.reset();
  CHECK(got == 201);
  auto const stopped = stoppable(*pool, source.get_token(), got);  // though a slot is free
  CHECK(got == 301);
  CHECK(pool->allocated() == 0);
  auto const goes_on = stoppable(*pool, std::stop_token(), got);
  CHECK(got == 302);
}

TEST_CASE("async_allocate: stop requests beside releases: each coroutine is resumed once") {
  ThreadSafePool<Number> pool(1);
  std::atomic<int> got{0};
  std::size_t rounds = 0;
  Stopwatch const watch;
  for (; watch.time() < test::slice(); ++rounds) {
    got = 0;
    std::stop_source source;
    auto held = pool.allocate(0);
    std::atomic<int> ready{0};
    auto const meet = [&] {
      ++ready;
      while (ready != 3) std::this_thread::yield();
    };
    std::thread releases([&] {
      meet();
      held.reset();
    });
    std::thread stops([&] {
      meet();
      source.request_stop();
    });
    meet();
    auto const task = stoppable(pool, source.get_token(), got);
    releases.join();
    stops.join();
    test::faults().expect(task.done(), "the coroutine was not resumed");
    test::faults().expect(got == 1 || got == 100, "the coroutine was resumed twice");
    test::faults().expect(pool.allocated() == 0, "a slot was lost");
  }
  test::check_faults();
  CHECK(rounds != 0);
}
#endif
#endif
