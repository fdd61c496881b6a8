// SPDX-License-Identifier: MIT OR Apache-2.0
// allocate_for() and allocate_until(): who waits gets the first slot that comes back, on whatever way; in order; and
// leaves in time.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

using namespace fastalloc;
using namespace std::chrono_literals;
using test::Asleep;
using test::faults;
using test::Stopwatch;

#define WAITING_POOLS(T)                                                                    \
  ThreadSafePool<T>, (ThreadSafePool<T, NoChecks>), (ThreadSafePool<T, NoCache, SpinLock>), \
      (ThreadSafePool<T, NoCache, MutexLock, NoChecks>), (ThreadSafePool<T, LockFree>),     \
      (ThreadSafePool<T, LockFree, NoChecks>)

namespace {

/// Takes what it is built from.
struct Box {
  explicit Box(std::unique_ptr<int>&& from) : value(std::move(from)) {}
  std::unique_ptr<int> value;
};

/// A clock that stands still, so that no wait ends by itself, until the test has done all that those who wait need.
/// From then on it counts how often waiting threads look at it, and is past the deadline when they looked too often. So
/// a lost wake-up shows, and the time that a busy machine takes decides nothing.
class StepClock {
 public:
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<StepClock>;
  [[maybe_unused]] static constexpr bool is_steady = false;

  static time_point now() {
    int const most = most_;
    if (most == 0) return time_point(0s);  // waits are in slices of a second
    if (looks_.fetch_add(1) < most) return deadline() - 1ms;
    return deadline();
  }
  static constexpr time_point deadline() { return time_point(1s); }

  static void stand_still() { most_ = 0, looks_ = 0; }
  /// One look is enough where everything is done; where threads serve each other, see progress().
  static void count_looks(int most = 100) { looks_ = 0, most_ = most; }
  static void progress() { looks_ = 0; }
  /// True when a thread waited for something that was there.
  [[nodiscard]] static bool gave_up() { return most_ != 0 && looks_ > most_; }

 private:
  static inline std::atomic<int> most_{0};
  static inline std::atomic<int> looks_{0};
};
constexpr int chain = 5000;  ///< looks without progress, where threads wait for each other

/// While it lives, a thread that calls `end` when the one that built it sleeps: a wait that should not be ends then,
/// and can be told.
class WhenAsleep {
 public:
  template <class End>
  explicit WhenAsleep(End end)
#if defined(__linux__)
      : thread_([this, end] {
          if (!asleep_.wait([&] { return done_.load(); })) end();
        })
#endif
  {
    (void)end;
    asleep_.begin();
  }
  ~WhenAsleep() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  WhenAsleep(WhenAsleep const&) = delete;
  WhenAsleep& operator=(WhenAsleep const&) = delete;

 private:
  std::atomic<bool> done_{false};
  Asleep asleep_;
  std::thread thread_;
};

/// Calls a function after it was unlocked for the n-th time, counted from 0. For tests of one thread.
class HookedLock {
 public:
  void lock() { mutex_.lock(); }
  void unlock() {
    mutex_.unlock();
    if (!hook_ || left_-- != 0) return;
    auto const hook = std::exchange(hook_, nullptr);
    hook();
  }
  static void after(int unlocks, std::function<void()> hook) { left_ = unlocks, hook_ = std::move(hook); }
  static void forget() { hook_ = nullptr; }

