// SPDX-License-Identifier: MIT OR Apache-2.0
// The behaviour suite's freestanding part, then the two scenarios of sensor_queue.cpp. Ends with 0 when every check
// passed.
#include "cortex_m.hpp"
#include "sensor_queue.hpp"

#include <fastalloc/lock/lock_free.hpp>

#include "support/bare_checks.hpp"

namespace {

using cortex_m::print;

constinit std::uint32_t checks = 0;
constinit std::uint32_t failures = 0;

void note(bool ok, char const* what, std::uint32_t line) {
  ++checks;
  if (ok) return;
  ++failures;
  print("failed: "), print(what);
  if (line != 0) print(" (bare_checks.hpp, line "), print(line), print(")");
  print("\n");
}

#if ATOMIC_INT_LOCK_FREE == 2  // this processor can compare and swap
// LockFree swaps 32 bits: 16 for the first free slot, and 16 that tell one head of the list from the next.
static_assert(sizeof(fastalloc::detail::TaggedWord) == 4);

void lock_free_checks() {
  using fastalloc::LockFree, fastalloc::StackAllocator, fastalloc::NoChecks, fastalloc::DebugChecks;
  bare::filling<LockFree, NoChecks>();
  bare::filling<LockFree, DebugChecks>();
  bare::reuse<false, LockFree, NoChecks>();
  bare::objects<LockFree, NoChecks>();
  bare::mistakes<LockFree, DebugChecks>();
}
#else
void lock_free_checks() {}
#endif

}  // namespace

void check(bool ok, char const* what) { note(ok, what, 0); }
void bare::check(bool ok, char const* text, int line) { note(ok, text, static_cast<std::uint32_t>(line)); }

extern "C" int run() {
  bare::run_bare_checks();
  lock_free_checks();
  print("behaviour: "), print(checks), print(" checks\n");
  samples_from_interrupt();
  messages_to_interrupt();
  if (failures != 0) return print(failures), print(" of "), print(checks), print(" checks failed\n"), 1;
  print("all "), print(checks), print(" checks passed\n");
  return 0;
}
