// SPDX-License-Identifier: MIT OR Apache-2.0
// Where a model test takes its decisions from: a seeded generator, or the bytes that a fuzzer made up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace model {

/// Decisions from a seed (splitmix64); never ends by itself.
class SeededSource {
 public:
  explicit SeededSource(std::uint64_t seed) : state_(seed) {}
  /// A number below `bound`. Requires: bound is not 0.
  std::size_t below(std::size_t bound) {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return static_cast<std::size_t>((z ^ z >> 31) % bound);
  }
  [[nodiscard]] bool ended() const { return false; }

 private:
  std::uint64_t state_;
};

/// Decisions from bytes; ends with them, and then says 0.
class ByteSource {
 public:
  explicit ByteSource(std::span<std::uint8_t const> bytes) : bytes_(bytes) {}
  std::size_t below(std::size_t bound) {
    std::size_t value = next();
    if (bound > 256) value = value << 8 | next();
    return value % bound;
  }
  [[nodiscard]] bool ended() const { return bytes_.empty(); }

 private:
  std::size_t next() {
    if (bytes_.empty()) return 0;
    std::size_t const byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  std::span<std::uint8_t const> bytes_;
};

}  // namespace model
