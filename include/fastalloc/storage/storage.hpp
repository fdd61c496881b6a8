// SPDX-License-Identifier: MIT OR Apache-2.0
// The storage axis: where the bytes of a pool come from.
//
//   HeapStorage        the heap, by aligned operator new; big blocks on huge pages       default; grows
//   InlineStorage<N>   N slots inside the pool object; no heap                           embedded, .bss, on the stack
//   ExternalStorage    a span of bytes that the caller owns arenas, shared or special memory
//   PageStorage        pages from the system: huge, brought in, locked, of a NUMA node   real time, big pools; grows
//
// A storage of your own has the three members of the concept below (examples/custom_allocator.cpp shows policies of
// one's own). acquire() must return exactly `bytes` usable bytes, or null; the pool asks for no more than it uses.
#pragma once

#include <fastalloc/fwd.hpp>

#include <concepts>
#include <cstddef>

namespace fastalloc::inline FASTALLOC_MODE {

/// A source of blocks of memory. It must not use the pool that calls it (to make room by shrink_to_fit(), say); nor
/// must an operator new or a std::new_handler of your own that HeapStorage calls. It may use other pools, and take its
/// memory from them, but not in a circle: where the storage of A uses B, that of B must not use A, not by
/// shrink_to_fit() either. In pools with a lock one thread at a time calls it, while other threads go on with the slots
/// that there are; a lock that masks interrupts, or has no data, is held meanwhile. fork() does not wait for a storage:
/// what has state must bear that the child calls it while it was in the midst of a call.
/// - `S::can_grow` (static constexpr bool): acquire() may be called again while earlier blocks are in use.
/// - `acquire(bytes, alignment)`: a block, or null when there is none. Never throws.
/// - `release(block, bytes, alignment)`: takes back a block, with the values it was acquired with. Never throws.
/// It may say `S::is_borrowed` (static constexpr bool): the memory is somebody else's, and release() is never called.
template <class S>
concept Storage = requires(S storage, void* block, std::size_t bytes, std::size_t alignment) {
  { S::can_grow } -> std::convertible_to<bool>;
  { storage.acquire(bytes, alignment) } noexcept -> std::same_as<void*>;
  { storage.release(block, bytes, alignment) } noexcept -> std::same_as<void>;
};

/// Optional. `explain(error)` is called when acquire() returned null: it may set code, text, requested, limit and unit
/// of the error, which otherwise says that there is no memory.
template <class S>
concept ExplainsFailure = Storage<S> && requires(S const& storage, Error& error) {
  { storage.explain(error) } noexcept -> std::same_as<void>;
};

/// Optional. `is_prefaulted()`: acquire() brings in every page of a block, so PoolConfig::pre_initialize need not touch
/// them.
template <class S>
concept Prefaults = Storage<S> && requires(S const& storage) {
  { storage.is_prefaulted() } noexcept -> std::same_as<bool>;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Writes zeros to each page of fresh memory.
inline void touch_pages(std::byte* memory, std::size_t bytes) noexcept {
  constexpr std::size_t page = 4096;  // no system has smaller ones
  for (std::size_t at = 0; at < bytes; at += page) *const_cast<std::byte volatile*>(memory + at) = std::byte{0};
  *const_cast<std::byte volatile*>(memory + bytes - 1) = std::byte{0};
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
