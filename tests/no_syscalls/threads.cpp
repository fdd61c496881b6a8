// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools that threads share: no system call and no page fault on a way that nobody else is on, after warm_up().
// The one call that is left: membarrier, where a pool with caches is empty and another thread may have slots in its
// cache.
#include "no_syscalls/forked.hpp"

#if QUIET_CAN_RUN

#include <thread>
#include <vector>

using namespace fastalloc;
using quiet::Item;
using quiet::Verdict;

TEST_CASE("quiet: ThreadSafePool, once the thread has its cache") {
  quiet::FirstUse const warm;
  SECTION("as it is by default") {
    quiet::check_quiet([] { return ThreadSafePool<Item>(quiet::touched()); }, warm);
  }
  SECTION("PageStorage") {
    quiet::check_quiet([] { return ThreadSafePool<Item, PageStorage>(quiet::touched(), quiet::locked_pages()); }, warm);
  }
  SECTION("MutexLock, AtomicStats") {
    quiet::check_quiet([] { return ThreadSafePool<Item, MutexLock, AtomicStats>(quiet::touched()); }, warm);
  }
  SECTION("keys and owners") {
    quiet::check_quiet([] { return ThreadSafePool<Item, Generations, AtomicShared>(quiet::touched()); }, warm);
  }
}

TEST_CASE("quiet: a big cache that fills for the first time: its room was touched when it was made") {
  using Pool = ThreadSafePool<Item, ThreadCache<65536>>;
  auto const look = [](bool first_use) {
    return quiet::in_child([&] {
      constexpr std::size_t many = 80'000;
      std::vector<Pool::handle_type> handles(many);
      auto const wave = [&](Pool& pool) {
        for (auto& handle : handles) handle = pool.allocate();
        for (auto& handle : handles) handle.reset();
      };
      Pool twin(PoolConfig{.capacity = many});
      wave(twin);
      Pool pool(PoolConfig{.capacity = many, .pre_initialize = true});
      if (first_use) pool.warm_up();
      long const before = quiet::faults();
      wave(pool);
      quiet::end(quiet::faults() == before ? Verdict::quiet : Verdict::faulted);
    });
  };
  // What the kernel does for reasons of its own it does not do each time.
  auto const always = [&](bool first_use) {
    for (int attempt = 0; attempt != quiet::attempts; ++attempt)
      if (Verdict const verdict = look(first_use); verdict != Verdict::faulted) return verdict;
    return Verdict::faulted;
  };
  CHECK(always(true) == Verdict::quiet);
  CHECK(always(false) == Verdict::faulted);  // the cache is made
}

TEST_CASE("quiet: ThreadSafePool without caches, from the first use on") {
  SECTION("NoCache") {
    quiet::check_quiet([] { return ThreadSafePool<Item, NoCache>(quiet::touched()); });
  }
  SECTION("LockFree") {
    quiet::check_quiet([] { return ThreadSafePool<Item, LockFree>(quiet::touched()); });
  }
  SECTION("SpinLock, InlineStorage") {
    quiet::check_quiet(
        [] { return ThreadSafePool<Item, SpinLock, NoCache, InlineStorage<quiet::slots>>(quiet::touched()); });
  }
}

TEST_CASE("quiet: ThreadLocalPool, once the thread has its sub-pool") {
  quiet::FirstUse const warm;
  SECTION("HeapStorage") {
    quiet::check_quiet([] { return ThreadLocalPool<Item>(quiet::touched()); }, warm);
  }
  SECTION("PageStorage, BitmapAllocator") {
    quiet::check_quiet(
        [] { return ThreadLocalPool<Item, PageStorage, BitmapAllocator>(quiet::touched(), quiet::locked_pages()); },
        warm);
  }
}

namespace {
/// A second thread, which has used the pool, works on; the first sleeps, with a cache of its own.
template <class Pool> Verdict beside_another_thread(bool dry, long but = SYS_write) {
  return quiet::in_child([&] {
    Pool pool(quiet::touched());
    pool.warm_up();
    std::thread worker([&] {
      quiet::Mix<Pool> mix(pool);
      pool.warm_up();
      if (!quiet::forbid_calls(but)) quiet::end(Verdict::no_filter);
      quiet::end(mix.run(quiet::operations, dry) ? Verdict::quiet : Verdict::mistaken);
    });
    worker.join();
  });
}
}  // namespace

TEST_CASE("quiet: a thread of several, whose pool never runs dry") {
  quiet::check_calls(beside_another_thread<ThreadSafePool<Item>>(false));
  quiet::check_calls(beside_another_thread<ThreadSafePool<Item, NoCache>>(true));
  quiet::check_calls(beside_another_thread<ThreadSafePool<Item, LockFree>>(true));
  quiet::check_calls(beside_another_thread<ThreadLocalPool<Item>>(true));
}

TEST_CASE("quiet: what a dry pool with several caches calls is membarrier, and nothing but that") {
  Verdict const dry = beside_another_thread<ThreadSafePool<Item>>(true);
  if (dry == Verdict::no_filter) return quiet::check_calls(dry);
  CHECK(dry == Verdict::called);
  CHECK(beside_another_thread<ThreadSafePool<Item>>(true, SYS_membarrier) == Verdict::quiet);
}

#else
TEST_CASE("quiet: ThreadSafePool") {
  WARN("skipped: no seccomp filters here, or the sanitizer's runtime makes system calls of its own");
}
#endif
