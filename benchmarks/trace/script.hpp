// SPDX-License-Identifier: MIT OR Apache-2.0
// A trace made ready to be replayed: one array of steps of equal size in which everything is decided beforehand, so
// that each side of a comparison pays the same small price for a step (one load, one indirect call). Objects live in
// numbered places of a table that is no longer than the live peak.
//
// The steps up to `timed` are the trace; those behind it free what the program left, so that a script can run again.
#pragma once

#include "reader.hpp"
#include "size_classes.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace fastalloc::trace {

enum class Action : std::uint8_t { allocate, allocate_zeroed, free, allocate_aligned, reallocate };

struct Step {
  std::uint64_t size;         // bytes; free: 0
  std::uint64_t extra;        // reallocate: the old size; allocate_aligned: the alignment, in bytes
  std::uint32_t place;        // in the table of objects
  std::uint16_t handler;      // handler_index()
  std::uint8_t size_class;    // of the object after the step; free: before
  std::uint8_t before_class;  // reallocate: of the old object
};
static_assert(sizeof(Step) == 24 && beyond < 256);

// The three common actions have a handler for each class, the other two one for all.
constexpr std::size_t handler_index(Action action, std::size_t size_class) noexcept {
  return action < Action::allocate_aligned ? 3 * size_class + static_cast<std::size_t>(action)
                                           : 3 * (size_classes + 1) + static_cast<std::size_t>(action) -
                                                 static_cast<std::size_t>(Action::allocate_aligned);
}
inline constexpr std::size_t handler_count = handler_index(Action::reallocate, 0) + 1;

struct Script {
  std::vector<Step> steps;
  std::size_t timed = 0;      // steps of the trace itself
  std::size_t places = 0;     // length of the table of objects
  std::size_t peak_step = 0;  // the number of steps after which the most bytes are live
  std::uint64_t peak_objects = 0;
  std::uint64_t peak_bytes = 0;            // requested bytes, live at once
  std::uint64_t left_to_malloc = 0;        // steps of objects larger than any pool's, or aligned to more than 16 bytes
  std::array<std::uint64_t, 5> actions{};  // by Action

  bool uses(std::size_t size_class) const noexcept { return used[size_class]; }
  std::array<bool, size_classes + 1> used{};
};

Script make_script(Trace const& trace);

// The part that concerns the objects of one class. A reallocation into or out of it is an allocation or a free there.
Script part_of(Script const& whole, std::size_t size_class);

// Bytes of memory at points at equal distances over the timed steps, the last at their end. At the point behind the
// live peak, the greater of both.
struct MemorySamples {
  static constexpr std::size_t count = 63;
  std::array<std::uint64_t, count> bytes;

  std::uint64_t most() const noexcept { return *std::max_element(bytes.begin(), bytes.end()); }
};
// Steps before point `i`.
std::size_t steps_before(Script const& script, std::size_t i) noexcept;
// The requested bytes that are live.
MemorySamples live_memory(Script const& script);

}  // namespace fastalloc::trace
