// SPDX-License-Identifier: MIT OR Apache-2.0
// allocate_at(): an object under a given index or key, or nothing. reserve_key(), build(), cancel(): keys before their
// objects.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

struct Byte {
  unsigned char value = 0;
};

/// Counts hooks, and may throw in either place.
struct Hooked : Poolable {
  static inline int acquired = 0, released = 0, built = 0;
  static inline bool throws_in_constructor = false, throws_in_hook = false;
  static inline std::function<void(Hooked&)> during;
  int value = 0;
  explicit Hooked(int v = 0) : value(v) {
    if (during) during(*this);
#if FASTALLOC_EXCEPTIONS
    if (throws_in_constructor) throw v;
#endif
    ++built;
  }
  ~Hooked() { --built; }
  void on_acquire() {
#if FASTALLOC_EXCEPTIONS
    if (throws_in_hook) throw value;
#endif
    ++acquired;
  }
  void on_release() { ++released; }
  static void reset() {
    acquired = released = built = 0;
    throws_in_constructor = throws_in_hook = false;
    during = {};
  }
};

template <class P> std::vector<typename P::handle_type> fill(P& pool, std::size_t n) {
  std::vector<typename P::handle_type> handles;
  for (std::size_t i = 0; i != n; ++i) handles.push_back(pool.allocate());
  return handles;
}

template <class P> std::set<std::size_t> live_indices(P& pool) {
  std::set<std::size_t> indices;
  pool.for_each([&](auto& object) { EXPECT(indices.insert(pool.index_of(&object)).second); });
  return indices;
}

}  // namespace

TEMPLATE_TEST_CASE("identities: an object lives at the index that was asked for, in every order", "",
                   (FixedPool<Tracked, BitmapAllocator, BasicStats, NoChecks>),
                   (FixedPool<Tracked, BitmapAllocator, BasicStats, Shared, FullChecks>),
                   (FixedPool<Tracked, BitmapAllocator, BasicStats, MutexLock>),
                   (GrowingPool<Byte, BitmapAllocator, BasicStats, Generations, FullChecks>),
                   (ThreadSafePool<Tracked, BitmapAllocator, AtomicStats, Generations, NoCache, FullChecks>)
                       MORE_ROWS((FixedPool<Tracked, BitmapAllocator, BasicStats, FullChecks>),
                                 (FixedPool<Byte, BitmapAllocator, BasicStats, FullChecks>),
                                 (FixedPool<Tracked, BitmapAllocator, BasicStats, Generations, FullChecks>),
                                 (GrowingPool<Tracked, BitmapAllocator, BasicStats, FullChecks>),
                                 (ThreadSafePool<Tracked, BitmapAllocator, AtomicStats>))) {
  test::Audit audit;
  PoolConfig config{.capacity = 300, .alignment = GENERATE(0U, 64U)};
  if constexpr (requires(TestType& p) { p.reserve(1); })
    config = {.capacity = 100, .growth_strategy = GrowthStrategy::linear(100), .alignment = config.alignment};
  TestType pool(config);
  if constexpr (requires { pool.reserve(1); }) pool.reserve(200), pool.reserve(300);

  std::vector<std::optional<typename TestType::handle_type>> at(300);
  std::size_t live = 0;
  std::uint64_t allocations = 0;
  std::uint32_t random = 7;
  for (int step = 0; step != 3000; ++step) {
    random = random * 1664525 + 1013904223;
    std::size_t const index = random >> 8 & 511;
    if (index >= 300) {
      EXPECT(!pool.try_allocate_at(index));
    } else if (at[index]) {
      EXPECT(!pool.try_allocate_at(index));
      if (step % 3 != 0) at[index].reset(), --live;
    } else {
      auto handle = step % 2 != 0 ? pool.allocate_at(index) : pool.try_allocate_at(index);
      EXPECT(handle && pool.index_of(handle) == index);
      at[index] = std::move(handle);
      ++live, ++allocations;
    }
    if (step % 5 == 0) {  // beside others, who get the lowest free slot
      auto handle = pool.try_allocate();
      if (handle) {
        std::size_t const got = pool.index_of(handle);
        EXPECT(!at[got]);
        ++allocations;
        if (step % 10 == 0) at[got] = std::move(handle), ++live;
      }
    }
    EXPECT(pool.allocated() == live);
    if (step % 100 == 0) {
      EXPECT(pool.check_invariants());
      std::set<std::size_t> expected;
      for (std::size_t i = 0; i != 300; ++i)
        if (at[i]) expected.insert(i);
      EXPECT(live_indices(pool) == expected);
    }
  }
  CHECK(pool.statistics().total_allocations == allocations);
  CHECK(pool.statistics().current_usage == live);
  at.clear();
  CHECK(pool.check_invariants());
}

