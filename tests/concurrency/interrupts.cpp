// SPDX-License-Identifier: MIT OR Apache-2.0
// LockFree and InterruptLock in signal handlers, which stop a thread at any instruction: whatever it was about to do,
// allocating and releasing goes on in the handler. A signal mask is what turns interrupts off. The signals are those of
// a timer: a second thread that sends them would need a processor of its own, and shares one where other tests run.
#include <fastalloc/fastalloc.hpp>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
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
  sigaddset(&ours, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &ours, &before);
  return before;
}
void restore_signals(::sigset_t const& before) noexcept { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
using SignalLock = InterruptLock<mask_signals, restore_signals>;

/// Interrupts: after each one, and after begin(), the next comes within 40 us, at a moment that chance decides.
class Interrupts {
 public:
  static void begin(void (*handler)(int), std::size_t most) {
    count_ = 0, most_ = most, random_ = test::Random(1);
    std::signal(SIGALRM, handler);
    set_timer();
  }
  /// The handler's last call.
  static void next() {
    count_.fetch_add(1, std::memory_order_relaxed);
    if (go_on()) set_timer();
  }
  [[nodiscard]] static bool go_on() { return count_.load(std::memory_order_relaxed) < most_; }
  static void end() { std::signal(SIGALRM, SIG_DFL); }

 private:
  static void set_timer() {
    ::itimerval time{};
    time.it_value.tv_usec = 1 + static_cast<::suseconds_t>(random_(40));
    ::setitimer(ITIMER_REAL, &time, nullptr);
  }
  static inline std::atomic<std::size_t> count_{0};
  static inline std::size_t most_ = 0;
  static inline test::Random random_{1};
};

template <class Pool> struct Interrupted {
  static inline Pool* pool = nullptr;

  /// Takes what there is, is refused, releases.
  static void handle(int) {
    {
      typename Pool::handle_type handles[4];
      for (auto& handle : handles) handle = pool->try_allocate();
    }
    Interrupts::next();
  }

  /// In a child, since the failure is that it hangs.
  static bool survives(std::size_t capacity) {
    std::fflush(nullptr);
    ::pid_t const child = ::fork();
    if (child == 0) {
      ::rlimit const seconds{20, 20};  // of processor time
      ::setrlimit(RLIMIT_CPU, &seconds);
      Pool the_pool(capacity);
      pool = &the_pool;
      Interrupts::begin(&handle, test::scaled(1000, 100'000));
      while (Interrupts::go_on()) {
        auto const one = the_pool.try_allocate();
        auto const two = the_pool.try_allocate();
        auto const refused = the_pool.try_allocate();
      }
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
    Interrupts::next();
  }

  static void run() {
    Pool in;
    Pool out;
    incoming = &in, outgoing = &out;
    sent = refused = received = wrong = 0;
    Interrupts::begin(&handle, test::scaled(2000, 200'000));
    std::uint64_t taken = 0;  // objects of `in`
    std::uint64_t made = 0;   // objects of `out`
    std::uint64_t own = 0;    // allocations of the thread's in `in`
    bool in_order = true;
    std::uint64_t seen[8] = {};
    while (Interrupts::go_on()) {
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
    Interrupts::end();
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
