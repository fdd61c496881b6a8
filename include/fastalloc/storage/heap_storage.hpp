// SPDX-License-Identifier: MIT OR Apache-2.0
// HeapStorage: blocks from the aligned, non-throwing operator new; large ones on huge pages.
//
// Blocks of 4 MiB and more begin in the first page of a huge one and, on Linux, are advised to use transparent huge
// pages: with a million live objects, page walks would otherwise cost more than the pool (benchmarks/README.md). No
// page but the first is touched. Blocks of 128 KiB and more begin at different lines of a page (CacheColour):
//
//   operator new -> | 1 line or more, the number of bytes at its end | block ...
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <limits>
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
    // libstdc++ rounds sizes up to the alignment, and does not look whether they wrap.
    if (bytes > (std::numeric_limits<std::size_t>::max)() / 2) return nullptr;
    if (!detail::CacheColour::suits(bytes, alignment)) return take(bytes, alignment);
    std::size_t const front = detail::CacheColour::line + detail::CacheColour::next();
    auto* const memory = static_cast<std::byte*>(take(bytes + front, detail::CacheColour::line));
    if (memory == nullptr) return nullptr;
    ::new (static_cast<void*>(memory + front - sizeof front)) std::size_t(front);
    return memory + front;
  }

  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    if (!detail::CacheColour::suits(bytes, alignment)) return ::operator delete(block, aligned(bytes, alignment));
    std::size_t const front = static_cast<std::size_t*>(block)[-1];
    ::operator delete(static_cast<std::byte*>(block) - front, aligned(bytes + front, detail::CacheColour::line));
  }

 private:
  static void* take(std::size_t bytes, std::size_t alignment) noexcept {
    void* const memory = ::operator new(bytes, aligned(bytes, alignment), std::nothrow);
#if defined(MADV_HUGEPAGE)
    // Advice only: without huge pages the block is an ordinary one.
    if (memory != nullptr && bytes >= huge_block) (void)::madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return memory;
  }
  static std::align_val_t aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return std::align_val_t{bytes >= huge_block && alignment < huge_page ? huge_page : alignment};
  }
};

static_assert(Storage<HeapStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
