// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools in memory that processes share: FixedPool<T, ExternalStorage, LockFree>. See storage/external_storage.hpp.
// ProcessBlock: the pool's block, as its header describes it; creates the header, and validates attaching pools.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>
#include <fastalloc/slots/keys.hpp>
#include <fastalloc/stats/process_stats.hpp>
#include <fastalloc/storage/external_storage.hpp>
#include <fastalloc/storage/process_header.hpp>

#if __STDC_HOSTED__ && defined(_WIN32)
#define FASTALLOC_HAS_PROCESSES 1
#include <ctime>
#include <process.h>
#elif FASTALLOC_POSIX
#define FASTALLOC_HAS_PROCESSES 1
#include <ctime>
#include <unistd.h>
#else
#define FASTALLOC_HAS_PROCESSES 0
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Returns: a number for a pool created at `at`. Another pool, in this process or another, gets the same number with a
/// probability of 1 in 2^32.
[[nodiscard]] inline std::uint32_t number_for_pool([[maybe_unused]] std::byte const* at) noexcept {
  std::uint64_t bits = next_generation_seed();
#if FASTALLOC_HAS_PROCESSES
  // Values that differ in other processes, and in later ones with the same process ID: process ID, time, addresses.
#if defined(_WIN32)  // MinGW's libstdc++ has no std::timespec
  auto const process = static_cast<std::uint64_t>(::_getpid());
  auto const seconds = static_cast<std::uint64_t>(std::time(nullptr)), ticks = static_cast<std::uint64_t>(std::clock());
#else
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  auto const process = static_cast<std::uint64_t>(::getpid());
  auto const seconds = static_cast<std::uint64_t>(now.tv_sec), ticks = static_cast<std::uint64_t>(now.tv_nsec);
#endif
  std::uint64_t const parts[] = {process, seconds, ticks, reinterpret_cast<std::uintptr_t>(&generation_seed),
                                 reinterpret_cast<std::uintptr_t>(&bits)};
  for (std::uint64_t const part : parts) {
    bits = (bits ^ part) * 0x9E3779B97F4A7C15U;
    bits ^= bits >> 32;  // the high bits depend on all earlier parts
  }
#else
  bits += ProcessHeader::number_before(at) * 0x9E3779B9U;  // a restarted program counts from the beginning
#endif
  return static_cast<std::uint32_t>(bits);
}

static_assert(process_header_bytes == sizeof(ProcessHeader) && process_header_alignment == alignof(ProcessHeader));

/// No data. Layout: a PoolLayout.
template <class Shape, class Checks, class Layout> requires(Shape::spans_processes)
struct ProcessBlock<Shape, Checks, Layout> {
  using Plan = typename Layout::Plan;
  static_assert(Layout::block_alignment >= alignof(ProcessHeader),
                "the header of a pool that processes share lies where its block begins");

  /// Begins a pool at the start of the block. Returns: its number.
  static std::uint32_t create(std::byte* memory, ProcessLayout const& layout) noexcept {
    std::uint32_t const number = number_for_pool(memory);
    ProcessHeader::create(memory, layout, number);
    return number;
  }
  /// Requires: the span holds a pool.
  static ProcessHeader& header(ExternalStorage const& storage) noexcept {
    return *std::launder(reinterpret_cast<ProcessHeader*>(storage.bytes().data()));
  }

  static ProcessLayout describe(Plan const& plan, std::size_t slot_count, std::size_t stride,
                                std::size_t alignment) noexcept {
    return {.word_bytes = sizeof(std::size_t),
            .swap_bytes = Layout::metadata_alignment,
            .slot_bytes = Shape::size,
            .stride = stride,
            .alignment = alignment,
            .slot_count = slot_count,
            .generation_bits = Shape::generation_bits,
            .checks = Checks::tracks_slots * 1U + Checks::fills * 2U + Checks::verifies_fill * 4U,
            .stats_bytes = Shape::header - sizeof(ProcessHeader),
            .bytes = plan.bytes};
  }
  /// Requires: `storage` attaches. Returns: true if the span holds the described pool; otherwise sets the error.
  static bool may_attach(ExternalStorage const& storage, ProcessLayout const& mine, Error& error) noexcept {
    ProcessHeader* const header = ProcessHeader::find(storage.bytes(), error);
    return header != nullptr && mine.matches(header->layout(), error);
  }

  /// Returns: the configuration of the pool that `storage` attaches to; any if there is none, which open() reports.
  static PoolConfig config_in(ExternalStorage const& storage, SlotType const& type) noexcept {
    Error error;
    PoolConfig config{.capacity = 1};
    if (ProcessHeader* const header = ProcessHeader::find(storage.bytes(), error)) {
      auto const& layout = header->layout();
      config.capacity = static_cast<std::size_t>(layout.slot_count);
      config.alignment = static_cast<std::size_t>(layout.alignment);
      if (config.alignment <= Layout::block_alignment) {  // any alignment that gives the same stride
        std::size_t const most = std::exchange(config.alignment, 1);
        while (config.alignment < most && Layout::stride(type.size, type.align, config.alignment) != layout.stride)
          config.alignment *= 2;
      }
    }
    return config;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_HAS_PROCESSES
