// SPDX-License-Identifier: MIT OR Apache-2.0
// SharedHandle and WeakHandle: who owns, what is counted, when the object dies and when its slot comes back.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

#if FASTALLOC_ASAN
#include <sanitizer/asan_interface.h>
#endif

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Tracked;

namespace {

/// Many pools, one text: compiled once each, run as one case.
template <class F> void for_each_pool(F&& f) {
  test::Scene const scene("pool of Tracked");
  f.template operator()<FixedPool<Tracked, Shared>>();
  f.template operator()<FixedPool<Tracked, AtomicShared, FreeListAllocator, FullChecks>>();
  f.template operator()<GrowingPool<Tracked, Shared, BitmapAllocator, NoChecks>>();
  f.template operator()<GrowingPool<Tracked, Shared, FreeListAllocator>>();
  f.template operator()<FixedPool<Tracked, InlineStorage<4>, Shared, FullChecks>>();
  f.template operator()<ThreadSafePool<Tracked, AtomicShared>>();
  f.template operator()<ThreadSafePool<Tracked, AtomicShared, NoCache, FullChecks>>();
  f.template operator()<ThreadSafePool<Tracked, AtomicShared, LockFree>>();
  f.template operator()<ThreadLocalPool<Tracked, AtomicShared>>();
}

}  // namespace

TEST_CASE("shared handles: the object dies with the last strong one, the slot returns with the last weak one") {
  for_each_pool([]<class Pool>() {
    test::Audit const audit;
    Pool pool(4);
    auto unique = pool.allocate(7U);
    auto first = unique.share();
    EXPECT(!unique && first && first->value() == 7 && (*first).intact());
    EXPECT(first.use_count() == 1 && first.weak_count() == 0);
    EXPECT(!unique.share());

    auto second = first;
    auto weak = second.downgrade();
    auto other = weak;
    EXPECT(first == second && first.use_count() == 2 && weak.use_count() == 2 && weak.weak_count() == 2 &&
           first.weak_count() == 2);
    first.reset();
    EXPECT(audit.live() == 1 && second.use_count() == 1 && !weak.expired() && weak.lock() == second);
    second.reset();
    EXPECT(audit.destroyed() == 1 && pool.allocated() == 1);
    EXPECT(weak.expired() && !weak.lock() && weak.use_count() == 0 && weak.weak_count() == 2);
    weak.reset();
    EXPECT(pool.allocated() == 1 && other.weak_count() == 1);
    other.reset();
    EXPECT(pool.allocated() == 0 && pool.check_invariants());

    // Without weak handles both happen at once; all slots can be had again.
    for (int round = 0; round != 3; ++round) {
      std::array<SharedHandle<Tracked>, 4> all;
      for (auto& handle : all) handle = pool.allocate(9U).share();
      EXPECT(pool.allocated() == 4 && audit.live() == 4);
    }
    EXPECT(pool.allocated() == 0 && audit.live() == 0);
    // An object that is never shared goes its old way, by the typed handle and by the erased one.
    auto const typed = pool.allocate(1U);
    Handle<Tracked> const erased = pool.allocate(2U);
    EXPECT(pool.allocated() == 2);
  });
}

