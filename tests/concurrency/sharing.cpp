// SPDX-License-Identifier: MIT OR Apache-2.0
// AtomicShared: threads copy, drop and lock handles to one object while its last owner goes. It dies once, its slot
// returns once, and nobody gets a handle to a dead object.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <memory>
#include <optional>

#include "concurrency/threads.hpp"

using namespace fastalloc;
using test::faults;
using test::Payload;

namespace {

constexpr std::size_t workers = 3;

/// All threads come together here, again and again.
class Meeting {
 public:
  void wait() { barrier_.arrive_and_wait(); }

 private:
  std::barrier<> barrier_{static_cast<std::ptrdiff_t>(workers)};
};

/// Each round one object, of which every thread has an owner and a weak handle; who drops the last of each kind is
/// chance.
template <class Pool> void end_together(std::size_t rounds) {
  Pool pool(2);
  auto const ends = Payload::ends().load();
  std::array<SharedHandle<Payload>, workers> strong;
  std::array<WeakHandle<Payload>, workers> weak;
  Meeting meeting;
  std::size_t done = 0;
  bool stop = false;
  test::Stopwatch const watch;
  test::run(workers, [&](std::size_t me) {
    test::Random random(me + 1);
    while (true) {
      if (me == 0) {
        stop = done == rounds || watch.time() > test::limit();
        if (!stop) {
          ++done;
          auto first = pool.allocate(done).share();
          for (auto& handle : strong) handle = first;
          for (auto& handle : weak) handle = first;
        }
      }
      meeting.wait();
      if (stop) return;
      auto mine = std::move(strong[me]);
      auto known = std::move(weak[me]);
      std::uint64_t const index = done;
      for (std::size_t i = random(8); i != 0; --i) {
        auto const copy = mine;
        auto const locked = known.lock();
        faults().expect(locked == copy && locked->index() == index, "lock() of a living object failed");
        WeakHandle<Payload> const another = copy;
      }
      mine.reset();
      for (std::size_t i = random(8); i != 0; --i) {
        auto const locked = known.lock();
        if (locked) locked->verify();
        faults().expect(!locked || locked->index() == index, "lock() gave another object");
        auto const again = known;
        if (again.expired()) faults().expect(!known.lock() && known.use_count() == 0, "a dead object came back");
      }
      // Whoever goes last, of either kind, is decided here.
      auto last = known.lock();
      auto rest = known;
      known.reset();
      last.reset();
      rest.reset();
      meeting.wait();
      if (me == 0) faults().expect(Payload::ends() == ends + done, "an object did not die once a round");
    }
  });
  CHECK(Payload::ends() == ends + done);
  CHECK(done != 0);
  if constexpr (requires { pool.total_allocated(); }) CHECK(pool.total_allocated() == 0);
  else CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
  // Each slot came back once: there are two to be had, and no third.
  auto const a = pool.try_allocate(1U), b = pool.try_allocate(2U), c = pool.try_allocate(3U);
  CHECK((a && b && !c));
  test::check_faults();
}

/// Each owner writes to its part of an object and lets go. The destructor sees all of it, and so does who builds the
/// next object there.
struct Parts {
  explicit Parts(std::uint64_t round) : expected(round) {}
  Parts(Parts const&) = delete;
  Parts& operator=(Parts const&) = delete;
  ~Parts() {
    std::uint64_t sum = 0;
    for (std::uint64_t& part : parts) sum += std::exchange(part, 0);
    faults().expect(sum == expected, "the destructor did not see what owners wrote");
  }
  std::uint64_t expected;
  std::array<std::uint64_t, workers> parts{};
};

/// Owners wander from thread to thread through a mailbox; what was written to the object before is there.
template <class Pool> void hand_over(std::size_t rounds) {
  struct Cell {
    std::mutex mutex;
    SharedHandle<Payload> strong;
    WeakHandle<Payload> weak;
  };
  constexpr std::size_t capacity = 64;
  Pool pool(capacity);
  std::array<Cell, 8> cells;
  auto const lives = Payload::lives().load();
  test::Stopwatch const watch;
  test::run(workers, [&](std::size_t me) {
    test::Random random(me + 11);
    for (std::size_t n = 0; n != rounds && watch.time() < test::limit(); ++n) {
      Cell& cell = cells[random(cells.size())];
      auto mine = pool.try_allocate(n);
      if (!mine) continue;
      mine->set(n + 1);
      auto strong = mine.share();
      auto weak = strong.downgrade();
      {
        std::lock_guard const guard(cell.mutex);
        cell.strong.swap(strong);
        cell.weak.swap(weak);
      }
      if (strong) strong->verify();
      if (auto const locked = weak.lock()) locked->verify();
      SharedHandle<void const> const part = random(2) == 0 ? strong : nullptr;
      strong.reset();
    }
  });
  for (Cell& cell : cells) cell.strong.reset();
  CHECK(Payload::lives() == lives);
  for (Cell& cell : cells) cell.weak.reset();
  if constexpr (requires { pool.total_allocated(); }) CHECK(pool.total_allocated() == 0);
  else CHECK(pool.allocated() == 0);
  CHECK(pool.check_invariants());
  test::check_faults();
}

}  // namespace