 private:
  static inline int left_ = 0;
  static inline std::function<void()> hook_;
  std::mutex mutex_;
};

/// One thread that waits for an object of the pool, and what it got.
template <class Pool> class Waiting {
 public:
  explicit Waiting(Pool& pool)
      : thread_((StepClock::stand_still(), [this, &pool] {
          asleep_.begin();
          auto handle = pool.allocate_until(StepClock::deadline());
          got_ = handle != nullptr;
          done_ = true;
        })) {
    asleep_.wait();
  }
  ~Waiting() {
    StepClock::count_looks();
    if (thread_.joinable()) thread_.join();
  }
  Waiting(Waiting const&) = delete;
  Waiting& operator=(Waiting const&) = delete;
  [[nodiscard]] bool done() const { return done_; }
  /// Waits until the thread has ended; it must have what it waits for already. Returns: whether it got an object.
  [[nodiscard]] bool got() {
    StepClock::count_looks();
    thread_.join();
    faults().expect(!StepClock::gave_up(), "a thread was not woken");
    test::check_faults();
    return got_;
  }

 private:
  std::atomic<bool> got_{false};
  std::atomic<bool> done_{false};
  Asleep asleep_;
  std::thread thread_;
};

}  // namespace

TEMPLATE_TEST_CASE("waiting: a timeout of 0 or less polls, and leaves the arguments alone", "", WAITING_POOLS(Box)) {
  TestType pool(1);
  auto value = std::make_unique<int>(7);
  {
    auto handle = pool.allocate_for(0s, std::move(value));
    REQUIRE(handle);
    CHECK(*handle->value == 7);
    CHECK(value == nullptr);
    value = std::make_unique<int>(8);
    WhenAsleep const end([&] { handle.reset(); });
    CHECK_FALSE(pool.allocate_for(0s, std::move(value)));
    CHECK_FALSE(pool.allocate_for(-5s, std::move(value)));
    CHECK_FALSE(pool.allocate_for(std::chrono::nanoseconds::min(), std::move(value)));
    CHECK_FALSE(pool.allocate_for(std::chrono::duration<double>(-1.0), std::move(value)));
    CHECK_FALSE(pool.allocate_until(std::chrono::steady_clock::now(), std::move(value)));
    CHECK_FALSE(pool.allocate_until(std::chrono::system_clock::time_point{}, std::move(value)));
    REQUIRE(value != nullptr);
    CHECK(*value == 8);
    CHECK(handle);
  }
  CHECK(pool.allocate_for(0s, std::move(value)));
}

