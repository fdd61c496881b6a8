// SPDX-License-Identifier: MIT OR Apache-2.0
// BatchHandle: many objects, one owner, given back in one step.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <iterator>
#include <numeric>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/strict_lock.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::ThrowOnNth;
using test::Tracked;

namespace {

using Batch = FixedPool<std::string>::batch_handle_type;
static_assert(sizeof(Batch) == 3 * sizeof(void*) && std::movable<Batch> && !std::copyable<Batch>);
static_assert(std::is_nothrow_move_constructible_v<Batch> && std::is_nothrow_move_assignable_v<Batch> &&
              std::is_nothrow_swappable_v<Batch>);
static_assert(std::ranges::random_access_range<Batch const> && std::ranges::sized_range<Batch>);
static_assert(std::same_as<std::ranges::range_reference_t<Batch>, std::string&>);
static_assert(GivesMany<StackAllocator::Slots<SlotShape<16, 8, true>>> &&
              !GivesMany<BitmapAllocator::Slots<SlotShape<16, 8, true>>>);

/// Says how often it was locked.
class CountingLock {
 public:
  void lock() { ++count; }
  void unlock() {}
  static inline int count = 0;
};

/// Its hooks are heard; on_acquire ticks the fuse.
struct Hooked : Tracked, Poolable {
  using Tracked::Tracked;
  void on_acquire() {
    test::fuse().tick();
    ++in_use;
  }
  void on_release() {
    --in_use;
    order.push_back(value());
  }
  static inline int in_use = 0;
  static inline std::vector<std::uint64_t> order;
};

#define BATCH_POOLS(T)                                                                                                \
  (FixedPool<T, FreeListAllocator, FullChecks, BasicStats>), (FixedPool<T, BitmapAllocator, NoChecks>),               \
      (GrowingPool<T, test::StrictLock>), (ThreadSafePool<T, FullChecks, AtomicStats>),                               \
      (ThreadSafePool<T, NoCache, SpinLock>), (ThreadSafePool<T, LockFree>), (ThreadLocalPool<T>),                    \
      (FixedPool<T, InlineStorage<200>, NoChecks>)MORE_ROWS((FixedPool<T>), (GrowingPool<T, FullChecks, BasicStats>), \
                                                            (GrowingPool<T, FreeListAllocator, NoChecks>),            \
                                                            (ThreadSafePool<T>))

template <class Pool> Pool make() {
  if constexpr (std::default_initializable<Pool>) return Pool();
  else return Pool(200);
}

}  // namespace

