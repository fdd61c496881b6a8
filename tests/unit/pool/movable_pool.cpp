// SPDX-License-Identifier: MIT OR Apache-2.0
// MovablePool: classes that own a pool and its handles move, in either order of members; the last handle ends the pool.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Audit;
using test::CountingStorage;
using test::RecordedErrors;
using test::storage_account;
using test::ThrowOnNth;
using test::Tracked;

namespace {

constexpr std::size_t count = 40;

template <class P> struct PoolFirst {
  MovablePool<P> pool{2 * count};
  std::vector<typename MovablePool<P>::handle_type> nodes;
};
template <class P> struct HandlesFirst {
  std::vector<typename MovablePool<P>::handle_type> nodes;
  MovablePool<P> pool{2 * count};
};
template <class P> struct Erased {
  std::vector<Handle<Tracked>> nodes;
  MovablePool<P> pool{2 * count};
};

template <class G> G load(std::uint64_t first) {
  G graph;
  for (std::uint64_t i = 0; i != count; ++i) graph.nodes.push_back(graph.pool->allocate(first + i));
  return graph;
}
template <class G> bool holds(G const& graph, std::uint64_t first) {
  if (graph.nodes.size() != count || graph.pool->allocated() != count) return false;
  for (auto const& node : graph.nodes)
    if (node->value() != first++ || !graph.pool->owns(node.get())) return false;
  return graph.pool->check_invariants();
}

template <class G> void move_about() {
  Audit const audit;
  RecordedErrors const errors;
  {
    std::vector<G> graphs;
    for (std::uint64_t i = 0; i != 5; ++i) graphs.push_back(load<G>(100 * i));
    Tracked* const object = graphs[0].nodes[7].get();
    std::swap(graphs[0], graphs[4]);
    CHECK(graphs[4].nodes[7].get() == object);
    CHECK((holds(graphs[0], 400) && holds(graphs[4], 0)));
    graphs.erase(graphs.begin());
    REQUIRE(graphs.size() == 4);
    CHECK((holds(graphs[0], 100) && holds(graphs[3], 0)));
    graphs[1] = load<G>(700);
    CHECK(holds(graphs[1], 700));
    graphs[1].nodes.push_back(graphs[1].pool->allocate(740u));
    graphs[1].nodes.pop_back();
    CHECK(holds(graphs[1], 700));
    auto& alias = graphs[2];
    graphs[2] = std::move(alias);
    CHECK(graphs[2].pool->allocated() == graphs[2].nodes.size());
    G moved = std::move(graphs[3]);
    CHECK(graphs[3].pool == nullptr);
    graphs.clear();
    CHECK(holds(moved, 0));
  }
  CHECK(errors.count() == 0);
}

struct Node;
using Nodes = MovablePool<GrowingPool<Node, CountingStorage>>;
struct Node {  // T is incomplete where its handles are named
  explicit Node(int n = 0) : number(n) {}
  int number;
  std::vector<Nodes::handle_type> children;
  Tracked tracked{};
};

static_assert(sizeof(MovablePool<FixedPool<int>>) == sizeof(void*));
static_assert(std::is_nothrow_move_constructible_v<Nodes> && std::is_nothrow_move_assignable_v<Nodes> &&
              std::is_nothrow_swappable_v<Nodes> && std::is_nothrow_default_constructible_v<Nodes>);
static_assert(!std::is_copy_constructible_v<Nodes> && !std::is_copy_assignable_v<Nodes>);
static_assert(std::is_nothrow_convertible_v<Nodes::handle_type, Handle<Node>>);
static_assert(std::same_as<Nodes::pool_type::handle_type, Nodes::handle_type>);
static_assert(std::same_as<MovablePool<Nodes::pool_type>::pool_type, Nodes::pool_type>);
static_assert(sizeof(MovablePool<FixedPool<int>>::pool_type) <= sizeof(FixedPool<int>) + sizeof(void*));

}  // namespace

