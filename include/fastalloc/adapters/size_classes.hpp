// SPDX-License-Identifier: MIT OR Apache-2.0
// SizeClasses: the slot sizes of PoolResource. 8 bytes, multiples of 16 up to 128, then eight per doubling up to 4 KiB:
//
//   8 | 16 32 48 64 80 96 112 128 | 144 160 ... 256 | 288 320 ... 512 | 576 ... | 1152 ... | 2304 2560 ... 4096
//
// A table maps bytes to the class: one load, or nothing for a constant size. A size that is a multiple of 32 or 64 maps
// to a class that is one, too: over-aligned requests are rounded up to their alignment and use the same table. On the
// trace in benchmarks/trace, rounding wastes 5.4 % of the requested bytes; four steps per doubling waste 7.6 %, every
// multiple of 16 4.7 %. A program that asks for one size most of the time, as SQLite for its pages, can meet the worst
// case: 11 % with eight steps, 20 % with four. A class that is hardly used costs one block of 4 KiB.
#pragma once

#include <fastalloc/fwd.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct SizeClasses {
  static constexpr std::size_t granule = 8;     ///< bytes; the least slot, and the least alignment of one
  static constexpr std::size_t largest = 4096;  ///< bytes
  /// bytes; a class is aligned to the largest power of two that divides its size, up to this
  static constexpr std::size_t max_alignment = 64;
  static constexpr std::size_t step = 16;  ///< bytes between the classes up to fine * step
  static constexpr std::size_t fine = 8;   ///< classes that are multiples of `step`
  static constexpr std::size_t steps = 8;  ///< classes per doubling above those
  static constexpr std::size_t count =
      1 + fine + steps * static_cast<std::size_t>(std::countr_zero(largest / (fine * step)));

  /// Bytes of the slots of class `index`.
  static constexpr std::size_t bytes(std::size_t index) noexcept {
    if (index == 0) return granule;
    if (index <= fine) return step * index;
    std::size_t const coarse = index - fine - 1;
    return (fine * step << coarse / steps) / steps * (steps + 1 + coarse % steps);
  }
  /// Bytes of the slots of the smallest class with room. Requires: bytes <= largest.
  static constexpr std::size_t rounded(std::size_t bytes) noexcept {
    if (bytes <= granule) return granule;
    std::size_t const apart = bytes <= fine * step ? step : std::bit_floor(bytes - 1) / steps;
    return (bytes + apart - 1) & ~(apart - 1);
  }
  static constexpr std::size_t alignment(std::size_t index) noexcept {
    std::size_t const divides = bytes(index) & ~(bytes(index) - 1);
    return divides < max_alignment ? divides : max_alignment;
  }
  /// The table entry for a request. Requires: bytes <= largest.
  static constexpr std::size_t entry(std::size_t bytes) noexcept { return (bytes + granule - 1) / granule; }
  /// For each entry, the index of the smallest class with room, times `unit`: indexing an array of elements of `unit`
  /// bytes then needs no multiplication.
  static constexpr auto table(std::size_t unit) noexcept {
    std::array<std::uint16_t, entry(largest) + 1> entries{};
    std::size_t index = 0;
    for (std::size_t i = 0; i != entries.size(); ++i) {
      if (i * granule > bytes(index)) ++index;
      entries[i] = static_cast<std::uint16_t>(index * unit);
    }
    return entries;
  }
};

static_assert(SizeClasses::count == 49 && SizeClasses::bytes(SizeClasses::count - 1) == SizeClasses::largest);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
