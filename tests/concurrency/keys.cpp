// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys are looked up without a lock while other threads allocate, release, grow and shrink the pool.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <memory>
#include <optional>

#include "concurrency/threads.hpp"

using namespace fastalloc;
using test::faults;
using test::Payload;

TEMPLATE_TEST_CASE("keys: threads look up while others allocate and release", "",
                   (ThreadSafePool<Payload, Generations>), (ThreadSafePool<Payload, Generations, NoChecks>),
                   (ThreadSafePool<Payload, Generations, FullChecks, NoCache>),
                   (ThreadSafePool<Payload, Generations, LockFree, NoChecks>),
                   (ThreadSafePool<Payload, BasicGenerations<16>, BitmapAllocator>)) {
  constexpr std::size_t writers = 2;
  constexpr std::size_t boards = 16;
  TestType pool(PoolConfig{.capacity = 100});
  // Where a writer tells of its key, and whether the object is still there.
  struct Board {
    std::mutex mutex;
    Key key{};
    Payload* object = nullptr;
    bool gone = true;
  };
  std::array<Board, boards> board;
  auto const kept = pool.allocate(7U);
  Key const kept_key = pool.key(kept);
  std::atomic<bool> done{false};
  std::atomic<std::size_t> hits{0};
  test::Stopwatch const watch;
  test::run(writers + 2, [&](std::size_t me) {
    test::Random random(me + 1);
    if (me >= writers) {
      while (!done) {
        {
          Board& b = board[random(boards)];
          std::scoped_lock const lock(b.mutex);  // the writer of this board waits: what lives there stays
          Payload* const found = pool.get(b.key);
          faults().expect(found == (b.gone || !b.key ? nullptr : b.object),
                          b.gone ? "a stale key found something" : "a key missed its object");
          if (found != nullptr) found->verify(), ++hits;
        }
        Payload* const seven = pool.get(kept_key);
        faults().expect(seven == kept.get() && seven->index() == 7, "the kept object was missed");
      }
      return;
    }
    std::array<typename TestType::handle_type, boards> mine;
    for (std::size_t round = 0; watch.time() < test::short_slice(0.25) || (hits == 0 && round != 10'000'000); ++round) {
      std::size_t const i = random(boards / writers) * writers + me;
      Board& b = board[i];
      if (round % 4 == 0) pool.trim();
      std::scoped_lock const lock(b.mutex);
      if (!b.gone) {
        mine[i].reset();
        b.gone = true;
        faults().expect(!pool.contains(b.key), "a key outlived its object");
      } else if ((mine[i] = pool.try_allocate(round))) {
        b.key = pool.key(mine[i]);
        b.object = mine[i].get();
        b.gone = false;
      }
    }
    done = true;
    for (std::size_t i = me; i < boards; i += writers) {
      std::scoped_lock const lock(board[i].mutex);
      mine[i].reset();
      board[i].gone = true;
    }
  });
  CHECK(hits > 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("keys: threads look up stale keys while the pool grows and shrinks", "",
                   (ThreadSafePool<Payload, Generations, NoChecks>),
                   (ThreadSafePool<Payload, Generations, BitmapAllocator, FullChecks>)) {
  TestType pool(PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(256)});
  std::mutex mutex;
  std::vector<Key> stale;
  std::atomic<bool> done{false};
  auto const kept = pool.allocate(7U);
  Key const kept_key = pool.key(kept);
  test::Stopwatch const watch;
  test::run(3, [&](std::size_t me) {
    test::Random random(me + 1);
    if (me != 0) {
      std::vector<Key> keys;
      while (!done) {
        {
          std::scoped_lock const lock(mutex);
          keys.assign(stale.begin(), stale.end());
        }
        for (Key const key : keys) faults().expect(pool.get(key) == nullptr, "a stale key found something");
        faults().expect(pool.get(kept_key) == kept.get() && kept->index() == 7, "the kept object was missed");
      }
      return;
    }
    for (std::size_t round = 0; watch.time() < test::short_slice(0.25); ++round) {
      std::vector<typename TestType::handle_type> handles;
      std::vector<Key> keys;
      for (std::size_t i = 0; i != 1000; ++i) {
        handles.push_back(pool.allocate(i));
        if (i % 10 == 0) keys.push_back(pool.key(handles.back()));
      }
      for (std::size_t i = 0; i != keys.size(); ++i)
        faults().expect(pool.get(keys[i]) == handles[10 * i].get(), "a key missed its object");
      handles.clear();
      (void)pool.shrink_to_fit();
      std::scoped_lock const lock(mutex);
      stale.insert(stale.end(), keys.begin(), keys.end());
      if (stale.size() > 3000) stale.erase(stale.begin(), stale.begin() + 1000);
    }
    done = true;
  });
  test::check_faults();
  CHECK(pool.check_invariants());
}

TEST_CASE("keys: threads ask for a key while its object goes, then its block, and other blocks come") {
  auto const slots = std::size_t{GENERATE(128U, 5U)};  // generations in pages, and of singles
  ThreadSafePool<Payload, Generations, NoChecks> pool(
      PoolConfig{.capacity = 128, .growth_strategy = GrowthStrategy::linear(slots)});
  std::vector<decltype(pool)::handle_type> kept;
  for (std::size_t i = 0; i != 128; ++i) kept.push_back(pool.allocate(i));
  std::atomic<std::uint64_t> key{0};
  std::atomic<bool> done{false};
  std::size_t found = 0;
  test::run(2, [&](std::size_t me) {
    if (me != 0) {
      // relaxed: nothing else tells of the object
      while (!done) found += pool.contains(Key::from_value(key.load(std::memory_order_relaxed)));
      return;
    }
    std::vector<std::unique_ptr<std::byte[]>> gaps;  // blocks come to other places
    for (std::size_t round = 0; round != 400; ++round) {
      auto handle = pool.allocate(round);
      key.store(pool.key(handle).value(), std::memory_order_relaxed);  // relaxed: as above
      std::this_thread::yield();
      handle.reset();
      faults().expect(!pool.contains(Key::from_value(key)), "a key outlived its object");
      (void)pool.shrink_to_fit();
      gaps.push_back(std::make_unique<std::byte[]>(64 * (round % 32) + 64));
    }
    done = true;
  });
  test::check_faults();
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("keys: threads lock a key while the last owner goes and the slot serves the next object", "",
                   (ThreadSafePool<Payload, AtomicShared, Generations, NoChecks>),
                   (ThreadSafePool<Payload, AtomicShared, Generations, FullChecks, NoCache>),
                   (ThreadSafePool<Payload, AtomicShared, Generations, LockFree>)) {
  TestType pool(4);
  std::atomic<std::uint64_t> key{0};
  std::atomic<bool> done{false};
  std::atomic<std::size_t> locked{0};
  test::Stopwatch const watch;
  test::run(3, [&](std::size_t me) {
    if (me != 0) {
      while (!done) {
        // relaxed: the key alone finds the object
        auto const owner = pool.lock(Key::from_value(key.load(std::memory_order_relaxed)));
        if (!owner) continue;
        owner->verify();
        locked.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
      }
      return;
    }
    for (std::size_t round = 0; watch.time() < test::short_slice(0.25) || (locked == 0 && round != 10'000'000);
         ++round) {
      auto handle = pool.try_allocate(round);
      if (!handle) continue;                                             // the others still own them
      if (round % 3 == 0) {                                              // an object of one Handle is nobody else's
        key.store(pool.key(handle).value(), std::memory_order_relaxed);  // relaxed: as above
        continue;
      }
      auto owner = handle.share();
      key.store(pool.key(owner.get()).value(), std::memory_order_relaxed);  // relaxed: as above
      if (round % 2 == 0) std::this_thread::yield();
      owner->verify();
    }
    done = true;
  });
  CHECK(locked > 0);
  CHECK(pool.is_empty());
  test::check_faults();
}

TEST_CASE("keys: a thread finds objects by index while another reserves keys") {
  ThreadSafePool<int, NoCache, BitmapAllocator, Generations> pool(8);
  auto const first = pool.allocate(1);
  std::size_t const index = pool.index_of(first);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      Key const key = pool.reserve_key();
      if (pool.get(key) == nullptr) pool.cancel(key);
    }
  });
  std::size_t found = 0;
  std::size_t const rounds = test::scaled(20'000, 1'000'000);
  for (std::size_t i = 0; i != rounds; ++i) {
    found += pool.find(index) == first.get() ? 1U : 0U;
    if (i % 64 == 0) (void)pool.find(index + 1);
  }
  stop = true;
  other.join();
  CHECK(found == rounds);
  CHECK(pool.allocated() == 1);
}
