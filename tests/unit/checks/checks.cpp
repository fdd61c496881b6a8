// SPDX-License-Identifier: MIT OR Apache-2.0
// DebugChecks and FullChecks: what they notice, what they fill in, and that the pool is unchanged after each mistake.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

using test::Tracked;

struct Wide {
  std::uint64_t words[4];
};

/// What handles do when a pointer is no good: the error is `code`, and nothing changed.
template <class Pool>
void check_refused(Pool& pool, typename Pool::value_type* object, ErrorCode code, char const* part) {
  test::RecordedErrors errors;
  std::size_t const allocated = pool.allocated();
  std::size_t const destroyed = test::ledger().destroyed();
  auto handle = pool.adopt(object);
  CHECK_FALSE(static_cast<bool>(handle));
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == code);
  CHECK(errors[0].address == object);
  CHECK_FALSE(errors[0].type_name.empty());
  CHECK_THAT(errors[0].to_string(), ContainsSubstring(part) && ContainsSubstring("address 0x"));
  CHECK(pool.allocated() == allocated);
  CHECK(test::ledger().destroyed() == destroyed);
  CHECK(pool.check_invariants());
}

}  // namespace

#define CHECKED_POOLS                                                                                                  \
  (FixedPool<Tracked, FullChecks, FreeListAllocator>), (FixedPool<Tracked, DebugChecks, MutexLock, InlineStorage<8>>), \
      (GrowingPool<Tracked, FullChecks, BasicStats>),                                                                  \
      (GrowingPool<Tracked, DebugChecks, BitmapAllocator>)MORE_ROWS(                                                   \
          (FixedPool<Tracked, DebugChecks>), (FixedPool<Tracked, FullChecks, BitmapAllocator, BasicStats>),            \
          (GrowingPool<Tracked, FullChecks, FreeListAllocator>))

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: twice", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  auto keep = pool.allocate(1U);
  Tracked* const object = pool.allocate(2U).release();
  pool.adopt(object).reset();
  check_refused(pool, object, ErrorCode::double_free, "returned before");
  CHECK(pool.allocated() == 1);
  auto again = pool.allocate(3U);  // whether or not it is the same slot
  CHECK((again->value() == 3 && keep->value() == 1));
}

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: a handle for an object that is back", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  Tracked* const object = pool.allocate(2U).release();
  auto first = pool.adopt(object);
  auto second = pool.adopt(object);  // two owners: the second one to return it is noticed
  test::RecordedErrors errors;
  first.reset();
  CHECK(errors.count() == 0);
  second.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::double_free);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: foreign and interior pointers", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  TestType other(8);
  auto const keep = pool.allocate(1U);
  auto theirs = other.allocate(2U);
  Tracked local(3);
  check_refused(pool, &local, ErrorCode::invalid_handle, "not from this pool");
  check_refused(pool, theirs.get(), ErrorCode::invalid_handle, "not from this pool");
  auto* const inside = reinterpret_cast<Tracked*>(reinterpret_cast<char*>(keep.get()) + 8);
  check_refused(pool, inside, ErrorCode::invalid_handle, "middle of a slot");
  auto* const before = reinterpret_cast<Tracked*>(reinterpret_cast<std::uintptr_t>(keep.get()) - 4096 * 4096);
  check_refused(pool, before, ErrorCode::invalid_handle, "not from this pool");
  CHECK(pool.allocated() == 1);
  CHECK(other.allocated() == 1);
}

TEST_CASE("checks: a slot that was never handed out is not in use either") {
  test::Audit const audit;
  FixedPool<Tracked, DebugChecks> pool(8);
  auto const first = pool.allocate(1U);
  check_refused(pool, first.get() + 1, ErrorCode::double_free, "not in use");
}

TEST_CASE("checks: null is an empty handle, without a report") {
  test::RecordedErrors const errors;
  FixedPool<int, FullChecks> pool(2);
  CHECK(pool.adopt(nullptr) == nullptr);
  CHECK(errors.count() == 0);
}

namespace {

fastalloc::FixedPool<Wide, FullChecks> bound_pool(4);

/// f ends the program by a report of type Wide.
template <class F> void check_ends(F&& f, char const* part) {
  auto const ending = test::run_in_child(f);
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors,
             ContainsSubstring("invalid_handle") && ContainsSubstring("Wide") && ContainsSubstring(part));
}

