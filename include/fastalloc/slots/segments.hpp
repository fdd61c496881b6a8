// SPDX-License-Identifier: MIT OR Apache-2.0
// Segments: where the slots of a pool with CompactHandles lie, so that an address leads to its owner and its block.
//
//   segment   | unused | SegmentHead | slot 0 | slot 1 | ... | marks | GrowingBlock |     at a multiple of its bytes
//               places    64 bytes
//
// The first bits of an address name its segment: one mask, no table. The head's place depends on the segment's number.
// At one place, all heads would share one set of each cache: with a million objects of 64 bytes, a third slower.
#pragma once

#include <fastalloc/slots/blocks.hpp>

namespace fastalloc::detail::inline FASTALLOC_ABI {

struct SegmentHead {
  AnyOwner* owner;
  void* block;  ///< a GrowingBlock; null where the pool has one block
};

/// Bytes: a power of two. Places: of heads; a power of two.
template <std::size_t Bytes, std::size_t Places> struct SegmentMap {
  static constexpr std::size_t bytes = Bytes;
  static constexpr std::size_t head_bytes = Places == 1 ? sizeof(SegmentHead) : 64;
  static constexpr std::size_t most_head_bytes = Places * head_bytes;  ///< in front of the slots

  FASTALLOC_ALWAYS_INLINE static std::uintptr_t base_of(void const* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p) & ~std::uintptr_t{Bytes - 1};
  }
  FASTALLOC_ALWAYS_INLINE static std::byte* head_at(void const* p) noexcept {
    std::uintptr_t const base = base_of(p);
    return reinterpret_cast<std::byte*>(base + base / Bytes % Places * head_bytes);
  }
  /// The slots behind a head. Every alignment of slots divides the lowest bit of their stride.
  FASTALLOC_ALWAYS_INLINE static std::byte* first_slot(std::byte* head, std::size_t stride) noexcept {
    std::uintptr_t const least = stride & (~stride + 1);
    return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(head) + head_bytes + least - 1) &
                                        ~(least - 1));
  }
  /// The head of the segment that holds `p`. Requires: `p` points into a slot.
#if FASTALLOC_ASAN  // heads are poisoned
  [[gnu::noinline, gnu::no_sanitize_address]] static SegmentHead head_of(void const* p) noexcept {
    auto const* const head = reinterpret_cast<SegmentHead const*>(head_at(p));
    return {head->owner, head->block};
  }
#else
  FASTALLOC_ALWAYS_INLINE static SegmentHead const& head_of(void const* p) noexcept {
    return *reinterpret_cast<SegmentHead const*>(head_at(p));
  }
#endif
};

template <std::size_t Bytes> using BlockSegments = SegmentMap<Bytes, most_head_places>;
using UsualSegments = BlockSegments<usual_segment>;

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Blocks in segments of `Bytes`, and a table that finds them by a hash of the segment's number; collisions take the
/// next empty entry:
///
///   directory   | Block* ..., by address | Block* or null ..., by hash; twice as many |
///
/// The record of a block lies in its segment, so the first bits of an entry name the segment. The search compares them
/// with those of the address, which it never reads from.
template <std::size_t Bytes> class SegmentBlocks : public Blocks<true> {
  using Block = GrowingBlock;
  using Map = BlockSegments<Bytes>;

 public:
  constexpr SegmentBlocks() noexcept = default;

  /// The entry at which a search begins. Without the shift, segments at distances of 987 would share a few entries.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static std::size_t home(void const* p, std::size_t table_size) noexcept {
    std::uint64_t const number = reinterpret_cast<std::uintptr_t>(p) / Bytes;
    return static_cast<std::size_t>((((number ^ number >> 7) * 0x9E37'79B9'7F4A'7C15) >> 32) * table_size >> 32);
  }

  /// `p`: any address. Complexity: constant on average: for the pool's addresses 1.1 entries where segments lie side by
  /// side, 1.5 elsewhere; for others 1.6 and 2.5.
  [[nodiscard]] Block* find(void const* p) const noexcept {
    if (count_ == 0) return nullptr;
    Block* const block = *entry_of(p);
    return block != nullptr && holds(*block, p) ? block : nullptr;
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Block const* find_near(void const* p) const noexcept {
    if (last_ != nullptr && holds(*last_, p)) [[likely]]
      return last_;
    Block const* const block = find(p);
    if (block != nullptr) last_ = block;
    return block;
  }

  /// As in Blocks<true>; `memory` has room for the table, too.
  void set_directory(Block** memory, std::size_t count) noexcept {
    Blocks<true>::set_directory(memory, count);
    Block** const table = memory + count;
    for (std::size_t i = 0; i != 2 * count; ++i) table[i] = nullptr;
    for (std::size_t i = 0; i != count; ++i) *entry_of(memory[i]) = memory[i];
  }

 private:
  /// The entry of the segment that holds `p`, or the empty one where it would be.
  [[nodiscard]] Block** entry_of(void const* p) const noexcept {
    Block** const table = sorted_ + count_;
    Block** const end = table + 2 * count_;
    Block** at = table + home(p, 2 * count_);
    while (*at != nullptr && Map::base_of(*at) != Map::base_of(p))
      if (++at == end) at = table;
    return at;
  }
};

/// Of a pool that has a block in each segment. Complexity: constant.
template <class Shape> requires(Shape::segment > 1) struct BlockLookup<Shape> {
  using Blocks = SegmentBlocks<Shape::segment>;
  template <class B>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static GrowingBlock& of(B const&, void const* slot) noexcept {
    return *static_cast<GrowingBlock*>(BlockSegments<Shape::segment>::head_of(slot).block);
  }
  /// Reads no memory but the stride.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static std::byte* slot_of(Blocks const& blocks, void const* p) noexcept {
    using Map = BlockSegments<Shape::segment>;
    std::byte* const data = Map::first_slot(Map::head_at(p), blocks.stride());
    auto const offset = static_cast<std::size_t>(static_cast<std::byte const*>(p) - data);
    // Without a division for what is usual: the start of the slot. For another address, the inverse of the stride
    // yields another number, whose product with the stride may equal the offset in the lowest bits only.
    if constexpr (Shape::segment <= std::uint64_t{1} << 32)  // else the product may need more than 64 bits
      if (std::size_t const place = blocks.slots_in(offset);
          place <= offset && std::uint64_t{place} * blocks.stride() == offset)
        return data + offset;
    return data + offset / blocks.stride() * blocks.stride();
  }
  [[nodiscard]] static std::size_t index_of(Blocks const& blocks, std::byte const* slot) noexcept {
    GrowingBlock const& block = of(blocks, slot);
    return block.first + blocks.place(block, slot);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
