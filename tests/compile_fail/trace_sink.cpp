// expect: TraceStats<Sink> needs a type with static functions .*bool is_on\(\) .*event\(TraceEvent const&\) noexcept.*TraceSwitch<Sink>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/debug/trace.hpp>

struct Sink : fastalloc::TraceSwitch<Sink> {
  static void event(fastalloc::TraceEvent const&) {}  // may throw
};
fastalloc::FixedPool<int, fastalloc::TraceStats<Sink>> pool(4);
