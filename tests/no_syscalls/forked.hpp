// SPDX-License-Identifier: MIT OR Apache-2.0
// Whether operations of a pool make system calls or take page faults. Each look is a forked child:
//
//   calls    the pool is built (and warmed up), a seccomp filter allows exit and write and kills at anything else,
//            millions of operations
//   faults   the same on a twin pool first, for a moment: it brings in code and stack. Then the pool is built, and
//            getrusage() before and after the operations must say the same
//
// The operations: pairs, filling and draining in random order, requests of a pool that is full, batches; keys and
// owners where there are some.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include "support/catch.hpp"
#include "support/seccomp.hpp"

#define QUIET_CAN_RUN (FASTALLOC_HAS_SECCOMP && !FASTALLOC_ASAN && !FASTALLOC_TSAN)

#if QUIET_CAN_RUN

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <concepts>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace quiet {

/// Each state of a pool of `slots` comes up thousands of times in the fewer, too.
inline std::size_t const operations = std::getenv("FASTALLOC_STRESS_SECONDS") != nullptr ? 10'000'000 : 2'500'000;
inline constexpr std::size_t slots = 1000;
inline constexpr std::size_t batch = 48;
/// Children that look for page faults. The kernel may move a page at any time, for a huge one, say: on a busy machine
/// one child in four met that. A fault that the pool takes comes in each child.
inline constexpr int attempts = 12;

struct Item {
  std::uint64_t words[6] = {};
};

/// How a child ended, and why.
enum class Verdict { quiet, mistaken, called, faulted, no_filter, crashed };

}  // namespace quiet

namespace Catch {
template <> struct StringMaker<quiet::Verdict> {
  static std::string convert(quiet::Verdict verdict) {
    constexpr char const* names[] = {
        "quiet",  "an operation gave a wrong result", "killed for a system call", "took page faults", "no filter",
        "crashed"};
    return names[static_cast<int>(verdict)];
  }
};
}  // namespace Catch

