// SPDX-License-Identifier: MIT OR Apache-2.0
// InterruptLock<Enter, Exit>: interrupts are off while a pool's own data change; for one core.
//
//   std::uint32_t mask() noexcept;           masks interrupts, returns the mask there was (PRIMASK, BASEPRI, mstatus)
//   void unmask(std::uint32_t) noexcept;     restores it
//   constinit NoDestructor<FixedPool<Sample, InlineStorage<32>, InterruptLock<mask, unmask>>> pool;
//
// The mask that was lies in the lock, where nobody else can be: interrupts are off. So operations nest into whatever
// the caller switched off before. Where Enter returns nothing, Exit switches on, and callers must have interrupts on;
// the lock has 0 bytes then.
#pragma once

#include <fastalloc/lock/lock.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// What Enter returned, where it returned something.
template <class State> struct InterruptState {
  State value{};
};
template <> struct InterruptState<void> {};

/// Exit takes back what Enter returned.
template <auto Enter, auto Exit>
concept InterruptFunctions = requires { Enter(); } && (requires { Exit(Enter()); } || requires {
                               requires std::same_as<decltype(Enter()), void>;
                               Exit();
                             });

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: interrupt handlers and the code that they interrupt share a pool, on one core. With several cores
/// masking keeps nobody out: there take SpinLock (under masked interrupts) or LockFree; LockFree, too, where interrupts
/// must never be off, and the processor can compare and swap. Interrupts are off for the steps of one pool operation: a
/// constant number for allocate() and the end of a handle. They are on while constructors, destructors, hooks, and the
/// F of for_each() run. What looks at all slots has them off as long: the first allocation from inline storage with a
/// checks policy, which clears one bit a slot (or warm_up(), before interrupts start); a batch (its length);
/// for_each(), which at each step passes over what is free, and at its begin takes the snapshot; reset_statistics()
/// with FreeListAllocator, or while somebody iterates; check_invariants(). A GrowingPool acquires its blocks with
/// interrupts off. Enter and Exit: functions, or lambdas without captures. They need not keep the compiler from moving
/// memory accesses over them: the lock does. A handler of higher priority than Enter masks (BASEPRI), or one that
/// cannot be masked (NMI), must not use the pool. sizeof is that of what Enter returns, usually a word; 0 bytes where
/// that is void.
template <auto Enter, auto Exit> class InterruptLock {
  static_assert(detail::InterruptFunctions<Enter, Exit>,
                "fastalloc: InterruptLock<Enter, Exit> calls Exit(Enter()): let Enter mask interrupts and return the "
                "mask there was, and Exit take "
                "that mask and restore it; or let Enter return nothing, and Exit take nothing");
  using State = std::remove_cvref_t<decltype(Enter())>;
  static constexpr bool keeps_state = !std::same_as<State, void>;

 public:
  static constexpr bool is_thread_safe = true;    ///< with interrupts off no other thread of the core runs
  static constexpr bool masks_interrupts = true;  ///< a pool that grows acquires memory under the lock

  constexpr InterruptLock() noexcept = default;

  FASTALLOC_ALWAYS_INLINE void lock() noexcept {
    if constexpr (keeps_state) {
      State const state = Enter();
      // for the compiler: the pool's data are touched behind Enter
      std::atomic_signal_fence(std::memory_order_seq_cst);
      state_.value = state;
    } else {
      Enter();
      std::atomic_signal_fence(std::memory_order_seq_cst);  // as above
    }
  }
  FASTALLOC_ALWAYS_INLINE void unlock() noexcept {
    if constexpr (keeps_state) {
      State const state = state_.value;                     // a copy: once interrupts are on, the next one may lock
      std::atomic_signal_fence(std::memory_order_seq_cst);  // for the compiler: and before Exit
      Exit(state);
    } else {
      std::atomic_signal_fence(std::memory_order_seq_cst);  // as above
      Exit();
    }
  }

 private:
  FASTALLOC_NO_UNIQUE_ADDRESS detail::InterruptState<State> state_{};
};

}  // namespace fastalloc::inline FASTALLOC_MODE