TEMPLATE_TEST_CASE("movable pool: classes with pool and handles move", "",
                   (FixedPool<Tracked, CountingStorage, FullChecks, FreeListAllocator>),
                   (GrowingPool<Tracked, CountingStorage, BitmapAllocator, Generations>),
                   (FixedPool<Tracked, CountingStorage, Shared, BasicStats>),
                   (FixedPool<Tracked, CountingStorage, MutexLock>), (FixedPool<Tracked, CountingStorage, LockFree>),
                   (ThreadSafePool<Tracked, CountingStorage, NoChecks, AtomicStats>),
                   (ThreadSafePool<Tracked, CountingStorage, NoCache, SpinLock>)MORE_ROWS(
                       (FixedPool<Tracked, CountingStorage>), (GrowingPool<Tracked, CountingStorage, NoChecks>),
                       (ThreadSafePool<Tracked, CountingStorage>),
                       (ThreadSafePool<Tracked, CountingStorage, FullChecks>))) {
  SECTION("pool first") { move_about<PoolFirst<TestType>>(); }
  SECTION("handles first") { move_about<HandlesFirst<TestType>>(); }
  SECTION("erased handles") { move_about<Erased<TestType>>(); }
}

TEMPLATE_TEST_CASE("movable pool: the last handle ends the pool", "", (GrowingPool<int, CountingStorage, NoChecks>),
                   (FixedPool<int, CountingStorage, FullChecks>),
                   (ThreadSafePool<int, CountingStorage, NoChecks, NoCache>)
                       MORE_ROWS((FixedPool<int, CountingStorage>), (ThreadSafePool<int, CountingStorage>))) {
  Audit const audit;
  RecordedErrors const errors;
  std::size_t const before = storage_account().blocks();
  MovablePool<TestType> pool(100);
  auto one = pool->allocate(1);
  Handle<int> two = pool->allocate(2);
  { auto const returned = pool->allocate(3); }
  pool.reset();
  CHECK((pool == nullptr && !pool && pool.get() == nullptr));
  CHECK((*one == 1 && *two == 2));
  one.reset();
  CHECK(storage_account().blocks() > before);
  two.reset();
  CHECK(storage_account().blocks() == before);
  CHECK(errors.count() == 0);
}

TEST_CASE("movable pool: no handle left, so the pool ends with its owner") {
  Audit const audit;
  std::size_t const before = storage_account().blocks();
  MovablePool<FixedPool<int, CountingStorage>> pool(10);
  (void)pool->allocate(1);
  CHECK(storage_account().blocks() > before);
  pool = nullptr;
  CHECK(storage_account().blocks() == before);
  pool.reset();
  pool = MovablePool<FixedPool<int, CountingStorage>>(10);
  pool = MovablePool<FixedPool<int, CountingStorage>>(20);
  CHECK(pool->capacity() == 20);
  CHECK(storage_account().blocks() == before + 1);
}

