// SPDX-License-Identifier: MIT OR Apache-2.0
// The kinds of T that the behaviour suite runs over. Kind<T> says how to build number i, and how to recognise it:
//   arg(i)         what allocate() gets        set(object, i)   makes number i of any object (recycled ones)
//   holds(object, i)                           movable_arg      arg(i) shows whether it was moved from
#pragma once

#include "support/hostile.hpp"
#include "support/tracked.hpp"

#include <fastalloc/fastalloc.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace behaviour {

struct Empty {
  Empty() = default;
  explicit Empty(std::size_t) {}
};

struct Three {
  unsigned char bytes[3] = {};
  Three() = default;
  explicit Three(std::size_t i) { set(i); }
  void set(std::size_t i) {
    for (std::size_t k = 0; k != 3; ++k) bytes[k] = static_cast<unsigned char>(i >> 8 * k);
  }
};

struct Pinned : test::Tracked {
  using Tracked::Tracked;
  Pinned(Pinned&&) = delete;
  Pinned& operator=(Pinned&&) = delete;
};

struct alignas(64) OverAligned : test::Tracked {
  using Tracked::Tracked;
};

/// Owns children in the same pool: its destructor re-enters the pool.
struct Node : test::Tracked {
  using Tracked::Tracked;
  std::vector<fastalloc::Handle<Node>> kids;
};

struct Big : test::Tracked {
  Big() : Big(0) {}
  explicit Big(std::size_t i) : Tracked(i) { set(i); }
  void set(std::size_t i) {
    set_value(i);
    words.fill(i * 3);
  }
  std::array<std::uint64_t, 1280> words;
};
static_assert(sizeof(Big) > 10240);

template <class T> struct Kind {
  static constexpr bool movable_arg = false;
  static std::size_t arg(std::size_t i) { return i; }
  static void set(T& object, std::size_t i) { object.set_value(i); }
  static bool holds(T const& object, std::size_t i) {
    return object.intact() && object.value() == i && test::ledger().lives(std::addressof(object));
  }
};

template <class T> requires std::is_arithmetic_v<T> struct Kind<T> {
  static constexpr bool movable_arg = false;
  static T arg(std::size_t i) { return static_cast<T>(i); }
  static void set(T& object, std::size_t i) { object = static_cast<T>(i); }
  static bool holds(T const& object, std::size_t i) { return object == static_cast<T>(i); }
};

template <> struct Kind<Empty> {
  static constexpr bool movable_arg = false;
  static std::size_t arg(std::size_t i) { return i; }
  static void set(Empty&, std::size_t) {}
  static bool holds(Empty const&, std::size_t) { return true; }
};

template <> struct Kind<Three> {
  static constexpr bool movable_arg = false;
  static std::size_t arg(std::size_t i) { return i; }
  static void set(Three& object, std::size_t i) { object.set(i); }
  static bool holds(Three const& object, std::size_t i) {
    return (object.bytes[0] | object.bytes[1] << 8 | object.bytes[2] << 16) == static_cast<int>(i & 0xFFFFFF);
  }
};

template <> struct Kind<Big> {
  static constexpr bool movable_arg = false;
  static std::size_t arg(std::size_t i) { return i; }
  static void set(Big& object, std::size_t i) { object.set(i); }
  static bool holds(Big const& object, std::size_t i) {
    return object.intact() && object.value() == i && object.words.front() == i * 3 && object.words.back() == i * 3;
  }
};

template <> struct Kind<std::string> {
  static constexpr bool movable_arg = true;
  static std::string arg(std::size_t i) { return "number " + std::to_string(i) + ", too long for the small buffer"; }
  static void set(std::string& object, std::size_t i) { object = arg(i); }
  static bool holds(std::string const& object, std::size_t i) { return object == arg(i); }
};

template <> struct Kind<std::vector<int>> {
  static constexpr bool movable_arg = true;
  static std::vector<int> arg(std::size_t i) { return std::vector<int>(i % 9 + 1, static_cast<int>(i)); }
  static void set(std::vector<int>& object, std::size_t i) { object = arg(i); }
  static bool holds(std::vector<int> const& object, std::size_t i) { return object == arg(i); }
};

}  // namespace behaviour