TEST_CASE("identities: slots that are skipped are free from then on, lowest first") {
  FixedPool<int, BitmapAllocator, BasicStats, FullChecks> pool(200);
  auto const far = pool.allocate_at(130, 7);
  CHECK(*far == 7);
  CHECK(pool.allocated() == 1);
  CHECK(pool.statistics().peak_usage == 1);
  std::vector<FixedPool<int, BitmapAllocator, BasicStats, FullChecks>::handle_type> rest;
  for (std::size_t i = 0; i != 199; ++i) {
    rest.push_back(pool.allocate(1));
    EXPECT(pool.index_of(rest.back()) == (i < 130 ? i : i + 1));
  }
  CHECK(pool.is_full());
  CHECK(pool.check_invariants());
  auto const first = pool.try_allocate_at(130, 1);
  CHECK_FALSE(first);
}

TEST_CASE("identities: recycled objects, also in skipped slots") {
  static int built = 0;
  struct Kept {
    Kept() { ++built; }
    ~Kept() { --built; }
    int uses = 0;
  };
  auto const init = [] { return Kept(); };
  auto const reset = [](Kept& kept) { ++kept.uses; };
  {
    FixedPool<Kept, Recycle<decltype(init), decltype(reset)>, BitmapAllocator, FullChecks> pool(100);
    auto far = pool.allocate_at(70);
    CHECK(built == 1);
    far.reset();
    CHECK(pool.allocate_at(70)->uses == 1);
    auto const skipped = pool.allocate_at(3);
    CHECK(skipped->uses == 0);
    CHECK(built == 2);
  }
  CHECK(built == 0);
}

