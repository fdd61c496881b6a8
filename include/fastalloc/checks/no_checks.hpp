// SPDX-License-Identifier: MIT OR Apache-2.0
// The checks axis: what is verified when a slot is handed out, returned or adopted.
//
//   NoChecks      nothing, 0 bytes, 0 instructions                        default where NDEBUG is set
//   DebugChecks   double free, foreign and interior pointers; debug fill  default where it is not; 1 bit a slot
//   FullChecks    DebugChecks, and writes to free slots are noticed       anywhere, also in release builds
//
// A check that fails goes to the error handler; where that returns, the pool is unchanged and the pointer ignored.
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

/// When to use: where the tests have run with DebugChecks. Complexity: 0 steps.
struct NoChecks {
  static constexpr bool tracks_slots = false;   ///< one bit a slot, in the tail of each block: is it in use?
  static constexpr bool fills = false;          ///< writes patterns into slots that are handed out and returned
  static constexpr bool verifies_fill = false;  ///< looks whether the pattern is still there
};

static_assert(ChecksPolicy<NoChecks>);

}  // namespace fastalloc::inline FASTALLOC_MODE