// Seconds that are no nanoseconds: what is computed from them must not wrap to a time to come.
TEST_CASE("waiting: a timeout far below 0 polls, too") {
  ThreadSafePool<int> pool(1);
  auto held = pool.allocate();
  WhenAsleep const end([&] { held.reset(); });
  CHECK_FALSE(pool.allocate_for(std::chrono::seconds(-13'835'058'055)));
  CHECK_FALSE(pool.allocate_for(std::chrono::hours(-3'843'072)));
  CHECK_FALSE(pool.allocate_for(std::chrono::hours::min()));
  CHECK_FALSE(pool.allocate_for(std::chrono::duration<double>(-1e300)));
  CHECK(held);
}

TEMPLATE_TEST_CASE("waiting: times out, empty, not too early, arguments untouched", "", WAITING_POOLS(Box)) {
  TestType pool(1);
  auto const held = pool.allocate(std::make_unique<int>(1));
  auto value = std::make_unique<int>(2);
  for (auto const timeout :
       {std::chrono::microseconds(1), std::chrono::microseconds(300), std::chrono::microseconds(30'000)}) {
    Stopwatch const watch;
    CHECK_FALSE(pool.allocate_for(timeout, std::move(value)));
    CHECK(watch.time() >= timeout);
  }
  auto const until = std::chrono::system_clock::now() + 20ms;
  CHECK_FALSE(pool.allocate_until(until, std::move(value)));
  CHECK(std::chrono::system_clock::now() >= until);
  REQUIRE(value != nullptr);
  CHECK(*value == 2);
  CHECK(pool.allocated() == 1);
}

// Between its last look for a slot and its place in the queue a thread is not heard of: what comes back then must be
// there for it.
TEMPLATE_TEST_CASE("waiting: gets what comes back at any step before it waits", "",
                   (ThreadSafePool<int, NoCache, HookedLock>), (ThreadSafePool<int, NoCache, HookedLock, NoChecks>),
                   (ThreadSafePool<int, ThreadCache<4>, HookedLock>),
                   (ThreadSafePool<int, ThreadCache<4>, HookedLock, NoChecks>)) {
  TestType pool(1);
  int steps = 0;
  for (bool in_time = true; in_time; ++steps) {
    auto held = pool.allocate();
    bool back = false;
    HookedLock::after(steps, [&] {
      in_time = !StepClock::gave_up();
      held.reset();
      back = true;
    });
    StepClock::count_looks();
    auto const handle = pool.allocate_until(StepClock::deadline());
    HookedLock::forget();
    in_time = in_time && back;
    if (!in_time) break;
    REQUIRE(handle);
    REQUIRE_FALSE(StepClock::gave_up());
  }
  CHECK(steps >= 3);
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("waiting: gets what comes back just as it begins to wait", "", WAITING_POOLS(int)) {
  TestType pool(1);
  std::barrier barrier(2);
  constexpr int rounds = 500;
  std::atomic<int> served{0};
  typename TestType::handle_type held;
  std::thread waiter([&] {
    for (int round = 0; round != rounds; ++round) {
      barrier.arrive_and_wait();
      if (pool.allocate_until(StepClock::deadline())) ++served;
      barrier.arrive_and_wait();
    }
  });
  bool gave_up = false;
  for (int round = 0; round != rounds; ++round) {
    held = pool.allocate();
    StepClock::stand_still();
    barrier.arrive_and_wait();
    for (int spin = 0; spin != round % 50; ++spin) (void)pool.owns(nullptr);
    held.reset();
    StepClock::count_looks();
    barrier.arrive_and_wait();
    gave_up = gave_up || StepClock::gave_up();
  }
  waiter.join();
  CHECK_FALSE(gave_up);
  CHECK(served == rounds);
}

TEMPLATE_TEST_CASE("waiting: gets what another thread returns", "", WAITING_POOLS(int)) {
  TestType pool(1);
  for (int round = 0; round != 20; ++round) {
    auto handle = pool.allocate();
    Waiting waiting(pool);
    CHECK(pool.try_allocate() == nullptr);
    CHECK_FALSE(waiting.done());
    handle.reset();
    CHECK(waiting.got());
  }
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("waiting: gets what an erased handle returns, or a batch", "", WAITING_POOLS(int)) {
  TestType pool(3);
  std::vector<typename TestType::handle_type> handles(3);
  pool.allocate_batch(3, handles.begin());
  Handle<int> erased = std::move(handles[0]);
  {
    Waiting waiting(pool);
    erased.reset();
    CHECK(waiting.got());
  }
  erased = pool.allocate();
  Waiting first(pool);
  Waiting second(pool);
  handles.clear();
  CHECK(first.got());
  CHECK(second.got());
}

TEMPLATE_TEST_CASE("waiting: a slot in another thread's cache is had at once", "", WAITING_POOLS(int)) {
  TestType pool(8);
  std::barrier barrier(2);
  std::thread other([&] {
    {
      std::vector<typename TestType::handle_type> all;
      while (auto handle = pool.try_allocate()) all.push_back(std::move(handle));
    }
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
  });
  barrier.arrive_and_wait();
  std::vector<typename TestType::handle_type> all;
  StepClock::count_looks();
  for (int i = 0; i != 8; ++i) all.push_back(pool.allocate_until(StepClock::deadline()));
  for (auto const& handle : all) CHECK(handle);
  CHECK_FALSE(StepClock::gave_up());
  CHECK_FALSE(pool.allocate_for(1ms));
  barrier.arrive_and_wait();
  other.join();
}

namespace {
template <class Pool> struct Keeper {
  typename Pool::handle_type handle;
};
/// One for each kind of pool.
template <class Pool> Keeper<Pool>& keeper() {
  thread_local Keeper<Pool> the_keeper;
  return the_keeper;
}
}  // namespace

TEMPLATE_TEST_CASE("waiting: gets what a thread's end returns", "", WAITING_POOLS(int)) {
  TestType pool(2);
  std::barrier barrier(2);
  std::thread holder([&] {
    auto& kept = keeper<TestType>();  // before the pool is first used, so it ends after this thread's cache
    kept.handle = pool.allocate();
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
  });
  barrier.arrive_and_wait();
  auto const mine = pool.allocate();
  Waiting waiting(pool);
  barrier.arrive_and_wait();
  holder.join();
  CHECK(waiting.got());
}

#if FASTALLOC_EXCEPTIONS
namespace {
/// Its second construction waits for a sign, and throws.
struct Bomb {
  Bomb() {
    if (!armed || ++built != 2) return;
    ticking = true;
    while (ticking) std::this_thread::sleep_for(100us);
    throw 1;
  }
  static inline std::atomic<bool> armed{false};
  static inline std::atomic<bool> ticking{false};
  static inline std::atomic<int> built{0};
};
}  // namespace

TEMPLATE_TEST_CASE("waiting: gets a slot of a batch that was rolled back", "", WAITING_POOLS(Bomb)) {
  TestType pool(2);
  Bomb::built = 0;
  Bomb::armed = true;
  std::thread thrower([&] {
    std::vector<typename TestType::handle_type> handles(2);
    bool thrown = false;
    try {
      pool.allocate_batch(2, handles.begin());
    } catch (int) {
      thrown = true;
    }
    faults().expect(thrown, "the batch did not throw");
  });
  while (!Bomb::ticking) std::this_thread::sleep_for(100us);
  Bomb::armed = false;
  Waiting waiting(pool);
  Bomb::ticking = false;
  CHECK(waiting.got());
  thrower.join();
  CHECK(pool.allocated() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("waiting: gets the slot of an object whose constructor threw", "", WAITING_POOLS(Bomb)) {
  TestType pool(1);
  Bomb::built = 1;
  Bomb::armed = true;
  std::thread thrower([&] {
    try {
      auto const handle = pool.try_allocate();
      faults().expect(false, "nothing was thrown");
    } catch (int) {}
  });
  while (!Bomb::ticking) std::this_thread::sleep_for(100us);
  Bomb::armed = false;
  Waiting waiting(pool);
  Bomb::ticking = false;
  CHECK(waiting.got());
  thrower.join();
  test::check_faults();
}

namespace {
struct Grenade {
  explicit Grenade(bool explode) {
    if (explode) throw 1;
  }
};
}  // namespace

TEMPLATE_TEST_CASE("waiting: whose constructor throws when the slot is there leaves it to the next", "",
                   WAITING_POOLS(Grenade)) {
  TestType pool(1);
  auto held = pool.allocate(false);
  Asleep first;
  Asleep second;
  std::atomic<int> caught{0};
  std::atomic<int> got{0};
  StepClock::stand_still();
  std::thread thrower([&] {
    first.begin();
    try {
      auto const handle = pool.allocate_until(StepClock::deadline(), true);
    } catch (int) {
      ++caught;
    }
  });
  first.wait();
  std::thread next([&] {
    second.begin();
    if (pool.allocate_until(StepClock::deadline(), false)) ++got;
  });
  second.wait();
  held.reset();
  StepClock::count_looks(chain);
  thrower.join();
  next.join();
  CHECK(caught == 1);
  CHECK(got == 1);
  CHECK_FALSE(StepClock::gave_up());
}
#endif

TEMPLATE_TEST_CASE("waiting: growth serves those who wait", "", ThreadSafePool<int>,
                   (ThreadSafePool<int, NoCache, MutexLock>), (ThreadSafePool<int, BitmapAllocator, NoChecks>)) {
  TestType pool(PoolConfig{.capacity = 1});
  auto const held = pool.allocate();
  Waiting first(pool);
  Waiting second(pool);
  pool.reserve(3);
  CHECK(first.got());
  CHECK(second.got());
  CHECK(pool.capacity() == 3);
  CHECK(pool.allocated() == 1);
}

TEST_CASE("waiting: trim, shrink_to_fit, for_each and questions meanwhile lose nothing") {
  ThreadSafePool<int, AtomicStats> pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::none()});
  std::vector<decltype(pool)::handle_type> handles;
  for (int i = 0; i != 4; ++i) handles.push_back(pool.allocate(i));
  for (int round = 0; round != 10; ++round) {
    Waiting waiting(pool);
    pool.trim();
    pool.shrink_to_fit();
    int met = 0;
    pool.for_each([&](int) { ++met; });
    CHECK(met == 4);
    CHECK(pool.check_invariants());
    CHECK(pool.statistics().current_usage == 4);
    handles.pop_back();
    CHECK(waiting.got());
    handles.push_back(pool.allocate(round));
  }
}

TEMPLATE_TEST_CASE("waiting: first come, first served", "", WAITING_POOLS(int)) {
  constexpr std::size_t n = 6;
  TestType pool(1);
  auto held = pool.allocate();
  std::mutex mutex;
  std::vector<std::size_t> served;
  std::vector<std::thread> threads;
  StepClock::stand_still();
  for (std::size_t i = 0; i != n; ++i) {
    Asleep asleep;
    threads.emplace_back([&, i] {
      asleep.begin();
      auto const handle = pool.allocate_until(StepClock::deadline());
      StepClock::progress();
      std::lock_guard const guard(mutex);
      served.push_back(i);
    });
    asleep.wait();
  }
  held.reset();
  StepClock::count_looks(chain);
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(StepClock::gave_up());
  CHECK(served.size() == n);
  CHECK(std::is_sorted(served.begin(), served.end()));
}

TEMPLATE_TEST_CASE("waiting: nobody starves", "", WAITING_POOLS(int)) {
  constexpr std::size_t n = 4;
  TestType pool(1);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> counts[n] = {};
  StepClock::count_looks(chain);
  std::thread clock([&] { std::this_thread::sleep_for(test::short_slice(0.5)), stop = true; });
  test::run(n, [&](std::size_t me) {
    do {
      auto const handle = pool.allocate_until(StepClock::deadline());
      faults().expect(handle != nullptr, "a thread that waits gets nothing");
      StepClock::progress();
      ++counts[me];
    } while (!stop);
  });
  clock.join();
  CHECK_FALSE(StepClock::gave_up());
  auto const [least, most] = std::minmax_element(std::begin(counts), std::end(counts));
  CAPTURE(least->load(), most->load());
  CHECK(*least > 0);
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
  test::check_faults();
}

// Those who ask without waiting get nothing while somebody waits: what comes back is handed over.
TEST_CASE("waiting: nobody snatches a slot away") {
  ThreadSafePool<int, NoChecks> pool(1);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> snatched{0};
  std::thread thief([&] {
    while (!stop)
      if (pool.try_allocate()) ++snatched;
  });
  StepClock::count_looks(chain);
  for (int round = 0; round != 100; ++round) {
    auto handle = pool.allocate_until(StepClock::deadline());
    CHECK(handle);
    StepClock::progress();
    if (round == 50) std::this_thread::sleep_for(5ms);
  }
  CHECK_FALSE(StepClock::gave_up());
  stop = true;
  thief.join();
  CHECK(pool.allocated() == 0);
}

#if defined(__cpp_lib_jthread)
TEMPLATE_TEST_CASE("waiting: a stop request ends it: before, meanwhile; arguments untouched", "", WAITING_POOLS(Box)) {
  TestType pool(1);
  auto held = pool.allocate(std::make_unique<int>(1));
  auto value = std::make_unique<int>(2);
  std::stop_source before;
  before.request_stop();
  {
    WhenAsleep const end([&] { held.reset(); });
    CHECK_FALSE(pool.allocate_for(24h, before.get_token(), std::move(value)));
    CHECK_FALSE(pool.allocate_until(std::chrono::steady_clock::now() + 24h, before.get_token(), std::move(value)));
    CHECK(held);
  }
  StepClock::count_looks();
  CHECK_FALSE(pool.allocate_until(StepClock::deadline(), before.get_token(), std::move(value)));
  CHECK_FALSE(StepClock::gave_up());
  CHECK_FALSE(pool.allocate_for(1ms, std::stop_token{}, std::move(value)));

  std::stop_source meanwhile;
  Asleep asleep;
  StepClock::stand_still();
  std::thread waiter([&] {
    asleep.begin();
    faults().expect(!pool.allocate_until(StepClock::deadline(), meanwhile.get_token(), std::move(value)),
                    "an object from a full pool");
  });
  asleep.wait();
  meanwhile.request_stop();
  StepClock::count_looks();
  waiter.join();
  CHECK_FALSE(StepClock::gave_up());
  REQUIRE(value != nullptr);
  CHECK(*value == 2);

  held.reset();
  // there is one: it is had, whatever was requested
  CHECK(pool.allocate_for(24h, before.get_token(), std::move(value)));
  test::check_faults();
}

TEMPLATE_TEST_CASE("waiting: a stop request and an object that comes back at one time", "", WAITING_POOLS(int)) {
  TestType pool(1);
  for (int round = 0; round != 300; ++round) {
    auto held = pool.allocate();
    std::stop_source source;
    std::barrier barrier(3);
    StepClock::stand_still();
    std::thread waiter([&] {
      barrier.arrive_and_wait();
      auto const handle = pool.allocate_until(StepClock::deadline(), source.get_token());
    });
    std::thread stopper([&] {
      barrier.arrive_and_wait();
      source.request_stop();
    });
    barrier.arrive_and_wait();
    held.reset();
    stopper.join();
    StepClock::count_looks();
    waiter.join();
    REQUIRE_FALSE(StepClock::gave_up());
    REQUIRE(pool.allocated() == 0);
  }
  CHECK(pool.check_invariants());
}
#endif

TEST_CASE("waiting: the longest timeouts do not wrap") {
  ThreadSafePool<int> pool(1);
  auto const waits = [&](auto timeout) {
    auto held = pool.allocate();
    Asleep asleep;
    std::atomic<bool> got{false};
    std::atomic<bool> done{false};
    std::thread waiter([&] {
      asleep.begin();
      got = pool.allocate_for(timeout) != nullptr;
      done = true;
    });
    asleep.wait();
    CHECK_FALSE(done);
    held.reset();
    waiter.join();
    CHECK(got);
  };
  waits(std::chrono::nanoseconds::max());
  waits(std::chrono::milliseconds::max());
  waits(std::chrono::seconds::max());
  waits(std::chrono::hours::max());
  waits(std::chrono::duration<double>::max());
  waits(std::chrono::duration<double>(1e18));
  waits(std::chrono::duration<int>::max());
}

TEMPLATE_TEST_CASE("waiting: a pool that ends sends those away who wait", "", WAITING_POOLS(int)) {
  for (int round = 0; round != 10; ++round) {
    test::RecordedErrors const errors;
    std::optional<TestType> pool(std::in_place, 1);
    (void)pool->allocate().release();
    Waiting first(*pool);
    Waiting second(*pool);
    pool.reset();
    CHECK_FALSE(first.got());
    CHECK_FALSE(second.got());
    REQUIRE(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::live_handles);
  }
}

TEMPLATE_TEST_CASE("waiting: one failure is counted for each request that got nothing", "",
                   (ThreadSafePool<int, AtomicStats>), (ThreadSafePool<int, AtomicStats, NoCache>),
                   (ThreadSafePool<int, AtomicStats, LockFree, NoChecks>)) {
  TestType pool(1);
  auto const held = pool.allocate();
  std::uint64_t failures = 0;
  CHECK_FALSE(pool.allocate_for(0s));
  CHECK(pool.statistics().allocation_failures == ++failures);
  CHECK_FALSE(pool.allocate_for(5ms));
  CHECK(pool.statistics().allocation_failures == ++failures);
  for (int i = 0; i != 3000; ++i) {  // some time out before they get to wait
    CHECK_FALSE(pool.allocate_for(std::chrono::nanoseconds(i)));
    ++failures;
  }
  CHECK(pool.statistics().allocation_failures == failures);
  CHECK(pool.statistics().total_allocations == 1);
}

// The caches are closed while somebody waits; afterwards they work again.
TEST_CASE("waiting: many wait, time out, and are served, on few slots") {
  ThreadSafePool<int, NoChecks, AtomicStats> pool(2);
  std::atomic<std::uint64_t> served{0};
  std::atomic<std::uint64_t> refused{0};
  test::Stopwatch const watch;
  test::run(6, [&](std::size_t me) {
    test::Random random(me + 1);
    while (watch.time() < test::short_slice(0.5)) {
      if (auto const handle = pool.allocate_for(std::chrono::microseconds(random(200)))) ++served;
      else ++refused;
    }
  });
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
  CHECK(pool.statistics().total_allocations == served);
  CHECK(pool.statistics().total_deallocations == served);
  CHECK(pool.statistics().allocation_failures == refused);
  std::vector<decltype(pool)::handle_type> handles(2);
  CHECK(pool.try_allocate_batch(2, handles.begin()));
}

TEST_CASE("waiting: LockFree serves those who wait under one lock, whoever looks for slots meanwhile") {
  ThreadSafePool<int, LockFree, NoChecks, AtomicStats> pool(2);
  test::Stopwatch const watch;
  test::run(6, [&](std::size_t me) {
    test::Random random(me + 1);
    std::vector<decltype(pool)::handle_type> handles(2);
    while (watch.time() < test::short_slice(0.5)) {
      if (me < 4) {
        handles[0] = pool.allocate_for(std::chrono::microseconds(random(200)));
      } else if (me == 4) {
        pool.trim();
        pool.reset_statistics();
        pool.for_each([](int&) {});  // looks at none: others may just be built
      } else {
        if (pool.try_allocate_batch(2, handles.begin())) handles[1].reset();
      }
      handles[0].reset();
    }
  });
  CHECK(pool.allocated() == 0);
  CHECK(pool.available() == 2);
  CHECK(pool.check_invariants());
}

namespace {

/// A clock far from all others, whose now() throws at the calls that a test asks for.
struct OddClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<OddClock>;
  [[maybe_unused]] static constexpr bool is_steady = true;
  static inline std::atomic<int> calls_left{-1};
  static time_point now() {
#if FASTALLOC_EXCEPTIONS
    if (calls_left > 0 && --calls_left == 0) throw calls_left.load();
#endif
    return time_point(std::chrono::steady_clock::now().time_since_epoch() - 1h);
  }
};

template <class Time> void check_waits(Time const& time) {
  ThreadSafePool<int> pool(1);
  auto held = pool.allocate(1);
  Asleep asleep;
  std::thread back([&] { asleep.wait(), held.reset(); });
  asleep.begin();
  CHECK(pool.allocate_until(time, 2));
  back.join();
}
template <class Time> void check_polls(Time const& time) {
  ThreadSafePool<int> pool(1);
  auto const held = pool.allocate(1);
  CHECK_FALSE(pool.allocate_until(time, 2));
}

}  // namespace

TEST_CASE("waiting: the last and the first moment of any clock and representation") {
  using namespace std::chrono;
  check_waits(steady_clock::time_point::max());
  check_waits(time_point<steady_clock, seconds>::max());
  check_waits(time_point<system_clock, hours>::max());
  check_waits(time_point<steady_clock, duration<double>>::max());
  check_waits(time_point<steady_clock, duration<double>>(duration<double>(std::numeric_limits<double>::infinity())));
  check_waits(file_clock::time_point::max());
  check_waits(OddClock::time_point::max());
  check_polls(steady_clock::time_point::min());
  check_polls(time_point<system_clock, hours>::min());
  check_polls(time_point<steady_clock, duration<double>>(duration<double>(std::numeric_limits<double>::quiet_NaN())));
  check_polls(time_point<steady_clock, duration<float>>(duration<float>(-1e30F)));
  check_polls(OddClock::time_point::min());
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("waiting: a clock that throws leaves nothing behind", "", ThreadSafePool<int>,
                   (ThreadSafePool<int, LockFree>)) {
  for (int const calls : {1, 2}) {  // before it waits; in the queue
    TestType pool(1);
    auto held = pool.allocate(1);
    OddClock::calls_left = calls;
    CHECK_THROWS_AS(pool.allocate_until(OddClock::now() + 1h, 2), int);
    OddClock::calls_left = -1;
    held.reset();
    CHECK(pool.allocated() == 0);
    CHECK(pool.try_allocate(3));
    CHECK(pool.check_invariants());
  }
}
#endif

#if FASTALLOC_EXCEPTIONS
namespace {
struct CountingClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CountingClock>;
  static time_point now() { throw test::CountedLock::taken.load(); }
};
}  // namespace

// Where others closed a thread's cache while it was popping, they left that slot to it: it is in reach only when the
// thread comes to the lock.
TEST_CASE("waiting: a clock is asked only when the thread has been at the lock") {
  ThreadSafePool<int, NoChecks, test::CountedLock> pool(1);
  pool.warm_up();
  auto const held = pool.allocate(1);
  std::uint64_t const before = test::CountedLock::taken;
  std::uint64_t at_clock = 0;
  try {
    (void)pool.allocate_until(CountingClock::time_point(1h), 2);
  } catch (std::uint64_t taken) {
    at_clock = taken;
  }
  CHECK(at_clock > before);
}
#endif

#if defined(__linux__) && FASTALLOC_EXCEPTIONS && !FASTALLOC_TSAN && !FASTALLOC_ASAN
TEMPLATE_TEST_CASE("waiting: a thread that is cancelled in the queue leaves nothing behind", "", ThreadSafePool<int>,
                   (ThreadSafePool<int, NoCache>), (ThreadSafePool<int, LockFree>)) {
  for (int round = 0; round != 20; ++round) {
    TestType pool(1);
    auto held = pool.allocate(1);
    Asleep asleep;
    std::thread waiting([&] {
      asleep.begin();
      (void)pool.allocate_for(1h, 2);
    });
    asleep.wait();
    CHECK(::pthread_cancel(waiting.native_handle()) == 0);
    if (round % 2 != 0) held.reset();  // perhaps the waiter still gets the slot; it must come back then
    waiting.join();
    held.reset();
    CHECK(pool.allocated() == 0);
    CHECK(pool.try_allocate(3));
    CHECK(pool.check_invariants());
  }
}
#endif

namespace {

/// Calls `at_first_look` when it is first asked: after the failed try, and before the thread waits.
struct HookedClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<HookedClock>;
  [[maybe_unused]] static constexpr bool is_steady = true;
  static inline std::function<void()> at_first_look;
  static time_point now() {
    if (at_first_look) std::exchange(at_first_look, nullptr)();
    return time_point(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace

TEST_CASE("waiting: a pool that shrank after the failed try grows for the thread that waits") {
  ThreadSafePool<long> pool(PoolConfig{.capacity = 4, .max_capacity = 8, .growth_strategy = GrowthStrategy::linear(4)});
  std::vector<decltype(pool)::handle_type> held;
  for (int i = 0; i != 8; ++i) held.push_back(pool.allocate());
  HookedClock::at_first_look = [&] {
    std::thread([&] {
      held.resize(1);  // of the first block
      CHECK(pool.shrink_to_fit() > 0);
      while (held.size() != 4) held.push_back(pool.allocate());
      CHECK(pool.capacity() == 4);
    }).join();
  };
  CHECK(pool.allocate_until(HookedClock::time_point::max()));
  CHECK(pool.capacity() == 8);
}