namespace quiet {

/// The end of a child, with the pool as it is: to give memory back is a system call.
[[noreturn]] inline void end(Verdict verdict) { ::_exit(static_cast<int>(verdict)); }

/// `f` calls end().
template <class F> Verdict in_child(F&& f) {
  std::fflush(nullptr);
  ::pid_t const child = ::fork();
  if (child == 0) {
    // Catch2's handlers
    for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(signal, SIG_DFL);
    f();
    end(Verdict::crashed);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return Verdict::crashed;
  if (WIFEXITED(status)) return static_cast<Verdict>(WEXITSTATUS(status));
  return WTERMSIG(status) == SIGSYS ? Verdict::called : Verdict::crashed;
}

/// From here on this thread may write and end, and nothing else; but for one call, perhaps.
inline bool forbid_calls(long but = SYS_write) {
  return test::Calls::only({SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, but});
}

inline long faults() {
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

template <class Pool, class Policy> inline constexpr bool has_policy = false;
template <template <class, class...> class Kind, class T, class... Policies, class Policy>
inline constexpr bool has_policy<Kind<T, Policies...>, Policy> = (std::same_as<Policies, Policy> || ...);

/// Operations on a pool of `slots` Items. Nothing here asks the heap.
template <class Pool> class Mix {
 public:
  explicit Mix(Pool& pool) noexcept : pool_(pool) {
    for (std::uint32_t i = 0; i != slots; ++i) order_[i] = i;
  }
  /// At least `wanted` operations; `dry`: with requests of the full pool. Returns: true when all of them did what they
  /// should.
  bool run(std::size_t wanted, bool dry) {
    done_ = 0;
    while (done_ < wanted && right_) {
      pairs();
      fill_and_drain(dry);
      batches();
      if constexpr (has_policy<Pool, fastalloc::Generations>) keys();
      if constexpr (has_policy<Pool, fastalloc::Shared> || has_policy<Pool, fastalloc::AtomicShared>) owners();
    }
    return right_;
  }

 private:
  using Handle = typename Pool::handle_type;

  void expect(bool right) noexcept { right_ = right_ && right; }
  std::size_t random(std::size_t below) noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>(state_ % below);
  }

  void pairs() {
    for (std::uint64_t i = 0; i != slots; ++i) {
      Handle const handle = pool_.allocate();
      handle->words[5] = i;
    }
    done_ += 2 * slots;
  }
  void fill_and_drain(bool dry) {
    std::size_t const n = dry ? slots : slots / 2;
    for (std::size_t i = 0; i != n; ++i) {
      handles_[i] = pool_.try_allocate();
      expect(static_cast<bool>(handles_[i]));
      if (!right_) return;
      handles_[i]->words[5] = i;
    }
    for (int i = 0; dry && i != 8; ++i, ++done_) expect(!pool_.try_allocate());
    for (std::size_t i = slots; i > 1; --i) std::swap(order_[i - 1], order_[random(i)]);
    for (std::uint32_t const i : order_) {
      if (i >= n) continue;
      expect(handles_[i]->words[5] == i);
      handles_[i].reset();
    }
    done_ += 2 * n;
  }
  void batches() {
    for (std::size_t at = 0; at + batch <= slots / 2; at += batch)
      expect(pool_.try_allocate_batch(batch, handles_ + at));
    for (std::size_t i = 0; i + batch <= slots / 2; i += batch)
      for (std::size_t k = 0; k != batch; ++k) handles_[i + k].reset();
    done_ += slots / batch / 2 * (batch + 1);
  }
  void keys() {
    for (std::size_t i = 0; i != 100; ++i) {
      Handle handle = pool_.allocate();
      auto const key = pool_.key(handle);
      expect(pool_.get(key) == handle.get());
      handle.reset();
      expect(!pool_.contains(key));
    }
    done_ += 500;
  }
  void owners() {
    for (std::size_t i = 0; i != 100; ++i) {
      auto first = pool_.allocate().share();
      auto const second = first;
      auto const weak = second.downgrade();
      first.reset();
      expect(second.use_count() == 1 && weak.lock() == second);
    }
    done_ += 600;
  }

  Pool& pool_;
  std::size_t done_ = 0;
  bool right_ = true;
  std::uint64_t state_ = 88172645463325252U;
  Handle handles_[slots];
  std::uint32_t order_[slots];
};

/// What a thread does once before it relies on a pool: ThreadSafePool and ThreadLocalPool make its cache, its sub-pool
/// then.
struct FirstUse {
  template <class Pool> void operator()(Pool& pool) const { pool.warm_up(); }
};
struct NoFirstUse {
  template <class Pool> void operator()(Pool&) const {}
};

/// `make()` returns a pool of `slots` Items; `warm(pool)` is what its documentation asks for before it is quiet.
template <class Make, class Warm = NoFirstUse>
Verdict look_for_calls(Make const& make, Warm warm = {}, bool dry = true, std::size_t n = operations) {
  return in_child([&] {
    auto pool = make();
    Mix<decltype(pool)> mix(pool);
    warm(pool);
    if (!forbid_calls()) end(Verdict::no_filter);
    end(mix.run(n, dry) ? Verdict::quiet : Verdict::mistaken);
  });
}

template <class Make, class Warm = NoFirstUse>
Verdict look_for_faults(Make const& make, Warm warm = {}, bool dry = true, std::size_t n = operations) {
  Verdict verdict = Verdict::faulted;
  for (int attempt = 0; attempt != attempts && verdict == Verdict::faulted; ++attempt)
    verdict = in_child([&] {
      static auto const work = [](auto& pool, auto& mix, Warm& first, bool runs_dry, std::size_t count, long& taken) {
        first(pool);
        long const before = faults();
        bool const right = mix.run(count, runs_dry);
        taken = faults() - before;
        return right;
      };
      long taken = 0;
      auto twin = make();
      auto pool = make();
      Mix<decltype(pool)> mix(pool);
      {
        Mix<decltype(pool)> first(twin);
        if (!work(twin, first, warm, dry, std::size_t{1}, taken)) end(Verdict::mistaken);
      }
      if (!work(pool, mix, warm, dry, n, taken)) end(Verdict::mistaken);
      end(taken == 0 ? Verdict::quiet : Verdict::faulted);
    });
  return verdict;
}

inline void check_calls(Verdict verdict) {
  if (verdict == Verdict::no_filter) WARN("skipped: this kernel has no seccomp filters");
  else CHECK(verdict == Verdict::quiet);
}

/// The whole of it.
template <class Make, class Warm = NoFirstUse> void check_quiet(Make const& make, Warm warm = {}) {
  check_calls(look_for_calls(make, warm));
  CHECK(look_for_faults(make, warm) == Verdict::quiet);
}

inline fastalloc::PoolConfig touched() { return {.capacity = slots, .pre_initialize = true}; }
inline fastalloc::PageStorage locked_pages() { return {{.lock_memory = true}}; }

}  // namespace quiet

#endif
