// SPDX-License-Identifier: MIT OR Apache-2.0
// Key: 8 bytes that name an object in a pool and are safe to use after its end. See slots/generations.hpp.
#pragma once

#include <fastalloc/config.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>  // std::hash

namespace fastalloc::inline FASTALLOC_STATE {

/// `pool.key(handle)` makes a key; `pool.get(key)` returns the object, or null once it is gone. Keys own nothing,
/// are trivially copyable, and may be stored, sent and compared. A default constructed key names nothing.
class Key {
 public:
  constexpr Key() noexcept = default;
  constexpr Key(std::uint32_t index, std::uint32_t generation) noexcept : index_(index), generation_(generation) {}

  /// The slot's number, unique among the live objects of a pool. Differs from Pool::index_of() if the pool grows.
  [[nodiscard]] constexpr std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return generation_; }

  /// Conversion to one number and back; 0 names nothing. from_value() accepts any number.
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return std::uint64_t{generation_} << 32 | index_; }
  [[nodiscard]] static constexpr Key from_value(std::uint64_t value) noexcept {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }

  /// False for a key that never named anything, or whose object's slot had no generations left. True does not imply
  /// that the object is live.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return generation_ != 0; }
  friend constexpr auto operator<=>(Key const&, Key const&) noexcept = default;

 private:
  std::uint32_t index_ = 0;
  std::uint32_t generation_ = 0;
};

static_assert(sizeof(Key) == 8);

}  // namespace fastalloc::inline FASTALLOC_STATE

template <> struct std::hash<fastalloc::Key> {
  [[nodiscard]] constexpr std::size_t operator()(fastalloc::Key key) const noexcept {
    std::uint64_t const mixed = key.value() * 0x9E3779B97F4A7C15U;  // a product's lower half mixes upwards only
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};
