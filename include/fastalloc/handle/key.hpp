// SPDX-License-Identifier: MIT OR Apache-2.0
// Key: 8 bytes that name an object in a pool and stay harmless when it is gone. See slots/generations.hpp.
#pragma once

#include <fastalloc/config.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>  // std::hash

namespace fastalloc {

/// Made by `pool.key(handle)`, turned back by `pool.get(key)`: the object, or null when it is gone. A copy of it owns
/// nothing. A default constructed one names nothing. Trivially copyable; may be stored, sent, and compared.
class Key {
 public:
  constexpr Key() noexcept = default;
  constexpr Key(std::uint32_t index, std::uint32_t generation) noexcept : index_(index), generation_(generation) {}

  /// Number of the slot: no two live objects of a pool share it. Not Pool::index_of() where the pool grows.
  [[nodiscard]] constexpr std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return generation_; }

  /// As one number, and back; 0 names nothing. Any other number is a valid argument, too.
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return std::uint64_t{generation_} << 32 | index_; }
  [[nodiscard]] static constexpr Key from_value(std::uint64_t value) noexcept {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }

  /// False for a key that never named anything (also that of an object whose slot has no generations left); true says
  /// nothing about the object.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return generation_ != 0; }
  friend constexpr auto operator<=>(Key const&, Key const&) noexcept = default;

 private:
  std::uint32_t index_ = 0;
  std::uint32_t generation_ = 0;
};

static_assert(sizeof(Key) == 8);

}  // namespace fastalloc

template <> struct std::hash<fastalloc::Key> {
  [[nodiscard]] constexpr std::size_t operator()(fastalloc::Key key) const noexcept {
    std::uint64_t const mixed = key.value() * 0x9E3779B97F4A7C15U;  // the lower half of a product mixes upwards only
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};
