// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts the instructions that operations execute, exactly: the processor stops after each instruction of what is
// measured. Nothing is estimated, and neither the clock nor other processes matter. Each scenario runs in a child
// process of its own.
//
//   x86-64    the trap flag is set around the operation, and a handler of SIGTRAP counts
//   aarch64   the parent makes the child go on by one instruction (ptrace), between two words in memory that both
//             share:
//             child  ... stop -> begun = 1 -> operation -> ended = 1 -> go on ...
//
// What the frame itself executes (the call of an empty function) is measured first, and taken off.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define STEPS_CAN_BE_COUNTED 1
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#if defined(__aarch64__)
#include <sys/auxv.h>
#include <sys/ptrace.h>
#endif
#else
#define STEPS_CAN_BE_COUNTED 0
#endif

namespace steps {

inline constexpr std::size_t most_operations = 32;  ///< kinds

/// The most instructions that an operation of each kind took, all of them, and how often it was measured.
struct Maxima {
  std::array<std::uint32_t, most_operations> most{};
  std::array<std::uint64_t, most_operations> sum{};
  std::array<std::uint32_t, most_operations> times{};
  bool ended_well = false;  ///< the child returned true
  bool refused = false;     ///< the system allows no stepping
};

#if STEPS_CAN_BE_COUNTED

/// What child and parent share.
struct Shared {
  Maxima maxima;
  std::uint32_t volatile begun;
  std::uint32_t volatile ended;
  std::uint32_t volatile kind;
};

inline std::uint32_t volatile trapped = 0;  ///< instructions (x86-64)

/// In the child: measures f(), which must call something that is not inlined.
class Meter {
 public:
  explicit Meter(Shared& shared) : shared_(shared) {}
  template <class F> [[gnu::always_inline]] void operator()(std::size_t kind, F&& f) {
#if defined(__x86_64__)
    trapped = 0;
    // Beyond the red zone, where the compiler may keep what it works with.
    asm volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $256, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    f();
    asm volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $-257, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    note(shared_.maxima, kind, trapped);
#else
    shared_.kind = static_cast<std::uint32_t>(kind);
    ::raise(SIGSTOP);
    asm volatile("" ::: "memory");
    shared_.begun = 1;
    asm volatile("" ::: "memory");
    f();
    asm volatile("" ::: "memory");
    shared_.ended = 1;
#endif
  }
  static void note(Maxima& maxima, std::size_t kind, std::uint32_t count) {
    maxima.most[kind] = std::max(maxima.most[kind], count);
    maxima.sum[kind] += count;
    ++maxima.times[kind];
  }

 private:
  Shared& shared_;
};

/// An exclusive load and store with a stop between them never succeed; processors with atomic instructions do without.
inline bool can_step_atomics() {
#if defined(__aarch64__)
  return (::getauxval(AT_HWCAP) & (1UL << 8)) != 0;  // HWCAP_ATOMICS
#else
  return true;
#endif
}

/// Lets the child go on, and waits for its end. Returns: its status.
inline int attend(::pid_t child, [[maybe_unused]] Shared& shared) {
  int status = 0;
  while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
#if defined(__aarch64__)
    if (WSTOPSIG(status) != SIGSTOP) {  // a fault: let it have it
      ::ptrace(PTRACE_CONT, child, nullptr, WSTOPSIG(status));
      continue;
    }
    std::uint32_t count = 0;
    while (shared.ended == 0) {
      if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0 || ::waitpid(child, &status, 0) != child) break;
      if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) break;
      if (shared.begun != 0) ++count;
    }
    if (!WIFSTOPPED(status)) break;
    shared.begun = 0;
    shared.ended = 0;
    Meter::note(shared.maxima, shared.kind, count);
    ::ptrace(PTRACE_CONT, child, nullptr, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
#endif
  }
  return status;
}

/// Makes this process one that can be stepped. Returns: false where the system forbids it.
inline bool become_steppable() {
#if defined(__aarch64__)
  return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
#else
  struct ::sigaction action{};
  action.sa_handler = [](int) { trapped = trapped + 1; };
  return ::sigaction(SIGTRAP, &action, nullptr) == 0;
#endif
}

/// Runs scenario(meter) in a child and counts. The scenario returns false when the pool misbehaved.
template <class Scenario> Maxima count_steps(Scenario&& scenario) {
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Maxima{.refused = true};
  Shared& shared = *::new (memory) Shared{};
  ::pid_t const child = ::fork();
  if (child == 0) {
    if (!become_steppable()) ::_exit(2);
    Meter meter(shared);
    ::_exit(scenario(meter) ? 0 : 1);
  }
  int const status = child < 0 ? 2 << 8 : attend(child, shared);
  Maxima maxima = shared.maxima;
  maxima.refused = WIFEXITED(status) && WEXITSTATUS(status) == 2;
  maxima.ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  ::munmap(memory, sizeof(Shared));
  return maxima;
}

#endif

}  // namespace steps
