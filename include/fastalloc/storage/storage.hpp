// SPDX-License-Identifier: MIT OR Apache-2.0
// The storage axis: where a pool's memory comes from.
//
//   HeapStorage        the heap, by aligned operator new; big blocks on huge pages      default; grows
//   InlineStorage<N>   N slots inside the pool object; no heap                          embedded, .bss, on the stack
//   ExternalStorage    a span of bytes that the caller owns                             arenas, shared, special memory
//   PageStorage        pages from the system: huge, prefaulted, locked, of a NUMA node  real time, big pools; grows
//
// To write a storage, define the three members of the concept below (policies: examples/custom_allocator.cpp).
// acquire() must return exactly `bytes` usable bytes, or null; the pool requests no more than it uses.
#pragma once

#include <fastalloc/fwd.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>

namespace fastalloc::inline FASTALLOC_MODE {

/// A source of memory blocks. It must not use the pool that calls it, not even by shrink_to_fit() to make room; nor
/// must a user's operator new or std::new_handler called by HeapStorage. It may use other pools and take its memory
/// from them, but not in a circle: if the storage of A uses B, the storage of B must not use A, not even by
/// shrink_to_fit().
/// Thread safety: pools with a lock call it from one thread at a time, while other threads use the existing slots. A
/// lock that masks interrupts, or has no data, is held meanwhile. fork() does not wait for a storage: one with state
/// must tolerate a call in the child while a call in the parent was in progress.
/// - `S::can_grow` (static constexpr bool): acquire() may be called again while earlier blocks are in use.
/// - `acquire(bytes, alignment)`: a block, or null when there is none. Never throws.
/// - `release(block, bytes, alignment)`: takes back a block, with the values of its acquire(). Never throws.
/// - `S::is_borrowed` (static constexpr bool, optional): the caller owns the memory, and release() is never called.
template <class S>
concept Storage = requires(S storage, void* block, std::size_t bytes, std::size_t alignment) {
  { S::can_grow } -> std::convertible_to<bool>;
  { storage.acquire(bytes, alignment) } noexcept -> std::same_as<void*>;
  { storage.release(block, bytes, alignment) } noexcept -> std::same_as<void>;
};

/// Optional. `explain(error)` is called after acquire() returned null. It may set code, text, requested, limit and unit
/// of the error; the default reports that there is no memory.
template <class S>
concept ExplainsFailure = Storage<S> && requires(S const& storage, Error& error) {
  { storage.explain(error) } noexcept -> std::same_as<void>;
};

/// Optional. `is_prefaulted()`: acquire() brings in every page of a block, and PoolConfig::pre_initialize does not
/// touch them again.
template <class S>
concept Prefaults = Storage<S> && requires(S const& storage) {
  { storage.is_prefaulted() } noexcept -> std::same_as<bool>;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Writes zeros to each page of untouched memory.
inline void touch_pages(std::byte* memory, std::size_t bytes) noexcept {
  constexpr std::size_t page = 4096;  // no system has smaller pages
  for (std::size_t at = 0; at < bytes; at += page) *const_cast<std::byte volatile*>(memory + at) = std::byte{0};
  *const_cast<std::byte volatile*>(memory + bytes - 1) = std::byte{0};
}

/// Cache colouring (Bonwick, "The slab allocator: an object-caching kernel memory allocator", 1994). Heaps begin big
/// blocks at a page (that of glibc from 128 KiB on), so the slots in use of more than a dozen pools would displace each
/// other: caches have room for about that many lines with the same place in their page.
struct CacheColour {
  static constexpr std::size_t line = 64, page = 4096;                ///< bytes
  static constexpr std::size_t least_block = std::size_t{128} << 10;  ///< bytes
#if (FASTALLOC_POSIX || defined(_WIN32)) && !FASTALLOC_ASAN
  static constexpr bool enabled = true;
#else
  static constexpr bool enabled = false;  // no caches, or every byte in front of a block is guarded
#endif

  [[nodiscard]] static bool suits(std::size_t bytes, std::size_t alignment) noexcept {
    return enabled && bytes >= least_block && alignment <= line;
  }
  /// Returns: bytes to leave in front of a block, a multiple of the line below a page; other ones from call to call.
  [[nodiscard]] static std::size_t next() noexcept {
    // relaxed, twice: two threads may get the same
    unsigned const turn = turns.load(std::memory_order_relaxed);
    turns.store(turn + 1, std::memory_order_relaxed);
    return line * (turn % (page / line));
  }

 private:
  FASTALLOC_LOCAL static inline std::atomic<unsigned> turns{0};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
