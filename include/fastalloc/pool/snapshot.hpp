// SPDX-License-Identifier: MIT OR Apache-2.0
// Snapshot: the slots that were live when an iteration began, less those returned since.
//
//   one heap block     | range 0 | range 1 | ... | bits of range 0 | bits of range 1 | ... ranges sorted by address
//
// For slot allocators that do not track occupancy. The pool clears the bits of returned slots, so an iteration skips
// objects released while it runs, even if their block's memory is gone.
#pragma once

#include <fastalloc/slots/blocks.hpp>

#include <bit>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

class Snapshot {
 public:
  Snapshot() noexcept = default;
  Snapshot(Snapshot const&) = delete;
  Snapshot& operator=(Snapshot const&) = delete;
#if __STDC_HOSTED__
  ~Snapshot() { ::operator delete(ranges_); }
#endif

  /// Effects: acquires room for a snapshot; call it without a lock, since the user's operator new may use the pool.
  /// Requires: the snapshot has not begun. Returns: false if there is no memory.
  bool make_room(std::size_t bytes) noexcept {
#if __STDC_HOSTED__
    ::operator delete(ranges_);
    ranges_ = static_cast<Range*>(::operator new(bytes, std::nothrow));
#else  // no heap: up to 1024 slots of one block, on the stack
    ranges_ = bytes <= sizeof here_ ? reinterpret_cast<Range*>(here_) : nullptr;
#endif
    room_ = ranges_ != nullptr ? bytes : 0;
    return ranges_ != nullptr;
  }
  /// Effects: marks all slots that were handed out. Returns: 0, or the bytes to make room for; the snapshot is then
  /// empty.
  template <bool Growing> std::size_t begin(Blocks<Growing> const& blocks) noexcept {
    std::size_t const count = blocks.count();
    std::size_t words = 0;
    for (std::size_t b = 0; b != count; ++b) words += words_for(blocks[b].high_water);
    std::size_t const bytes = count * sizeof(Range) + words * sizeof(std::size_t);
    if (bytes > room_) return bytes;
    count_ = count;
    stride_ = blocks.stride();
    auto* bits = reinterpret_cast<std::size_t*>(ranges_ + count_);
    for (std::size_t b = 0; b != count_; ++b) {
      std::size_t const high_water = blocks[b].high_water;
      ::new (static_cast<void*>(&ranges_[b])) Range{blocks[b].data, high_water, bits};
      for (std::size_t left = high_water; left != 0; left -= left < word_bits ? left : word_bits)
        *bits++ = left < word_bits ? (std::size_t{1} << left) - 1 : ~std::size_t{0};
    }
    return 0;
  }

  /// Removes a slot: it is free.
  void clear(std::byte const* slot) noexcept {
    std::size_t low = 0;
    for (std::size_t n = count_; n > 1;) {  // find the last range that starts at or before the slot
      std::size_t const half = n / 2;
      if (address(ranges_[low + half].data) <= address(slot)) low += half;
      n -= half;
    }
    if (count_ == 0 || address(slot) - address(ranges_[low].data) >= ranges_[low].slot_count * stride_) return;
    // A true division: a new block may overlap a released one, at an offset that is not a multiple of the stride.
    std::size_t const place = static_cast<std::size_t>(slot - ranges_[low].data) / stride_;
    ranges_[low].bits[place / word_bits] &= ~(std::size_t{1} << place % word_bits);
  }

  /// Removes all slots.
  void clear() noexcept { range_ = count_; }

  /// Returns: the next live slot in address order, each once; null at the end.
  [[nodiscard]] std::byte* next() noexcept {
    for (; range_ != count_; ++range_, word_ = 0) {
      Range const& range = ranges_[range_];
      for (; word_ != words_for(range.slot_count); ++word_) {
        std::size_t& bits = range.bits[word_];
        if (bits == 0) continue;
        auto const bit = static_cast<std::size_t>(std::countr_zero(bits));
        bits &= bits - 1;
        return range.data + (word_ * word_bits + bit) * stride_;
      }
    }
    return nullptr;
  }

  Snapshot* outer = nullptr;  ///< the next older running iteration's snapshot

 private:
  struct Range {
    std::byte* data;
    std::size_t slot_count;
    std::size_t* bits;
  };
#if !__STDC_HOSTED__
  alignas(Range) std::byte here_[sizeof(Range) + 1024 / 8];
#endif
  static std::uintptr_t address(void const* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

  Range* ranges_ = nullptr;
  std::size_t room_ = 0;  ///< bytes
  std::size_t count_ = 0;
  std::size_t stride_ = 1;
  std::size_t range_ = 0;
  std::size_t word_ = 0;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
