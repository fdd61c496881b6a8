// SPDX-License-Identifier: MIT OR Apache-2.0
// InterruptLock on a machine made of two variables: every Enter has its Exit, they nest into what the caller masked,
// one operation of a pool has few of them, and whatever code of the user's runs finds interrupts on.
#include <fastalloc/fastalloc.hpp>

#include "support/catch.hpp"
#include "support/expect.hpp"

#include <iterator>
#include <utility>
#include <vector>

using namespace fastalloc;

namespace {

/// What a processor has: interrupts are masked or not. And what a test wants to know.
struct Machine {
  static inline bool masked = false;
  static inline int enters = 0;
  static inline int exits = 0;
  static inline int locked_twice = 0;  ///< Enter while a pool was inside
  static inline int user_masked = 0;   ///< code of the user's ran while a pool was inside
  static inline int inside = 0;

  static void reset() { masked = false, enters = exits = locked_twice = user_masked = inside = 0; }
  static void in_user_code() { user_masked += inside; }
};

bool mask() noexcept {
  Machine::locked_twice += Machine::inside;
  ++Machine::enters, ++Machine::inside;
  return std::exchange(Machine::masked, true);
}
void unmask(bool before) noexcept {
  ++Machine::exits, --Machine::inside;
  Machine::masked = before;
}
void off() noexcept { (void)mask(); }
void on() noexcept { unmask(false); }

using Restoring = InterruptLock<mask, unmask>;
using Switching = InterruptLock<off, on>;
using Lambdas = InterruptLock<[]() noexcept { return mask(); }, [](bool before) noexcept { unmask(before); }>;

/// Notes whenever it is built, ended, or told so by a pool.
struct Noting : Poolable {
  explicit Noting(int n = 0) : number(n) { Machine::in_user_code(); }
  Noting(Noting const&) = delete;
  Noting& operator=(Noting const&) = delete;
  ~Noting() { Machine::in_user_code(); }
  void on_acquire() noexcept { Machine::in_user_code(); }
  void on_release() noexcept { Machine::in_user_code(); }
  int number;
};

/// Everything that a pool of Noting does.
template <class Pool> void use(Pool& pool, std::size_t capacity) {
  {
    std::vector<typename Pool::handle_type> handles;
    while (auto handle = pool.try_allocate()) handles.push_back(std::move(handle));
    EXPECT(handles.size() == capacity && pool.is_full());
    handles.resize(capacity / 2);
    std::size_t met = 0;
    pool.for_each([&](Noting&) { Machine::in_user_code(), ++met; });
    EXPECT(met == capacity / 2);
    handles.front() = pool.adopt(handles.front().release());
    EXPECT(pool.try_allocate_batch(2, std::back_inserter(handles)));
    EXPECT(!pool.try_allocate_batch(capacity, std::back_inserter(handles)));
    handles.clear();
  }
  EXPECT(pool.is_empty() && pool.check_invariants());
  EXPECT(Machine::enters > 0 && Machine::enters == Machine::exits && Machine::inside == 0);
  EXPECT(Machine::locked_twice == 0);
  EXPECT(Machine::user_masked == 0);
}

template <class Lock, class... Policies> void check_user_code() {
  Machine::reset();
  {
    FixedPool<Noting, Lock, InlineStorage<9>, Policies...> pool;
    use(pool, 9);
  }
  EXPECT(!Machine::masked && Machine::enters == Machine::exits);
  Machine::reset();
  {
    auto const grow = [](std::size_t capacity) { return Machine::in_user_code(), capacity; };
    GrowingPool<Noting, Lock, Policies...> pool(
        {.capacity = 3, .max_capacity = 10, .growth_strategy = GrowthStrategy::custom(grow)});
    use(pool, 10);
    EXPECT(pool.shrink_to_fit() != 0);
  }
  EXPECT(!Machine::masked && Machine::enters == Machine::exits && Machine::user_masked == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("interrupt lock: never around code of the user and never twice", "", Restoring, Switching, Lambdas) {
  check_user_code<TestType>();
  check_user_code<TestType, FullChecks, BitmapAllocator, BasicStats>();
  check_user_code<TestType, FreeListAllocator, NoChecks, Generations>();
  SUCCEED();
}

TEST_CASE("interrupt lock: objects of Recycle are built and reset with interrupts on") {
  Machine::reset();
  {
    struct Kept {
      int resets = 0;
    };
    auto const init = recycle([] { return Machine::in_user_code(), Kept{}; },
                              [](Kept& kept) { Machine::in_user_code(), ++kept.resets; });
    FixedPool<Kept, Restoring, std::remove_const_t<decltype(init)>> pool(
        PoolConfig{.capacity = 2, .pre_initialize = true}, init);
    pool.allocate().reset();
    CHECK(pool.allocate()->resets == 1);
  }
  CHECK(Machine::enters == Machine::exits);
  CHECK(Machine::user_masked == 0);
}

TEST_CASE("interrupt lock: one pair for an allocation and one for a return") {
  FixedPool<int, Restoring, NoChecks> pool(4);
  (void)pool.allocate();
  Machine::reset();
  auto handle = pool.allocate();
  CHECK(Machine::enters == 1);
  CHECK(Machine::exits == 1);
  handle.reset();
  CHECK(Machine::enters == 2);
  CHECK(Machine::exits == 2);
}

TEST_CASE("interrupt lock: what the caller masked stays masked where Enter returns the mask") {
  FixedPool<int, Restoring> pool(4);
  Machine::reset();
  Machine::masked = true;
  {
    auto const handle = pool.allocate(1);
    CHECK(Machine::masked);
  }
  CHECK(Machine::masked);
  Machine::masked = false;
  pool.allocate(1).reset();
  CHECK_FALSE(Machine::masked);
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("interrupt lock: a constructor that throws leaves interrupts on") {
  struct Throws {
    Throws() { throw 1; }
  };
  FixedPool<Throws, Restoring, InlineStorage<2>, BasicStats> pool;
  Machine::reset();
  for (int i = 0; i != 3; ++i) CHECK_THROWS_AS(pool.allocate(), int);
  CHECK_FALSE(Machine::masked);
  CHECK(Machine::enters == Machine::exits);
  CHECK(pool.is_empty());
  CHECK(pool.statistics().total_allocations == 0);
}
#endif

constinit FixedPool<int, InlineStorage<3>, Restoring> started;

TEST_CASE("interrupt lock: a pool in static storage needs no start-up code") {
  auto const handle = started.allocate(7);
  CHECK(*handle == 7);
}
