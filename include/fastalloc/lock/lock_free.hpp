// SPDX-License-Identifier: MIT OR Apache-2.0
// LockFree: no lock; the free slots are in a tagged list (slots/tagged_list.hpp) that all threads change by
// compare-and-swap. With FixedPool and ExternalStorage the pool may lie in memory shared by processes; its contents,
// attaching and the order of destruction: storage/external_storage.hpp.
//
// Slow operations take a per-process spin lock. It serialises the iterations of one process only; those of other
// processes go on, because no iteration relies on it for the slots, which change during any iteration. A process
// stopped in an iteration blocks no other process. Do not fork() while a thread is inside for_each().
#pragma once

#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/slots/tagged_list.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: where a stopped thread must never block another: interrupt handlers, real-time threads beside others,
/// memory shared by processes. For throughput use the default: a list that all threads change is slower than caches
/// (benchmarks/README.md). Costs 8 bytes a slot (4 where 64 bits cannot be swapped). Requires: one block of slots, and
/// no thread caches. Waiting, for_each() and the first allocation from inline storage take a spin lock. Waiting threads
/// have no priority over others. A batch that collides with another thread takes nothing and fails as if the pool were
/// full.
/// Complexity: 0 steps here; see TaggedList. Lock-free: one thread's wait has no bound, but the threads as a whole
/// progress.
class LockFree {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr bool is_lock_free = true;
  using slot_allocator = detail::TaggedSlots;  ///< replaces StackAllocator
  constexpr LockFree() noexcept = default;
  constexpr void lock() const noexcept {}
  constexpr void unlock() const noexcept {}

  /// The spin lock of this process for slow operations.
  [[nodiscard]] SpinLock& slow() noexcept { return slow_; }

 private:
  SpinLock slow_;
};

static_assert(LockPolicy<LockFree>);

}  // namespace fastalloc::inline FASTALLOC_MODE
