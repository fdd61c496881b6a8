// SPDX-License-Identifier: MIT OR Apache-2.0
// LockFree: no lock; the free slots are in a tagged list (slots/tagged_list.hpp) that every thread changes by
// compare-and-swap. With FixedPool and ExternalStorage the pool may lie in memory that processes share; what may be in
// such a pool, how others attach to it, and who may end when: storage/external_storage.hpp.
//
// What is slow has a spin lock, of each process its own: it keeps iterations of one process apart, and lets those of
// others go on. That is well, since no iteration relies on it for the slots, which change under it in any case. A
// process that is stopped in an iteration holds up only its own. fork() while no thread is inside for_each().
#pragma once

#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/slots/tagged_list.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: where a thread that is stopped half way must never hold up another: interrupt handlers, real-time
/// threads beside others, memory shared by processes. For throughput take the default: a list that all threads change
/// is slower than caches (benchmarks/README.md). 8 bytes a slot (4 where 64 bits cannot be swapped). Needs one block of
/// slots, and no thread caches. Waiting, for_each() and the first allocation from inline storage use a spin lock. While
/// threads wait, others may be faster. A batch that meets others half way takes nothing, and fails as if the pool were
/// full.
/// Complexity: 0 steps here; TaggedList's, for which one thread's wait has no bound but all threads' work goes on.
class LockFree {
 public:
  static constexpr bool is_thread_safe = true;
  static constexpr bool is_lock_free = true;
  using slot_allocator = detail::TaggedSlots;  ///< what StackAllocator becomes
  constexpr LockFree() noexcept = default;
  constexpr void lock() const noexcept {}
  constexpr void unlock() const noexcept {}

  /// For what is rare. Of this process.
  [[nodiscard]] SpinLock& slow() noexcept { return slow_; }

 private:
  SpinLock slow_;
};

static_assert(LockPolicy<LockFree>);

}  // namespace fastalloc::inline FASTALLOC_MODE
