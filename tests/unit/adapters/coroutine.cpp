// SPDX-License-Identifier: MIT OR Apache-2.0
// Coroutines whose frames come from pools. Only built where the compiler has coroutines (cmake/coroutines.cmake).
#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/fastalloc.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

struct Nothing {};
/// Without the heap: the caller gets an empty Task.
struct OrNothing : TryPooledFrame<> {
  static Nothing get_return_object_on_allocation_failure() noexcept { return {}; }
};

/// Owns a coroutine that starts when it is resumed.
template <class Frame> class Task {
 public:
  struct promise_type : Frame {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_value(int value) { result = value; }
    void unhandled_exception() {
#if FASTALLOC_EXCEPTIONS
      throw;
#endif
    }
    int result = 0;
  };

  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Nothing) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }
  explicit operator bool() const { return static_cast<bool>(coroutine_); }
  int run() {
    while (!coroutine_.done()) coroutine_.resume();
    return coroutine_.promise().result;
  }
  void step() { coroutine_.resume(); }
  void* frame() const { return coroutine_.address(); }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

using Pool = FixedPool<FrameSlot<512>, FullChecks>;
using FromPool = Task<PooledFrame<>>;

std::size_t heap_frames() { return PooledFrame<>::heap_frames().count; }

FromPool add(Pool&, int a, int b) {
  co_await std::suspend_always{};
  co_return a + b;
}

/// Each level waits for the next one, so `depth` frames live at once.
FromPool count(Pool& pool, int depth, std::size_t& most) {
  Tracked const local(static_cast<std::uint64_t>(depth));
  if (pool.allocated() > most) most = pool.allocated();
  if (depth == 1) co_return 1;
  FromPool next = count(pool, depth - 1, most);
  co_await std::suspend_always{};
  co_return 1 + next.run();
}

FromPool big(Pool&) {
  unsigned char volatile bytes[2000] = {};
  co_await std::suspend_always{};
  bytes[1999] = 3;
  co_return bytes[1999];
}

FromPool aligned(Pool&) {
  struct alignas(std::max_align_t) Widest {
    unsigned char bytes[sizeof(std::max_align_t)];
  };
  Widest volatile local{};
  co_await std::suspend_always{};
  co_return static_cast<int>(reinterpret_cast<std::uintptr_t>(&local) % alignof(std::max_align_t));
}

struct Reader {
  int base;
  FromPool read(Pool&, int n) { co_return base += n; }
  FromPool peek(Pool&, int n) const { co_return base + n; }
};

Task<OrNothing> maybe(Pool&, Tracked value) { co_return static_cast<int>(value.value()); }

FixedPool<FrameSlot<512>, InlineStorage<2>> static_frames;
Task<PooledFrame<&static_frames>> from_static(int n) { co_return n; }

}  // namespace

