// SPDX-License-Identifier: MIT OR Apache-2.0
// A library whose pools were used on threads that live longer than it; then the program's own pools, and a fork.
#include <fastalloc/fastalloc.hpp>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
#include <malloc.h>
#define HAS_MALLINFO2 1
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "concurrency/plugin/plugin.hpp"
#include "concurrency/threads.hpp"

using namespace fastalloc;

namespace {

/// Counts how often it is taken.
class CountingLock {
 public:
  void lock() {
    mutex_.lock();
    ++taken;
  }
  void unlock() { mutex_.unlock(); }
  static inline std::atomic<int> taken{0};

 private:
  std::mutex mutex_;
};

std::size_t fill(auto& pool) {
  std::vector<typename std::remove_reference_t<decltype(pool)>::handle_type> handles;
  while (auto handle = pool.try_allocate()) handles.push_back(std::move(handle));
  return handles.size();
}

struct Library {
  void* library = ::dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
  PluginUse use = library == nullptr ? nullptr : reinterpret_cast<PluginUse>(::dlsym(library, "plugin_use"));
};

}  // namespace

TEST_CASE("plugin: a library is closed before the threads end that used its pools") {
  for (int round = 0; round != 3; ++round) {
    Library const plugin;
    REQUIRE(plugin.use != nullptr);
    ThreadSafePool<long> pool(30);
    ThreadLocalPool<long> local(20);
    CHECK(plugin.use() == 100);
    std::barrier barrier(3);
    std::atomic<std::size_t> sum{0};
    std::vector<std::thread> threads;
    for (int i = 0; i != 2; ++i)
      threads.emplace_back([&] {
        plugin.use();
        (void)fill(pool);
        barrier.arrive_and_wait();
        barrier.arrive_and_wait();
        sum += fill(local);
      });
    barrier.arrive_and_wait();
    CHECK(::dlclose(plugin.library) == 0);
    barrier.arrive_and_wait();
    for (auto& thread : threads) thread.join();
    CHECK(sum == 40);
    CHECK(fill(pool) == 30);
  }
}

#if !FASTALLOC_TSAN
// The library may have been the first to use caches; what was set up for the process then must not go away with it.
TEST_CASE("plugin: pools hear of forks when a library is gone that used some first") {
  Library const plugin;
  REQUIRE(plugin.use != nullptr);
  std::thread([&] { CHECK(plugin.use() == 100); }).join();
  CHECK(::dlclose(plugin.library) == 0);

  ThreadSafePool<long, CountingLock> pool(30);
  CHECK(fill(pool) == 30);
  int const before = CountingLock::taken;
  ::pid_t const child = ::fork();
  if (child == 0) ::_exit(0);
  CHECK(CountingLock::taken == before + 1);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
}
#endif

#if !FASTALLOC_TSAN
namespace {

std::atomic<int> fork_step{0};
/// Registered before the library's handlers, so that it runs between those of a plugin and the fork.
[[gnu::constructor(101)]] void register_early() {
  ::pthread_atfork(
      [] {
        if (fork_step != 1) return;
        fork_step = 2;
        ::usleep(100'000);
      },
      nullptr, nullptr);
}

}  // namespace

TEST_CASE("plugin: a library is closed while the process forks") {
  ThreadSafePool<long, NoCache> pool(4);
  { auto const handle = pool.allocate(); }
  Library const plugin;
  REQUIRE(plugin.use != nullptr);
  std::thread([&] { CHECK(plugin.use() == 100); }).join();
  std::thread closer([&] {
    while (fork_step != 2) std::this_thread::yield();
    CHECK(::dlclose(plugin.library) == 0);
  });
  fork_step = 1;
  ::pid_t const child = ::fork();
  if (child == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(60);
    ::_exit(fill(pool) == 4 ? 0 : 1);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  std::size_t taken = 0;
  std::thread([&] { taken = fill(pool); }).join();
  CHECK(taken == 4);
  closer.join();
}
#endif

#if HAS_MALLINFO2
TEST_CASE("plugin: what a library kept of threads and pools goes with it") {
  auto const load_and_close = [] {
    Library const plugin;
    REQUIRE(plugin.use != nullptr);
    std::thread([&] { plugin.use(); }).join();
    CHECK(::dlclose(plugin.library) == 0);
  };
  for (int i = 0; i != 20; ++i) load_and_close();
  std::size_t const before = ::mallinfo2().uordblks;
  for (int i = 0; i != 200; ++i) load_and_close();
  std::size_t const after = ::mallinfo2().uordblks;
  CHECK(after < before + 200 * std::size_t{20});  // the heap keeps some freed blocks as used; 470 bytes a round before
}
#endif