TEST_CASE("shared handles: copies, moves, swaps") {
  test::Audit const audit;
  FixedPool<Tracked, Shared> pool(8);
  auto a = pool.allocate(1U).share();
  auto b = pool.allocate(2U).share();
  Tracked* const one = a.get();
  Tracked* const two = b.get();

  auto& alias = a;
  a = alias;
  CHECK((a.get() == one && a.use_count() == 1));
  a = std::move(alias);
  CHECK((a.get() == one && a.use_count() == 1));
  a.swap(alias);
  CHECK((a.get() == one && a.use_count() == 1));

  SharedHandle<Tracked> moved(std::move(a));
  CHECK((moved.get() == one && moved.use_count() == 1));
  CHECK((!a && a == nullptr && a.get() == nullptr && a.use_count() == 0 && a.weak_count() == 0));
  swap(moved, b);
  CHECK((moved.get() == two && b.get() == one));
  b = moved;  // the first object dies
  CHECK(audit.destroyed() == 1);
  CHECK((b.get() == two && b.use_count() == 2));
  b = std::move(moved);
  CHECK((b.use_count() == 1 && !moved));
  b = nullptr;
  CHECK(audit.destroyed() == 2);
  CHECK(pool.allocated() == 0);

  // Empty ones copy, compare and reset.
  SharedHandle<Tracked> const none;
  auto copy = none;
  copy.reset();
  CHECK((copy == none && copy == nullptr && !copy.downgrade().lock() && copy.downgrade().expired()));

  std::vector<SharedHandle<Tracked>> many;
  for (std::uint64_t i = 0; i != 8; ++i) many.push_back(pool.allocate(i).share());
  std::sort(many.begin(), many.end(), [](auto const& x, auto const& y) { return x->value() > y->value(); });
  CHECK((many.front()->value() == 7 && many.back()->value() == 0));
  std::unordered_set<SharedHandle<Tracked>> const set(many.begin(), many.end());
  CHECK((set.size() == 8 && set.count(many[3]) == 1 && many[3].use_count() == 2));
  CHECK((many[0] <=> many[0]) == std::strong_ordering::equal);
}

TEST_CASE("weak handles: copies, moves, swaps, equality of owners") {
  FixedPool<std::pair<int, int>, Shared> pool(2);
  auto strong = pool.allocate(1, 2).share();
  auto const other = pool.allocate(3, 4).share();
  WeakHandle<std::pair<int, int>> a = strong;
  WeakHandle<std::pair<int, int>> b = other;
  auto& alias = a;
  a = std::move(alias);
  a = alias;
  CHECK(a.weak_count() == 1);
  swap(a, b);
  CHECK((a.lock() == other && b.lock() == strong));
  auto moved = std::move(a);
  CHECK((a.expired() && a.use_count() == 0 && a.weak_count() == 0 && moved.weak_count() == 1));
  a = b;
  CHECK(b.weak_count() == 2);
  a = moved;
  CHECK((b.weak_count() == 1 && moved.weak_count() == 2));
  WeakHandle<int> const second = SharedHandle<int>(strong, &strong->second);
  CHECK((second.owner_equal(b) && second.owner_equal(strong) && !second.owner_equal(a) && !a.owner_equal(strong)));
  strong.reset();
  CHECK((second.owner_equal(b) && second.expired()));
}

TEST_CASE("shared handles: a handle to a member keeps the whole object") {
  struct Ship {
    Tracked hull{1};
    int crew = 5;
  };
  test::Audit const audit;
  FixedPool<Ship, Shared> pool(1);
  SharedHandle<int> crew;
  {
    auto ship = pool.allocate().share();
    crew = SharedHandle<int>(ship, &ship->crew);
    CHECK(ship.use_count() == 2);
    auto* const at = &ship->crew;
    crew = SharedHandle<int>(std::move(ship), at);
    CHECK((!ship && crew.use_count() == 1));
  }
  CHECK((*crew == 5 && audit.live() == 1));
  WeakHandle<int> const weak = crew;
  crew.reset();
  CHECK((audit.live() == 0 && weak.expired() && pool.is_full()));
  // A part of nothing: a pointer that nobody owns, as with std::shared_ptr.
  int value = 3;
  SharedHandle<int> const loose(SharedHandle<Ship>(), &value);
  auto const copy = loose;
  CHECK((*copy == 3 && copy.use_count() == 0 && loose.downgrade().expired()));
}

namespace {

struct Left {
  int left = 1;
};
struct Right {
  int right = 2;
};
struct Both : Left, Right, Tracked {};
struct Top {
  int top = 4;
};
struct Middle : virtual Top {
  int middle = 5;
};
struct Bottom : Left, Middle {
  Tracked tracked{6};
};

}  // namespace

