// SPDX-License-Identifier: MIT OR Apache-2.0
// ExternalStorage: the pool lives in a span of bytes that the caller owns and that outlives the pool.
//
// With FixedPool and LockFree the span may be memory shared by processes, at a different address in each:
//
//   first    FixedPool<T, ExternalStorage, LockFree> pool(span);                           creates the pool in the span
//   others   FixedPool<T, ExternalStorage, LockFree> pool(ExternalStorage::attach(span));  attach to it
//
//   in the span       slots, links and head of the free list, generations, check marks, statistics of all processes,
//                     and a header by which other processes find the pool and detect a different layout
//   in each process   the pool object, its handles, running iterations. Use a handle only in the process that made it
//   passed on         a Key (pool.key, pool.get) or an index (pool.index_of, pool.object_at). pool.adopt() makes a
//                     handle of the object after the previous owner called Handle::release()
//   T                 no pointers or references, not even to itself, no virtual functions or bases: these are addresses
//                     of one process. Indices, keys, arrays and lock-free atomics are fine. To make its contents
//                     visible, pass its key or index through an atomic, a pipe, a semaphore: anything that synchronizes
//   not supported     sharing policies (their counts point to the pool), Recycle, pools other than FixedPool + LockFree
//
// - An attached process may leave at any time, once it has no handles of its own; objects may stay for others to adopt.
//   Its destructor reports no objects and changes nothing.
// - The destructor of the creating pool reports live objects, whichever process owns them. Attached processes may go
//   on, but no process can attach any more; keep the bytes while any is attached. To leave before the others, the
//   creator ends without the destructor (by _exit() or a signal): the pool stays as it is.
// - The same in a mapped file: a NoDestructor<Pool> keeps its objects there when the program ends, and a later run
//   attaches. Keys that were stored elsewhere find their objects.
// - A forked process may use its copy of a pool object without attaching. A copy of the creating pool counts as the
//   creator: do not run its destructor, leave by _exit().
// - Creating a pool over a live one corrupts it. Destroying the older one still lets processes attach to the newer one.
// - Attached processes trust each other: bytes corrupted by one are corrupted for all.
// - A process that is killed keeps its objects allocated and leaks the slots it was taking or giving back: at most one,
//   or those of one batch. Everything else stays intact and exact. for_each() visits its objects: if T holds the
//   process's number, `if (object.process == dead) pool.adopt(&object).reset()` reclaims them. Requires: no other
//   process is inside an operation of the pool, because for_each() also visits objects under construction, which may
//   still hold the number of a dead process. It also visits an object that the dead process had not finished building
//   and, without a checks policy, one it had begun to destroy (with one, that slot is leaked). ~T() must handle both.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <cstdint>
#include <span>

namespace fastalloc::inline FASTALLOC_MODE {

/// `FixedPool<T, ExternalStorage> pool(span)` has as many slots as fit; P::required_bytes(n) bytes, aligned to
/// P::required_alignment(), hold exactly n. The pool never writes outside the span and never frees it. Complexity: 1
/// step.
struct ExternalStorage {
  static constexpr bool can_grow = false;
  static constexpr bool is_borrowed = true;
  struct Attached;

  constexpr ExternalStorage(std::span<std::byte> bytes) noexcept : ExternalStorage(bytes, false) {}

  /// Attaches to a pool that another process, or another pool of this one, created in the same bytes; see the top of
  /// this file. Requires: a PoolConfig, if given, has the same capacity and alignment; without one, the pool's values
  /// apply (and pages are not touched in advance). Construction fails with invalid_configuration if there is no such
  /// pool yet; to retry, use try_create().
  [[nodiscard]] static constexpr Attached attach(std::span<std::byte> bytes) noexcept;

  /// Returns: the start of the span; null when the span is too small or not aligned enough.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return bytes <= this->bytes().size() && is_aligned(alignment) ? data_ : nullptr;
  }
  void release(void*, std::size_t, std::size_t) noexcept {}

  [[nodiscard]] constexpr std::span<std::byte> bytes() const noexcept { return {data_, size_ / 2}; }
  [[nodiscard]] constexpr bool attaches() const noexcept { return size_ % 2 != 0; }
  [[nodiscard]] bool is_aligned(std::size_t alignment) const noexcept {
    return reinterpret_cast<std::uintptr_t>(data_) % alignment == 0;
  }

 private:
  constexpr ExternalStorage(std::span<std::byte> bytes, bool attaches) noexcept
      : data_(bytes.data()), size_(bytes.size() * 2 + (attaches ? 1 : 0)) {}

  std::byte* data_;
  std::size_t size_;  ///< twice the bytes, plus 1 if it attaches; no object has more than half of all bytes
};

/// The result of attach(). A separate type, so that pools that cannot be shared refuse it at compile time. A copy as
/// ExternalStorage still attaches, and these pools refuse it at construction.
struct ExternalStorage::Attached : ExternalStorage {
 private:
  friend ExternalStorage;
  constexpr explicit Attached(std::span<std::byte> bytes) noexcept : ExternalStorage(bytes, true) {}
};

constexpr auto ExternalStorage::attach(std::span<std::byte> bytes) noexcept -> Attached { return Attached(bytes); }

static_assert(Storage<ExternalStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