template <class Handle> void check_empty(Handle const& empty) {
  REQUIRE(empty.get() == nullptr);
  check_ends([&] { empty->words[0] = 1; }, "an empty handle has no object");
  check_ends([&] { (*empty).words[0] = 1; }, "an empty handle has no object");
}

}  // namespace

TEMPLATE_TEST_CASE("checks: an empty handle is not followed", "", (FixedPool<Wide, DebugChecks>),
                   (GrowingPool<Wide, FullChecks, BasicStats>), (ThreadSafePool<Wide, FullChecks>),
                   (ThreadLocalPool<Wide, FreeListAllocator, DebugChecks>)) {
  TestType pool(PoolConfig{.capacity = 1});
  auto handle = pool.allocate();
  auto moved = std::move(handle);
  moved->words[0] = 1;
  CHECK((*moved).words[0] == 1);
  check_empty(handle);  // NOLINT: moved from
  check_empty(pool.try_allocate());
  moved.reset();
  check_empty(moved);
  check_empty(typename TestType::handle_type());
}

TEST_CASE("checks: an empty handle of a bound pool is not followed, nor has it an index or a key") {
  check_empty(Bound<bound_pool>::handle_type());
  FixedPool<Wide, DebugChecks, Generations> pool(1);
  decltype(pool)::handle_type const empty;
  check_ends([&] { (void)pool.index_of(empty); }, "an empty handle has no object");
  check_ends([&] { (void)pool.key(empty); }, "an empty handle has no object");
}

TEST_CASE("checks: where the error handler returns, an empty handle still ends the program") {
  check_ends(
      [] {
        (void)set_error_handler([](Error const& error) { std::fputs(error.to_string().c_str(), stderr); });
        FixedPool<Wide, DebugChecks>::handle_type const empty;
        empty->words[0] = 1;
      },
      "fastalloc: invalid_handle");
}

TEST_CASE("checks: handles of several objects have none behind their size") {
  FixedPool<Wide, DebugChecks, BitmapAllocator> pool(8);
  auto run = pool.allocate_n(3);
  auto batch = pool.allocate_batch_handle(3);
  run[2].words[0] = batch[2].words[0] = 1;
  check_ends([&] { run[3].words[0] = 1; }, "requested 3 (index), limit 3 (index)");
  check_ends([&] { batch[4].words[0] = 1; }, "requested 4 (index), limit 3 (index)");
  auto const other = std::move(batch);
  check_ends([&] { batch.front().words[0] = 1; }, "no object of the requested index");  // NOLINT: moved from
  check_ends([&] { batch.back().words[0] = 1; }, "no object of the requested index");
}

TEST_CASE("checks: a handle to T that is a member of T looks, too") {
  struct Node {
    Handle<Node, FixedPool<Node, FullChecks>> next;
    int value = 0;
  };
  FixedPool<Node, FullChecks> pool(2);
  auto const node = pool.allocate();
  auto const ending = test::run_in_child([&] { node->next->value = 1; });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("an empty handle has no object"));
}

TEST_CASE("checks: the default handler ends the program at a double free") {
  auto const ending = test::run_in_child([] {
    FixedPool<int, DebugChecks> pool(2);
    int* const object = pool.allocate(1).release();
    pool.adopt(object).reset();
    (void)pool.adopt(object);
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors,
             ContainsSubstring("double_free") && ContainsSubstring("type int") && ContainsSubstring("indices 0"));
}

#if !FASTALLOC_ASAN  // under AddressSanitizer the write itself ends the program: regressions/address_sanitizer.cpp
TEMPLATE_TEST_CASE("checks: FullChecks notices writes to free slots", "",
                   (FixedPool<Wide, FullChecks, FreeListAllocator>), (FixedPool<Wide, FullChecks, BitmapAllocator>),
                   (GrowingPool<Wide, FullChecks>)MORE_ROWS((FixedPool<Wide, FullChecks>),
                                                            (GrowingPool<Wide, FullChecks, FreeListAllocator>))) {
  TestType pool(4);
  Wide* const stale = pool.allocate().get();  // its handle is gone at once
  test::RecordedErrors errors;
  {
    auto const untouched = pool.allocate();
    CHECK(untouched.get() == stale);
    CHECK(errors.count() == 0);
  }
  stale->words[3] ^= 1;
  auto const handle = pool.allocate();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::invalid_handle);
  CHECK(errors[0].address == stale);
  CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to"));
  CHECK(pool.allocated() == 1);
}
#endif

