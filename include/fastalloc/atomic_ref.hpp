// SPDX-License-Identifier: MIT OR Apache-2.0
// AtomicRef: std::atomic_ref, for libc++ before version 19 (Apple's clang, the Android NDK).
#pragma once

#include <fastalloc/config.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_ABI {

#if defined(__GNUC__)

/// Uses the compiler's builtins, as standard libraries do. V: an integer or pointer, aligned to its size, and no bigger
/// than the processor's compare-and-swap.
template <class V> class AtomicRef {
  // 32-bit targets: without this alignment clang assumes 4 bytes and calls libatomic
  using Value [[gnu::aligned(sizeof(V))]] = V;

 public:
  static constexpr bool is_always_lock_free = std::atomic<V>::is_always_lock_free;

  FASTALLOC_ALWAYS_INLINE explicit AtomicRef(V& value) noexcept : value_(&value) {}

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE V load(std::memory_order order) const noexcept {
    return __atomic_load_n(value_, static_cast<int>(order));
  }
  FASTALLOC_ALWAYS_INLINE void store(V value, std::memory_order order) const noexcept {
    __atomic_store_n(value_, value, static_cast<int>(order));
  }
  FASTALLOC_ALWAYS_INLINE V fetch_add(V value, std::memory_order order) const noexcept {
    return __atomic_fetch_add(value_, value, static_cast<int>(order));
  }
  FASTALLOC_ALWAYS_INLINE V fetch_sub(V value, std::memory_order order) const noexcept {
    return __atomic_fetch_sub(value_, value, static_cast<int>(order));
  }
  FASTALLOC_ALWAYS_INLINE V fetch_xor(V value, std::memory_order order) const noexcept {
    return __atomic_fetch_xor(value_, value, static_cast<int>(order));
  }
  FASTALLOC_ALWAYS_INLINE V fetch_and(V value, std::memory_order order) const noexcept {
    return __atomic_fetch_and(value_, value, static_cast<int>(order));
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool compare_exchange_weak(V& expected, V value, std::memory_order success,
                                                                   std::memory_order failure) const noexcept {
    return __atomic_compare_exchange_n(value_, &expected, value, true, static_cast<int>(success),
                                       static_cast<int>(failure));
  }

 private:
  Value* value_;
};

#else

template <class V> using AtomicRef = std::atomic_ref<V>;

#endif

}  // namespace fastalloc::detail::inline FASTALLOC_ABI
