// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool in memory that processes share, at an address of its own in each. Without a lock nobody waits for a process
// that was stopped, or killed.
#include <sys/wait.h>

#include <set>
#include <string>

#include "concurrency/memory/trade.hpp"
#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using test::Front;
using test::Item;
using test::Mapping;
using test::Memory;

#define SHARED_POOLS                                                                    \
  (FixedPool<Item, ExternalStorage, LockFree, NoChecks>),                               \
      (FixedPool<Item, ExternalStorage, LockFree, NoChecks, Generations, AtomicStats>), \
      (FixedPool<Item, ExternalStorage, LockFree, DebugChecks>),                        \
      (FixedPool<Item, ExternalStorage, LockFree, FullChecks, Generations>)

#define NEEDS(memory)                                             \
  if (!(memory).usable()) {                                       \
    WARN("no memory that processes share is permitted: skipped"); \
    return;                                                       \
  }

namespace {

/// In a forked process: the memory at another address than `before`, which is unmapped.
Mapping map_elsewhere(Memory const& memory, Mapping& before) {
  std::byte const* const old = before.data();
  Mapping mapping = memory.map();
  if (!mapping || mapping.data() == old) ::_exit(9);
  { Mapping const gone = std::move(before); }
  return mapping;
}

template <class Pool> std::size_t bytes_for(std::size_t capacity) { return Pool::required_bytes(capacity); }

template <class Pool> std::vector<typename Pool::handle_type> take_all(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  while (auto handle = pool.try_allocate(std::uint64_t{1})) handles.push_back(std::move(handle));
  return handles;
}

}  // namespace