#if !FASTALLOC_ASAN
namespace {

/// Sixteen objects, then all dead but the first: in the order in which they will be handed out again.
template <class Pool> struct Graveyard {
  using T = typename Pool::value_type;

  explicit Graveyard(Pool& p) : pool(p) {
    std::vector<typename Pool::handle_type> handles;
    for (std::size_t i = 0; i != 16; ++i) handles.push_back(pool.allocate());
    live = std::move(handles[0]);
    for (std::size_t i = 1; i != 16; ++i) {
      dead.insert(dead.begin(), handles[i].get());
      handles[i].reset();
    }
  }
  /// What a user of a dead object does.
  void write(std::size_t which, void const* bytes, std::size_t count) {
    std::memcpy(static_cast<void*>(dead[which]), bytes, count);
  }

  Pool& pool;
  typename Pool::handle_type live{};
  std::vector<T*> dead{};
};

/// Takes all that there is. True when no slot comes twice, and none that is in use; each is written to.
template <class Pool> bool takes_each_once(Pool& pool, std::vector<typename Pool::handle_type>& handles) {
  std::set<void const*> seen;
  for (auto const& handle : handles) seen.insert(handle.get());
  for (auto handle = pool.try_allocate(); handle != nullptr && handles.size() != 100; handle = pool.try_allocate()) {
    if (!seen.insert(handle.get()).second) return false;
    std::memset(static_cast<void*>(handle.get()), 0x77, sizeof(typename Pool::value_type));
    handles.push_back(std::move(handle));
  }
  return true;
}

}  // namespace

#define LINKED_POOLS                                                       \
  (FixedPool<std::uint64_t, FreeListAllocator, DebugChecks, MutexLock>),   \
      (FixedPool<Wide, FreeListAllocator, DebugChecks, BasicStats>),       \
      (FixedPool<Wide, FreeListAllocator, FullChecks, InlineStorage<16>>), \
      (FixedPool<std::uint32_t, FreeListAllocator, FullChecks>),           \
      (ThreadSafePool<Wide, FreeListAllocator, FullChecks, NoCache>),      \
      (ThreadLocalPool<Wide, FreeListAllocator, DebugChecks>)MORE_ROWS(    \
          (FixedPool<std::uint64_t, FreeListAllocator, FullChecks>),       \
          (FixedPool<std::uint32_t, FreeListAllocator, DebugChecks>))

TEMPLATE_TEST_CASE("checks: a link that was written over is reported, not followed", "", LINKED_POOLS) {
  using T = typename TestType::value_type;
  constexpr std::size_t width = sizeof(T) < sizeof(void*) ? sizeof(T) : sizeof(void*);
  int local = 0;
  for (std::size_t which = 1; which < 15; which += 4) {  // 0 is the last-freed slot, which has no link
    for (int kind = 0; kind != 6; ++kind) {
      TestType pool(PoolConfig{.capacity = 16});
      test::RecordedErrors errors;
      std::vector<typename TestType::handle_type> handles;
      {
        Graveyard<TestType> yard(pool);
        T* const victim = yard.dead[which];
        std::size_t const index = pool.index_of(yard.live) + static_cast<std::size_t>(victim - yard.live.get());
        auto const inside = reinterpret_cast<std::uintptr_t>(victim) + 1;
        std::uintptr_t const values[] = {0,
                                         0x4141414141414140U,
                                         inside,
                                         reinterpret_cast<std::uintptr_t>(victim),
                                         reinterpret_cast<std::uintptr_t>(yard.live.get()),
                                         reinterpret_cast<std::uintptr_t>(&local)};
        yard.write(which, &values[kind], width);
        handles.push_back(std::move(yard.live));
        CHECK(errors.count() == 0);
        CHECK(takes_each_once(pool, handles));
        REQUIRE(errors.count() != 0);
        CHECK(errors[0].code == ErrorCode::invalid_handle);
        CHECK(errors[0].address == victim);
        REQUIRE(errors[0].index_count == 1);
        CHECK(errors[0].indices[0] == index);
        CHECK(errors[0].requested == 14 - which);  // the slots behind it
        CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to") && ContainsSubstring("lost"));
        CHECK(handles.size() == 2 + which);
      }
      CHECK(pool.capacity() == 16);
      CHECK(pool.is_full());
      CHECK(pool.check_invariants());
      std::size_t met = 0;
      pool.for_each([&](T&) { ++met; });
      CHECK(met == handles.size());
      handles.clear();
      CHECK(pool.allocated() == 14 - which);
      CHECK(takes_each_once(pool, handles));
      CHECK(handles.size() == 2 + which);
      errors.clear();
      handles.clear();
      CHECK(errors.count() == 0);
    }
  }
}