TEMPLATE_TEST_CASE("sharing: threads that drop the last owners together", "", (ThreadSafePool<Payload, AtomicShared>),
                   (ThreadSafePool<Payload, AtomicShared, NoCache, FullChecks>),
                   (ThreadSafePool<Payload, AtomicShared, LockFree>),
                   (FixedPool<Payload, AtomicShared, MutexLock, FreeListAllocator>)) {
  end_together<TestType>(test::scaled(4000, 1'000'000));
}

TEMPLATE_TEST_CASE("sharing: who ends an object sees what its other owners did", "",
                   (ThreadSafePool<Parts, AtomicShared>), (ThreadLocalPool<Parts, AtomicShared>)) {
  TestType pool(4);
  std::array<SharedHandle<Parts>, workers> strong;
  std::array<WeakHandle<Parts>, workers> weak;
  Meeting meeting;
  std::size_t const rounds = test::scaled(1000, 100'000);
  test::run(workers, [&](std::size_t me) {
    for (std::size_t round = 1; round != rounds; ++round) {
      if (me == 0) {
        auto first = pool.allocate(round * workers).share();
        for (auto& handle : strong) handle = first;
        if (round % 2 == 0) weak.fill(first);
      }
      meeting.wait();
      strong[me]->parts[me] = round;
      strong[me].reset();
      if (me == round / 2 % workers) std::this_thread::yield();  // gives up its weak handle after the object's end
      weak[me].reset();
      auto const next = pool.try_allocate(0U);
      meeting.wait();
    }
  });
  test::check_faults();
}

TEST_CASE("sharing: the last owner of an object in a ThreadLocalPool is on another thread") {
  using Pool = ThreadLocalPool<Payload, AtomicShared>;
  Pool pool(4);
  for (bool const weak_last : {false, true}) {
    auto strong = pool.allocate(7U).share();
    auto weak = strong.downgrade();
    test::run(1, [&](std::size_t) {
      auto const mine = std::move(strong);
      faults().expect(mine->index() == 7, "the object is another");
      if (!weak_last) weak.reset();
    });
    CHECK((weak.expired() && pool.allocated() == (weak_last ? 1 : 0)));
    if (weak_last) test::run(1, [&](std::size_t) { weak.reset(); });
    CHECK(pool.allocated() == 0);
    std::array<Pool::handle_type, 4> all;
    CHECK(pool.try_allocate_batch(4, all.begin()));
  }
  test::check_faults();
}

TEMPLATE_TEST_CASE("sharing: owners wander between threads", "", (ThreadSafePool<Payload, AtomicShared>),
                   (ThreadSafePool<Payload, AtomicShared, LockFree>), (ThreadLocalPool<Payload, AtomicShared>),
                   (ThreadLocalPool<Payload, AtomicShared, FullChecks, FreeListAllocator>)) {
  hand_over<TestType>(test::scaled(20'000, 5'000'000));
}

TEST_CASE("sharing: for_each meets no object that is only weakly held, while others die") {
  ThreadSafePool<std::uint64_t, AtomicShared, NoCache> pool(64);
  std::atomic<bool> stop{false};
  test::Stopwatch const watch;
  std::vector<WeakHandle<std::uint64_t>> dead;
  for (std::uint64_t i = 0; i != 8; ++i) dead.push_back(pool.allocate(i).share());
  auto const one = pool.allocate(100U).share();
  test::run(2, [&](std::size_t me) {
    if (me == 0) {
      while (watch.time() < test::short_slice(0.2)) {
        std::size_t met = 0;
        pool.for_each([&](std::uint64_t& object) { met += &object == one.get() ? 1 : 0; });
        faults().expect(met == 1, "for_each did not meet the one that lives");
      }
      stop = true;
    }
    while (!stop) {
      auto const mine = pool.allocate(200U).share();
      auto const weak = mine.downgrade();
    }
  });
  dead.clear();
  CHECK(pool.allocated() == 1);
  test::check_faults();
}
