// SPDX-License-Identifier: MIT OR Apache-2.0
// Blocks: the memory of a pool, and the mapping between an address, its block and its index.
//
//   block      | slot 0 | slot 1 | ... | slot n-1 | tail |          contiguous, never moves
//   directory  Block* sorted by address                             only in a pool that grows; with CompactHandles
//                                                                   a hash table, too (slots/segments.hpp)
//
// A slot's index is its block's `first` plus its place in the block; blocks are numbered in the order of their
// creation. Indices are stable while the block lives. `word` numbers the machine words of one bit a slot, in address
// order; no word spans two blocks.
#pragma once

#include <fastalloc/slots/slot_shape.hpp>

#include <limits>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// One contiguous run of slots.
struct Block {
  static constexpr std::size_t first = 0;  ///< index of the first slot
  static constexpr std::size_t word = 0;   ///< first word of one bit a slot, over all blocks
  std::byte* data = nullptr;               ///< the first slot
  std::byte* end = nullptr;                ///< behind the last slot
  std::byte* tail = nullptr;               ///< bytes of the checks policy; null where the block was made without one
  std::size_t slot_count = 0;
  std::size_t high_water = 0;  ///< slots handed out at least once; they come first
};

/// One of several blocks. `first` and `word` hide the constants of a single block: access it through this type only.
struct GrowingBlock : Block {
  std::size_t first = 0;
  std::size_t word = 0;
  std::size_t old_word = 0;      ///< `word` before the directory last changed
  std::size_t bytes = 0;         ///< as acquired from the storage; 0 if it came with the block in front of it
  std::size_t marked = 0;        ///< scratch of shrink_to_fit
  GrowingBlock* next = nullptr;  ///< scratch of shrink_to_fit; with CompactHandles the next one of one acquisition
  std::size_t paged = 0;         ///< slots whose generations are in pages; they come first
};

/// The blocks of a pool that grows, or of one that has one block.
template <bool Growing> using BlockOf = std::conditional_t<Growing, GrowingBlock, Block>;

/// Bits of a word of a bitmap.
inline constexpr std::size_t word_bits = std::numeric_limits<std::size_t>::digits;

/// Words that hold one bit for each of `slots` slots.
constexpr std::size_t words_for(std::size_t slot_count) noexcept {
  return slot_count / word_bits + (slot_count % word_bits != 0);
}

/// Divides multiples of a stride by the stride: a multiplication by the inverse of its odd part modulo 2^w, and a shift
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994, section 9).
/// A default-constructed divider maps 0 to 0.
class ExactDivider {
 public:
  constexpr ExactDivider() noexcept = default;
  explicit constexpr ExactDivider(std::size_t divisor) noexcept : shift_(std::countr_zero(divisor)) {
    std::size_t const odd = divisor >> shift_;
    inverse_ = odd;  // correct to 3 bits; each step of Newton's iteration doubles them
    for (int bits = 3; bits < std::numeric_limits<std::size_t>::digits; bits *= 2) inverse_ *= 2 - odd * inverse_;
  }
  /// Requires: `multiple` is a multiple of the divisor.
  FASTALLOC_ALWAYS_INLINE constexpr std::size_t operator()(std::size_t multiple) const noexcept {
    return (multiple >> shift_) * inverse_;
  }

 private:
  int shift_ = 0;
  std::size_t inverse_ = 0;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The common base of both kinds of Blocks: the stride.
class BlocksBase {
 public:
  constexpr BlocksBase() noexcept = default;

  void set_stride(std::size_t stride) noexcept {
    stride_ = stride;
    divide_ = ExactDivider(stride);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t stride() const noexcept { return stride_; }

  /// Place of a slot in its block. Requires: `slot` is the start of a slot of `block`.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t place(Block const& block, std::byte const* slot) const noexcept {
    return divide_(static_cast<std::size_t>(slot - block.data));
  }
  /// Slots in `bytes`, a multiple of the stride.
  [[nodiscard]] std::size_t slots_in(std::size_t bytes) const noexcept { return divide_(bytes); }

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool holds(Block const& block, void const* p) noexcept {
    return address(p) - address(block.data) < static_cast<std::size_t>(block.end - block.data);
  }

 protected:
  /// Compares integers: the order of pointers into different objects is unspecified.
  FASTALLOC_ALWAYS_INLINE static std::uintptr_t address(void const* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p);
  }

