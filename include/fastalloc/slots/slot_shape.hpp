// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotShape: what a slot allocator knows about slots at compile time. SlotCode: how it writes an address down.
// SlotLink: where.
//
//   stride     bytes from one slot to the next: `size`, or a multiple of PoolConfig::alignment (known at run time)
//   granule    the largest power of two that divides `size`; it divides every stride, too
//   code       a free slot in a list: 32 bits, (address - data) / granule, where there is one block;
//              the address itself where there are many
//
// Offsets in granules need neither a division nor, for powers of two, a multiplication to become addresses; indices
// would need both. One block may so be up to 2^32 granules long: 32 GiB for 8-byte granules, 256 GiB for 64-byte ones.
#pragma once

#include <fastalloc/fwd.hpp>
#include <fastalloc/storage/poison.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace fastalloc::inline FASTALLOC_MODE {

/// Size: bytes of a slot, a multiple of Align. Growing: the pool may have several blocks. LinkOffset: where in a free
/// slot a link of LinkSize bytes may be written.
/// Poisons: AddressSanitizer may be told about free slots. It keeps account of eight bytes at a time, which slots must
/// not share where threads that hold no lock hand them out. GenerationBits: 0, or keys name slots
/// (slots/generations.hpp). CountsOffset: 0, or where counts of owners lie (handle/sharing.hpp): a for_each() may look
/// at them at any time. Header: bytes in front of the slots, for a pool that processes share (storage/span_header.hpp).
/// WholeGranules: strides are multiples of those eight bytes, so that no slot shares them.
template <std::size_t Size, std::size_t Align, bool Growing, std::size_t LinkOffset = 0, std::size_t LinkSize = 0,
          bool Poisons = true, int GenerationBits = 0, std::size_t CountsOffset = 0, std::size_t Header = 0,
          bool WholeGranules = false>
struct SlotShape {
  static_assert(Size % Align == 0 && std::has_single_bit(Align) && LinkOffset + LinkSize <= Size);
  static constexpr std::size_t size = Size;
  static constexpr std::size_t align = Align;
  static constexpr bool growing = Growing;
  static constexpr std::size_t link_offset = LinkOffset;
  static constexpr std::size_t link_size = LinkSize;
  static constexpr bool poisons = Poisons;
  static constexpr std::size_t least_stride_alignment = WholeGranules && Align < 8 ? 8 : Align;
  static constexpr bool any_size = false;
  static constexpr int generation_bits = GenerationBits;
  static constexpr bool keyed = GenerationBits != 0;
  static constexpr bool counted = CountsOffset != 0;
  static constexpr std::size_t header = Header;
  static constexpr bool spans_processes = Header != 0;
  /// Where a slot of a growing pool keeps its index for keys, used or free.
  static constexpr std::size_t index_offset = Size - sizeof(std::uint32_t);
  /// Bytes for the object and what belongs to it, which are filled and poisoned. Iterations may look at the others.
  static constexpr std::size_t payload = counted ? CountsOffset : keyed && Growing ? index_offset : Size;
  static constexpr int granule_shift = std::countr_zero(Size);
};

/// Slots of a size that is known at run time: a multiple of Granule. They hold bytes, not objects of one type.
template <std::size_t Granule> struct AnySizeShape : SlotShape<Granule, Granule, true> {
  static constexpr bool any_size = true;
};

/// Translates between slot addresses and list entries. Wide: entries are addresses. HasNone: 0 stands for no slot, so
/// that a list that is all zeros is an empty one.
template <class Shape, bool Wide, bool HasNone = false> struct SlotCode {
  using type = std::conditional_t<Wide, std::byte*, std::uint32_t>;

  static constexpr type none{};

  template <class Blocks>
  FASTALLOC_ALWAYS_INLINE static type encode([[maybe_unused]] Blocks const& blocks, std::byte* slot) noexcept {
    if constexpr (Wide) return slot;
    else return static_cast<type>((static_cast<std::size_t>(slot - blocks[0].data) >> Shape::granule_shift) + HasNone);
  }

  template <class Blocks>
  FASTALLOC_ALWAYS_INLINE static std::byte* decode([[maybe_unused]] Blocks const& blocks, type code) noexcept {
    if constexpr (Wide) {
      FASTALLOC_ASSUME(code != nullptr);  // callers look for none first
      return code;
    } else {
      std::byte* const slot = blocks[0].data + ((static_cast<std::size_t>(code) - HasNone) << Shape::granule_shift);
      FASTALLOC_ASSUME(slot != nullptr);
      return slot;
    }
  }
  /// What decode() would make of a code that may be anything.
  template <class Blocks> static void const* address([[maybe_unused]] Blocks const& blocks, type code) noexcept {
    if constexpr (Wide) return code;
    else {
      auto const data = reinterpret_cast<std::uintptr_t>(blocks[0].data);
      return reinterpret_cast<void const*>(data + ((static_cast<std::size_t>(code) - HasNone) << Shape::granule_shift));
    }
  }
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The link in a free slot. Free slots are poisoned; it is uncovered only while it is read or written.
template <class Shape, class Link> struct SlotLink {
  FASTALLOC_ALWAYS_INLINE static Link load(std::byte const* slot) noexcept {
    Link link;
    unpoison(slot + Shape::link_offset, sizeof link);
    std::memcpy(&link, slot + Shape::link_offset, sizeof link);
    if constexpr (Shape::poisons) poison(slot + Shape::link_offset, sizeof link);
    return link;
  }
  FASTALLOC_ALWAYS_INLINE static void store(std::byte* slot, Link link) noexcept {
    unpoison(slot + Shape::link_offset, sizeof link);
    std::memcpy(slot + Shape::link_offset, &link, sizeof link);
    if constexpr (Shape::poisons) poison(slot + Shape::link_offset, sizeof link);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