TEST_CASE("shared handles: any base, without a virtual destructor") {
  test::Audit const audit;
  FixedPool<Both, Shared> pool(1);
  {
    SharedHandle<Both> both = pool.allocate().share();
    SharedHandle<Right> right = both;
    SharedHandle<void> something = both;
    SharedHandle<Both const> fixed = both;
    CHECK((right->right == 2 && something.get() == both.get() && both.use_count() == 4));
    WeakHandle<Right> weak = both.downgrade();
    right = std::move(both);
    CHECK((!both && right.use_count() == 3 && weak.lock() == right));
    weak = WeakHandle<Right>(weak);
    something = nullptr;
    fixed = nullptr;
    right = nullptr;
    CHECK((audit.destroyed() == 1 && weak.expired() && pool.is_full()));
  }
  CHECK(pool.is_empty());

  FixedPool<Bottom, Shared> deep(1);
  auto bottom = deep.allocate().share();
  SharedHandle<Top> top = bottom;
  WeakHandle<Bottom> const weak = bottom;
  WeakHandle<Top> const weak_top = weak;
  CHECK((top->top == 4 && weak_top.lock() == top && weak_top.weak_count() == 2));
  bottom.reset();
  CHECK(audit.live() == 1);
  top.reset();
  CHECK(audit.live() == 0);
  // Of a dead object nobody can tell where a virtual base was, nor needs to.
  WeakHandle<Top> late = weak;
  CHECK((late.expired() && !late.lock() && late.owner_equal(weak)));
  late = WeakHandle<Bottom>(weak);
  CHECK(deep.is_full());
}

namespace {

/// Holds handles to its like, and looks at itself while it dies.
struct Node {
  explicit Node(std::vector<std::string>& into) : log(&into) {}
  ~Node() {
    log->push_back(self.lock() || !self.expired() ? "alive" : "dead");
    log->push_back(std::to_string(self.use_count()));
    self.reset();
    if (when_dying) when_dying();
  }
  std::vector<std::string>* log;
  std::function<void()> when_dying{};
  WeakHandle<Node> self{};
  SharedHandle<Node> next{};
};

template <class Pool> void die_in_every_way() {
  using Log = std::vector<std::string>;
  Pool pool(16);
  Log log;
  {
    // The destructor drops the last weak handle, which must not give back the slot under it.
    auto node = pool.allocate(log).share();
    node->self = node;
    auto extra = node.downgrade();
    node->when_dying = [&] {
      extra = WeakHandle<Node>(extra);
      extra.reset();
      EXPECT(pool.allocated() == 1);
      auto inner = pool.allocate(log).share();
      EXPECT(pool.allocated() == 2);
    };
    node.reset();
    EXPECT(log == Log{"dead", "0", "dead", "0"} && pool.allocated() == 0);
  }
  log.clear();
  {
    // The variable that held the last handle is empty when the destructor looks at it; it may be used.
    auto node = pool.allocate(log).share();
    node->when_dying = [&] {
      EXPECT(!node);
      node = pool.allocate(log).share();
    };
    node.reset();
    EXPECT(node && pool.allocated() == 1);
    node->when_dying = [&] { EXPECT(!node); };
    node = nullptr;
    EXPECT(pool.allocated() == 0);
  }
  {
    // The destructor makes the slots of others come back, and a weak handle to itself outlives it.
    WeakHandle<Node> left;
    auto first = pool.allocate(log).share();
    auto* at = first.get();
    for (int i = 0; i != 10; ++i) {
      at->next = pool.allocate(log).share();
      at = at->next.get();
    }
    first->when_dying = [&, weak = first.downgrade()] { left = weak; };
    first.reset();
    EXPECT(pool.allocated() == 1 && left.expired() && left.weak_count() == 1);
    // for_each() meets no dead object.
    std::size_t met = 0;
    auto const living = pool.allocate(log).share();
    pool.for_each([&](Node& node) { met += &node == living.get() ? 1 : 100; });
    EXPECT(met == 1);
    left.reset();
    EXPECT(pool.allocated() == 1);
  }
  EXPECT(pool.check_invariants());
}

}  // namespace

TEST_CASE("shared handles: destructors that use the pool and the handles") {
  die_in_every_way<FixedPool<Node, Shared, FullChecks>>();
  die_in_every_way<GrowingPool<Node, Shared, FreeListAllocator>>();
  die_in_every_way<ThreadSafePool<Node, AtomicShared>>();
  die_in_every_way<ThreadLocalPool<Node, AtomicShared>>();
}

