// SPDX-License-Identifier: MIT OR Apache-2.0
// LockFree and InterruptLock in signal handlers, which stop a thread at any instruction: whatever it was about to do,
// allocating and releasing goes on in the handler. A signal mask is what turns interrupts off.
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

::sigset_t mask_signals() noexcept {
  ::sigset_t ours{};
  ::sigset_t before{};
  sigemptyset(&ours);
  sigaddset(&ours, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &ours, &before);
  return before;
}
void restore_signals(::sigset_t const& before) noexcept { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
using SignalLock = InterruptLock<mask_signals, restore_signals>;

template <class Pool> struct Interrupted {
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
          for (std::size_t spins = random(2000); spins != 0; --spins)
            std::atomic_signal_fence(std::memory_order_seq_cst);
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

TEMPLATE_TEST_CASE("interrupts: a handler allocates and releases whatever it interrupts", "",
                   (ThreadSafePool<int, LockFree, NoChecks>), (ThreadSafePool<int, LockFree, NoChecks, AtomicStats>),
                   (FixedPool<int, LockFree, NoChecks>), (ThreadSafePool<int, LockFree, DebugChecks>),
                   (FixedPool<int, SignalLock, NoChecks>), (FixedPool<int, SignalLock, FullChecks, BitmapAllocator>),
                   (GrowingPool<int, SignalLock, FreeListAllocator>)) {
  CHECK(Interrupted<TestType>::survives(1));
  CHECK(Interrupted<TestType>::survives(2));
}

namespace {

/// A pool whose objects go from a signal handler to the thread that it interrupts, and, by a second one, the other way.
template <class... Policies> struct Exchange {
  using Pool = FixedPool<std::uint64_t, InlineStorage<16>, SignalLock, BasicStats, Policies...>;
  using Handle = typename Pool::handle_type;
  static inline Pool* incoming = nullptr;
  static inline Pool* outgoing = nullptr;
  static inline Handle arrived[8];  ///< filled by the handler, emptied by the thread while signals are masked
  static inline Handle leaving[8];  ///< the other way round
  static inline std::uint64_t sent = 0, refused = 0, received = 0, wrong = 0;  ///< of the handler
  static inline std::atomic<unsigned> signals{0};

  static void handle(int) {
    for (Handle& place : arrived) {
      if (place) continue;
      place = incoming->try_allocate(sent);
      sent += place ? 1 : 0, refused += place ? 0 : 1;
    }
    for (Handle& place : leaving) {
      if (!place) continue;
      wrong += *place >> 32 == 7 ? 0 : 1;
      place.reset();
      ++received;
    }
    signals.fetch_add(1, std::memory_order_relaxed);
  }

  static void run() {
    Pool in;
    Pool out;
    incoming = &in, outgoing = &out;
    sent = refused = received = wrong = 0, signals = 0;
    struct ::sigaction action{};
    struct ::sigaction before{};
    action.sa_handler = &handle;
    ::sigaction(SIGUSR1, &action, &before);
    ::pthread_t const target = ::pthread_self();
    std::atomic<bool> stop{false};
    std::thread sender([&] {
      mask_signals();
      test::Random random(3);
      while (signals.load(std::memory_order_relaxed) < test::scaled(2000, 200'000) && !stop) {
        ::pthread_kill(target, SIGUSR1);
        for (std::size_t spins = random(3000); spins != 0; --spins) std::atomic_signal_fence(std::memory_order_seq_cst);
      }
      stop = true;
    });
    std::uint64_t taken = 0;  // objects of `in`
    std::uint64_t made = 0;   // objects of `out`
    std::uint64_t own = 0;    // allocations of the thread's in `in`
    bool in_order = true;
    std::uint64_t seen[8] = {};
    while (!stop.load(std::memory_order_relaxed)) {
      Handle got[8];
      {
        auto const mask = mask_signals();
        for (int i = 0; i != 8; ++i) got[i] = std::move(arrived[i]);
        restore_signals(mask);
      }
      for (int i = 0; i != 8; ++i) {
        if (!got[i]) continue;
        in_order = in_order && (taken == 0 || *got[i] >= seen[i]);
        seen[i] = *got[i];
        ++taken;
        got[i].reset();
      }
      if (auto const mine = in.try_allocate(std::uint64_t{1})) ++own;
      Handle made_now = out.try_allocate(std::uint64_t{7} << 32);
      if (!made_now) continue;
      ++made;
      auto const mask = mask_signals();
      for (Handle& place : leaving)
        if (!place && made_now) place = std::move(made_now);
      restore_signals(mask);
      if (made_now) made_now.reset(), --made, ++discarded;
    }
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    for (Handle& place : arrived)
      if (place) ++taken, place.reset();
    for (Handle& place : leaving)
      if (place) ++received, place.reset();
    CHECK(in_order);
    CHECK(wrong == 0);
    CHECK(taken == sent);
    CHECK(received == made);
    CHECK(in.is_empty());
    CHECK(out.is_empty());
    CHECK(in.check_invariants());
    CHECK(out.check_invariants());
    CHECK(in.statistics().total_allocations == sent + own);
    CHECK(in.statistics().total_deallocations == sent + own);
    CHECK(out.statistics().total_allocations == made + discarded);
    discarded = 0;
  }
  static inline std::uint64_t discarded = 0;  ///< made, and found no place
};

}  // namespace

TEST_CASE("interrupts: with InterruptLock the counts are exact whoever allocates and whoever frees") {
  Exchange<NoChecks>::run();
  Exchange<FullChecks, BitmapAllocator>::run();
  Exchange<DebugChecks, FreeListAllocator>::run();
  SUCCEED();
}
#endif