TEST_CASE("coroutines: take frames from the pool, and give them back when they end or are cancelled") {
  Pool pool(4);
  std::size_t const before = heap_frames();
  {
    std::vector<FromPool> tasks;
    for (int i = 0; i != 4; ++i) tasks.push_back(add(pool, i, 10));
    CHECK(pool.allocated() == 4);
    for (auto const& task : tasks) CHECK(pool.owns(task.frame()));
    for (int i = 0; i != 2; ++i) CHECK(tasks[static_cast<std::size_t>(i)].run() == 10 + i);
    tasks[2].step();
    tasks.pop_back();  // never started
    CHECK(pool.allocated() == 3);
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
  CHECK(heap_frames() == before);
}

TEST_CASE("coroutines: exhausted mid-way, the rest comes from the heap") {
  test::Audit const audit;
  Pool pool(4);
  std::size_t const before = heap_frames();
  std::size_t most = 0;
  for (int round = 0; round != 3; ++round) {
    CHECK(count(pool, 10, most).run() == 10);
    CHECK(pool.is_empty());
  }
  CHECK(most == 4);
  CHECK(heap_frames() == before + 3 * 6);
  {
    FromPool task = count(pool, 10, most);
    task.step();  // two levels live
    CHECK(pool.allocated() == 2);
  }
  CHECK(pool.is_empty());
}

TEST_CASE("coroutines: frames bigger than a slot come from the heap") {
  Pool pool(1);
  std::size_t const before = heap_frames();
  {
    FromPool task = big(pool);
    CHECK_FALSE(pool.owns(task.frame()));
    CHECK(pool.is_empty());
    CHECK(task.run() == 3);
  }
  CHECK(heap_frames() == before + 1);
  CHECK(PooledFrame<>::heap_frames().largest > 2000);
}

TEST_CASE("coroutines: locals are aligned") {
  Pool pool(3);
  std::vector<FromPool> tasks;
  for (int i = 0; i != 6; ++i) tasks.push_back(aligned(pool));
  for (auto& task : tasks) CHECK(task.run() == 0);
}

TEST_CASE("coroutines: member functions and lambdas") {
  Pool pool(4);
  std::size_t const before = heap_frames();
  Reader reader{10};
  CHECK(reader.read(pool, 5).run() == 15);
  CHECK(std::as_const(reader).peek(pool, 2).run() == 17);
  auto const twice = [](Pool&, int n) -> FromPool { co_return 2 * n; };
  FromPool task = twice(pool, 4);
  CHECK(pool.owns(task.frame()));
  CHECK(task.run() == 8);
  CHECK(heap_frames() == before);
}

TEST_CASE("coroutines: from a static pool") {
  using Base = PooledFrame<&static_frames>;
  {
    auto a = from_static(1), b = from_static(2), c = from_static(3);
    CHECK(static_frames.is_full());
    CHECK(Base::heap_frames().count == 1);
    CHECK(a.run() + b.run() + c.run() == 6);
  }
  CHECK(static_frames.is_empty());
}

TEST_CASE("coroutines: without the heap, the caller is told") {
  test::Audit const audit;
  Pool pool(1);
  {
    auto first = maybe(pool, Tracked(5));
    REQUIRE(static_cast<bool>(first));
    auto const second = maybe(pool, Tracked(6));
    CHECK_FALSE(static_cast<bool>(second));
    CHECK(first.run() == 5);
  }
  CHECK(static_cast<bool>(maybe(pool, Tracked(7))));
  CHECK(pool.is_empty());
}

#if FASTALLOC_EXCEPTIONS
namespace {

using test::ThrowOnNth;
FromPool with_parameters(Pool&, ThrowOnNth a, ThrowOnNth b) {
  ThrowOnNth const local(1);
  co_await std::suspend_always{};
  co_return static_cast<int>(a.value() + b.value() + local.value());
}

struct Thrower {
  struct promise_type : PooledFrame<> {
    ThrowOnNth in_promise;
    Thrower get_return_object() { return test::fuse().tick(), Thrower{}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { throw; }
  };
};
Thrower thrower(Pool&) { co_return; }

}  // namespace

TEST_CASE("coroutines: parameters that throw when they are copied lose no frame") {
  test::Audit const audit;
  Pool pool(1);
  int runs = 0;
  for (std::size_t n = 1; n != 8; ++n) {
    ThrowOnNth const a(2), b(3);
    test::fuse().light(n);
    try {
      FromPool task = with_parameters(pool, a, b);
      CHECK(pool.is_full());
      int const sum = task.run();
      CHECK(sum == 6);
      ++runs;
    } catch (test::Blown const&) {}
    test::fuse().put_out();
    CHECK(pool.is_empty());
  }
  CHECK(runs > 0);
  CHECK(runs < 7);
}

TEST_CASE("coroutines: a promise that throws loses no frame") {
  test::Audit const audit;
  Pool pool(1);
  for (std::size_t n = 1; n != 3; ++n) {
    test::fuse().light(n);
    CHECK_THROWS_AS(thrower(pool), test::Blown);
    CHECK(pool.is_empty());
  }
  thrower(pool);
  CHECK(pool.is_empty());
}
#endif
