// SPDX-License-Identifier: MIT OR Apache-2.0
// The registry is read while threads use pools, make them and end them, and across a fork.
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

#include <string>

#include "concurrency/threads.hpp"

#if FASTALLOC_POSIX
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace fastalloc;
using test::faults;
using test::Payload;

TEST_CASE("registry: threads read it while others make, use and end pools") {
  using Pool = ThreadSafePool<Payload, Registered, AtomicStats>;
  Pool kept(PoolConfig{.capacity = 8, .name = "kept"});
  std::atomic<bool> done{false};
  std::atomic<std::size_t> seen{0};
  test::Stopwatch const watch;
  test::run(4, [&](std::size_t me) {
    if (me < 2) {
      while (!done) {
        std::size_t names = 0;
        PoolRegistry::for_each([&](PoolInfo const& info) {
          names += info.name == "kept";
          faults().expect(info.name == "kept" || info.name == "short-lived", "a pool had the name of another one");
          faults().expect(info.statistics.capacity == 8 && info.bytes != 0, "a pool was seen that was not there");
          seen.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
        });
        faults().expect(names == 1, "the pool that stays was missed, or seen twice");
        (void)PoolRegistry::report();
      }
      return;
    }
    for (std::size_t round = 0; watch.time() < test::short_slice(0.25) || (seen == 0 && round != 1'000'000); ++round) {
      Pool pool(PoolConfig{.capacity = 8, .name = "short-lived"});
      auto const one = pool.allocate(round);
      auto const other = kept.try_allocate(round);
      one->verify();
    }
    done = true;
  });
  CHECK(seen > 0);
  CHECK(PoolRegistry::size() == 1);
  test::check_faults();
}

#if FASTALLOC_POSIX && !FASTALLOC_TSAN
TEST_CASE("registry: a child of a fork has the list, whatever the other threads were doing") {
  using Pool = ThreadSafePool<Payload, Registered>;
  Pool kept(PoolConfig{.capacity = 8, .name = "kept"});
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) (void)PoolRegistry::report();
  });
  for (int round = 0; round != 20; ++round) {
    auto pool = std::make_unique<Pool>(PoolConfig{.capacity = 8, .name = "of the parent"});
    ::pid_t const child = ::fork();
    if (child == 0) {
      ::alarm(60);   // a child that hangs is a failure
      pool.reset();  // waits for nobody: the thread that may have looked at it does not exist here
      Pool const own(PoolConfig{.capacity = 8, .name = "of the child"});
      bool const right = PoolRegistry::size() == 2 && PoolRegistry::report().find("of the child") != std::string::npos;
      ::_exit(right ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  done = true;
  reader.join();
}
#endif