TEMPLATE_TEST_CASE("shared memory: processes hand each other objects by keys and by indices", "", SHARED_POOLS) {
  constexpr std::size_t capacity = 24;
  Memory const memory(bytes_for<TestType>(capacity));
  NEEDS(memory);
  Mapping mapping = memory.map();
  auto& front = *::new (mapping.data()) Front;
  TestType pool(PoolConfig{.capacity = capacity}, ExternalStorage(mapping.pool()));
  std::uint64_t const count = test::scaled(100'000, 3'000'000);

  ::pid_t const child = test::in_process([&] {
    Mapping const mine = map_elsewhere(memory, mapping);
    TestType attached(PoolConfig{.capacity = capacity}, ExternalStorage::attach(mine.pool()));
    return test::trade(attached, mine.front<Front>().back, mine.front<Front>().there, count);
  });
  CHECK(test::trade(pool, front.there, front.back, count));
  CHECK(test::ended_well(child));
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
  if constexpr (TestType::has_statistics) {
    auto const statistics = pool.statistics();  // of both
    CHECK(statistics.total_allocations >= 2 * count);
    CHECK(statistics.total_deallocations == statistics.total_allocations);
    CHECK(statistics.peak_usage <= capacity);
  }
  CHECK(take_all(pool).size() == capacity);
}

TEMPLATE_TEST_CASE("shared memory: processes get the capacity exactly, together", "", SHARED_POOLS) {
  constexpr std::size_t capacity = 1000;
  constexpr std::uint64_t processes = 4;
  Memory const memory(bytes_for<TestType>(capacity));
  NEEDS(memory);
  Mapping mapping = memory.map();
  auto& front = *::new (mapping.data()) Front;
  TestType pool(PoolConfig{.capacity = capacity}, ExternalStorage(mapping.pool()));
  std::uint64_t const rounds = test::scaled(30, 1000);

  std::vector<::pid_t> children;
  for (std::uint64_t i = 0; i != processes; ++i)
    children.push_back(test::in_process([&] {
      Mapping const mine = map_elsewhere(memory, mapping);
      auto& shared = mine.front<Front>();
      TestType attached(ExternalStorage::attach(mine.pool()));
      // All wait for all: `signal` counts those who arrived.
      auto const meet = [&](std::uint64_t number) {
        shared.signal.fetch_add(1);
        while (shared.signal.load() < number * processes) ::sched_yield();
      };
      for (std::uint64_t round = 0; round != rounds; ++round) {
        meet(4 * round + 1);
        auto mine_now = take_all(attached);
        shared.taken.fetch_add(mine_now.size());
        meet(4 * round + 2);
        if (shared.taken.load() != capacity * (round + 1) || !attached.is_full()) return false;
        for (auto const& handle : mine_now)
          if (!handle->is_whole() || handle->owner != ::getpid()) return false;
        meet(4 * round + 3);
        mine_now.clear();
        meet(4 * round + 4);
      }
      return true;
    }));
  for (::pid_t const child : children) CHECK(test::ended_well(child));
  CHECK(front.taken == capacity * rounds);
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

TEST_CASE("shared memory: another program attaches") {
  constexpr std::size_t capacity = 24;
  Memory const memory(bytes_for<test::TradedPool>(capacity));
  NEEDS(memory);
  Mapping const mapping = memory.map();
  auto& front = *::new (mapping.data()) Front;
  test::TradedPool pool(PoolConfig{.capacity = capacity}, ExternalStorage(mapping.pool()));
  std::uint64_t const count = test::scaled(50'000, 1'000'000);

  std::string const arguments[] = {OTHER_PROGRAM, std::to_string(memory.file()), std::to_string(memory.bytes()),
                                   std::to_string(reinterpret_cast<std::uintptr_t>(mapping.data())),
                                   std::to_string(count)};
  ::pid_t const child = test::in_process([&] {
    char const* texts[6] = {};
    for (std::size_t i = 0; i != 5; ++i) texts[i] = arguments[i].c_str();
    ::execv(texts[0], const_cast<char**>(texts));
    return false;
  });
  // The other program may refuse and end; then nothing comes back.
  ::pid_t const trader = test::in_process([&] { return test::trade(pool, front.there, front.back, count); });
  bool const well = test::ended_well(child);
  CHECK(well);
  if (!well) ::kill(trader, SIGKILL);
  CHECK(test::ended_well(trader));
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("shared memory: a process that is killed loses the slot it had in hand, at most", "", SHARED_POOLS) {
  constexpr std::size_t capacity = 200;
  Memory const memory(bytes_for<TestType>(capacity));
  NEEDS(memory);
  Mapping mapping = memory.map();
  auto& front = *::new (mapping.data()) Front;
  test::RecordedErrors const errors;  // at its end the pool tells what was lost
  TestType pool(PoolConfig{.capacity = capacity}, ExternalStorage(mapping.pool()));
  test::Random random(7);

  std::size_t const rounds = test::scaled(60, 150);
  std::size_t lost = 0;
  for (std::size_t round = 0; round != rounds; ++round) {
    front.signal = 0;
    ::pid_t const child = test::in_process([&] {
      Mapping const mine = map_elsewhere(memory, mapping);
      TestType attached(ExternalStorage::attach(mine.pool()));
      test::Random chance(static_cast<std::uint64_t>(::getpid()));
      std::vector<typename TestType::handle_type> held;
      for (;;) {
        if (held.size() < 5 && chance(2) == 0) {
          if (auto handle = attached.try_allocate(std::uint64_t{2})) held.push_back(std::move(handle));
        } else if (!held.empty()) {
          held.pop_back();
        }
        mine.front<Front>().signal.fetch_add(1, std::memory_order_relaxed);
      }
      return true;
    });
    {
      std::vector<typename TestType::handle_type> held;
      std::uint64_t const until = 1000 + random(3000);
      while (front.signal.load(std::memory_order_relaxed) < until) {  // beside it, the pool works
        if (held.size() == 5) held.clear();
        if (auto handle = pool.try_allocate(std::uint64_t{3})) held.push_back(std::move(handle));
      }
      ::kill(child, SIGKILL);
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
    // What it held, somebody else gives back.
    pool.for_each([&](Item& item) {
      if (item.owner == child) pool.adopt(&item).reset();
    });
    CHECK(pool.allocated() <= lost + 1);
    lost = pool.allocated();
    REQUIRE(pool.check_invariants());
    REQUIRE(take_all(pool).size() == capacity - lost);
  }
  CHECK(lost <= rounds);
  CHECK(errors.count() == 0);  // no check refused anything
}

namespace {

/// Its destructor, or its constructor, never comes to an end where the process says so.
struct Mortal {
  static inline bool dies_at_end = false, dies_at_begin = false;
  Mortal() {
    if (dies_at_begin) owner = 0, ::raise(SIGKILL);
  }
  ~Mortal() {
    if (dies_at_end) ::raise(SIGKILL);
  }
  ::pid_t owner = ::getpid();
};

template <class Pool, class F>::pid_t killed_while(Mapping const& mapping, F&& f) {
  ::pid_t const child = test::in_process([&] {
    Pool pool(ExternalStorage::attach(mapping.pool()));
    return f(pool), false;
  });
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  return child;
}

}  // namespace

TEMPLATE_TEST_CASE("shared memory: what is lost with a process that is killed in a destructor, or in a batch", "",
                   (FixedPool<Mortal, ExternalStorage, LockFree, NoChecks>),
                   (FixedPool<Mortal, ExternalStorage, LockFree, DebugChecks>),
                   (FixedPool<Mortal, ExternalStorage, LockFree, FullChecks, Generations>)) {
  constexpr bool checked = !std::is_same_v<TestType, FixedPool<Mortal, ExternalStorage, LockFree, NoChecks>>;
  Memory const memory(bytes_for<TestType>(20));
  NEEDS(memory);
  Mapping const mapping = memory.map();
  test::RecordedErrors errors;
  {
    TestType pool(PoolConfig{.capacity = 20}, ExternalStorage(mapping.pool()));
    auto const get_back = [&](::pid_t dead) {
      pool.for_each([&](Mortal& object) {
        if (object.owner == dead) pool.adopt(&object).reset();
      });
    };
    get_back(killed_while<TestType>(mapping, [](TestType& theirs) {
      auto const other = theirs.allocate();
      auto handle = theirs.allocate();
      Mortal::dies_at_end = true;
      handle.reset();
    }));
    CHECK(errors.count() == 0);
    CHECK(pool.allocated() == (checked ? 1 : 0));
    std::size_t const before = pool.allocated();
    get_back(killed_while<TestType>(mapping, [](TestType& theirs) {
      auto const other = theirs.allocate();
      Mortal::dies_at_begin = true;
      (void)theirs.allocate_batch_handle(7);
    }));
    CHECK(errors.count() == 0);
    CHECK(pool.allocated() <= before + 7);
    CHECK(pool.allocated() > before);
    CHECK(pool.check_invariants());
    errors.clear();
  }
  CHECK(errors.count() == 1);  // live objects
}

TEST_CASE("shared memory: keys of a pool are refused by the pools of other processes") {
  using Pool = FixedPool<Item, ExternalStorage, LockFree, Generations>;
  constexpr std::size_t pools = 8;
  Memory const memory(pools * 4096);
  NEEDS(memory);
  Mapping const mapping = memory.map();
  auto* const keys = &mapping.front<std::uint64_t>();
  auto const span = [&](std::size_t i) { return mapping.pool().subspan(i * 4096, bytes_for<Pool>(4)); };
  for (std::size_t i = 0; i != pools; ++i)
    CHECK(test::ended_well(test::in_process([&] {
      static Pool* const pool = new Pool(span(i));
      auto handle = pool->allocate(std::uint64_t{1});
      keys[i] = pool->key(handle).value();
      return handle.release() != nullptr;
    })));
  for (std::size_t i = 0; i != pools; ++i) {
    Pool const pool(ExternalStorage::attach(span(i)));
    for (std::size_t j = 0; j != pools; ++j) CHECK(pool.contains(Key::from_value(keys[j])) == (i == j));
  }
}

TEST_CASE("shared memory: a pool outlives the process that made it, when that ends without the destructor") {
  using Pool = FixedPool<Item, ExternalStorage, LockFree, Generations, FullChecks>;
  Memory const memory(bytes_for<Pool>(10));
  NEEDS(memory);
  Mapping const mapping = memory.map();
  CHECK(test::ended_well(test::in_process([&] {
    static Pool* const pool = new Pool(PoolConfig{.capacity = 10}, ExternalStorage(mapping.pool()));
    auto handle = pool->allocate(std::uint64_t{5});
    mapping.front<std::uint64_t>() = pool->key(handle).value();
    return handle.release() != nullptr;
  })));
  Mapping const other = memory.map();
  Pool pool(ExternalStorage::attach(other.pool()));
  Item* const item = pool.get(Key::from_value(mapping.front<std::uint64_t>()));
  REQUIRE(item != nullptr);
  CHECK(item->index == 5);
  CHECK(item->is_whole());
  CHECK(pool.allocated() == 1);
  pool.adopt(item).reset();
  CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
}

// Each process begins to number its pools anew.
TEST_CASE("shared memory: keys of a pool that was in the same span before are refused") {
  using Pool = FixedPool<Item, ExternalStorage, LockFree, Generations>;
  constexpr std::size_t rounds = 20;
  Memory const memory(bytes_for<Pool>(4));
  NEEDS(memory);
  Mapping const mapping = memory.map();
  auto* const keys = &mapping.front<std::uint64_t>();
  for (std::size_t round = 0; round != rounds; ++round) {
    CHECK(test::ended_well(test::in_process([&] {
      Pool pool(PoolConfig{.capacity = 4}, ExternalStorage(mapping.pool()));
      auto const handle = pool.allocate(std::uint64_t{1});
      keys[round] = pool.key(handle).value();
      for (std::size_t earlier = 0; earlier != round; ++earlier)
        if (pool.contains(Key::from_value(keys[earlier]))) return false;
      return pool.contains(Key::from_value(keys[round]));
    })));
  }
  CHECK(std::set(keys, keys + rounds).size() == rounds);
}

// Two halves of 32 bits, and of 16, as where no more than 32 can be swapped.
TEMPLATE_TEST_CASE("shared memory: the list alone, between processes", "", std::uint64_t, std::uint32_t) {
  using Shape = SlotShape<16, 8, false>;
  using List = detail::TaggedList<Shape, 0, detail::DoNotPause, TestType>;
  constexpr std::size_t slots = 5;
  constexpr std::size_t slot_bytes = slots * Shape::size;
  Memory const memory(slot_bytes + List::metadata_bytes(slots, 1));
  NEEDS(memory);
  Mapping mapping = memory.map();
  struct Owners {
    std::atomic<int> of[slots] = {};
    std::atomic<std::uint64_t> twice{0};
    std::atomic<std::uint64_t> turns{0};
  };
  auto& owners = *::new (mapping.data()) Owners;
  auto const blocks_in = [](Mapping const& where) {
    Blocks<false> blocks;
    blocks.set_stride(Shape::size);
    blocks[0] = Block{.data = where.pool().data(), .end = where.pool().data() + slot_bytes, .slot_count = slots};
    return blocks;
  };
  auto const turn = [&](List& list, Blocks<false> const& blocks, Owners& all) {
    for (std::size_t i = test::scaled(400'000, 5'000'000); i != 0; --i) {
      std::byte* const slot = list.pop(blocks);
      if (slot == nullptr) continue;
      auto& owner = all.of[blocks.index_of(slot)];
      if (owner.fetch_add(1) != 0) all.twice.fetch_add(1);
      owner.fetch_sub(1);
      list.push(slot, blocks);
      all.turns.fetch_add(1, std::memory_order_relaxed);
    }
    return true;
  };
  Blocks<false> const blocks = blocks_in(mapping);
  List list;
  list.bind(mapping.pool().data() + slot_bytes, blocks);
  std::vector<::pid_t> children;
  for (int i = 0; i != 3; ++i)
    children.push_back(test::in_process([&] {
      Mapping const mine = map_elsewhere(memory, mapping);
      Blocks<false> const there = blocks_in(mine);
      List joined;
      joined.join(mine.pool().data() + slot_bytes);
      return turn(joined, there, mine.front<Owners>());
    }));
  turn(list, blocks, owners);
  for (::pid_t const child : children) CHECK(test::ended_well(child));
  CHECK(owners.twice == 0);
  CHECK(owners.turns > 0);
  CHECK(list.live() == 0);
  CHECK(list.size() == list.high_water());
  std::size_t left = 0;
  while (list.pop(blocks) != nullptr) ++left;
  CHECK(left == slots);
}