 private:
  std::size_t stride_ = 0;
  ExactDivider divide_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// The blocks of a pool. The primary template is for pools of one block.
template <bool Growing> class Blocks : public detail::BlocksBase {
 public:
  constexpr Blocks() noexcept = default;

  /// The block that holds `p`, or null.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const* find(void const* p) const noexcept {
    return holds(one_, p) ? &one_ : nullptr;
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const* find_near(void const* p) const noexcept { return find(p); }
  /// The first block, by address, that ends behind `p`; or null.
  [[nodiscard]] Block const* behind(void const* p) const noexcept {
    return address(p) < address(one_.end) ? &one_ : nullptr;
  }
  /// The block that holds `slot`. Requires: such a block exists. Complexity: constant.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const& of(std::byte const*) const noexcept { return one_; }
  /// The block that holds word `word`. Requires: such a block exists. Complexity: constant.
  [[nodiscard]] Block const& of_word(std::size_t) const noexcept { return one_; }

  [[nodiscard]] std::size_t count() const noexcept { return one_.data != nullptr; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block& operator[](std::size_t) noexcept { return one_; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const& operator[](std::size_t) const noexcept { return one_; }

  /// Index of a slot. Requires: `slot` is the start of a slot.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t index_of(std::byte const* slot) const noexcept {
    return place(one_, slot);
  }

 private:
  Block one_;
};

template <> class Blocks<true> : public detail::BlocksBase {
  using Block = GrowingBlock;

 public:
  constexpr Blocks() noexcept = default;

  [[nodiscard]] Block* find(void const* p) const noexcept {
    std::size_t const i = upper_bound([&](Block const& b) { return address(b.data) <= address(p); });
    return i != 0 && holds(*sorted_[i - 1], p) ? sorted_[i - 1] : nullptr;
  }
  [[nodiscard]] Block const* behind(void const* p) const noexcept {
    std::size_t const i = upper_bound([&](Block const& b) { return address(b.end) <= address(p); });
    return i != count_ ? sorted_[i] : nullptr;
  }
  /// find() that tries the last block found first. Requires: the caller may call of().
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const* find_near(void const* p) const noexcept {
    if (last_ != nullptr && holds(*last_, p)) [[likely]]
      return last_;
    Block const* const block = find(p);
    if (block != nullptr) last_ = block;
    return block;
  }
  /// Complexity: logarithmic in the number of blocks; constant for the last block found.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const& of(std::byte const* slot) const noexcept {
    Block const* block = last_;
    if (!holds(*block, slot)) [[unlikely]]
      last_ = block = find(slot);
    return *block;
  }
  [[nodiscard]] Block const& of_word(std::size_t word) const noexcept {
    return *sorted_[upper_bound([&](Block const& b) { return b.word <= word; }) - 1];
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] Block& operator[](std::size_t i) const noexcept { return *sorted_[i]; }

  /// Does not update the last block found, so other threads may call it while the owner calls of().
  [[nodiscard]] std::size_t index_of(std::byte const* slot) const noexcept {
    Block const& block = *find(slot);
    return block.first + place(block, slot);
  }

  /// Moves the directory to `memory`, which has room for `count` entries, and renumbers the words.
  void set_directory(Block** memory, std::size_t count) noexcept {
    sorted_ = memory;
    count_ = count;
    last_ = count != 0 ? memory[0] : nullptr;
    for (std::size_t i = 1; i < count; ++i) {  // only the last entry can be out of order
      for (std::size_t j = i; j != 0 && address(sorted_[j]->data) < address(sorted_[j - 1]->data); --j)
        std::swap(sorted_[j], sorted_[j - 1]);
    }
    std::size_t word = 0;
    for (std::size_t i = 0; i != count; ++i) {
      sorted_[i]->old_word = std::exchange(sorted_[i]->word, word);
      word += words_for(sorted_[i]->slot_count);
    }
  }
  [[nodiscard]] Block** directory() const noexcept { return sorted_; }

 protected:
  template <class Predicate> std::size_t upper_bound(Predicate before) const noexcept {
    std::size_t low = 0;
    for (std::size_t n = count_; n != 0;) {
      std::size_t const half = n / 2;
      bool const right = before(*sorted_[low + half]);
      low = right ? low + half + 1 : low;
      n = right ? n - half - 1 : half;
    }
    return low;
  }

  Block** sorted_ = nullptr;
  std::size_t count_ = 0;
  mutable Block const* last_ = nullptr;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The block of a slot, and of any address in a slot. Pools with CompactHandles read it in the slot's segment
/// (slots/segments.hpp).
template <class Shape> struct BlockLookup {
  using Blocks = fastalloc::Blocks<Shape::growing>;
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static auto const& of(Blocks const& blocks, std::byte const* slot) noexcept {
    return blocks.of(slot);
  }
  /// The start of the slot that contains `p`.
  [[nodiscard]] static std::byte* slot_of(Blocks const& blocks, void const* p) noexcept {
    std::byte* const data = blocks.find(p)->data;
    return data + static_cast<std::size_t>(static_cast<std::byte const*>(p) - data) / blocks.stride() * blocks.stride();
  }
  [[nodiscard]] static std::size_t index_of(Blocks const& blocks, std::byte const* slot) noexcept {
    return blocks.index_of(slot);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
