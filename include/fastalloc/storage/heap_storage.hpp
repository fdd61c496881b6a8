// SPDX-License-Identifier: MIT OR Apache-2.0
// HeapStorage: blocks from the aligned, non-throwing operator new; large ones on huge pages.
//
// Blocks of 4 MiB and more lie in memory aligned to 2 MiB that, on Linux, is advised to use transparent huge pages:
// with a million live objects, page walks would otherwise cost more than the pool (benchmarks/README.md). Nothing is
// touched. Blocks of 128 KiB and more begin at different lines of a page (CacheColour):
//
//   operator new -> | 1 to 64 lines; the address of the memory, unless that is aligned to 2 MiB | block ... | rest |
//
// The memory is as large for each colour, so that the memory of a pool that ended serves the next one.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <cstdint>
#include <limits>
#include <new>

#if defined(__linux__) && __STDC_HOSTED__
#include <sys/mman.h>
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// Pass to release() only what acquire() returned, with the same values. A block of 128 KiB or more takes 4,160 bytes
/// beyond its own, unless its alignment is above 64 bytes: then it begins where operator new puts it.
/// Thread safety: safe, as operator new is. Complexity: that of operator new, operator delete and the system. Pools
/// call it only during construction, growth, shrinking and destruction.
struct HeapStorage {
  static constexpr bool can_grow = true;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static constexpr std::size_t huge_block = 2 * huge_page;  ///< bytes; the least block on huge pages

  /// Returns: `bytes` bytes; null when the heap is exhausted.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    // libstdc++ rounds sizes up to the alignment, and does not look whether they wrap.
    if (bytes > (std::numeric_limits<std::size_t>::max)() / 2) return nullptr;
    bool const colours = Colour::suits(bytes, alignment);
    std::size_t const size = colours ? bytes + Colour::line + Colour::page : bytes;
    void* const memory = ::operator new(size, aligned(bytes, alignment), std::nothrow);
#if defined(MADV_HUGEPAGE)
    // Advice only: without huge pages the block is an ordinary one.
    if (memory != nullptr && bytes >= huge_block) (void)::madvise(memory, size / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    if (memory == nullptr || !colours) return memory;
    std::size_t const front = Colour::line + Colour::next();
    std::size_t const odd = reinterpret_cast<std::uintptr_t>(memory) % Colour::line;
    auto* const block = static_cast<std::byte*>(memory) + front - odd;
    if (bytes < huge_block) ::new (static_cast<void*>(block - sizeof(void*))) void*(memory);
    return block;
  }

  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    void* memory = block;
    if (Colour::suits(bytes, alignment)) {
      if (bytes < huge_block) memory = static_cast<void**>(block)[-1];
      else memory = static_cast<std::byte*>(block) - reinterpret_cast<std::uintptr_t>(block) % huge_page;
    }
    ::operator delete(memory, aligned(bytes, alignment));
  }

 private:
  using Colour = detail::CacheColour;

  /// The heap's own alignment suffices where the block moves anyway: malloc() reuses such memory better.
  static std::align_val_t aligned(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes >= huge_block && alignment < huge_page) return std::align_val_t{huge_page};
    return std::align_val_t{Colour::suits(bytes, alignment) ? alignof(std::max_align_t) : alignment};
  }
};

static_assert(Storage<HeapStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
