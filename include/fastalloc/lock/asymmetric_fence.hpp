// SPDX-License-Identifier: MIT OR Apache-2.0
// Asymmetric fences keep a store and a later load in order: free on the frequent side, a system call on the rare side.
//
//   often    a.store(owner_store);  light_fence();  b.load(owner_load)
//   seldom   b.store(seq_cst);      heavy_fence();  a.load(seq_cst)           one of them sees the other's store
//
// On Linux the heavy fence makes every thread of the process run a barrier (membarrier, 0.2 µs, in a busy virtual
// machine 1.8 to 4 µs; kernel 4.14). On other systems, and under ThreadSanitizer, which does not support fences, both
// sides use sequentially consistent operations on a and b instead. Source: Dice, Huang and Yang, "Asymmetric Dekker
// synchronization", 2001; P1202, "Asymmetric fences".
#pragma once

#include <fastalloc/error.hpp>

#include <atomic>

#if defined(__linux__) && !FASTALLOC_TSAN && __STDC_HOSTED__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

#if defined(__linux__) && !FASTALLOC_TSAN && __STDC_HOSTED__ && defined(SYS_membarrier)

inline constexpr std::memory_order owner_store = std::memory_order_relaxed;
inline constexpr std::memory_order owner_publish = std::memory_order_release;
inline constexpr std::memory_order owner_load = std::memory_order_relaxed;

/// Keeps the compiler from moving the load before the store; heavy_fence() on the other side orders the processor.
FASTALLOC_ALWAYS_INLINE void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

/// Requires: must return true once before heavy_fence() is called. Returns: false when the kernel has no membarrier.
inline bool enable_heavy_fence() noexcept {
  return syscall(SYS_membarrier, 16 /* register private expedited */, 0) == 0;
}
inline void heavy_fence() noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // A forked process may have to register again.
  if (syscall(SYS_membarrier, 8 /* private expedited */, 0) != 0 &&
      !(enable_heavy_fence() && syscall(SYS_membarrier, 8, 0) == 0))
    default_error_handler(Error{
        .code = ErrorCode::invalid_configuration,
        .text = "the system refuses membarrier(), which it offered before; allow it in the sandbox, or use NoCache"});
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

#else

inline constexpr std::memory_order owner_store = std::memory_order_seq_cst;
inline constexpr std::memory_order owner_publish = std::memory_order_seq_cst;
inline constexpr std::memory_order owner_load = std::memory_order_seq_cst;

FASTALLOC_ALWAYS_INLINE void light_fence() noexcept {}
inline bool enable_heavy_fence() noexcept { return true; }
inline void heavy_fence() noexcept {}

#endif

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