TEST_CASE("identities: refusals name the index, the slot and the limit") {
#if FASTALLOC_EXCEPTIONS
  FixedPool<int, BitmapAllocator, Generations> pool(50);
  auto const handle = pool.allocate_at(20, 1);
  Error const taken = test::caught<InvalidConfiguration>([&] { (void)pool.allocate_at(20, 2); });
  CHECK(taken.code == ErrorCode::slot_taken);
  CHECK(taken.address == handle.get());
  CHECK(taken.index_count == 1);
  CHECK(taken.indices[0] == 20);
  CHECK(taken.type_name == "int");
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(taken.to_string(), ContainsSubstring("slot_taken: an object lives in the slot; release it first"));
  CHECK_THAT(taken.to_string(), ContainsSubstring("indices 20)"));

  Error const outside = test::caught<InvalidConfiguration>([&] { (void)pool.allocate_at(50, 2); });
  CHECK(outside.code == ErrorCode::invalid_handle);
  CHECK_THAT(outside.to_string(), ContainsSubstring("requested 50 (index), limit 50 (index)"));
  Error const far =
      test::caught<InvalidConfiguration>([&] { (void)pool.allocate_at(static_cast<std::size_t>(-1), 2); });
  CHECK(far.code == ErrorCode::invalid_handle);

  Key const key = pool.reserve_key();
  Error const reserved = test::caught<InvalidConfiguration>([&] { (void)pool.allocate_at(key.index(), 2); });
  CHECK(reserved.code == ErrorCode::slot_taken);
  CHECK_THAT(reserved.to_string(), ContainsSubstring("the slot is reserved for a key; build() or cancel()"));

  for (Key const bad : {Key(), Key(3, 0), Key(3, 5), Key(3, 0x8000'0002U), Key(3, 1)}) {
    Error const error = test::caught<InvalidConfiguration>([&] { (void)pool.allocate_at(bad, 2); });
    CHECK(error.code == ErrorCode::invalid_handle);
    CHECK(error.indices[0] == bad.index());
    CHECK(error.requested == bad.generation());
    CHECK_THAT(error.to_string(), ContainsSubstring("the key names nothing"));
    CHECK_FALSE(pool.try_allocate_at(bad, 2));
  }
  GrowingPool<int, BitmapAllocator> growing(10);
  Error const beyond = test::caught<InvalidConfiguration>([&] { (void)growing.allocate_at(10, 2); });
  CHECK_THAT(beyond.to_string(), ContainsSubstring("reserve() more slots") && ContainsSubstring("limit 10 (index)"));
  growing.reserve(11);
  CHECK(growing.index_of(growing.allocate_at(10, 2)) == 10);
#endif
}

TEMPLATE_TEST_CASE("identities: a client's objects have the server's keys", "",
                   (FixedPool<int, BitmapAllocator, Generations, FullChecks>),
                   (FixedPool<int, BitmapAllocator, BasicGenerations<31>, NoChecks>),
                   (ThreadSafePool<int, BitmapAllocator, Generations, InlineStorage<64>>)
                       MORE_ROWS((FixedPool<int, BitmapAllocator, Generations32, NoChecks>),
                                 (FixedPool<int, BitmapAllocator, Generations, InlineStorage<64>>))) {
  auto const make = [] {
    if constexpr (std::is_default_constructible_v<TestType>) return std::make_unique<TestType>();
    else return std::make_unique<TestType>(64);
  };
  auto const server_owner = make(), client_owner = make();
  TestType& server = *server_owner;
  TestType& client = *client_owner;
  std::vector<typename TestType::handle_type> theirs, ours;
  for (int i = 0; i != 8; ++i) theirs.push_back(server.allocate(i)), (void)server.key(theirs.back());
  theirs.erase(theirs.begin() + 2, theirs.begin() + 6);
  for (int i = 0; i != 9; ++i) theirs.push_back(server.allocate(100 + i));
  std::reverse(theirs.begin(), theirs.end());
  for (auto const& handle : theirs) {
    auto const key = server.key(handle);
    CHECK_FALSE(client.contains(key));
    ours.push_back(client.allocate_at(key, *handle));
    CHECK(client.key(ours.back()) == key);
    CHECK(client.get(key) == ours.back().get());
    CHECK(client.index_of(ours.back()) == server.index_of(handle));
    CHECK_FALSE(client.try_allocate_at(key, 1));
  }
  for (std::size_t i = 0; i != ours.size(); ++i) {
    auto const key = server.key(theirs[i]);
    int const value = *ours[i];
    ours[i].reset();
    CHECK_FALSE(client.contains(key));
    auto const next = client.allocate_at(key.index(), 5);  // the generations go on behind the given one
    CHECK(client.key(next) != key);
    ours[i] = {};
    CHECK(value == *theirs[i]);
  }
  for (auto const& handle : theirs) {  // again under the same key: undo of a deletion
    auto const again = client.allocate_at(server.key(handle), 1);
    CHECK(client.get(server.key(handle)) == again.get());
  }
  CHECK(client.is_empty());
  CHECK(client.check_invariants());
}

TEST_CASE("identities: a constructor that throws changes neither the slot nor its generations") {
#if FASTALLOC_EXCEPTIONS
  test::Audit audit;
  Hooked::reset();
  FixedPool<Hooked, BitmapAllocator, Generations, BasicStats, FullChecks> pool(100);
  Key const first = pool.key(pool.allocate_at(40, 1));
  Key const wanted(40, first.generation() + 200);
  for (bool const in_hook : {false, true}) {
    (in_hook ? Hooked::throws_in_hook : Hooked::throws_in_constructor) = true;
    Key inside;
    Hooked::during = [&](Hooked& object) { inside = pool.key(&object); };
    CHECK(test::throws<int>([&] { (void)pool.allocate_at(wanted, 1); }));
    CHECK(inside == wanted);
    CHECK(test::throws<int>([&] { (void)pool.allocate_at(std::size_t{in_hook ? 42U : 41U}, 1); }));
    Hooked::reset();
    CHECK(pool.is_empty());
    CHECK_FALSE(pool.contains(wanted));
    CHECK(pool.check_invariants());
    CHECK(pool.statistics().total_allocations == 1);
  }
  auto const next = pool.allocate_at(40, 1);
  CHECK(pool.key(next).generation() == first.generation() + 2);  // as if nothing had been tried
  CHECK(pool.index_of(pool.allocate_at(41, 1)) == 41);
#endif
}

TEST_CASE("identities: iterations meet what is built at an index behind them, and survive it") {
  FixedPool<int, BitmapAllocator, FullChecks> pool(500);
  std::vector<FixedPool<int, BitmapAllocator, FullChecks>::handle_type> handles;
  for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate_at(static_cast<std::size_t>(2 * i), i));
  std::vector<std::size_t> met;
  for (int& value : pool.live()) {
    std::size_t const index = pool.index_of(&value);
    met.push_back(index);
    if (index == 50) handles.push_back(pool.allocate_at(53, 1000));
    if (index == 60) handles.push_back(pool.allocate_at(450, 1000));
    if (index == 70) handles.erase(handles.begin() + 36), handles.push_back(pool.allocate_at(1, 1000));  // 72 goes
  }
  CHECK(std::is_sorted(met.begin(), met.end()));
  CHECK(std::count(met.begin(), met.end(), 72U) == 0);
  CHECK(std::count(met.begin(), met.end(), 450U) == 1);
  CHECK(met.size() >= 100);
  CHECK(pool.check_invariants());
}

TEST_CASE("identities: a slot in another thread's cache is gathered") {
  ThreadSafePool<int, BitmapAllocator> pool(64);
  auto held = fill(pool, 40);
  std::thread([&] {
    auto theirs = fill(pool, 10);
    theirs.clear();  // in that thread's cache, or handed on by its end
  }).join();
  held.clear();  // in ours
  std::vector<ThreadSafePool<int, BitmapAllocator>::handle_type> all;
  for (std::size_t i = 64; i-- != 0;) all.push_back(pool.allocate_at(i, 1));
  CHECK(pool.is_full());
  CHECK(pool.check_invariants());
}

TEST_CASE("identities: of threads that name one slot, one gets it") {
  ThreadSafePool<int, BitmapAllocator, Generations> pool(8);
  std::atomic<int> won{0}, built{0};
  for (int round = 0; round != 50; ++round) {
    Key const key = pool.reserve_key();
    std::vector<ThreadSafePool<int, BitmapAllocator, Generations>::handle_type> kept(8);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != 4; ++t)
      threads.emplace_back([&, t] {
        if ((kept[t] = pool.try_allocate_at(std::size_t{5}, 1))) ++won;
        if ((kept[4 + t] = pool.try_build(key, 1))) ++built;
      });
    for (auto& thread : threads) thread.join();
  }
  CHECK(won == 50);
  CHECK(built == 50);
  CHECK(pool.is_empty());
}

