// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotShape: the compile-time properties of slots that an allocator sees. SlotCode: the encoding of a slot's address.
// SlotLink: access to the link in a free slot.
//
//   stride     bytes from one slot to the next: `size`, or a multiple of PoolConfig::alignment (known at run time)
//   granule    the largest power of two that divides `size`; it also divides every stride
//   code       a free slot in a list: 32 bits, (address - data) / granule, in pools of one block;
//              the address itself in pools of several
//
// Decoding an offset in granules takes no division and, for powers of two, no multiplication; indices would need both.
// One block spans at most 2^32 granules: 32 GiB for 8-byte granules, 256 GiB for 64-byte ones.
#pragma once

#include <fastalloc/fwd.hpp>
#include <fastalloc/storage/poison.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Of pools with CompactHandles: the bytes of most pools' segments, the only ones that CompactHandle<T> knows; and the
/// places of a segment's head.
inline constexpr std::size_t usual_segment = std::size_t{256} << 10, most_head_places = 32;

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The properties of one type's slots, as values for code that many types share.
struct SlotType {
  std::size_t size;   ///< bytes of a slot, a multiple of `align`
  std::size_t align;  ///< bytes; the least alignment of every slot
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// Size: bytes of a slot, a multiple of Align. Growing: the pool may have several blocks. LinkOffset: where a free slot
/// has room for a link of LinkSize bytes. Poisons: AddressSanitizer is told about free slots. Its granularity is eight
/// bytes; threads that hand out slots without a lock must not share those. GenerationBits: 0, or bits of a generation
/// for keys (slots/generations.hpp). CountsOffset: 0, or the offset of the owner counts (handle/sharing.hpp), which
/// for_each() may read at any time. Header: bytes in front of the slots of a pool shared by processes
/// (storage/process_header.hpp). WholeGranules: strides are multiples of eight bytes, so that no two slots share
/// AddressSanitizer's granule. IndexBits: of a key. Segment: 0, or the bytes of the segments that a pool with
/// CompactHandles lays its slots in (slots/segments.hpp); 1 if its only block is one.
template <std::size_t Size, std::size_t Align, bool Growing, std::size_t LinkOffset = 0, std::size_t LinkSize = 0,
          bool Poisons = true, int GenerationBits = 0, std::size_t CountsOffset = 0, std::size_t Header = 0,
          bool WholeGranules = false, int IndexBits = 32, std::size_t Segment = 0>
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
  static constexpr int index_bits = IndexBits;
  static constexpr bool counted = CountsOffset != 0;
  static constexpr std::size_t header = Header;
  static constexpr bool spans_processes = Header != 0;
  static constexpr std::size_t segment = Segment, entries = Segment > 1 ? 3 : 1;  ///< of the directory for a block
  /// Offset of a slot's index for keys in a growing pool, whether the slot is in use or free.
  static constexpr std::size_t index_offset = Size - sizeof(std::uint32_t);
  /// Bytes of the object and its companions, which are filled and poisoned. Iterations may read the rest of the slot.
  static constexpr std::size_t payload = counted ? CountsOffset : keyed && Growing ? index_offset : Size;
  static constexpr int granule_shift = std::countr_zero(Size);
};

/// Slots whose size and alignment, multiples of Granule, are known at run time only, so that one instantiation serves
/// many types. `size`, `align` and `payload` have no meaning here.
template <std::size_t Granule, bool Growing, std::size_t LinkSize = 0, int GenerationBits = 0, int IndexBits = 32,
          std::size_t Segment = 0>
struct AnySizeShape : SlotShape<(LinkSize > Granule ? LinkSize : Granule), 1, Growing, 0, LinkSize, true,
                                GenerationBits, 0, 0, false, IndexBits, Segment> {
  static constexpr bool any_size = true;
  static constexpr int granule_shift = std::countr_zero(Granule);
};

/// Translates between slot addresses and list entries. Wide: entries are addresses. HasNone: 0 means no slot, so that a
/// zero-initialised list is empty.
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
      FASTALLOC_ASSUME(code != nullptr);  // callers compare with none first
      return code;
    } else {
      std::byte* const slot = blocks[0].data + ((static_cast<std::size_t>(code) - HasNone) << Shape::granule_shift);
      FASTALLOC_ASSUME(slot != nullptr);
      return slot;
    }
  }
  /// The result of decode() for an arbitrary code.
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

/// The link in a free slot. Free slots are poisoned; the link is unpoisoned only while it is read or written.
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
