// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolLayout: divides the bytes that a pool acquires. Sizes are exact; overflow is reported, never a short block.
//
//   one block    | header | slots | generations | marks of the checks | metadata of the slot allocator |
//                header: in pools that processes share: the agreed layout, and statistics. With CompactHandles and
//                InlineStorage: a SegmentHead
//   many blocks  | slots | marks of the checks | GrowingBlock |          each
//                with CompactHandles each in a segment, several from one acquisition: slots/segments.hpp
//   directory    | metadata of the slot allocator | GrowingBlock* ... |  one for all blocks, replaced when they change
//                with CompactHandles also a table by hash, twice as long: slots/segments.hpp
#pragma once

#include <fastalloc/arithmetic.hpp>
#include <fastalloc/checks/link_checks.hpp>
#include <fastalloc/slots/blocks.hpp>
#include <fastalloc/slots/keys.hpp>
#include <fastalloc/slots/slot_allocator.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Of the header in front of the slots of a pool that processes share: ProcessHeader.
constexpr std::size_t process_header_bytes = 96, process_header_alignment = 8;

template <class Shape, class SlotPolicy, class Checks> struct PoolLayout {
  using Slots = typename SlotPolicy::template Slots<Shape>;

  static constexpr std::size_t metadata_alignment = [] {
    if constexpr (requires { Slots::metadata_alignment; }) return greater(Slots::metadata_alignment, alignof(Block));
    else return alignof(Block);
  }();
  /// The minimum alignment of every block.
  static constexpr std::size_t block_alignment =
      greater(greater(greater(Shape::align, metadata_alignment), Shape::spans_processes ? process_header_alignment : 1),
              Shape::segment);
  /// Bytes in front of the slots of a single block.
  static constexpr std::size_t front = Shape::segment == 1 ? 2 * sizeof(void*) : Shape::header;
  /// Maximum bytes for the slots of a fixed block, so that 32-bit offsets in granules reach all of them.
  static constexpr std::size_t
      max_fixed_bytes = (std::numeric_limits<std::size_t>::max)() >> Shape::granule_shift > 0xFFFFFFFFU
                            ? static_cast<std::size_t>(std::uint64_t{0xFFFFFFFFU} << Shape::granule_shift)
                            : (std::numeric_limits<std::size_t>::max)();

  /// No object is bigger, and operator new may round bigger sizes up to 0.
  static constexpr std::size_t max_bytes = (std::numeric_limits<std::size_t>::max)() / 2;

  /// Maximum slots per block, whatever their size.
  static constexpr std::size_t max_slots = [] {
    std::size_t most = (std::numeric_limits<std::size_t>::max)() / 32;
    if constexpr (Shape::keyed && !Shape::growing && Shape::index_bits < 32) most = std::size_t{1} << Shape::index_bits;
    if constexpr (requires { Slots::max_slots; }) return smaller(most, Slots::max_slots);
    else return most;
  }();

  struct Plan {
    std::size_t data = 0;        ///< offset of the slots; the other offsets are relative to it
    std::size_t slot_bytes = 0;  ///< slots * stride
    std::size_t words = 0;       ///< offset of the generations
    std::size_t tail = 0;        ///< offset of the marks
    std::size_t metadata = 0;    ///< offset of the metadata, or of the Block
    std::size_t bytes = 0;       ///< of the whole block
    bool valid = false;          ///< no overflow
  };

  /// The stride of slots of `size` bytes, a multiple of `align`. `alignment`: PoolConfig's.
  static constexpr std::size_t stride(std::size_t size, std::size_t align, std::size_t alignment) noexcept {
    return round_up(size, greater(alignment, align));
  }
  static constexpr std::size_t stride(std::size_t alignment) noexcept requires(!Shape::any_size) {
    return stride(Shape::size, Shape::least_stride_alignment, alignment);
  }

  static constexpr std::size_t tail_bytes(std::size_t slot_count) noexcept {
    return Checks::tracks_slots ? SlotMarks::bytes_for(slot_count) + LinkChecks<Shape, true>::note_bytes : 0;
  }

  /// `alignment`: of the block.
  static constexpr Plan block(std::size_t slot_count, std::size_t stride, std::size_t alignment = 0) noexcept {
    Plan plan;
    bool ok = checked_multiply(slot_count, stride, plan.slot_bytes) && slot_count <= max_slots &&
              (Shape::growing || plan.slot_bytes <= max_fixed_bytes);
    plan.words = plan.tail = plan.slot_bytes;
    if constexpr (std::size_t const each = GenerationTable<Shape>::block_bytes(1); each != 0) {
      ok =
          ok && checked_round_up(plan.words, each, plan.words) && checked_add(plan.words, slot_count * each, plan.tail);
    }
    if constexpr (Checks::tracks_slots) ok = ok && checked_round_up(plan.tail, SlotMarks::alignment, plan.tail);
    ok = ok && checked_add(plan.tail, tail_bytes(slot_count), plan.metadata);
    std::size_t const rest = Shape::growing ? sizeof(GrowingBlock) : ok ? Slots::metadata_bytes(slot_count, 1) : 0;
    plan.bytes = plan.metadata;
    if (rest != 0) {
      ok = ok && checked_round_up(plan.metadata, metadata_alignment, plan.metadata);
      ok = ok && checked_add(plan.metadata, rest, plan.bytes);
    }
    if constexpr (front != 0) {
      ok = ok && checked_round_up(front, alignment > block_alignment ? alignment : block_alignment, plan.data);
      ok = ok && checked_add(plan.bytes, plan.data, plan.bytes);
    }
    plan.valid = ok && plan.bytes <= max_bytes;
    return plan;
  }

  /// Here Plan::metadata is the offset of the GrowingBlock* entries. They are written at once, and big blocks lie on
  /// huge pages.
  static constexpr Plan directory(std::size_t slot_count, std::size_t blocks) noexcept {
    Plan plan;
    plan.metadata = round_up(Slots::metadata_bytes(slot_count, blocks), alignof(GrowingBlock*));
    plan.valid = checked_add(plan.metadata, blocks * Shape::entries * sizeof(GrowingBlock*), plan.bytes);
    return plan;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