TEMPLATE_TEST_CASE("checks: a link of the last free slot, and of a pool that grows", "", DebugChecks, FullChecks) {
  test::RecordedErrors errors;
  GrowingPool<Wide, FreeListAllocator, TestType> pool(4);
  std::vector<Handle<Wide>> handles;
  for (int i = 0; i != 40; ++i) handles.push_back(pool.allocate());
  std::size_t const capacity = pool.capacity();
  Wide* const last = handles[7].get();
  for (std::size_t i = 7; i != 30; ++i) handles[i].reset();
  last->words[0] = 0x4141414141414140U;
  std::erase(handles, nullptr);
  std::vector<Handle<Wide>> more;
  for (int i = 0; i != 23; ++i) more.push_back(pool.allocate());
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].address == last);
  CHECK(errors[0].requested == 0);  // nothing was behind it
  CHECK(pool.allocated() == 40);
  for (int i = 0; i != 40; ++i) more.push_back(pool.allocate());
  CHECK(pool.allocated() == 80);
  CHECK(pool.capacity() > capacity);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("checks: whoever walks over free slots looks at their links first", "", DebugChecks, FullChecks) {
  using Pool = GrowingPool<Wide, FreeListAllocator, TestType, BasicStats>;
  void (*const walks[])(Pool&) = {[](Pool& pool) { CHECK_FALSE(pool.check_invariants()); },
                                  [](Pool& pool) { CHECK(pool.shrink_to_fit() == 0); },
                                  [](Pool& pool) {
                                    std::size_t met = 0;
                                    pool.for_each([&](Wide& object) { met += object.words[1] == 5; });
                                    CHECK(met == 1);
                                  }};
  for (auto const walk : walks) {
    for (std::uintptr_t const value : {std::uintptr_t{0}, std::uintptr_t{0x4141414141414140U}, std::uintptr_t{1}}) {
      for (bool const marked : {false, true}) {
        Pool pool(16);
        Graveyard<Pool> yard(pool);
        yard.live->words[1] = 5;
        if (marked) pool.reset_statistics();  // what came back before
        yard.write(6, &value, sizeof value);
        test::RecordedErrors errors;
        walk(pool);
        REQUIRE(errors.count() == 1);
        CHECK(errors[0].address == yard.dead[6]);
        CHECK(errors[0].requested == 8);
        CHECK(pool.check_invariants());
        CHECK(pool.allocated() == 9);
        walks[2](pool);
        CHECK(pool.statistics().peak_usage == (marked ? 9 : 16));
      }
    }
  }
}

