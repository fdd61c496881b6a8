// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools of one thread, and of several under a lock: no system call and no page fault once they are built. And what
// shows that the looks see.
#include "no_syscalls/forked.hpp"

#if QUIET_CAN_RUN

#include <sys/mman.h>

using namespace fastalloc;
using quiet::Item;
using quiet::Verdict;

TEST_CASE("quiet, controls: a system call is seen") {
  auto const calls = [](auto&& call) {
    return quiet::in_child([&] {
      auto pool = FixedPool<Item>(quiet::touched());
      if (!quiet::forbid_calls()) quiet::end(Verdict::no_filter);
      quiet::Mix mix(pool);
      bool const right = mix.run(1, true);
      call();
      quiet::end(right ? Verdict::quiet : Verdict::mistaken);
    });
  };
  Verdict const none = calls([] {});
  if (none == Verdict::no_filter) return quiet::check_calls(none);
  CHECK(none == Verdict::quiet);
  CHECK(calls([] { (void)::write(1, "", 0); }) == Verdict::quiet);
  CHECK(calls([] { (void)::syscall(SYS_getpid); }) == Verdict::called);
  CHECK(calls([] { (void)::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }) == Verdict::called);
  // A pool that grows asks its storage.
  auto const growing = [] {
    return GrowingPool<Item, PageStorage>(
        PoolConfig{.capacity = quiet::slots - 1, .growth_strategy = GrowthStrategy::linear(1)});
  };
  CHECK(quiet::look_for_calls(growing) == Verdict::called);
}

TEST_CASE("quiet, controls: a page fault is seen") {
  auto const untouched = [] { return FixedPool<Item, PageStorage>(quiet::slots); };
  CHECK(quiet::look_for_faults(untouched) == Verdict::faulted);
  CHECK(quiet::look_for_faults(untouched, quiet::NoFirstUse(), true, 1) == Verdict::faulted);
  auto const wrong = [] { return FixedPool<Item>(PoolConfig{.capacity = quiet::slots - 1, .pre_initialize = true}); };
  CHECK(quiet::look_for_faults(wrong) == Verdict::mistaken);
  CHECK(quiet::look_for_calls(wrong) ==
        (quiet::look_for_calls(untouched) == Verdict::no_filter ? Verdict::no_filter : Verdict::mistaken));
}

TEMPLATE_TEST_CASE("quiet: fixed pools", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  SECTION("HeapStorage") {
    quiet::check_quiet([] { return FixedPool<Item, TestType>(quiet::touched()); });
  }
  SECTION("PageStorage") {
    quiet::check_quiet([] { return FixedPool<Item, TestType, PageStorage>(quiet::touched(), quiet::locked_pages()); });
  }
  SECTION("PageStorage alone") {
    quiet::check_quiet([] {
      return FixedPool<Item, TestType, PageStorage>(PoolConfig{.capacity = quiet::slots}, quiet::locked_pages());
    });
  }
  SECTION("InlineStorage") {
    quiet::check_quiet([] { return FixedPool<Item, TestType, InlineStorage<quiet::slots>>(quiet::touched()); });
  }
}

TEMPLATE_TEST_CASE("quiet: growing pools that have no need to grow", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  SECTION("HeapStorage") {
    quiet::check_quiet([] { return GrowingPool<Item, TestType>(quiet::touched()); });
  }
  SECTION("PageStorage, keys") {
    quiet::check_quiet(
        [] { return GrowingPool<Item, TestType, PageStorage, Generations>(quiet::touched(), quiet::locked_pages()); });
  }
}

TEMPLATE_TEST_CASE("quiet: locks that nobody else wants", "", SpinLock, MutexLock, AdaptiveLock, LockFree) {
  quiet::check_quiet([] { return FixedPool<Item, TestType>(quiet::touched()); });
}

TEST_CASE("quiet: statistics, recycled objects, keys, owners") {
  SECTION("BasicStats") {
    quiet::check_quiet([] { return FixedPool<Item, BasicStats>(quiet::touched()); });
  }
  SECTION("Recycle") {
    quiet::check_quiet([] {
      return FixedPool(quiet::touched(), recycle([] { return Item(); }, [](Item& item) { item.words[0] = 0; }));
    });
  }
  SECTION("Generations") {
    quiet::check_quiet([] { return FixedPool<Item, Generations>(quiet::touched()); });
  }
  SECTION("Shared") {
    quiet::check_quiet([] { return FixedPool<Item, Shared>(quiet::touched()); });
  }
  SECTION("AtomicShared") {
    quiet::check_quiet([] { return FixedPool<Item, AtomicShared, AdaptiveLock>(quiet::touched()); });
  }
}

#else
TEST_CASE("quiet: fixed pools") {
  WARN("skipped: no seccomp filters here, or the sanitizer's runtime makes system calls of its own");
}
#endif