TEMPLATE_TEST_CASE("identities: a reserved key is nothing until it is built, and then the object's", "",
                   (FixedPool<Tracked, Generations, BasicStats, NoChecks>),
                   (FixedPool<Byte, Generations32, BasicStats, FullChecks>),
                   (FixedPool<Tracked, FreeListAllocator, Generations, BasicStats, Shared, FullChecks>),
                   (GrowingPool<Tracked, Generations, BasicStats, FullChecks>),
                   (ThreadSafePool<Tracked, BitmapAllocator, Generations, AtomicStats, NoCache, FullChecks>)
                       MORE_ROWS((FixedPool<Tracked, Generations, BasicStats, FullChecks>),
                                 (FixedPool<Tracked, BitmapAllocator, Generations, BasicStats, FullChecks>),
                                 (FixedPool<Tracked, FreeListAllocator, Generations, BasicStats, FullChecks>),
                                 (GrowingPool<Tracked, BitmapAllocator, Generations32, BasicStats>),
                                 (ThreadSafePool<Tracked, Generations, AtomicStats>))) {
  test::Audit audit;
  using K = typename TestType::key_type;
  TestType pool(PoolConfig{.capacity = 50, .max_capacity = 50});
  auto neighbours = fill(pool, 5);
  std::vector<K> keys;
  for (int i = 0; i != 10; ++i) keys.push_back(pool.reserve_key());
  CHECK(std::set<K>(keys.begin(), keys.end()).size() == 10);
  CHECK(pool.allocated() == 15);
  CHECK(pool.statistics().current_usage == 15);
  for (K const key : keys) {
    EXPECT(key && pool.get(key) == nullptr && !pool.contains(key));
    for (std::uint32_t more = 0; more != 64; ++more)
      EXPECT(!pool.contains(K(key.index(), key.generation() + 2 * more)));
  }
  CHECK(live_indices(pool).size() == 5);
  if constexpr (requires { pool.live(); }) CHECK(std::distance(pool.live().begin(), pool.live().end()) == 5);
  CHECK(pool.check_invariants());

  std::vector<typename TestType::handle_type> handles;
  for (std::size_t i = 10; i-- != 5;) {
    handles.push_back(i % 2 != 0 ? pool.build(keys[i]) : pool.try_build(keys[i]));
    EXPECT(pool.get(keys[i]) == handles.back().get() && pool.key(handles.back()) == keys[i]);
    EXPECT(!pool.try_build(keys[i]) && !pool.try_cancel(keys[i]));
  }
  CHECK(pool.allocated() == 15);
  CHECK(live_indices(pool).size() == 10);
  for (std::size_t i = 0; i != 5; ++i) {
    if (i % 2 != 0) pool.cancel(keys[i]);
    else EXPECT(pool.try_cancel(keys[i]));
    EXPECT(!pool.try_cancel(keys[i]) && !pool.try_build(keys[i]) && !pool.contains(keys[i]));
  }
  CHECK(pool.allocated() == 10);
  CHECK(pool.statistics().total_allocations == 10);  // a cancelled key leaves no trace
  CHECK(pool.statistics().peak_usage == 15);
  auto more = fill(pool, 40);  // the cancelled slots serve again, and no key finds what lives there
  for (std::size_t i = 0; i != 5; ++i) EXPECT(!pool.contains(keys[i]));
  CHECK(pool.is_full());
  CHECK_FALSE(pool.try_reserve_key());
#if FASTALLOC_EXCEPTIONS
  CHECK(test::throws<std::bad_alloc>([&] { (void)pool.reserve_key(); }));
#endif
  handles.clear();
  for (K const key : keys) EXPECT(!pool.contains(key));
  CHECK(pool.check_invariants());
}