TEMPLATE_TEST_CASE("checks: links are looked at again while an iteration runs", "", DebugChecks, FullChecks) {
  FixedPool<Wide, FreeListAllocator, TestType> pool(40);
  std::vector<typename FixedPool<Wide, FreeListAllocator, TestType>::handle_type> handles;
  for (int i = 0; i != 40; ++i) handles.push_back(pool.allocate());
  test::RecordedErrors errors;
  std::vector<Wide*> met;
  pool.for_each([&](Wide& object) {
    met.push_back(&object);
    if (met.size() != 3) return;
    Wide* const dead = handles[20].get();
    for (std::size_t i = 10; i != 30; ++i) handles[i].reset();
    std::uintptr_t const value = 0x4141414141414140U;
    std::memcpy(static_cast<void*>(dead), &value, sizeof value);
  });
  CHECK(met.size() == 20);
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].requested == 10);
  CHECK(pool.allocated() == 30);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("checks: whatever is written over free slots, no slot is handed out twice", "",
                   (FixedPool<std::uint64_t, FreeListAllocator, FullChecks>),
                   (FixedPool<std::uint32_t, FreeListAllocator, DebugChecks>),
                   (GrowingPool<Wide, FreeListAllocator, DebugChecks>)) {
  using T = typename TestType::value_type;
  bool right = true;
  std::size_t reports = 0;
  for (unsigned seed = 0; seed != 300; ++seed) {
    std::mt19937 random(seed);
    test::RecordedErrors errors;
    TestType pool(30);
    std::vector<typename TestType::handle_type> handles;
    std::vector<T*> known;
    for (int step = 0; step != 200; ++step) {
      auto const die = random() % 100;
      if (die < 50 && handles.size() < 30) {
        if (auto handle = pool.try_allocate()) {
          for (auto const& other : handles) right = right && other.get() != handle.get();
          known.push_back(handle.get());
          handles.push_back(std::move(handle));
        }
      } else if (die < 95 && !handles.empty()) {
        handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(random() % handles.size()));
        // a dead object's first word: another's address, a small number, anything
      } else if (die < 97 && !known.empty()) {
        T* const dead = known[random() % known.size()];
        bool const lives =
            std::any_of(handles.begin(), handles.end(), [&](auto const& handle) { return handle.get() == dead; });
        std::uintptr_t const values[] = {reinterpret_cast<std::uintptr_t>(known[random() % known.size()]),
                                         random() % 40, random()};
        if (!lives)
          std::memcpy(static_cast<void*>(dead), &values[random() % 3],
                      sizeof(T) < sizeof(void*) ? sizeof(T) : sizeof(void*));
      } else if (die < 98) {
        std::size_t met = 0;
        pool.for_each([&](T&) { ++met; });
        right = right && met == handles.size();
      } else if (die < 99) {
        (void)pool.check_invariants();
        right = right && pool.check_invariants();
      }
    }
    right = right && pool.allocated() >= handles.size();
    reports += errors.count();
  }
  CHECK(right);
  CHECK(reports > 100);
}

TEMPLATE_TEST_CASE("checks: a link in what other threads gave back", "", (ThreadLocalPool<Wide, DebugChecks>),
                   (ThreadLocalPool<Wide, FullChecks, FreeListAllocator>),
                   (ThreadLocalPool<std::uint64_t, FullChecks>)) {
  using T = typename TestType::value_type;
  for (std::uintptr_t const value : {std::uintptr_t{0x4141414141414140U}, std::uintptr_t{1}, std::uintptr_t{2}}) {
    TestType pool(8);
    std::vector<typename TestType::handle_type> handles;
    for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate());
    T* const dead = handles[4].get();
    std::thread([&] {
      for (std::size_t i = 0; i != 8; ++i) handles[i].reset();
    }).join();
    handles.clear();
    std::uintptr_t const written = value == 2 ? reinterpret_cast<std::uintptr_t>(dead) : value;
    std::memcpy(static_cast<void*>(dead), &written, sizeof written);
    test::RecordedErrors errors;
    CHECK(pool.allocated() <= 8);
    CHECK(takes_each_once(pool, handles));
    REQUIRE(errors.count() != 0);
    CHECK(errors[0].address == dead);
    CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to"));
    CHECK(handles.size() == 4);  // 7 6 5 4
    CHECK(pool.check_invariants());
    handles.clear();
    CHECK(pool.allocated() == 4);
  }
}

TEMPLATE_TEST_CASE("checks: what other threads gave back leads to a slot that is free at home", "",
                   (ThreadLocalPool<Wide, DebugChecks>), (ThreadLocalPool<Wide, FullChecks, FreeListAllocator>),
                   (ThreadLocalPool<Wide, FullChecks, BitmapAllocator>)) {
  for (bool const walks : {false, true}) {
    for (std::size_t const home : {1U, 2U, 3U, 4U}) {  // the last one of them is the last-freed slot
      TestType pool(8);
      std::vector<typename TestType::handle_type> handles;
      for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate());
      std::vector<Wide*> at;
      for (auto const& handle : handles) at.push_back(handle.get());
      for (std::size_t i = 1; i != 5; ++i) handles[i].reset();
      std::thread([&] { handles[5].reset(), handles[6].reset(); }).join();  // 6 -> 5
      std::erase(handles, nullptr);
      test::RecordedErrors errors;
      std::memcpy(static_cast<void*>(at[6]), &at[home], sizeof(Wide*));
      if (walks) {
        std::size_t met = 0;
        pool.for_each([&](Wide&) { ++met; });
        CHECK(met == 2);
      }
      CHECK(takes_each_once(pool, handles));
      REQUIRE(errors.count() == 1);
      CHECK(errors[0].code == ErrorCode::invalid_handle);
      CHECK(errors[0].address == at[6]);
      CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to") && ContainsSubstring("lost"));
      CHECK(handles.size() == 7);
      CHECK(pool.is_full());
      CHECK(pool.check_invariants());
      std::size_t met = 0;
      pool.for_each([&](Wide&) { ++met; });
      CHECK(met == 7);
      handles.clear();
      CHECK(pool.allocated() == 1);
      CHECK(errors.count() == 1);
    }
  }
}

