// SPDX-License-Identifier: MIT OR Apache-2.0
// ShortKey: 4 bytes that name an object in a pool; the Key of pools with BasicGenerations<IndexBits, GenerationBits>.
//
//   value   | generation / 2 | index |        generations are even numbers: see slots/generations.hpp
#pragma once

#include <fastalloc/fwd.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>  // std::hash

namespace fastalloc::inline FASTALLOC_STATE {

/// The key of a pool with BasicGenerations<IndexBits, GenerationBits> of at most 32 bits in all; otherwise as
/// Key.
template <int IndexBits, int GenerationBits> class ShortKey {
  static_assert(IndexBits > 0 && GenerationBits > 0 && IndexBits + GenerationBits <= 32);

 public:
  constexpr ShortKey() noexcept = default;
  /// Requires: values that index() and generation() of such a key returned.
  constexpr ShortKey(std::uint32_t index, std::uint32_t generation) noexcept
      : value_(generation >> 1 << IndexBits | index) {}

  [[nodiscard]] constexpr std::uint32_t index() const noexcept {
    return value_ & ((std::uint32_t{1} << IndexBits) - 1);
  }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return value_ >> IndexBits << 1; }

  [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
  [[nodiscard]] static constexpr ShortKey from_value(std::uint32_t value) noexcept {
    ShortKey key;
    key.value_ = value;
    return key;
  }

  [[nodiscard]] explicit constexpr operator bool() const noexcept { return generation() != 0; }
  friend constexpr auto operator<=>(ShortKey const&, ShortKey const&) noexcept = default;

 private:
  std::uint32_t value_ = 0;
};

static_assert(sizeof(ShortKey<20, 12>) == 4);

}  // namespace fastalloc::inline FASTALLOC_STATE

template <int IndexBits, int GenerationBits> struct std::hash<fastalloc::ShortKey<IndexBits, GenerationBits>> {
  [[nodiscard]] constexpr std::size_t operator()(fastalloc::ShortKey<IndexBits, GenerationBits> key) const noexcept {
    std::uint64_t const mixed = key.value() * 0x9E3779B97F4A7C15U;  // a product's lower half mixes upwards only
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};
