// SPDX-License-Identifier: MIT OR Apache-2.0
// Tells AddressSanitizer that only slots in use may be accessed. No cost without AddressSanitizer.
//
// Every block is unpoisoned completely before it goes back to its storage, so an upstream may recycle it.
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>

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