TEMPLATE_TEST_CASE("checks: a list at home leads to what other threads gave back", "", DebugChecks, FullChecks) {
  using Pool = ThreadLocalPool<Wide, FreeListAllocator, TestType>;
  for (bool const walks : {false, true}) {
    Pool pool(8);
    std::vector<typename Pool::handle_type> handles;
    for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate());
    std::vector<Wide*> at;
    for (auto const& handle : handles) at.push_back(handle.get());
    for (std::size_t i = 1; i != 4; ++i) handles[i].reset();              // 3, 2 -> 1
    std::thread([&] { handles[5].reset(), handles[6].reset(); }).join();  // 6 -> 5
    std::erase(handles, nullptr);
    test::RecordedErrors errors;
    std::memcpy(static_cast<void*>(at[2]), &at[5], sizeof(Wide*));  // the link of 5 is null: the lengths are right
    if (walks) pool.for_each([](Wide&) {});
    CHECK(takes_each_once(pool, handles));
    REQUIRE(errors.count() != 0);
    CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to"));
    CHECK(handles.size() == 7);  // 1 is lost
    CHECK(pool.check_invariants());
    handles.clear();
    CHECK(pool.allocated() == 1);
  }
}

namespace {

/// Dead objects, of which this thread has some in its cache.
template <class Pool> struct CachedYard {
  explicit CachedYard(Pool& pool) {
    std::vector<typename Pool::handle_type> handles;
    for (std::size_t i = 0; i != pool.capacity(); ++i) handles.push_back(pool.allocate());
    for (auto& handle : handles) dead.push_back(handle.get()), handle.reset();
  }
  std::vector<Wide*> dead{};
};

}  // namespace

TEMPLATE_TEST_CASE("checks: a list leads to a slot in a thread's cache", "", DebugChecks, FullChecks) {
  using Pool = ThreadSafePool<Wide, FreeListAllocator, TestType, ThreadCache<8>, AtomicStats>;
  std::size_t found = 0;
  for (std::size_t victim = 0; victim != 16; ++victim) {
    for (std::size_t target = 0; target != 16; ++target) {
      for (int how = 0; how != 3; ++how) {
        if (victim == target) continue;
        Pool pool(16);
        CachedYard<Pool> const yard(pool);
        test::RecordedErrors errors;
        // The link leads to `target`; that has no link, or goes on where the other one went on.
        Wide* const on = how == 1 ? nullptr : reinterpret_cast<Wide*>(yard.dead[victim]->words[0]);
        std::memcpy(static_cast<void*>(yard.dead[target]), &on, sizeof on);
        std::memcpy(static_cast<void*>(yard.dead[victim]), &yard.dead[target], sizeof(Wide*));
        std::vector<typename Pool::handle_type> handles;
        if (how == 2 && pool.try_allocate_batch(9, std::back_inserter(handles))) CHECK(handles.size() == 9);
        std::set<void const*> batch;
        for (auto const& handle : handles) CHECK(batch.insert(handle.get()).second);
        CHECK(takes_each_once(pool, handles));
        CHECK(pool.is_full());
        CHECK(pool.allocated() == 16);
        if (handles.size() != 16) CHECK(errors.count() != 0);
        found += handles.size() == 15;
        CHECK(pool.check_invariants());
        std::size_t met = 0;
        pool.for_each([&](Wide&) { ++met; });
        CHECK(met == handles.size());
        std::size_t const lost = 16 - handles.size();
        handles.clear();
        CHECK(pool.allocated() == lost);
      }
    }
  }
  CHECK(found > 20);
}

