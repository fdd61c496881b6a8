// SPDX-License-Identifier: MIT OR Apache-2.0
// The sizes for which a replay has pools: every 16 bytes up to 1 KiB, then four steps a doubling up to 32 KiB. An
// object lives in the smallest class that holds it. What is larger belongs to the class `beyond` and stays with malloc.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace fastalloc::trace {

inline constexpr std::size_t fine_classes = 64;
inline constexpr std::size_t size_classes = fine_classes + 4 * 5;
inline constexpr std::size_t beyond = size_classes;

constexpr std::size_t class_bytes(std::size_t index) noexcept {
  if (index < fine_classes) {
    return 16 * (index + 1);
  }
  std::size_t const step = index - fine_classes;
  return (std::size_t{1024} << step / 4) / 4 * (5 + step % 4);
}

constexpr std::size_t class_of(std::uint64_t size) noexcept {
  if (size <= 1024) {
    return size == 0 ? 0 : static_cast<std::size_t>((size - 1) / 16);
  }
  if (size > 32768) {
    return beyond;
  }
  auto const doubling = static_cast<std::size_t>(std::bit_width(size - 1)) - 11;
  return fine_classes + 4 * doubling + static_cast<std::size_t>((size - 1) >> (8 + doubling)) - 4;
}

constexpr bool classes_fit() noexcept {
  bool fits = class_of(0) == 0 && class_of(1) == 0 && class_bytes(size_classes - 1) == 32768;
  for (std::size_t index = 0; index != size_classes; ++index) {
    fits = fits && class_of(class_bytes(index)) == index && class_of(class_bytes(index) + 1) == index + 1;
  }
  return fits;
}
static_assert(classes_fit());

}  // namespace fastalloc::trace