TEST_CASE("movable pool: shared and weak handles keep it, as do batches, runs, and unique pointers to bases") {
  Audit const audit;
  RecordedErrors const errors;
  std::size_t const before = storage_account().blocks();
  SECTION("shared, then weak") {
    MovablePool<FixedPool<Tracked, CountingStorage, Shared>> pool(10);
    SharedHandle<Tracked> shared = pool->allocate(5u).share();
    WeakHandle<Tracked> weak = shared;
    pool.reset();
    CHECK(weak.lock()->value() == 5);
    shared.reset();
    CHECK(audit.live() == 0);
    CHECK((weak.expired() && storage_account().blocks() > before));
    weak.reset();
  }
  SECTION("atomic, threads") {
    MovablePool<ThreadSafePool<Tracked, CountingStorage, AtomicShared>> pool(10);
    WeakHandle<Tracked> weak;
    {
      SharedHandle<Tracked> const shared = pool->allocate(5u).share();
      weak = shared;
      pool.reset();
    }
    CHECK((weak.expired() && storage_account().blocks() > before));
    weak.reset();
  }
  SECTION("batch") {
    MovablePool<GrowingPool<int, CountingStorage>> pool(100);
    auto batch = pool->allocate_batch_handle(70, 3);
    pool.reset();
    CHECK(batch[69] == 3);
    batch.reset();
  }
  SECTION("batch of objects with destructors, threads") {
    MovablePool<ThreadSafePool<Tracked, CountingStorage>> pool(100);
    auto batch = pool->allocate_batch_handle(70, 3u);
    auto other = pool->allocate(4u);
    pool.reset();
    batch.reset();
    CHECK((audit.live() == 1 && storage_account().blocks() > before));
    other.reset();
  }
  SECTION("run") {
    MovablePool<FixedPool<int, CountingStorage, BitmapAllocator>> pool(100);
    auto run = pool->allocate_n(9, 3);
    pool.reset();
    CHECK(run[8] == 3);
    run.reset();
  }
  CHECK(storage_account().blocks() == before);
  CHECK(errors.count() == 0);
}

TEST_CASE("movable pool: keys stay valid when it moves") {
  MovablePool<GrowingPool<int, Generations>> pool(10);
  auto handle = pool->allocate(7);
  Key const key = pool->key(handle);
  auto moved = std::move(pool);
  CHECK(*moved->get(key) == 7);
  handle.reset();
  CHECK(moved->get(key) == nullptr);
}

TEST_CASE("movable pool: recycled objects end with the abandoned pool") {
  Audit const audit;
  auto policy = recycle([] { return Tracked(1); }, [](Tracked&) {});
  SECTION("one thread") {
    MovablePool<FixedPool<Tracked, decltype(policy), CountingStorage>> pool(PoolConfig{.capacity = 10}, policy);
    auto a = pool->allocate(), b = pool->allocate();
    pool.reset();
    a.reset();
    CHECK(audit.live() == 2);
  }
  SECTION("threads") {
    MovablePool<ThreadSafePool<Tracked, decltype(policy), CountingStorage>> pool(PoolConfig{.capacity = 10}, policy);
    auto a = pool->allocate(), b = pool->allocate();
    pool.reset();
    a.reset();
    CHECK(audit.live() == 2);
  }
  CHECK(audit.live() == 0);
}

TEST_CASE("movable pool: destructors release other objects while the pool dies") {
  Audit const audit;
  RecordedErrors const errors;
  Nodes pool(4);
  auto root = pool->allocate(0);
  for (int i = 0; i != 10; ++i) {
    root->children.push_back(pool->allocate(i));
    for (int j = 0; j != 3; ++j) root->children.back()->children.push_back(pool->allocate(j));
  }
  SECTION("owner first") { pool.reset(), root.reset(); }
  SECTION("handles first") { root.reset(), pool.reset(); }
  CHECK(audit.live() == 0);
  CHECK(errors.count() == 0);
}

namespace {
struct Guest;
using Guests = MovablePool<FixedPool<Guest, CountingStorage>>;
struct Guest {
  explicit Guest(Guests* o = nullptr) : owner(o) {}
  ~Guest() {
    if (owner == nullptr) return;
    auto& pool = **owner;
    owner->reset();
    auto const other = pool.allocate();  // the object under destruction keeps the pool
    CHECK(pool.allocated() == 2);
  }
  Guests* owner;
  Tracked tracked{};
};
}  // namespace

TEST_CASE("movable pool: a destructor may end the owner, and still allocate") {
  Audit const audit;
  RecordedErrors const errors;
  Guests pool(4);
  auto guest = pool->allocate(&pool);
  guest.reset();
  CHECK(pool == nullptr);
  CHECK(errors.count() == 0);
}