TEMPLATE_TEST_CASE("checks: FullChecks notices a write to the slot that came back last", "", FreeListAllocator,
                   StackAllocator) {
  FixedPool<std::uint64_t, FullChecks, TestType> pool(4);
  std::uint64_t* const dead = pool.allocate().get();
  *dead = 5;
  test::RecordedErrors errors;
  auto const again = pool.allocate();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].address == dead);
}
#endif

TEMPLATE_TEST_CASE("checks: FullChecks raises no false alarm", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  test::RecordedErrors const errors;
  auto const churn = [](auto pool_of) {
    auto const pool = pool_of();
    std::vector<typename std::remove_reference_t<decltype(*pool)>::handle_type> handles;
    for (int round = 0; round != 3; ++round) {
      for (int i = 0; i != 50; ++i) handles.push_back(pool->allocate());
      for (std::size_t i = 0; i != handles.size(); i += 2) handles[i].reset();
      for (std::size_t i = 0; i != handles.size(); i += 2) handles[i] = pool->allocate();
      handles.clear();
    }
    CHECK(pool->check_invariants());
  };
  struct Odd {
    char bytes[13];
  };
  churn([] { return std::make_unique<FixedPool<char, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<Odd, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<std::uint32_t, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<std::uint64_t, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<Wide, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<GrowingPool<char, FullChecks, TestType>>(2); });
  churn([] { return std::make_unique<GrowingPool<Odd, FullChecks, TestType>>(2); });
  churn([] { return std::make_unique<GrowingPool<Wide, FullChecks, TestType>>(2); });
  CHECK(errors.count() == 0);
}

namespace {
// Its constructor leaves the bytes as they are; reading them is what the test is about.
struct Raw {
  Raw() noexcept {}  // NOLINT
  unsigned char bytes[64];
};

#if defined(__GNUC__)
__attribute__((noinline))
#endif
std::string
bytes_at(void const* address, std::size_t count) {
  std::string copy(count, '\0');
  for (std::size_t i = 0; i != count; ++i) copy[i] = static_cast<char const volatile*>(address)[i];
  return copy;
}
}  // namespace

TEMPLATE_TEST_CASE("trap: dead-store elimination: the fill of a new object is really there", "", DebugChecks,
                   FullChecks) {
  FixedPool<Raw, TestType> pool(2);
  for (int round = 0; round != 3; ++round) {
    auto const handle = pool.allocate();
    CHECK(bytes_at(handle.get(), sizeof(Raw)) == std::string(sizeof(Raw), '\xCD'));
    std::memset(handle->bytes, 1, sizeof handle->bytes);
  }
}

#if !FASTALLOC_ASAN
TEMPLATE_TEST_CASE("trap: dead-store elimination: the fill of a dead object is really there", "", StackAllocator,
                   BitmapAllocator) {
  FixedPool<Raw, DebugChecks, TestType> pool(2);
  auto handle = pool.allocate();
  void const* const address = handle.get();
  std::memset(handle->bytes, 1, sizeof handle->bytes);
  handle.reset();
  CHECK(bytes_at(address, sizeof(Raw)) == std::string(sizeof(Raw), '\xDD'));
}
#endif

TEST_CASE("checks: kept objects are not filled over") {
  auto pool = FixedPool<std::string, FullChecks, Recycle<std::string (*)(), void (*)(std::string&)>>(
      PoolConfig{.capacity = 3}, recycle(+[] { return std::string(200, 'k'); }, +[](std::string&) {}));
  void const* const first = pool.allocate().get();
  auto const again = pool.allocate();
  CHECK(again.get() == first);
  CHECK(*again == std::string(200, 'k'));
}

#if !FASTALLOC_ASAN
TEST_CASE("checks: a slot whose generations are used up is filled as any other") {
  using Pool = FixedPool<std::uint64_t, ExternalStorage, BasicGenerations<1>, FullChecks>;
  alignas(Pool::required_alignment()) std::byte memory[Pool::required_bytes(2)];
  Pool pool{std::span<std::byte>(memory)};
  auto handle = pool.allocate(0x0123456789ABCDEFU);
  auto const* const bytes = reinterpret_cast<unsigned char const*>(handle.get());
  (void)pool.key(handle);
  handle.reset();
  for (std::size_t i = 0; i != sizeof(std::uint64_t); ++i) CHECK(bytes[i] == detail::fill_dead);
}
#endif