TEST_CASE("identities: wrong keys are refused with their values") {
#if FASTALLOC_EXCEPTIONS
  using Catch::Matchers::ContainsSubstring;
  FixedPool<int, Generations> pool(8), other(8);
  Key const key = pool.reserve_key();
  Key const foreign = other.reserve_key();
  auto const refused = [&](auto&& f, ErrorCode code, char const* text, Key wrong) {
    Error const error = test::caught<InvalidConfiguration>(f);
    CHECK(error.code == code);
    CHECK_THAT(error.to_string(), ContainsSubstring(text));
    CHECK(error.indices[0] == wrong.index());
    CHECK(error.requested == wrong.generation());
    CHECK(error.type_name == "int");
  };
  refused([&] { (void)pool.build(foreign, 1); }, ErrorCode::invalid_handle, "not reserved in this pool", foreign);
  refused([&] { pool.cancel(foreign); }, ErrorCode::invalid_handle, "not reserved in this pool", foreign);
  refused([&] { (void)pool.build(Key(), 1); }, ErrorCode::invalid_handle, "names nothing", Key());
  refused([&] { pool.cancel(Key(7, 2)); }, ErrorCode::invalid_handle, "not reserved in this pool", Key(7, 2));
  {
    auto const built = pool.build(key, 1);
    refused([&] { (void)pool.build(key, 1); }, ErrorCode::slot_taken, "was built before", key);
    refused([&] { pool.cancel(key); }, ErrorCode::slot_taken, "was built before", key);
  }
  refused([&] { (void)pool.build(key, 1); }, ErrorCode::invalid_handle, "its object is gone", key);
  Key const cancelled = pool.reserve_key();
  pool.cancel(cancelled);
  refused([&] { pool.cancel(cancelled); }, ErrorCode::invalid_handle, "it was cancelled", cancelled);
  refused([&] { (void)pool.build(cancelled, 1); }, ErrorCode::invalid_handle, "it was cancelled", cancelled);
  // A key of a live object that nobody reserved.
  auto const plain = pool.allocate(1);
  Key const its = pool.key(plain);
  refused([&] { (void)pool.build(its, 1); }, ErrorCode::slot_taken, "was built before", its);
#endif
}

