// SPDX-License-Identifier: MIT OR Apache-2.0
// HeapStorage: blocks from the aligned, non-throwing operator new; big ones on huge pages.
//
// Blocks of 4 MiB and more are aligned to 2 MiB and, on Linux, advised to use transparent huge pages: with a million
// live objects page walks otherwise cost more than the pool (figures: benchmarks/README.md). No page is touched.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <new>

#if defined(__linux__) && __STDC_HOSTED__
#include <sys/mman.h>
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// Thread safety: safe, as operator new is. Complexity: what operator new and delete take, and the system; pools come
/// here when they are built, grow, shrink and end, only.
struct HeapStorage {
  static constexpr bool can_grow = true;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static constexpr std::size_t huge_block = 2 * huge_page;  ///< bytes from which huge pages are asked for

  /// Effects: acquires exactly `bytes` bytes. Returns: null when the heap is exhausted.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    void* const block = ::operator new(bytes, aligned(bytes, alignment), std::nothrow);
#if defined(MADV_HUGEPAGE)
    // Advice only: where the kernel has no huge pages the block is as good as any other.
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
