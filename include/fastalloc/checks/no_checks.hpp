// SPDX-License-Identifier: MIT OR Apache-2.0
// The checks axis: verification of slots that are handed out, returned or adopted.
//
//   NoChecks      nothing, 0 bytes, 0 instructions                        default with NDEBUG
//   DebugChecks   double free, foreign and interior pointers; debug fill  default without NDEBUG; 1 bit a slot
//   FullChecks    DebugChecks, and detects writes to free slots           anywhere, also in release builds
//
// A failed check calls the error handler. If that returns, the pool is unchanged and the pointer is ignored.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/slots/blocks.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the checks axis.
template <class P>
concept ChecksPolicy = requires {
  { P::tracks_slots } -> std::convertible_to<bool>;
  { P::fills } -> std::convertible_to<bool>;
  { P::verifies_fill } -> std::convertible_to<bool>;
};

/// When to use: after the tests have passed with DebugChecks. Complexity: 0 steps.
struct NoChecks {
  static constexpr bool tracks_slots = false;   ///< one bit a slot, in the tail of each block: set while in use
  static constexpr bool fills = false;          ///< writes patterns into slots that are handed out and returned
  static constexpr bool verifies_fill = false;  ///< verifies that the pattern is intact
};

static_assert(ChecksPolicy<NoChecks>);

}  // namespace fastalloc::inline FASTALLOC_MODE