TEST_CASE("identities: a key stays reserved when its constructor or hook throws") {
#if FASTALLOC_EXCEPTIONS
  test::Audit audit;
  Hooked::reset();
  FixedPool<Hooked, Generations, BasicStats, FullChecks> pool(4);
  Key const key = pool.reserve_key();
  for (bool const in_hook : {false, true}) {
    (in_hook ? Hooked::throws_in_hook : Hooked::throws_in_constructor) = true;
    Hooked::during = [&](Hooked& object) {
      CHECK(pool.key(&object) == key);
      CHECK_FALSE(pool.try_build(key, 1));  // one object for one key
      CHECK_FALSE(pool.try_cancel(key));
    };
    CHECK(test::throws<int>([&] { (void)pool.build(key, 1); }));
    CHECK(test::throws<int>([&] { (void)pool.try_build(key, 1); }));
    Hooked::reset();
    CHECK(pool.allocated() == 1);
    CHECK_FALSE(pool.contains(key));
    CHECK(live_indices(pool).empty());
  }
  auto const handle = pool.build(key, 3);
  CHECK(pool.get(key)->value == 3);
  CHECK(Hooked::acquired == 1);
  CHECK(Hooked::released == 0);
  CHECK(pool.check_invariants());
#endif
}

TEST_CASE("identities: with checks, a reserved slot is not an object") {
  FixedPool<int, Generations, FullChecks> pool(8);
  test::RecordedErrors errors;
  Key const key = pool.reserve_key();
  CHECK(pool.object_at(key.index()) == nullptr);
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::invalid_handle);
  CHECK_THAT(errors.last().to_string(), Catch::Matchers::ContainsSubstring("the slot is reserved; build()"));
  auto const handle = pool.build(key, 9);
  CHECK(*pool.object_at(key.index()) == 9);
  CHECK(errors.count() == 1);
}

TEST_CASE("identities: reserved keys are dropped with their pool, and not reported with live handles") {
  test::RecordedErrors errors;
  {
    FixedPool<int, Generations> pool(8);
    (void)pool.reserve_key();
    (void)pool.reserve_key();
  }
  CHECK(errors.count() == 0);
  {
    FixedPool<int, Generations> pool(8);
    (void)pool.reserve_key();
    (void)pool.allocate(1).release();
    (void)pool.reserve_key();
  }
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::live_handles);
  CHECK(errors.last().allocated == 1);
  CHECK(errors.last().index_count == 1);
  CHECK(errors.last().indices[0] == 1);
}

TEST_CASE("identities: a slot without generations reserves nothing, and stays free") {
  FixedPool<int, BasicGenerations<1>, FullChecks> pool(1);
  Key const only = pool.reserve_key();
  CHECK(only);
  pool.cancel(only);
  CHECK_FALSE(pool.reserve_key());
  CHECK(pool.is_empty());
  CHECK(pool.key(pool.allocate(1)) == Key());
}

TEST_CASE("identities: reserved slots of Recycle, and blocks that stay for them") {
  static int built = 0;
  struct Kept {
    Kept() { ++built; }
    ~Kept() { --built; }
  };
  auto const init = [] { return Kept(); };
  auto const reset = [](Kept&) {};
  {
    GrowingPool<Kept, Recycle<decltype(init), decltype(reset)>, Generations, FullChecks> pool(
        PoolConfig{.capacity = 4, .growth_strategy = GrowthStrategy::linear(4)});
    std::vector<Key> keys;
    for (int i = 0; i != 9; ++i) keys.push_back(pool.reserve_key());
    CHECK(built == 0);
    for (int i = 0; i != 8; ++i) pool.cancel(keys[static_cast<std::size_t>(i)]);
    CHECK(pool.shrink_to_fit() > 0);
    CHECK(pool.allocated() == 1);
    auto const handle = pool.build(keys[8]);
    CHECK(pool.get(keys[8]) == handle.get());
    CHECK(built == 1);
  }
  CHECK(built == 0);
}

