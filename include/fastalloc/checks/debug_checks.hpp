// SPDX-License-Identifier: MIT OR Apache-2.0
// DebugChecks and FullChecks: one bit a slot, in the tail of its block, is set while the slot is in use.
//
//   handed out   0xCD in every byte before the object is built     makes reads of uninitialised members visible
//   returned     0xDD in every byte after it was destroyed         makes reads through stale pointers visible
#pragma once

#include <fastalloc/atomic_ref.hpp>
#include <fastalloc/checks/no_checks.hpp>

#include <cstdint>
#include <cstring>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: during development. Costs 1 bit a slot and two fills an object. Links in free slots are verified before
/// they are followed.
/// Complexity: 1 step each way for the mark, log2 b + 1 (1 with CompactHandles) to find a block, and the bytes of one
/// object.
struct DebugChecks {
  static constexpr bool tracks_slots = true;
  static constexpr bool fills = true;
  static constexpr bool verifies_fill = false;
};

/// When to use: to find writes to dead objects, or where a double free must never pass. Costs one more read of the
/// slot. Complexity: as DebugChecks.
struct FullChecks {
  static constexpr bool tracks_slots = true;
  static constexpr bool fills = true;
  static constexpr bool verifies_fill = true;
};

static_assert(ChecksPolicy<DebugChecks> && ChecksPolicy<FullChecks>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

inline constexpr unsigned char fill_new = 0xCD;
inline constexpr unsigned char fill_dead = 0xDD;

/// A fill that compilers keep: a plain memset before placement new, or after a destructor, is a dead store that they
/// remove.
FASTALLOC_ALWAYS_INLINE void fill(std::byte* bytes, std::size_t count, unsigned char value) noexcept {
  std::memset(bytes, value, count);
#if defined(__GNUC__)
  asm volatile("" : : "r"(bytes) : "memory");
#else
  volatile std::byte* const keep = bytes;
  for (std::size_t i = 0; i != count; ++i) keep[i] = std::byte{value};
#endif
}

/// True when every byte outside [skip, skip + skipped) still holds `value`.
inline bool is_filled(std::byte const* bytes, std::size_t count, unsigned char value, std::size_t skip,
                      std::size_t skipped) noexcept {
  for (std::size_t i = 0; i != count; ++i)
    if ((i < skip || i >= skip + skipped) && bytes[i] != std::byte{value}) return false;
  return true;
}

inline constexpr char const* other_checks =
    "the pool was made, or used, by a file that was compiled with other checks (NDEBUG or FASTALLOC_CHECKED differs); "
    "compile both alike, or name the checks policy in the pool's type, as in FixedPool<T, NoChecks>";

/// The marks in a block's tail: one bit for each slot, set while it is in use, and one more bit; see LinkChecks. A
/// block made by a file without checks has no tail: nothing is written, and no slot is marked.
class SlotMarks {
 public:
  static constexpr std::size_t alignment = sizeof(std::uint32_t);  ///< not bytes: some processors swap only words
  static constexpr std::size_t bytes_for(std::size_t slot_count) noexcept { return (slot_count / 32 + 1) * alignment; }

  template <bool Shared> FASTALLOC_ALWAYS_INLINE static bool test(Block const& block, std::size_t place) noexcept {
    if (block.tail == nullptr) [[unlikely]]
      return false;
    std::uint32_t& word = word_of(block, place);
    // relaxed: as in flip()
    std::uint32_t const bits = Shared ? AtomicRef(word).load(std::memory_order_relaxed) : word;
    return (bits >> place % 32 & 1U) != 0;
  }
  /// Effects: marks the slot as free. Returns: true when it was in use.
  template <bool Shared> FASTALLOC_ALWAYS_INLINE static bool clear(Block const& block, std::size_t place) noexcept {
    if (block.tail == nullptr) [[unlikely]]
      return false;
    std::uint32_t& word = word_of(block, place);
    std::uint32_t const mask = std::uint32_t{1} << place % 32;
    // relaxed: as in flip()
    if constexpr (Shared) return (AtomicRef(word).fetch_and(~mask, std::memory_order_relaxed) & mask) != 0;
    if ((word & mask) == 0) return false;
    return word &= ~mask, true;
  }
  /// `Shared`: threads without a lock flip, too. Returns: the previous mark.
  template <bool Shared> FASTALLOC_ALWAYS_INLINE static bool flip(Block const& block, std::size_t place) noexcept {
    if (block.tail == nullptr) [[unlikely]]
      return false;
    std::uint32_t& word = word_of(block, place);
    std::uint32_t const mask = std::uint32_t{1} << place % 32;
    // relaxed: the operation that hands the slot on orders the accesses to it.
    if constexpr (Shared) return (AtomicRef(word).fetch_xor(mask, std::memory_order_relaxed) & mask) != 0;
    return ((word ^= mask) & mask) == 0;
  }

 private:
  FASTALLOC_ALWAYS_INLINE static std::uint32_t& word_of(Block const& block, std::size_t place) noexcept {
    return reinterpret_cast<std::uint32_t*>(block.tail)[place / 32];
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