TEST_CASE("shared handles: for_each meets unique, shared and weakly held objects as it should") {
  GrowingPool<int, Shared, BitmapAllocator> pool(6);
  std::vector<SharedHandle<int>> strong;
  std::vector<WeakHandle<int>> weak;
  auto const unique = pool.allocate(0);
  for (int i = 1; i != 6; ++i) strong.push_back(pool.allocate(i).share());
  for (auto& handle : strong) weak.push_back(handle);
  strong[1].reset();
  strong[3].reset();
  std::vector<int> met;
  pool.for_each([&](int& value) {
    met.push_back(value);
    if (value == 3) strong[4].reset();  // dies before its turn
  });
  CHECK(met == std::vector{0, 1, 3});
}

TEST_CASE("shared handles: hooks hear of the first owner and of the last") {
  struct Hooked : Poolable {
    explicit Hooked(int& into) : calls(&into) {}
    void on_acquire() { *calls += 1; }
    void on_release() { *calls += 10; }
    ~Hooked() { *calls *= 2; }
    int* calls;
  };
  FixedPool<Hooked, Shared> pool(1);
  int calls = 0;
  auto handle = pool.allocate(calls).share();
  auto const weak = handle.downgrade();
  CHECK(calls == 1);
  handle.reset();
  CHECK(calls == 22);
}