TEMPLATE_TEST_CASE("batch handle: owns n objects", "", BATCH_POOLS(Tracked)) {
  test::Audit const audit;
  TestType pool = make<TestType>();
  auto single = pool.allocate(1U);
  auto other = pool.allocate(2U);
  single.reset();
  for (int round = 0; round != 3; ++round) {
    auto batch = pool.allocate_batch_handle(100, 7U);
    REQUIRE(batch.size() == 100);
    CHECK(pool.allocated() == 101);
    CHECK(std::all_of(batch.begin(), batch.end(), [](Tracked const& t) { return t.value() == 7; }));
    batch[3].set_value(3);
    CHECK((batch.begin()[3].value() == 3 && (batch.begin() + 3)->value() == 3 && (batch.end() - batch.begin()) == 100));
    CHECK(std::max_element(batch.begin(), batch.end(), [](auto& a, auto& b) {
            return a.value() < b.value();
          })->value() == 7);
    std::vector<Tracked*> places;
    for (Tracked& object : batch) places.push_back(&object);
    std::sort(places.begin(), places.end());
    CHECK(std::adjacent_find(places.begin(), places.end()) == places.end());

    auto moved = std::move(batch);
    CHECK((batch.empty() && !batch && batch.begin() == batch.end() && moved));
    auto& alias = moved;
    moved = std::move(alias);
    CHECK(moved.size() == 100);
    auto few = pool.try_allocate_batch_handle(5, 8U);
    swap(few, moved);
    CHECK((few.size() == 100 && moved.size() == 5 && moved.back().value() == 8 && moved.front().value() == 8));
    moved = std::move(few);
    CHECK(pool.allocated() == 101);
    if (round == 1) moved.reset(), moved.reset();
    CHECK(!pool.allocate_batch_handle(0, 1U));
  }
  CHECK(pool.allocated() == 1);
  CHECK(pool.check_invariants());
  std::vector<typename TestType::handle_type> handles;
  for (unsigned i = 0; i != 199; ++i) handles.push_back(pool.allocate(i));
  if (pool.capacity() == 200) CHECK(pool.is_full());
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("batch handle: too many, and none", "", (ThreadSafePool<int, AtomicStats>),
                   (FixedPool<int, BitmapAllocator, BasicStats>),
                   (GrowingPool<int, BasicStats>)MORE_ROWS((FixedPool<int, BasicStats>))) {
  TestType pool(PoolConfig{.capacity = 70});
  auto const held = pool.allocate_batch_handle(30, 4);
  CHECK(!pool.try_allocate_batch_handle(41, 5));
  CHECK(!pool.try_allocate_batch_handle(static_cast<std::size_t>(-1), 5));
  CHECK(pool.allocated() == 30);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(pool.allocate_batch_handle(41, 5), PoolExhausted);
  CHECK_THROWS_AS(pool.allocate_batch_handle(static_cast<std::size_t>(-1), 5), PoolExhausted);
#endif
  CHECK(pool.allocated() == 30);
  CHECK(pool.statistics().total_allocations == 30);
  CHECK(pool.allocate_batch_handle(40, 5).size() == 40);
  CHECK(pool.statistics().total_allocations == 70);
  CHECK(pool.statistics().total_deallocations == 40);
  CHECK(pool.statistics().peak_usage == 70);
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("batch handle: a constructor that throws at the k-th leaves the pool as it was", "",
                   BATCH_POOLS(ThrowOnNth)) {
  test::Audit const audit;
  TestType pool = make<TestType>();
  auto const one = pool.allocate(1U);
  for (std::size_t const n : {std::size_t{1}, std::size_t{10}, std::size_t{150}}) {
    for (std::size_t k = 1; k <= n; k += n > 20 ? 17 : 3) {
      test::fuse().light(k);
      CHECK_THROWS_AS(pool.allocate_batch_handle(n, 1U), test::Blown);
      CHECK(pool.allocated() == 1);
      CHECK(pool.check_invariants());
    }
    CHECK(pool.allocate_batch_handle(n, 1U).size() == n);
  }
}

TEST_CASE("batch handle: a hook that throws") {
  test::Audit const audit;
  FixedPool<Hooked> pool(100);
  test::fuse().light(20);
  CHECK_THROWS_AS(pool.allocate_batch_handle(50, 1U), test::Blown);
  CHECK(Hooked::in_use == 0);
  CHECK(pool.is_empty());
}
#endif

TEST_CASE("batch handle: the last one ends first, and every hook is called") {
  test::Audit const audit;
  FixedPool<Hooked> pool(100);
  auto batch = pool.allocate_batch_handle(50, 0U);
  for (std::size_t i = 0; i != 50; ++i) batch[i].set_value(i);
  CHECK(Hooked::in_use == 50);
  Hooked::order.clear();
  batch.reset();
  CHECK(Hooked::in_use == 0);
  CHECK((Hooked::order.size() == 50 && std::is_sorted(Hooked::order.rbegin(), Hooked::order.rend())));
}

TEST_CASE("batch handle: one lock for all slots") {
  FixedPool<int, CountingLock, NoChecks> pool(1000);
  auto batch = pool.allocate_batch_handle(1000, 1);
  CountingLock::count = 0;
  batch.reset();
  CHECK(CountingLock::count == 1);
  CHECK(pool.is_empty());
}

TEST_CASE("batch handle: slots come again in the order of the batch") {
  FixedPool<int> pool(100);
  auto first = pool.allocate_batch_handle(64, 1);
  std::vector<int*> places;
  for (int& x : first) places.push_back(&x);
  first.reset();
  auto const second = pool.allocate_batch_handle(64, 2);
  CHECK(std::equal(second.begin(), second.end(), places.begin(), [](int& x, int* p) { return &x == p; }));
}

TEST_CASE("batch handle: a destructor may use the pool, and the batch is empty by then") {
  struct Ending {
    void (*at_end)() = nullptr;
    ~Ending() {
      if (at_end != nullptr) at_end();
    }
  };
  static FixedPool<Ending, test::StrictLock> pool(20);
  static auto batch = pool.allocate_batch_handle(10);
  static bool seen = false;
  batch[5].at_end = [] { seen = pool.try_allocate() != nullptr && batch.empty(); };
  batch.reset();
  CHECK(seen);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("batch handle: recycled objects") {
  test::Audit const audit;
  auto pool =
      FixedPool(PoolConfig{.capacity = 30}, recycle([] { return Tracked(1); }, [](Tracked& t) { t.set_value(1); }));
  for (int round = 0; round != 3; ++round) {
    auto batch = pool.allocate_batch_handle(30);
    CHECK(std::all_of(batch.begin(), batch.end(), [](Tracked const& t) { return t.value() == 1; }));
    for (Tracked& t : batch) t.set_value(2);
  }
  CHECK(audit.built() <= 60);  // 30, and those that init() returned by value
}

TEST_CASE("batch handle: what is returned twice is reported, the others go back") {
  test::RecordedErrors errors;
  FixedPool<int, FullChecks> pool(100);
  auto batch = pool.allocate_batch_handle(10, 3);
  pool.adopt(&batch[0]).reset();
  pool.adopt(&batch[4]).reset();
  pool.adopt(&batch[9]).reset();
  batch.reset();
  REQUIRE(errors.count() == 3);
  CHECK(errors[1].code == ErrorCode::double_free);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("batch handle: keys are stale when the batch has gone, also those of the last generation") {
  FixedPool<int, BasicGenerations<2>, BitmapAllocator, FullChecks> pool(100);
  std::vector<Key> keys;
  for (int round = 0; round != 5; ++round) {
    auto batch = pool.try_allocate_batch_handle(100, 1);
    REQUIRE(batch);
    std::size_t met = 0;
    for (int& x : pool.live()) {
      keys.push_back(pool.key(&x));
      met += pool.contains(keys.back());
    }
    CHECK(met == (round < 3 ? 100 : 0));  // three generations
    batch.reset();
    CHECK(std::none_of(keys.begin(), keys.end(), [&](Key key) { return pool.contains(key); }));
  }
  CHECK(pool.capacity() == 100);
  CHECK(pool.live().empty());
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("batch handle: returned on another thread", "",
                   (ThreadLocalPool<Tracked, FreeListAllocator, FullChecks>),
                   (ThreadSafePool<Tracked, LockFree>)MORE_ROWS((ThreadLocalPool<Tracked>),
                                                                (ThreadSafePool<Tracked>))) {
  test::Audit const audit;
  TestType pool(100);
  for (int round = 0; round != 3; ++round) {
    auto batch = pool.allocate_batch_handle(100, 1U);
    std::thread([batch = std::move(batch)] {}).join();
    CHECK(pool.allocated() == 0);
    CHECK(pool.check_invariants());
  }
}

TEMPLATE_TEST_CASE("batch handle: those who wait are served", "", (ThreadSafePool<int>), (ThreadSafePool<int, NoCache>),
                   (ThreadSafePool<int, LockFree>)) {
  TestType pool(10);
  auto batch = pool.allocate_batch_handle(10, 1);
  std::vector<typename TestType::handle_type> got(3);
  std::vector<std::thread> threads;
  for (auto& handle : got) threads.emplace_back([&] { handle = pool.allocate_for(std::chrono::minutes(1), 2); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  batch.reset();
  for (auto& thread : threads) thread.join();
  CHECK(std::all_of(got.begin(), got.end(), [](auto const& h) { return h != nullptr; }));
  CHECK(pool.allocated() == 3);
}

namespace {
/// Recycled; its reset takes its children along. They may be of the same batch.
struct Unit {
  Unit* parent;
  static inline void (*ends)(Unit&) = nullptr;
};
struct InitUnit {
  Unit operator()() const noexcept { return {nullptr}; }
};
struct ResetUnit {
  void operator()(Unit& unit) const noexcept { Unit::ends(unit); }
};
}  // namespace

TEMPLATE_TEST_CASE("batch handle: a reset of recycled objects may end others of the batch", "",
                   (FixedPool<Unit, Recycle<InitUnit, ResetUnit>, FullChecks, FreeListAllocator>),
                   (FixedPool<Unit, Recycle<InitUnit, ResetUnit>, BitmapAllocator, NoChecks>),
                   (GrowingPool<Unit, Recycle<InitUnit, ResetUnit>, NoChecks>)
                       MORE_ROWS((FixedPool<Unit, Recycle<InitUnit, ResetUnit>>))) {
  static TestType* pool;
  TestType the_pool(PoolConfig{.capacity = 8});
  pool = &the_pool;
  static int resets;
  resets = 0;
  Unit::ends = [](Unit& unit) {
    ++resets;
    pool->for_each([&](Unit& other) {
      if (other.parent == &unit) pool->adopt(&other).reset();
    });
  };
  std::vector<typename TestType::handle_type> others;
  pool->allocate_batch(2, std::back_inserter(others));
  auto batch = pool->allocate_batch_handle(3);
  for (Unit& unit : batch) unit.parent = nullptr;
  others[0]->parent = &batch[1];
  (void)others[0].release();
  batch[2].parent = &batch[0];  // dead when batch[0] looks for it
  batch.reset();
  CHECK(resets == 4);
  CHECK(pool->allocated() == 1);
  others.clear();
  CHECK(pool->is_empty());
  CHECK(pool->check_invariants());
  others.resize(1);
  while (auto handle = pool->try_allocate()) {
    handle->parent = nullptr;
    CHECK(std::find(others.begin(), others.end(), handle) == others.end());
    others.push_back(std::move(handle));
  }
  CHECK(others.size() == 9);  // and the empty one
}

namespace {

/// The numbers from 0 on, as std::views::iota, which clang 14 cannot take from libstdc++ 12.
class Numbers {
 public:
  class Iterator {
   public:
    using value_type = unsigned long long;
    using difference_type = long long;
    using reference = unsigned long long;
    using pointer = void;
    using iterator_category = std::forward_iterator_tag;

    Iterator() = default;
    explicit Iterator(unsigned long long at) : at_(at) {}
    unsigned long long operator*() const { return at_; }
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return Iterator(at_++); }
    bool operator==(Iterator const&) const = default;
    [[maybe_unused]] friend long long operator-(Iterator a, Iterator b) {
      return static_cast<long long>(a.at_ - b.at_);
    }

   private:
    unsigned long long at_ = 0;
  };
  explicit Numbers(unsigned long long n) : n_(n) {}
  [[nodiscard]] Iterator begin() const { return Iterator(0); }
  [[nodiscard]] Iterator end() const { return Iterator(n_); }

 private:
  unsigned long long n_;
};

}  // namespace

TEST_CASE("batch: more objects than could ever be are refused before the heap is asked to remember them") {
  constexpr auto most = static_cast<std::size_t>(-1);
  FixedPool<unsigned long long, InlineStorage<10>, BasicStats> fixed;
  GrowingPool<unsigned long long, BasicStats> growing(
      PoolConfig{.capacity = 4, .max_capacity = 10, .growth_strategy = GrowthStrategy::exponential(2.0)});
  CHECK_FALSE(fixed.try_allocate_batch_handle(most, 1ULL));
  CHECK_FALSE(growing.try_allocate_batch_handle(most, 1ULL));
  std::vector<decltype(fixed)::handle_type> handles;
  CHECK_FALSE(fixed.try_allocate_batch(most, std::back_inserter(handles), 1ULL));
  CHECK(fixed.statistics().allocation_failures == 2);
#if FASTALLOC_EXCEPTIONS
  for (unsigned long long const n : {11ULL, 1ULL << 32, 1ULL << 40, ~0ULL >> 1}) {
    try {
      (void)fixed.allocate_batch(Numbers(n));
      FAIL("there are not so many slots");
    } catch (PoolExhausted const& e) {
      CHECK(e.error().capacity == 10);
      CHECK(e.error().requested == (n < most ? static_cast<std::size_t>(n) : most));
    }
    CHECK_THROWS_AS(growing.allocate_batch(Numbers(n)), MaxCapacityExceeded);
  }
  CHECK_THROWS_AS(fixed.allocate_batch(most, std::back_inserter(handles), 1ULL), PoolExhausted);
  CHECK_THROWS_AS(fixed.allocate_batch_handle(most, 1ULL), PoolExhausted);
  auto const all = fixed.allocate_batch(Numbers(10));
  CHECK((all.size() == 10 && *all[9] == 9 && fixed.is_full()));
  CHECK_THROWS_AS(fixed.allocate_batch(Numbers(1)), PoolExhausted);  // not an empty vector
#endif
  CHECK(growing.is_empty());
}
