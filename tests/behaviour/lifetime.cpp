// SPDX-License-Identifier: MIT OR Apache-2.0
// When objects are built, reset, destroyed and counted: exceptions, batches, hooks, recycling, statistics.
#include "behaviour/pools_under_test.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"

#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

using namespace behaviour;
using fastalloc::BasicStats;
using fastalloc::FixedPool;
using fastalloc::FullChecks;
using fastalloc::GrowingPool;
using fastalloc::GrowthStrategy;
using fastalloc::PoolConfig;
using test::fuse;

namespace {

/// What the hooks heard, in order.
std::string& heard() {
  static std::string text;
  return text;
}
struct Hooked : test::Tracked, fastalloc::Poolable {
  explicit Hooked(std::uint64_t i = 0) : Tracked(i) { note('b'); }
  ~Hooked() { note('d'); }
  void on_acquire() {
    note('a');
    fuse().tick();
  }
  void on_release() {
    note('r');
    if (value() == 13) {
      set_value(0);
      fuse().light(1);
      fuse().tick();
    }
  }
  void note(char c) { heard() += c + std::to_string(value() % 10); }
};

struct Init {
  static inline std::size_t calls = 0;
  test::Tracked operator()() const {
    fuse().tick();
    ++calls;
    return test::Tracked(100);
  }
};
/// Refuses 7, throws at 8, counts its calls.
struct Reset {
  static inline std::size_t calls = 0;
  bool operator()(test::Tracked& object) const {
    ++calls;
    if (object.value() == 8) {
      fuse().light(1);
      fuse().tick();
      return false;
    }
    bool const keep = object.value() != 7;
    object.set_value(0);
    return keep;
  }
};
using Recycling = fastalloc::Recycle<Init, Reset>;

/// An output iterator whose n-th assignment throws.
template <class Handle> struct ThrowingOutput {
  std::vector<Handle>* out;
  ThrowingOutput& operator*() { return *this; }
  ThrowingOutput& operator++() { return *this; }
  ThrowingOutput operator++(int) { return *this; }
  ThrowingOutput& operator=(Handle&& handle) {
    fuse().tick();
    out->push_back(std::move(handle));
    return *this;
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("hooks: called once each, after building and before destroying", "", SlotPolicies) {
  test::Audit audit;
  FixedPool<Hooked, TestType, FullChecks> pool(4);
  heard().clear();
  auto a = pool.allocate(std::uint64_t{1});
  auto b = pool.allocate(std::uint64_t{2});
  EXPECT(heard() == "b1a1b2a2");
  heard().clear();
  a.reset();
  fastalloc::Handle<Hooked> erased = std::move(b);
  erased.reset();
  EXPECT(heard() == "r1d1r2d2");
  heard().clear();
  {
    std::vector<typename decltype(pool)::handle_type> handles;
    pool.allocate_batch(2, std::back_inserter(handles), std::uint64_t{3});
    EXPECT(heard() == "b3a3b3a3");
  }
  EXPECT(heard() == "b3a3b3a3r3d3r3d3");
}

namespace {

/// Counts what its hooks hear: 1 for each on_acquire, 100 for each on_release.
int& calls() {
  static int count = 0;
  return count;
}
struct ByBase : fastalloc::Poolable {
  void on_acquire() noexcept { ++calls(); }
  void on_release() noexcept { calls() += 100; }
};
class ByPrivateBase : fastalloc::Poolable {
 public:
  void on_acquire() noexcept { ++calls(); }
};
struct ByVirtualBase : virtual fastalloc::Poolable {
  virtual ~ByVirtualBase() = default;
  virtual void on_release() { calls() += 100; }
};
struct Derived final : ByVirtualBase {
  void on_release() override { calls() += 1000; }
};
struct ByTrait final {
  int first;
  int second;
  void on_acquire() noexcept { calls() += first; }
  void on_release() const { calls() += second; }
};
struct TakenBack : ByBase {};
/// Other people's: a widget, a lock, a handler with a default argument.
struct Widget {
  virtual ~Widget() = default;
  virtual void on_press() {}
  virtual void on_release() { calls() += 100; }
};
struct Button : Widget {
  void on_release() override { calls() += 1000; }
};
struct Lock {
  void on_acquire() noexcept { ++calls(); }
  void on_release(int by = 100) noexcept { calls() += by; }
};
class Private {
  void on_release() { calls() += 100; }
};

static_assert(sizeof(ByBase) == 1 && std::is_empty_v<ByBase> && std::is_trivially_copyable_v<ByBase> &&
              std::is_aggregate_v<ByBase>);
struct Sized : fastalloc::Poolable {
  std::uint32_t value = 0;
  void on_acquire() {}
};
static_assert(sizeof(Sized) == sizeof(std::uint32_t) && std::is_standard_layout_v<Sized>);

}  // namespace

template <> inline constexpr bool fastalloc::is_poolable<ByTrait> = true;
template <> inline constexpr bool fastalloc::is_poolable<TakenBack> = false;

static_assert(fastalloc::is_poolable<ByBase> && fastalloc::is_poolable<ByPrivateBase> &&
              fastalloc::is_poolable<Derived> && fastalloc::is_poolable<ByTrait>);
static_assert(!fastalloc::is_poolable<Button> && !fastalloc::is_poolable<Lock> && !fastalloc::is_poolable<TakenBack> &&
              !fastalloc::is_poolable<int>);

TEST_CASE("hooks: called for poolable types only, on every way in and out") {
  test::Audit audit;
  auto const heard_by = []<class T>(std::type_identity<T>, int each, auto const&... args) {
    FixedPool<T, FullChecks> fixed(8);
    GrowingPool<T, fastalloc::NoChecks> growing(2);
    fastalloc::ThreadSafePool<T> shared(100);
    auto const use = [&](auto& pool) {
      calls() = 0;
      (void)pool.allocate(args...);
      EXPECT(calls() == each);
      (void)pool.try_allocate(args...);
      EXPECT(calls() == 2 * each);
      fastalloc::Handle<T> erased = pool.allocate(args...);
      erased = nullptr;
      EXPECT(calls() == 3 * each);
      { auto const batch = pool.allocate_batch_handle(2, args...); }
      EXPECT(calls() == 5 * each);
      typename std::remove_reference_t<decltype(pool)>::handle_type handles[3];
      pool.allocate_batch(3, handles, args...);
      for (auto& handle : handles) handle.reset();
      EXPECT(calls() == 8 * each);
    };
    use(fixed);
    use(growing);
    use(shared);
  };
  heard_by(std::type_identity<ByBase>(), 101);
  heard_by(std::type_identity<ByPrivateBase>(), 1);
  heard_by(std::type_identity<ByVirtualBase>(), 100);
  heard_by(std::type_identity<Derived>(), 1000);
  heard_by(std::type_identity<ByTrait>(), 23, 3, 20);
  heard_by(std::type_identity<TakenBack>(), 0);
  heard_by(std::type_identity<Widget>(), 0);
  heard_by(std::type_identity<Button>(), 0);
  heard_by(std::type_identity<Lock>(), 0);
  heard_by(std::type_identity<Private>(), 0);
}

#if FASTALLOC_EXCEPTIONS

TEMPLATE_LIST_TEST_CASE("hooks: one that throws leaves the pool as it was", "", SlotPolicies) {
  test::Audit audit;
  FixedPool<Hooked, TestType, FullChecks, BasicStats> pool(4);
  auto const before = pool.statistics().total_allocations;
  heard().clear();
  fuse().light(1);
  EXPECT(test::throws<test::Blown>([&] { (void)pool.allocate(std::uint64_t{1}); }));
  EXPECT(heard() == "b1a1d1");  // on_acquire did not succeed, so there is no on_release
  EXPECT(pool.is_empty() && pool.check_invariants() && pool.statistics().total_allocations == before);
  heard().clear();
  fuse().light(3);
  std::vector<typename decltype(pool)::handle_type> handles;
  EXPECT(test::throws<test::Blown>([&] { pool.allocate_batch(4, std::back_inserter(handles), std::uint64_t{2}); }));
  EXPECT(heard() == "b2a2b2a2b2a2d2r2d2r2d2");  // what was acquired is released
  EXPECT(handles.empty() && pool.is_empty() && pool.check_invariants());
  heard().clear();
  pool.allocate(std::uint64_t{13}).reset();  // on_release throws: the object goes back all the same
  EXPECT(heard() == "b3a3r3d0" && pool.is_empty() && pool.check_invariants());
}

TEMPLATE_LIST_TEST_CASE("a constructor that throws gives its slot back", "", SlotPolicies) {
  test::Audit audit;
  FixedPool<test::ThrowOnNth, TestType, FullChecks, BasicStats> pool(3);
  auto a = pool.allocate(std::uint64_t{1});
  auto const before = pool.statistics();
  for (int i = 0; i != 10; ++i) {
    fuse().light(1);
    EXPECT(test::throws<test::Blown>(
        [&] { (void)(i % 2 == 0 ? pool.allocate(std::uint64_t{2}) : pool.try_allocate(std::uint64_t{2})); }));
    EXPECT(pool.allocated() == 1 && pool.check_invariants());
  }
  auto const after = pool.statistics();
  EXPECT(after.total_allocations == before.total_allocations &&
         after.total_deallocations == before.total_deallocations &&
         after.allocation_failures == before.allocation_failures);
  auto b = pool.allocate(std::uint64_t{2});
  auto c = pool.allocate(std::uint64_t{3});
  EXPECT(pool.is_full());
}

TEMPLATE_LIST_TEST_CASE("a batch is all or nothing, whichever constructor throws", "", SlotPolicies) {
  test::Audit audit;
  using P = GrowingPool<test::ThrowOnNth, TestType, FullChecks, BasicStats>;
  for (std::size_t n : {5U, 64U, 65U, 150U}) {
    for (std::size_t k = 1; k <= n; k += n / 5) {
      P pool(PoolConfig{.capacity = 20, .growth_strategy = GrowthStrategy::exponential(2.0)});
      auto keep = pool.allocate(std::uint64_t{1});
      pool.allocate(std::uint64_t{1}).reset();
      std::vector<typename P::handle_type> handles;
      fuse().light(k);
      EXPECT(test::throws<test::Blown>([&] { pool.allocate_batch(n, std::back_inserter(handles), std::uint64_t{4}); }));
      EXPECT(handles.empty() && pool.allocated() == 1 && pool.check_invariants() && audit.live() == 1);
      EXPECT(pool.statistics().total_allocations == 2 && pool.statistics().total_deallocations == 1);

      std::vector<test::ThrowOnNth> values(n, test::ThrowOnNth(6));
      fuse().light(k);
      EXPECT(test::throws<test::Blown>([&] { handles = pool.allocate_batch(values); }));
      EXPECT(handles.empty() && pool.allocated() == 1 && pool.check_invariants());
      handles = pool.allocate_batch(values);
      EXPECT(handles.size() == n && handles.back()->value() == 6);
      values.clear();
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a batch whose output throws keeps what was written and gives the rest back", "",
                        SlotPolicies) {
  test::Audit audit;
  using P = FixedPool<test::ThrowOnNth, TestType, FullChecks, BasicStats>;
  P pool(100);
  std::vector<typename P::handle_type> handles;
  handles.reserve(200);
  for (std::size_t n : {6U, 90U}) {
    handles.clear();
    // The constructors tick n times, then the third assignment blows.
    fuse().light(n + 3);
    EXPECT(test::throws<test::Blown>(
        [&] { pool.allocate_batch(n, ThrowingOutput<typename P::handle_type>{&handles}, std::uint64_t{4}); }));
    EXPECT(handles.size() == 2 && pool.allocated() == 2 && audit.live() == 2 && pool.check_invariants());
  }
}

TEMPLATE_LIST_TEST_CASE("recycling: init and reset may throw", "", SlotPolicies) {
  test::Audit audit;
  using P = GrowingPool<test::Tracked, TestType, FullChecks, Recycling, BasicStats>;
  P pool(PoolConfig{.capacity = 3, .growth_strategy = GrowthStrategy::linear(3)});
  fuse().light(1);
  EXPECT(test::throws<test::Blown>([&] { (void)pool.allocate(); }));
  EXPECT(pool.is_empty() && audit.live() == 0 && pool.check_invariants());
  auto a = pool.allocate();
  a->set_value(8);
  a.reset();  // reset throws: the object is dropped
  EXPECT(pool.is_empty() && audit.live() == 0);
  a = pool.allocate();
  EXPECT(a->value() == 100 && pool.check_invariants());
  // A batch over two blocks, whose third init throws: slots that were never built must not count as built.
  std::vector<typename P::handle_type> handles;
  for (std::size_t k = 1; k != 6; ++k) {
    fuse().light(k);
    bool const blew = test::throws<test::Blown>([&] { pool.allocate_batch(5, std::back_inserter(handles)); });
    fuse().put_out();
    EXPECT(blew || handles.size() == 5);
    handles.clear();
    EXPECT(pool.allocated() == 1 && pool.check_invariants());
  }
  pool.allocate_batch(8, std::back_inserter(handles));
  for (auto const& handle : handles) EXPECT(handle->intact() && test::ledger().lives(handle.get()));
}

TEST_CASE("recycling: an init that throws while a pool is pre-initialised leaves nothing behind") {
  test::Audit audit;
  using P = FixedPool<test::Tracked, Recycling, test::CountingStorage>;
  fuse().light(4);
  EXPECT(test::throws<test::Blown>([] { P pool(PoolConfig{.capacity = 10, .pre_initialize = true}); }));
  EXPECT(audit.live() == 0);
  fuse().light(4);
  auto const result = P::try_create(PoolConfig{.capacity = 10, .pre_initialize = true});
  EXPECT(!result && audit.live() == 0);
}

#endif

TEMPLATE_LIST_TEST_CASE("recycling: built once, reset on return, refused ones built anew, destroyed with the pool", "",
                        SlotPolicies) {
  test::Audit audit;
  {
    FixedPool<test::Tracked, TestType, FullChecks, Recycling> pool(5);
    EXPECT(audit.built() == 0);
    Init::calls = Reset::calls = 0;
    auto a = pool.allocate();
    EXPECT(a->value() == 100 && Init::calls == 1);
    test::Tracked* const place = a.get();
    a->set_value(5);
    a.reset();
    EXPECT(Reset::calls == 1 && audit.live() == 1);
    a = pool.allocate();
    EXPECT(a.get() == place && a->value() == 0 && Init::calls == 1);
    a->set_value(7);
    a.reset();  // refused
    EXPECT(Reset::calls == 2 && audit.live() == 0);
    a = pool.allocate();
    EXPECT(a->value() == 100 && Init::calls == 2);
    std::vector<typename decltype(pool)::handle_type> handles;
    for (int i = 0; i != 4; ++i) handles.push_back(pool.allocate());
    handles.clear();
    EXPECT(Init::calls == 6 && Reset::calls == 6 && audit.live() == 5 && pool.check_invariants());
    a.reset();
  }
  EXPECT(audit.live() == 0 && audit.built() == audit.destroyed());
}

TEMPLATE_LIST_TEST_CASE("recycling: pre_initialize builds every object up front", "", SlotPolicies) {
  test::Audit audit;
  {
    GrowingPool<test::Tracked, TestType, FullChecks, Recycling, test::CountingStorage> pool(
        PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(5), .pre_initialize = true});
    EXPECT(audit.live() == 10 && pool.is_empty());
    Init::calls = 0;
    std::vector<typename decltype(pool)::handle_type> handles;
    for (int i = 0; i != 10; ++i) handles.push_back(pool.allocate());
    EXPECT(Init::calls == 0 && pool.capacity() == 10);
    for (auto const& handle : handles) EXPECT(handle->value() == 100);
    handles.push_back(pool.allocate());
    EXPECT(handles.back()->value() == 100);
    handles.erase(handles.begin(), handles.begin() + 10);
    (void)pool.shrink_to_fit();  // the block that was built up front goes, with its objects
    EXPECT(pool.capacity() == 5 && pool.check_invariants() && audit.live() <= 5);
    handles.clear();
    (void)pool.shrink_to_fit();
    for (int i = 0; i != 12; ++i) handles.push_back(pool.allocate());
    for (auto const& handle : handles) EXPECT(handle->intact() && test::ledger().lives(handle.get()));
  }
  EXPECT(audit.live() == 0);
}

TEMPLATE_LIST_TEST_CASE("recycling: small objects keep their values beside the allocator's links", "", SlotPolicies) {
  auto const check = [](auto& pool) {
    std::vector<typename std::remove_reference_t<decltype(pool)>::handle_type> handles;
    for (int round = 0; round != 3; ++round) {
      for (int i = 0; i != 20; ++i) {
        handles.push_back(pool.allocate());
        if (round != 0) EXPECT(*handles.back() != 0);  // kept from the first round
        *handles.back() = static_cast<std::remove_reference_t<decltype(*handles.back())>>(i + 1);
      }
      for (std::size_t i = 0; i != 20; ++i)
        EXPECT(*handles[i] == static_cast<std::remove_reference_t<decltype(*handles[i])>>(i + 1));
      while (!handles.empty()) {
        handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(handles.size() / 3));
        EXPECT(pool.check_invariants());
      }
    }
  };
  auto const zero = [](auto value) { return fastalloc::recycle([value] { return value; }); };
  {
    auto recycle = zero(char{0});
    FixedPool<char, TestType, FullChecks, decltype(recycle), test::CountingStorage> pool(PoolConfig{.capacity = 20},
                                                                                         recycle);
    check(pool);
  }
  {
    auto recycle = zero(int{0});
    FixedPool<int, TestType, FullChecks, decltype(recycle), test::CountingStorage> fixed(PoolConfig{.capacity = 20},
                                                                                         recycle);
    check(fixed);
    GrowingPool<int, TestType, FullChecks, decltype(recycle), test::CountingStorage> growing(PoolConfig{.capacity = 20},
                                                                                             recycle);
    check(growing);
  }
  {
    auto recycle = zero(0LL);
    FixedPool<long long, TestType, FullChecks, decltype(recycle), test::CountingStorage> pool(
        PoolConfig{.capacity = 20}, recycle);
    check(pool);
  }
  EXPECT(test::storage_account().first_mistake() == "");
}

TEST_CASE("recycling: T is deduced from recycle()") {
  auto pool = FixedPool(PoolConfig{.capacity = 3},
                        fastalloc::recycle([] { return std::string("built"); }, [](std::string& s) { s.clear(); }));
  static_assert(std::is_same_v<decltype(pool)::value_type, std::string>);
  auto a = pool.allocate();
  EXPECT(*a == "built");
  a->assign(100, 'x');
  a.reset();
  a = pool.allocate();
  EXPECT(a->empty() && a->capacity() >= 100);
}

TEMPLATE_LIST_TEST_CASE("inline pools: a batch, a recycled object or an erased handle may come first", "",
                        SlotPolicies) {
  test::Audit audit;
  using P = FixedPool<test::Tracked, TestType, FullChecks, BasicStats, fastalloc::InlineStorage<9>>;
  {
    P pool;
    EXPECT(pool.capacity() == 9 && pool.available() == 9 && pool.check_invariants() && pool.statistics().capacity == 9);
    pool.reset_statistics();
    std::vector<fastalloc::Handle<test::Tracked>> handles;
    pool.allocate_batch(9, std::back_inserter(handles), std::uint64_t{3});
    EXPECT(handles.size() == 9 && handles[8]->value() == 3 && pool.check_invariants() && !pool.try_allocate());
  }
  {
    P pool;
    fastalloc::Handle<test::Tracked> const erased = pool.allocate(std::uint64_t{5});
    EXPECT(erased->value() == 5);
  }
  {
    P pool;
    auto const handles = pool.allocate_batch(std::vector<std::uint64_t>{1, 2, 3});
    EXPECT(handles.size() == 3 && handles[2]->value() == 3 && pool.allocated() == 3);
  }
}

TEMPLATE_LIST_TEST_CASE("statistics: totals, peak, hit rate, utilisation and reset", "", SlotPolicies) {
  FixedPool<int, TestType, BasicStats, FullChecks> pool(10);
  std::vector<typename decltype(pool)::handle_type> handles;
  EXPECT(pool.statistics() == fastalloc::PoolStatistics{.capacity = 10});
  EXPECT(pool.statistics().hit_rate() == 0.0);
  for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate(i));
  handles.erase(handles.begin(), handles.begin() + 3);
  auto s = pool.statistics();
  EXPECT(s.total_allocations == 8 && s.total_deallocations == 3 && s.current_usage == 5 && s.peak_usage == 8);
  EXPECT(s.utilization_rate() == 50.0 && s.peak_utilization_rate() == 80.0 && s.hit_rate() == 1.0 &&
         s.available() == 5);
  for (int i = 0; i != 5; ++i) handles.push_back(pool.allocate(i));
  for (int i = 0; i != 10; ++i) EXPECT(!pool.try_allocate(i));
  s = pool.statistics();
  EXPECT(s.peak_usage == 10 && s.allocation_failures == 10 && s.total_allocations == 13);
  EXPECT(s.hit_rate() > 0.565 && s.hit_rate() < 0.566);
  handles.resize(6);
  pool.reset_statistics();
  s = pool.statistics();
  EXPECT(s.total_allocations == 0 && s.total_deallocations == 0 && s.allocation_failures == 0 && s.growth_count == 0);
  EXPECT(s.current_usage == 6 && s.peak_usage == 6 && s.capacity == 10);
  handles.pop_back();
  handles.push_back(pool.allocate(1));
  EXPECT(pool.statistics().peak_usage == 6);
  handles.push_back(pool.allocate(1));
  handles.resize(2);
  s = pool.statistics();
  EXPECT(s.peak_usage == 7 && s.total_allocations == 2 && s.total_deallocations == 6 && s.current_usage == 2);
  handles.clear();
  pool.reset_statistics();
  EXPECT(pool.statistics() == fastalloc::PoolStatistics{.capacity = 10});
}