TEST_CASE("keys of 4 bytes: index and generation, limits and hashes") {
  using Short = Generations32::Key;
  static_assert(sizeof(Short) == 4 && std::is_trivially_copyable_v<Short> && std::three_way_comparable<Short>);
  static_assert(std::same_as<BasicGenerations<8, 24>::Key, ShortKey<8, 24>>);
  static_assert(std::same_as<BasicGenerations<24, 16>::Key, Key> && std::same_as<Generations::Key, Key>);
  static_assert(!std::is_convertible_v<Short, Key> && !std::is_convertible_v<Key, Short> &&
                !std::is_convertible_v<std::uint32_t, Short>);
  using Pool = FixedPool<int, BasicGenerations<4, 3>, FullChecks>;
  static_assert(std::same_as<Pool::key_type, ShortKey<4, 3>> && std::same_as<FixedPool<int>::key_type, Key>);
  Pool pool(16);
  std::vector<Pool::handle_type> handles;
  std::set<Pool::key_type> keys;
  for (int round = 0; round != 9; ++round) {
    for (int i = 0; i != 16; ++i) {
      handles.push_back(pool.allocate(i));
      auto const key = pool.key(handles.back());
      EXPECT(static_cast<bool>(key) == (round < 7));
      if (!key) continue;
      EXPECT(keys.insert(key).second && key.value() < 128);
      EXPECT(key.index() == pool.index_of(handles.back()) && pool.get(key) == handles.back().get());
      EXPECT(Pool::key_type::from_value(key.value()) == key && Pool::key_type(key.index(), key.generation()) == key);
    }
    handles.clear();
    for (auto const key : keys) EXPECT(!pool.contains(key));
  }
  CHECK(std::hash<Short>()(Short(1, 2)) != std::hash<Short>()(Short(2, 2)));

  auto const too_many = Pool::try_create({.capacity = 17});
  REQUIRE_FALSE(too_many);
  CHECK(too_many.error().code == ErrorCode::invalid_configuration);
  CHECK_THAT(too_many.error().to_string(),
             Catch::Matchers::ContainsSubstring("the keys of this pool name fewer slots (the limit)") &&
                 Catch::Matchers::ContainsSubstring("requested 17 slots, limit 16 slots"));
  std::byte memory[4096];
  FixedPool<std::uint64_t, BasicGenerations<4, 3>, ExternalStorage> in_span{std::span(memory)};
  CHECK(in_span.capacity() == 16);  // as many as keys name, not as fit
  CHECK((FixedPool<int, BasicGenerations<20, 12>>(1 << 20).capacity() == 1 << 20));
}

TEST_CASE("keys of 4 bytes: a growing pool stops where its keys end") {
  using Pool = GrowingPool<int, BasicGenerations<9, 7>>;
  Pool pool(PoolConfig{.capacity = 128, .growth_strategy = GrowthStrategy::linear(128)});
  std::vector<Pool::handle_type> handles;
  std::set<Pool::key_type> keys;
  for (;;) {
    auto handle = pool.try_allocate(1);
    if (!handle) break;
    auto const key = pool.key(handle);
    EXPECT(key.index() < 512 && pool.get(key) == handle.get() && keys.insert(key).second);
    handles.push_back(std::move(handle));
  }
  CHECK(pool.capacity() == 512);
#if FASTALLOC_EXCEPTIONS
  Error const error = test::caught<AllocationFailed>([&] { (void)pool.allocate(1); });
  CHECK_THAT(error.to_string(), Catch::Matchers::ContainsSubstring("limit 512 slots"));
#endif
  handles.clear();
  for (auto const key : keys) EXPECT(!pool.contains(key));
}
