// SPDX-License-Identifier: MIT OR Apache-2.0
// LockFree in signal handlers, which stop a thread at any instruction: whatever it was about to do, allocating and releasing
// goes on in the handler.
#include <fastalloc/fastalloc.hpp>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "concurrency/threads.hpp"

#if FASTALLOC_TSAN  // puts signals off to where nothing is half done
TEST_CASE("interrupts: not under ThreadSanitizer") { SUCCEED(); }
#else

using namespace fastalloc;

namespace {

template <class Pool>
struct Interrupted {
  static inline Pool* pool = nullptr;
  static inline std::atomic<unsigned> signals{0};

  /// Takes what there is, is refused, releases.
  static void handle(int) {
    typename Pool::handle_type handles[4];
    for (auto& handle : handles) handle = pool->try_allocate();
    signals.fetch_add(1, std::memory_order_relaxed);
  }

  /// In a child, since the failure is that it hangs.
  static bool survives(std::size_t capacity) {
    std::fflush(nullptr);
    ::pid_t const child = ::fork();
    if (child == 0) {
      std::signal(SIGALRM, SIG_DFL);
      ::alarm(60);  // the failure is that it hangs
      Pool the_pool(capacity);
      pool = &the_pool;
      std::signal(SIGUSR1, &handle);
      std::atomic<bool> stop{false};
      ::pthread_t const target = ::pthread_self();
      std::thread sender([&] {
        test::Random random(1);
        while (signals.load(std::memory_order_relaxed) < test::scaled(1000, 100'000)) {
          ::pthread_kill(target, SIGUSR1);
          for (std::size_t spins = random(2000); spins != 0; --spins) std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        stop = true;
      });
      while (!stop.load(std::memory_order_relaxed)) {
        auto const one = the_pool.try_allocate();
        auto const two = the_pool.try_allocate();
        auto const refused = the_pool.try_allocate();
      }
      sender.join();
      ::_exit(the_pool.allocated() == 0 ? 0 : 1);
    }
    int status = 0;
    return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("interrupts: a handler allocates and releases whatever it interrupts", "", (ThreadSafePool<int, LockFree, NoChecks>),
                   (ThreadSafePool<int, LockFree, NoChecks, AtomicStats>), (FixedPool<int, LockFree, NoChecks>), (ThreadSafePool<int, LockFree, DebugChecks>)) {
  CHECK(Interrupted<TestType>::survives(1));
  CHECK(Interrupted<TestType>::survives(2));
}
#endif
