// SPDX-License-Identifier: MIT OR Apache-2.0
// InterruptLock<Enter, Exit>: masks interrupts while a pool's own data change; for one core.
//
//   std::uint32_t mask() noexcept;           masks interrupts, returns the previous mask (PRIMASK, BASEPRI, mstatus)
//   void unmask(std::uint32_t) noexcept;     restores it
//   constinit NoDestructor<FixedPool<Sample, InlineStorage<32>, InterruptLock<mask, unmask>>> pool;
//
// The lock stores the previous mask, which no other code can overwrite while interrupts are off. Operations therefore
// nest inside the caller's own masking. If Enter returns nothing, Exit enables interrupts: callers must have them
// enabled, and the lock takes 0 bytes.
#pragma once

#include <fastalloc/lock/lock.hpp>

#include <atomic>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The result of Enter, if it has one.
template <class State> struct InterruptState {
  State value{};
};
template <> struct InterruptState<void> {};

/// Exit takes the result of Enter.
template <auto Enter, auto Exit>
concept InterruptFunctions = requires { Enter(); } && (requires { Exit(Enter()); } || requires {
                               requires std::same_as<decltype(Enter()), void>;
                               Exit();
                             });

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: interrupt handlers and the code they interrupt share a pool, on one core. Masking does not exclude
/// other cores: there, use SpinLock (under masked interrupts) or LockFree. Use LockFree also where interrupts must
/// never be off, if the processor has compare-and-swap.
/// Interrupts are off for the steps of one pool operation: a constant number for allocate() and the end of a handle.
/// They are on while constructors, destructors, hooks and the F of for_each() run. These operations keep them off for
/// longer: the first allocation from inline storage with a checks policy, which clears one bit a slot (call warm_up()
/// before interrupts start); a batch, in proportion to its length; for_each(), which takes a snapshot first and skips
/// free slots at each step; reset_statistics() with FreeListAllocator or during an iteration; check_invariants(). A
/// GrowingPool acquires its blocks with interrupts off.
/// Requires: Enter and Exit are functions, or lambdas without captures. They need no compiler barrier; the lock has
/// one. Do not use the pool in a handler of higher priority than Enter masks (BASEPRI), or in a non-maskable one (NMI).
/// Size: that of Enter's result, usually a word; 0 bytes if it is void.
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
      // compiler barrier: accesses to the pool's data stay behind Enter
      std::atomic_signal_fence(std::memory_order_seq_cst);
      state_.value = state;
    } else {
      Enter();
      std::atomic_signal_fence(std::memory_order_seq_cst);  // compiler barrier, as above
    }
  }
  FASTALLOC_ALWAYS_INLINE void unlock() noexcept {
    if constexpr (keeps_state) {
      State const state = state_.value;                     // a copy: the next owner may lock once interrupts are on
      std::atomic_signal_fence(std::memory_order_seq_cst);  // compiler barrier: before Exit
      Exit(state);
    } else {
      std::atomic_signal_fence(std::memory_order_seq_cst);  // compiler barrier, as above
      Exit();
    }
  }

 private:
  FASTALLOC_NO_UNIQUE_ADDRESS detail::InterruptState<State> state_{};
};

}  // namespace fastalloc::inline FASTALLOC_MODE
