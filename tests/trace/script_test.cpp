// SPDX-License-Identifier: MIT OR Apache-2.0
// What a replay will do, step by step: places are used again, classes and handlers are right, peaks and parts add up.
#include "support.hpp"

#include <script.hpp>

#include <support/catch.hpp>

using namespace trace_test;

namespace {

Script script_of(Builder const& builder) { return make_script(Trace("x.trace", builder.finish())); }

}  // namespace

TEST_CASE("steps follow the events, and the rest frees what is left") {
  Script const script = script_of(Builder()
                                      .add(Kind::allocate, 100)              // object 0, place 0
                                      .add(Kind::allocate_zeroed, 32)        // object 1, place 1
                                      .add(Kind::free, 1)                    // object 0
                                      .add(Kind::allocate, 40000)            // object 2, place 0
                                      .add(Kind::reallocate, 500, 1)         // object 3 for object 1
                                      .add(Kind::allocate_aligned, 64, 6)    // object 4, place 2: over-aligned
                                      .add(Kind::allocate_aligned, 64, 4));  // object 5, place 3: an ordinary one
  REQUIRE(script.timed == 7);
  REQUIRE(script.steps.size() == 7 + 4);
  auto const same = [&](std::size_t i, std::size_t handler, std::uint32_t place, std::uint64_t size,
                        std::uint64_t extra) {
    CAPTURE(i);
    CHECK(script.steps[i].handler == handler);
    CHECK(script.steps[i].place == place);
    CHECK(script.steps[i].size == size);
    CHECK(script.steps[i].extra == extra);
  };
  same(0, handler_index(Action::allocate, class_of(100)), 0, 100, 0);
  same(1, handler_index(Action::allocate_zeroed, class_of(32)), 1, 32, 0);
  same(2, handler_index(Action::free, class_of(100)), 0, 0, 0);
  same(3, handler_index(Action::allocate, beyond), 0, 40000, 0);
  same(4, handler_index(Action::reallocate, 0), 1, 500, 32);
  CHECK(script.steps[4].before_class == class_of(32));
  CHECK(script.steps[4].size_class == class_of(500));
  same(5, handler_index(Action::allocate_aligned, 0), 2, 64, 64);
  CHECK(script.steps[5].size_class == beyond);
  same(6, handler_index(Action::allocate, class_of(64)), 3, 64, 0);
  same(7, handler_index(Action::free, beyond), 0, 0, 0);
  same(8, handler_index(Action::free, class_of(500)), 1, 0, 0);
  same(9, handler_index(Action::free, beyond), 2, 0, 0);
  same(10, handler_index(Action::free, class_of(64)), 3, 0, 0);

  CHECK(script.places == 4);
  CHECK(script.peak_objects == 4);
  CHECK(script.peak_bytes == 40000 + 500 + 64 + 64);
  CHECK(script.peak_step == 7);
  CHECK(script.left_to_malloc == 2);
  CHECK(script.actions == std::array<std::uint64_t, 5>{3, 1, 1, 1, 1});
  CHECK(script.uses(class_of(32)));
  CHECK_FALSE(script.uses(class_of(16)));
}

TEST_CASE("the peak may lie before the end") {
  Script const script = script_of(Builder().add(Kind::allocate, 10).add(Kind::allocate, 90).add(Kind::free, 0));
  CHECK(script.peak_bytes == 100);
  CHECK(script.peak_objects == 2);
  CHECK(script.peak_step == 2);
}

TEST_CASE("a part holds what concerns one class") {
  Script const whole = script_of(Builder()
                                     .add(Kind::allocate, 16)
                                     .add(Kind::allocate, 48)
                                     .add(Kind::reallocate, 33, 0)   // stays in the class of 48
                                     .add(Kind::reallocate, 200, 0)  // leaves it
                                     .add(Kind::reallocate, 40, 0)   // comes back
                                     .add(Kind::allocate_zeroed, 47)
                                     .add(Kind::free, 1));
  Script const part = part_of(whole, class_of(48));
  std::size_t const c = class_of(48);
  std::vector<std::size_t> const expected = {
      handler_index(Action::allocate, c), handler_index(Action::reallocate, 0),      handler_index(Action::free, c),
      handler_index(Action::allocate, c), handler_index(Action::allocate_zeroed, c), handler_index(Action::free, c)};
  REQUIRE(part.timed == expected.size());
  for (std::size_t i = 0; i != expected.size(); ++i) {
    CHECK(part.steps[i].handler == expected[i]);
  }
  CHECK(part.steps.size() == part.timed + 1);
  CHECK(part.peak_objects == 2);
  CHECK(part.peak_bytes == 40 + 47);
}

TEST_CASE("every object of the shipped trace is freed exactly once in a script") {
  Script const script = make_script(Trace(SHIPPED_TRACE));
  std::vector<int> live(script.places);
  for (Step const& step : script.steps) {
    bool const frees = step.handler < handler_index(Action::allocate_aligned, 0) &&
                       static_cast<Action>(step.handler % 3) == Action::free;
    bool const renews = step.handler == handler_index(Action::reallocate, 0);
    int const before = live[step.place];
    live[step.place] = frees ? 0 : 1;
    if (before != (frees || renews ? 1 : 0)) {
      FAIL("place " << step.place << " had " << before << " objects");
    }
  }
  CHECK(std::count(live.begin(), live.end(), 1) == 0);
  std::uint64_t steps = 0;
  for (std::size_t size_class = 0; size_class <= beyond; ++size_class) {
    steps += part_of(script, size_class).timed;
  }
  CHECK(steps >= script.timed);
}

TEST_CASE("the bytes that are live, at points over the steps") {
  Builder builder;
  for (int i = 0; i != 100; ++i) {
    builder.add(Kind::allocate, 10);
  }
  builder.add(Kind::allocate, 5000).add(Kind::free, 0).add(Kind::reallocate, 30, 99);  // object 1
  for (std::uint64_t object = 2; object != 52; ++object) {
    builder.add(Kind::free, 101 - object);  // 101 is the newest
  }
  Script const script = script_of(builder);
  MemorySamples const live = live_memory(script);
  CHECK(steps_before(script, live.count - 1) == script.timed);
  CHECK(live.bytes.front() == 10 * steps_before(script, 0));
  CHECK(live.most() == 100 * 10 + 5000);  // between two points
  CHECK(live.most() == script.peak_bytes);
  CHECK(live.bytes.back() == 49 * 10 + 30);
  CHECK(std::is_sorted(live.bytes.begin(), std::max_element(live.bytes.begin(), live.bytes.end())));
  CHECK(live_memory(script_of(Builder())).most() == 0);
}

TEST_CASE("the recorded programs are whole runs, and small") {
  std::uint64_t bytes = 0;
  for (char const* const kind : {"build_tool", "compiler", "database", "document", "interpreter", "version_control"}) {
    CAPTURE(kind);
    Trace const trace(std::string(PROGRAM_TRACES "/") + kind + ".trace");
    CHECK(trace.ending() == Ending::regular);
    CHECK(trace.events() > 50'000);
    bytes += trace.event_bytes();
  }
  CHECK(bytes < 3 << 19);
}
