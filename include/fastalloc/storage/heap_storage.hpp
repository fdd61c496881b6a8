// SPDX-License-Identifier: MIT OR Apache-2.0
// HeapStorage: blocks from the aligned, non-throwing operator new; large ones on huge pages.
//
// Blocks of 4 MiB and more are aligned to 2 MiB and, on Linux, advised to use transparent huge pages: with a million
// live objects, page walks would otherwise cost more than the pool (benchmarks/README.md). No page is touched.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <new>

#if defined(__linux__) && __STDC_HOSTED__
#include <sys/mman.h>
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// Thread safety: safe, as operator new is. Complexity: that of operator new, operator delete and the system. Pools
/// call it only during construction, growth, shrinking and destruction.
struct HeapStorage {
  static constexpr bool can_grow = true;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static constexpr std::size_t huge_block = 2 * huge_page;  ///< bytes; the least block on huge pages

  /// Effects: acquires exactly `bytes` bytes. Returns: null when the heap is exhausted.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    void* const block = ::operator new(bytes, aligned(bytes, alignment), std::nothrow);
#if defined(MADV_HUGEPAGE)
    // Advice only: without huge pages the block is an ordinary one.
    if (block != nullptr && bytes >= huge_block) (void)::madvise(block, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return block;
  }

  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    ::operator delete(block, aligned(bytes, alignment));
  }

 private:
  static std::align_val_t aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return std::align_val_t{bytes >= huge_block && alignment < huge_page ? huge_page : alignment};
  }
};

static_assert(Storage<HeapStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
