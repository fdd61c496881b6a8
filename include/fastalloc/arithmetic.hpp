// SPDX-License-Identifier: MIT OR Apache-2.0
// Arithmetic on sizes. (<algorithm> takes 0.1 s to compile.)
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>

namespace fastalloc::detail::inline FASTALLOC_STATE {

constexpr std::size_t smaller(std::size_t a, std::size_t b) noexcept { return a < b ? a : b; }
constexpr std::size_t greater(std::size_t a, std::size_t b) noexcept { return a < b ? b : a; }
/// The first multiple of `unit` that is >= `bytes`.
constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

/// a + b, a * b, and `a` rounded up to a power of two, into `out`; false on overflow.
constexpr bool checked_add(std::size_t a, std::size_t b, std::size_t& out) noexcept { return (out = a + b) >= a; }
constexpr bool checked_multiply(std::size_t a, std::size_t b, std::size_t& out) noexcept {
  return out = a * b, a == 0 || out / a == b;
}
constexpr bool checked_round_up(std::size_t a, std::size_t alignment, std::size_t& out) noexcept {
  bool const fits = checked_add(a, alignment - 1, out);
  return out &= ~(alignment - 1), fits;
}

}  // namespace fastalloc::detail::inline FASTALLOC_STATE
