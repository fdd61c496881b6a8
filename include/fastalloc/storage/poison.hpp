// SPDX-License-Identifier: MIT OR Apache-2.0
// Tells AddressSanitizer that only slots in use may be accessed. No cost without AddressSanitizer.
//
// Every block is unpoisoned completely before it goes back to its storage, so an upstream may recycle it.
#pragma once

#include <fastalloc/fwd.hpp>

#if FASTALLOC_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

FASTALLOC_ALWAYS_INLINE void poison([[maybe_unused]] void const* bytes, [[maybe_unused]] std::size_t count) noexcept {
#if FASTALLOC_ASAN
  __asan_poison_memory_region(bytes, count);
#endif
}

FASTALLOC_ALWAYS_INLINE void unpoison([[maybe_unused]] void const* bytes, [[maybe_unused]] std::size_t count) noexcept {
#if FASTALLOC_ASAN
  __asan_unpoison_memory_region(bytes, count);
#endif
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy: AddressSanitizer lets the pool's free slots be read, for readers that look at an object first and learn
/// afterwards that it was gone (type-stable memory). No effect without AddressSanitizer.
struct NoPoison {
  static constexpr bool poisons_slots = false;
};

}  // namespace fastalloc::inline FASTALLOC_MODE
