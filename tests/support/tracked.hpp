// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects that keep account of themselves. Needs no Catch2, so that fuzz targets can use it.
//
//   Ledger        the addresses of all live Tracked objects, and every mistake made with them
//   Tracked       enters its `this` when built, leaves when destroyed; payload = cookie ^ value, checked at the end
//   Fuse          ticks; blows (throws Blown) at the n-th tick. Without exceptions it cannot be lit
//   ThrowOnNth    a Tracked whose constructors tick the fuse first
//
// support/audit.hpp turns the ledger into Catch2 checks.
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>

namespace test {

/// Who lives, and what went wrong. One for the program.
class Ledger {
 public:
  void enter(void const* object, std::size_t alignment) {
    ++built_;
    if (reinterpret_cast<std::uintptr_t>(object) % alignment != 0)
      mistake("an object was built at a misaligned address");
    if (!live_.insert(object).second) mistake("an object was built over a live one");
  }
  void leave(void const* object) {
    ++destroyed_;
    if (live_.erase(object) == 0) mistake("an object was destroyed that does not live");
  }
  void mistake(char const* text) {
    if (mistakes_++ == 0) first_mistake_ = text;
  }
  /// Takes back mistakes that a test provoked. Returns how many there were.
  std::size_t forgive() {
    std::size_t const count = mistakes_;
    mistakes_ = 0;
    first_mistake_.clear();
    return count;
  }

  [[nodiscard]] std::size_t live() const { return live_.size(); }
  [[nodiscard]] bool lives(void const* object) const { return live_.count(object) != 0; }
  [[nodiscard]] std::size_t built() const { return built_; }
  [[nodiscard]] std::size_t destroyed() const { return destroyed_; }
  [[nodiscard]] std::size_t mistakes() const { return mistakes_; }
  [[nodiscard]] std::string const& first_mistake() const { return first_mistake_; }

 private:
  std::unordered_set<void const*> live_;
  std::size_t built_ = 0;
  std::size_t destroyed_ = 0;
  std::size_t mistakes_ = 0;
  std::string first_mistake_;
};

inline Ledger& ledger() {
  static Ledger the_ledger;
  return the_ledger;
}

/// Registers its address. Copies and moves are objects of their own.
class Tracked {
 public:
  static constexpr std::uint64_t cookie = 0x9E3779B97F4A7C15;

  Tracked() : Tracked(0) {}
  explicit Tracked(std::uint64_t value) : value_(value), payload_(cookie ^ value) {
    ledger().enter(this, alignof(Tracked));
  }
  Tracked(Tracked const& other) : Tracked(other.value_) { other.verify(); }
  Tracked(Tracked&& other) : Tracked(other.value_) {
    other.verify();
    other.moved_from_ = true;
  }
  Tracked& operator=(Tracked const& other) {
    set_value(other.value_);
    return *this;
  }
  Tracked& operator=(Tracked&& other) {
    set_value(other.value_);
    other.moved_from_ = true;
    return *this;
  }
  ~Tracked() {
    verify();
    ledger().leave(this);
    payload_ = 0;
  }

  [[nodiscard]] std::uint64_t value() const { return value_; }
  void set_value(std::uint64_t value) {
    verify();
    value_ = value;
    payload_ = cookie ^ value;
  }
  [[nodiscard]] bool moved_from() const { return moved_from_; }
  /// False when something wrote over the object.
  [[nodiscard]] bool intact() const { return payload_ == (cookie ^ value_); }
  void verify() const {
    if (!intact()) ledger().mistake("the payload of a live object was overwritten");
  }

 private:
  std::uint64_t value_;
  std::uint64_t payload_;
  bool moved_from_ = false;
};

/// What a fuse throws.
struct Blown {};

/// Counts down to one exception. light(1) blows at the next tick.
class Fuse {
 public:
  void light(std::size_t ticks) {
#if FASTALLOC_EXCEPTIONS
    left_ = ticks;
#else
    (void)ticks;
#endif
  }
  void put_out() { left_ = 0; }
  [[nodiscard]] bool lit() const { return left_ != 0; }
  void tick() {
    if (left_ == 0 || --left_ != 0) return;
#if FASTALLOC_EXCEPTIONS
    throw Blown{};
#endif
  }

 private:
  std::size_t left_ = 0;
};

inline Fuse& fuse() {
  static Fuse the_fuse;
  return the_fuse;
}

/// Its n-th construction throws once the fuse is lit: `fuse().light(n)`.
struct ThrowOnNth : Tracked {
  ThrowOnNth() : ThrowOnNth(0) {}
  explicit ThrowOnNth(std::uint64_t value) : Tracked((fuse().tick(), value)) {}
  ThrowOnNth(ThrowOnNth const& other) : Tracked((fuse().tick(), other)) {}
  ThrowOnNth& operator=(ThrowOnNth const&) = default;
};

}  // namespace test
