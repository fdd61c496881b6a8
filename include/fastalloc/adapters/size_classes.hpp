// SPDX-License-Identifier: MIT OR Apache-2.0
// SizeClasses: which slot holds a request of some bytes. Multiples of 16 up to 128, then four steps a doubling up to 4
// KiB:
//
//   16 32 48 64 80 96 112 128 | 160 192 224 256 | 320 384 448 512 | 640 ... | 1280 ... | 2560 3072 3584 4096
//
// A table turns bytes into the class: one load, and nothing at all where the size is a constant. A size that is a
// multiple of 32 or 64 meets a class that is one, too: over-aligned requests are rounded up to their alignment and use
// the same table. Measured on the trace of benchmarks/trace: 7.6 % of the bytes requested are lost to rounding, with
// two steps a doubling 12.4 %, with eight 5.4 %, with every multiple of 16 4.7 %; but fewer classes share their free
// slots, and four need little memory.
#pragma once

#include <fastalloc/fwd.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct SizeClasses {
  static constexpr std::size_t granule = 16;    ///< bytes; what every slot is aligned to
  static constexpr std::size_t largest = 4096;  ///< bytes
  /// bytes; the slots of a class are aligned to what divides their size
  static constexpr std::size_t max_alignment = 64;
  static constexpr std::size_t fine = 8;   ///< classes that are `granule` apart
  static constexpr std::size_t steps = 4;  ///< classes a doubling behind those
  static constexpr std::size_t count =
      fine + steps * static_cast<std::size_t>(std::countr_zero(largest / (fine * granule)));

  /// Bytes of the slots of class `index`.
  static constexpr std::size_t bytes(std::size_t index) noexcept {
    if (index < fine) return granule * (index + 1);
    std::size_t const step = index - fine;
    return (fine * granule << step / steps) / steps * (steps + 1 + step % steps);
  }
  static constexpr std::size_t alignment(std::size_t index) noexcept {
    std::size_t const divides = bytes(index) & ~(bytes(index) - 1);
    return divides < max_alignment ? divides : max_alignment;
  }
  /// Where the class of a request stands in a table. Requires: bytes <= largest.
  static constexpr std::size_t entry(std::size_t bytes) noexcept { return (bytes + granule - 1) / granule; }
  /// For each entry the index of the smallest class with room, times `unit`: an array of things of so many bytes needs
  /// no product then.
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

static_assert(SizeClasses::count == 28 && SizeClasses::bytes(SizeClasses::count - 1) == SizeClasses::largest);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