#if FASTALLOC_EXCEPTIONS
namespace {
struct Leaver {
  Leaver(MovablePool<FixedPool<Leaver, CountingStorage>>& owner, bool throws) {
    owner.reset();
    if (throws) throw 1;
  }
  Tracked tracked{};
};
}  // namespace

TEST_CASE("movable pool: a constructor that ends the owner and throws ends the pool") {
  Audit const audit;
  MovablePool<FixedPool<Leaver, CountingStorage>> pool(4);
  CHECK_THROWS_AS(pool->allocate(pool, true), int);
  pool = MovablePool<FixedPool<Leaver, CountingStorage>>(4);
  auto handle = pool->allocate(pool, false);
  CHECK(handle != nullptr);
}

TEST_CASE("movable pool: a constructor that throws leaves owner and pool as they were") {
  Audit const audit;
  MovablePool<FixedPool<ThrowOnNth, CountingStorage>> pool(4);
  test::fuse().light(1);
  CHECK_THROWS_AS(pool->allocate(), test::Blown);
  CHECK((pool->is_empty() && pool->check_invariants()));
}

TEST_CASE("movable pool: errors of the pool's constructors come through") {
  using P = MovablePool<FixedPool<int, test::FailingStorage>>;
  Audit const audit;
  CHECK_THROWS_AS(P(0), InvalidConfiguration);
  storage_account().fail_after(0);
  CHECK_THROWS_AS(P(10), AllocationFailed);
}
#endif

TEST_CASE("movable pool: try_create returns the owner or the error") {
  using P = MovablePool<GrowingPool<int, test::FailingStorage>>;
  Audit const audit;
  auto made = P::try_create({.capacity = 3, .max_capacity = 5, .growth_strategy = GrowthStrategy::linear(1)});
  REQUIRE(made);
  P pool = std::move(*made);
  CHECK(pool->capacity() == 3);
  auto const refused = P::try_create({.capacity = 0});
  CHECK((!refused && refused.error().code == ErrorCode::invalid_configuration));
  storage_account().fail_after(0);
  auto const failed = P::try_create({.capacity = 3});
  CHECK((!failed && failed.error().code == ErrorCode::allocation_failed));
}

TEST_CASE("movable pool: storages inside the pool object and outside") {
  MovablePool<FixedPool<int, InlineStorage<5>>> inside(std::in_place);
  auto handle = inside->allocate(3);
  auto moved = std::move(inside);
  CHECK((moved->capacity() == 5 && *handle == 3));
  moved.reset();
  CHECK(*handle == 3);

  using External = FixedPool<int, ExternalStorage>;
  alignas(64) std::array<std::byte, 1024> bytes;
  MovablePool<External> outside{std::span<std::byte>(bytes)};
  auto first = outside->allocate(1);
  CHECK(outside->owns(&bytes[0]));
}

TEST_CASE("movable pool: swap, comparison, null") {
  using P = MovablePool<FixedPool<int>>;
  P a(1), b(2), none, null = nullptr;
  swap(a, b);
  CHECK((a->capacity() == 2 && b->capacity() == 1));
  a.swap(none);
  CHECK((a == nullptr && none->capacity() == 2 && a == null && b != none));
  CHECK(&*b == b.get());
}

TEST_CASE("movable pool: with checks an empty owner is reported, and a second return to an abandoned pool") {
  using P = MovablePool<FixedPool<int, FullChecks>>;
  auto const ending = test::run_in_child([] {
    P pool(3);
    P const moved = std::move(pool);
    (void)pool->capacity();
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("an empty MovablePool has no pool") && ContainsSubstring("type int"));

  RecordedErrors const errors;
  P pool(3);
  auto handle = pool->allocate(1);
  auto keeps = pool->allocate(2);
  int* const object = handle.release();
  auto again = pool->adopt(object), twice = pool->adopt(object);
  pool.reset();
  again.reset();
  CHECK(errors.count() == 0);
  twice.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::double_free);
}