TEST_CASE("shared handles: recycled objects are reset with the last strong one, and wait for the last weak one") {
  test::Audit const audit;
  int resets = 0;
  auto const run = [&](auto& pool) {
    auto strong = pool.allocate().share();
    strong->set_value(5);
    Tracked* const object = strong.get();
    auto weak = strong.downgrade();
    strong.reset();
    CHECK((audit.live() == 1 && weak.expired() && !weak.lock() && pool.allocated() == 1));
    CHECK_FALSE(pool.try_allocate());
    pool.for_each([](Tracked&) { CHECK(false); });
    weak.reset();
    auto again = pool.allocate();
    CHECK((again.get() == object && again->value() == 0 && audit.live() == 1 && resets == 1));
    again->set_value(13);
    weak = again.share();  // refused by reset: destroyed at once, with the weak handle there
    CHECK((audit.live() == 0 && resets == 2 && weak.expired()));
    weak.reset();
    CHECK((pool.allocate()->value() == 0 && audit.live() == 1));
    resets = 0;
  };
  auto const init = [] { return Tracked(); };
  auto const reset = [&resets](Tracked& object) {
    ++resets;
    bool const keep = object.value() != 13;
    object.set_value(0);
    return keep;
  };
  using R = decltype(recycle(init, reset));
  {
    FixedPool<Tracked, R, Shared> pool(PoolConfig{.capacity = 1}, recycle(init, reset));
    run(pool);
  }
  CHECK(audit.live() == 0);
  {
    FixedPool<Tracked, R, Shared, FreeListAllocator, FullChecks> pool(PoolConfig{.capacity = 1, .pre_initialize = true},
                                                                      recycle(init, reset));
    run(pool);
  }
  {
    ThreadLocalPool<Tracked, R, AtomicShared> pool(PoolConfig{.capacity = 1}, recycle(init, reset));
    run(pool);
  }
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("shared handles: a constructor that throws leaves nothing behind") {
  test::Audit const audit;
  FixedPool<test::ThrowOnNth, Shared> pool(2);
  test::fuse().light(1);
  CHECK_THROWS_AS(pool.allocate(1U), test::Blown);
  CHECK(pool.is_empty());
  auto a = pool.allocate(1U).share();
  test::fuse().light(1);
  CHECK_THROWS_AS(pool.allocate(2U), test::Blown);
  auto const weak = a.downgrade();
  a.reset();
  CHECK((pool.allocated() == 1 && audit.live() == 0));
  auto const b = pool.allocate(3U).share();
  CHECK_THROWS_AS(pool.allocate(4U), PoolExhausted);
  CHECK(b.use_count() == 1);
}
#endif

TEST_CASE("shared handles: batches, growth and shrinking") {
  test::Audit const audit;
  GrowingPool<Tracked, Shared> pool(PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
  std::vector<std::uint64_t> const values{1, 2, 3, 4, 5, 6};
  std::vector<SharedHandle<Tracked>> strong;
  for (auto& handle : pool.allocate_batch(values)) strong.push_back(handle.share());
  std::array<GrowingPool<Tracked, Shared>::handle_type, 3> more;
  pool.allocate_batch(more.size(), more.begin(), std::uint64_t{9});
  for (auto& handle : more) strong.push_back(handle.share());
  CHECK((pool.capacity() == 12 && strong[5]->value() == 6 && strong[8]->value() == 9 && strong[8].use_count() == 1));
  auto const weak = strong.back().downgrade();
  strong.clear();
  CHECK((audit.live() == 0 && pool.allocated() == 1));
  pool.shrink_to_fit();  // the block of the weakly held slot stays
  CHECK((pool.capacity() == 4 && weak.expired() && weak.weak_count() == 1 && pool.check_invariants()));

  // Of trivial objects batches are built some at a time.
  FixedPool<int, Shared> small(20);
  std::array<FixedPool<int, Shared>::handle_type, 20> ints;
  for (int round = 0; round != 2; ++round) {
    small.allocate_batch(ints.size(), ints.data(), 7);
    std::vector<SharedHandle<int>> shared;
    for (auto& handle : ints) shared.push_back(handle.share());
    for (auto const& handle : shared) CHECK((handle.use_count() == 1 && *handle == 7));
    std::size_t met = 0;
    small.for_each([&](int&) { ++met; });
    CHECK(met == 20);
  }
  CHECK(small.is_empty());
}

TEST_CASE("shared handles: objects of every size and alignment") {
  struct Nothing {};
  struct alignas(64) Wide {
    char c = 'w';
  };
  FixedPool<char, Shared> chars(9);
  FixedPool<Nothing, Shared, FreeListAllocator> nothings(9);
  FixedPool<Wide, AtomicShared, FreeListAllocator> wides(9);
  auto const use = [](auto& pool, auto const& value) {
    std::vector<decltype(pool.allocate(value).share())> all;
    for (int i = 0; i != 9; ++i) all.push_back(pool.allocate(value).share());
    auto const weak = all[4].downgrade();
    for (auto const& handle : all) CHECK(reinterpret_cast<std::uintptr_t>(handle.get()) % 8 == 0);
    all.clear();
    CHECK(pool.allocated() == 1);
  };
  use(chars, 'x');
  use(nothings, Nothing{});
  use(wides, Wide{});
  CHECK((chars.is_empty() && nothings.is_empty() && wides.is_empty()));
  auto const wide = wides.allocate().share();
  CHECK((reinterpret_cast<std::uintptr_t>(wide.get()) % 64 == 0 && wide->c == 'w'));

  using External = FixedPool<int, ExternalStorage, Shared>;
  alignas(16) std::array<std::byte, External::required_bytes(9)> bytes;
  External pool{std::span<std::byte>(bytes)};
  CHECK(pool.capacity() == 9);
  use(pool, 4);
}

namespace {

/// A handle that is never destroyed.
template <class H> void forget(H handle) {
  alignas(H) std::byte room[sizeof(H)];
  ::new (static_cast<void*>(room)) H(std::move(handle));
}

}  // namespace

TEST_CASE("shared handles: keys are stale from the death of the object on, also those of the last generation") {
  auto const run = [](auto& pool, bool last) {
    std::size_t const capacity = pool.capacity();
    auto strong = pool.allocate(7).share();
    auto const key = pool.key(strong.get());
    auto weak = strong.downgrade();
    CHECK(pool.get(key) == strong.get());
    strong.reset();
    CHECK((!pool.contains(key) && pool.allocated() == 1));
    std::size_t met = 0;
    pool.for_each([&](int&) { ++met; });
    CHECK(met == 0);
    weak.reset();
    CHECK((pool.allocated() == 0 && pool.capacity() == capacity));
    auto const next = pool.allocate(8).share();
    CHECK((!pool.contains(key) && pool.get(pool.key(next.get())) == (last ? nullptr : next.get()) &&
           pool.check_invariants()));
  };
  FixedPool<int, Shared, Generations, FullChecks> fixed(4);
  run(fixed, false);
  FixedPool<int, AtomicShared, BasicGenerations<1>> one(4);
  run(one, true);
  GrowingPool<int, Shared, Generations, FreeListAllocator, FullChecks> growing(4);
  run(growing, false);
  GrowingPool<int, Shared, BasicGenerations<1>> growing_one(4);
  run(growing_one, true);
}

TEST_CASE("shared handles: from a handle of one word") {
  static FixedPool<int, Shared> pool(2);
  using Ints = Bound<pool>;
  auto handle = Ints::allocate(5);
  auto const strong = handle.share();
  CHECK((!handle && *strong == 5 && strong.use_count() == 1));
}

TEST_CASE("shared handles: the report of live handles tells objects from slots that are kept") {
  test::RecordedErrors const errors;
  for (std::size_t const objects : {0U, 1U}) {
    std::optional<FixedPool<int, Shared>> pool(std::in_place, 12U);
    for (int i = 0; i != 10; ++i) forget(pool->allocate(i).share().downgrade());
    if (objects != 0) forget(pool->allocate(1).share());
    pool.reset();
    Error const& error = errors.last();
    CHECK((error.code == ErrorCode::live_handles && error.allocated == 10 + objects && error.index_count == 8));
    CHECK((error.indices[0] == 0 && error.type_name == "int"));
    CHECK_THAT(error.to_string(), ContainsSubstring(objects == 0 ? "WeakHandles keep slots of dead objects"
                                                                 : "handles to its objects exist"));
  }
  CHECK(errors.count() == 2);
}

TEST_CASE("shared handles: adopt refuses what is shared or dead") {
  test::RecordedErrors const errors;
  FixedPool<int, Shared, FullChecks> pool(2);
  auto strong = pool.allocate(1).share();
  int* const object = strong.get();
  CHECK_FALSE(pool.adopt(object));
  REQUIRE(errors.count() == 1);
  CHECK((errors[0].code == ErrorCode::invalid_handle && errors[0].address == object));
  CHECK_THAT(errors[0].to_string(),
             ContainsSubstring("the object is shared") && ContainsSubstring("copy one of its SharedHandles"));
  CHECK((*strong == 1 && strong.use_count() == 1));
  auto const weak = strong.downgrade();
  strong.reset();
  CHECK_FALSE(pool.adopt(object));
  CHECK((errors.count() == 2 && errors[1].code == ErrorCode::double_free));
  int* const raw = pool.allocate(2).release();
  CHECK((*pool.adopt(raw) == 2 && errors.count() == 2));
}

TEST_CASE("shared handles: a dead object cannot be used while weak handles keep its slot") {
  test::RecordedErrors const errors;
  FixedPool<std::array<unsigned char, 24>, Shared, FullChecks> pool(1);
  auto strong = pool.allocate().share();
  auto weak = strong.downgrade();
  unsigned char* const bytes = strong->data();
  strong.reset();
#if FASTALLOC_ASAN
  CHECK(__asan_address_is_poisoned(bytes));
  CHECK(__asan_address_is_poisoned(bytes + 23));
#else
  CHECK((bytes[0] == 0xDD && bytes[23] == 0xDD));
  bytes[5] = 1;
  weak.reset();
  auto const next = pool.allocate();
  REQUIRE(errors.count() == 1);
  CHECK_THAT(errors[0].to_string(), ContainsSubstring("a free slot was written to"));
#endif
}

namespace {

/// Pools whose objects have owners and keys.
template <class F> void for_each_keyed_pool(F&& f) {
  test::Scene const scene("pool of Tracked with keys");
  f.template operator()<FixedPool<Tracked, Shared, Generations>>();
  f.template operator()<FixedPool<Tracked, AtomicShared, Generations, FreeListAllocator, FullChecks>>();
  f.template operator()<GrowingPool<Tracked, Shared, Generations, BitmapAllocator, NoChecks>>();
  f.template operator()<ThreadSafePool<Tracked, AtomicShared, Generations>>();
  f.template operator()<ThreadSafePool<Tracked, AtomicShared, Generations, LockFree>>();
}

}  // namespace

TEST_CASE("shared handles: owners of an object that is known by address or by key") {
  for_each_keyed_pool([]<class Pool>() {
    test::Audit const audit;
    Pool pool(4);
    Tracked* const object = pool.allocate(7U).release();
    Key const key = pool.key(object);
    EXPECT(!pool.lock(key));  // no SharedHandle yet
    EXPECT(!pool.share(static_cast<Tracked*>(nullptr)) && !pool.adopt_shared(nullptr) && !pool.share(Key()));

    auto first = pool.share(object);  // the first owner takes the released object
    auto second = pool.share(object);
    auto third = pool.share(key);
    auto fourth = pool.lock(key);
    EXPECT(first.get() == object && second == first && third == first && fourth == first && first.use_count() == 4);
    first.reset(), second.reset(), third.reset();
    EXPECT(audit.live() == 1 && fourth.use_count() == 1 && pool.contains(key));

    auto const weak = fourth.downgrade();
    fourth.reset();  // the WeakHandle keeps the slot, not the object
    EXPECT(audit.live() == 0 && !pool.lock(key) && !pool.share(key) && pool.allocated() == 1);
  });
}

TEST_CASE("shared handles: release() and adopt_shared() hand an owner through a void pointer") {
  for_each_keyed_pool([]<class Pool>() {
    test::Audit const audit;
    Pool pool(2);
    auto owner = pool.allocate(3U).share();
    auto copy = owner;
    void* const user_data = owner.release();
    EXPECT(!owner && copy.use_count() == 2);
    copy.reset();
    EXPECT(audit.live() == 1);
    auto back = pool.adopt_shared(static_cast<Tracked*>(user_data));
    EXPECT(back.use_count() == 1 && back->value() == 3);

    Pool::add_owner(back.get());  // as an intrusive pointer does
    Tracked* const object = back.get();
    back.reset();
    EXPECT(audit.live() == 1);
    Pool::add_owner(object);
    EXPECT(!Pool::drop_owner(object) && audit.live() == 1);
    EXPECT(Pool::drop_owner(object));
    EXPECT(audit.live() == 0 && pool.is_empty());
  });
}

TEST_CASE("shared handles: a checks policy refuses to share what is not live, every pool to adopt what is not shared") {
  test::Audit const audit;
  FixedPool<Tracked, Shared, FullChecks> pool(2);
  Tracked* const object = pool.allocate(1U).release();
  Tracked elsewhere(2U);
  Tracked* volatile foreign = &elsewhere;  // volatile: a compiler that follows it warns of what the checks rule out
  {
    test::RecordedErrors const errors;
    CHECK(!pool.adopt_shared(object));
    CHECK(!pool.share(foreign));
    CHECK(!pool.adopt_shared(foreign));
    REQUIRE(errors.count() == 3);
    CHECK_THAT(std::string(errors[0].text), ContainsSubstring("SharedHandle::release()"));
    CHECK(errors[1].code == ErrorCode::invalid_handle);
    CHECK(errors[2].code == ErrorCode::invalid_handle);
  }
  pool.adopt(object).reset();
  {
    test::RecordedErrors const errors;
    CHECK(!pool.share(object));
    REQUIRE(errors.count() == 1);
    CHECK(errors[0].code == ErrorCode::double_free);
  }
}

namespace {

struct Timer {
  using Pool = FixedPool<Timer, Shared>;
  explicit Timer(Pool& where) : pool(&where) {}
  SharedHandle<Timer> self();  // as enable_shared_from_this
  Pool* pool;
};
SharedHandle<Timer> Timer::self() { return pool->share(this); }

}  // namespace

TEST_CASE("shared handles: an object shares itself") {
  Timer::Pool pool(1);
  auto timer = pool.allocate(pool).share();
  auto again = timer->self();
  CHECK(timer.use_count() == 2);
  timer.reset();
  CHECK(again.use_count() == 1);
}
