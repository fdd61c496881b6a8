// SPDX-License-Identifier: MIT OR Apache-2.0
// ExternalStorage: the pool lives in a span of bytes that the caller owns and that outlives the pool.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <cstdint>
#include <span>

namespace fastalloc::inline FASTALLOC_MODE {

/// `FixedPool<T, ExternalStorage> pool(span)` takes as many slots as fit; P::required_bytes(n) bytes, aligned to
/// P::required_alignment(), hold exactly n. The pool writes nowhere outside the span and never frees it.
struct ExternalStorage {
  static constexpr bool can_grow = false;
  static constexpr bool is_borrowed = true;

  constexpr ExternalStorage(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}

  /// Returns: the start of the span; null when the span is too small or its start not aligned enough.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return bytes <= bytes_.size() && is_aligned(alignment) ? bytes_.data() : nullptr;
  }
  void release(void*, std::size_t, std::size_t) noexcept {}

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool is_aligned(std::size_t alignment) const noexcept {
    return reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignment == 0;
  }

 private:
  std::span<std::byte> bytes_;
};

static_assert(Storage<ExternalStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
