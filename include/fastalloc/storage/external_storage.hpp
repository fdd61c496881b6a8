// SPDX-License-Identifier: MIT OR Apache-2.0
// ExternalStorage: the pool lives in a span of bytes that the caller owns and that outlives the pool.
//
// With FixedPool and LockFree the span may be memory that processes share, at an address of its own in each:
//
//   first    FixedPool<T, ExternalStorage, LockFree> pool(span); creates the pool in the span
//   others   FixedPool<T, ExternalStorage, LockFree> pool(ExternalStorage::attach(span));   find it there
//
//   what lies in the span   slots, links and head of the free list, generations, marks of the checks, statistics of all
//                           processes,
//                           a header by which others find the pool, and notice where theirs differs
//   what each has           the pool object, its handles, iterations that run; a handle is used in the process that
//                           made it
//   what is handed on       a Key (pool.key, pool.get), or an index (pool.index_of, pool.object_at); pool.adopt() makes
//                           a handle of the
//                           object, after the other one has let go of it by Handle::release()
//   T                       holds no pointers or references, to itself neither, and no virtual functions or bases:
//                           these are addresses of
//                           one process. Indices, keys, arrays, and atomics that are lock free are well. What is in an
//                           object is seen by who gets its key or index in a way that synchronizes: an atomic, a pipe,
//                           a semaphore
//   not for it              sharing policies (their counts point to the pool), Recycle, and pools other than FixedPool
//                           with LockFree
//
// Who ends when: those who attached, whenever they like, with no handles of their own left (objects may stay, for
// others to adopt). Their destructors say nothing about objects, and change nothing. That of the pool that was created
// reports what lives, as always, whoever has it; those who are attached may go on, but nobody may attach any more, and
// the bytes must stay as long as one is there. A creator that is to go before the others ends without that destructor
// (by _exit(), say, or by a signal): then the pool stays as it is. A forked process may use its copy of a pool object
// as it is, without attaching. A copy of the one that created the pool counts as that one, so its destructor must not
// run: leave by _exit(). Who creates a pool where one is still used takes the memory from under it; the end of the
// older one keeps nobody from attaching to the newer one. Who attaches trusts those who write there: bytes that a
// process spoils are spoilt for all. A process that is killed keeps what it had, and loses the slots that it was just
// taking or giving back: one at most, in an operation on many objects (batches) those of that operation; all else stays
// whole and exact. for_each() meets its objects: where T has the process's number, `if (object.process == dead)
// pool.adopt(&object).reset()` gets them back. This requires that no other process is inside an operation of the pool
// meanwhile: for_each() meets what one is just building, too, where the number of a dead process may still stand. It
// also meets an object that the dead one had not built to the end; what it had begun to destroy only without a checks
// policy, with one that slot is lost. ~T() must bear both.
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <cstdint>
#include <span>

namespace fastalloc::inline FASTALLOC_MODE {

/// `FixedPool<T, ExternalStorage> pool(span)` takes as many slots as fit; P::required_bytes(n) bytes, aligned to
/// P::required_alignment(), hold exactly n. The pool writes nowhere outside the span and never frees it. Complexity: 1
/// step.
struct ExternalStorage {
  static constexpr bool can_grow = false;
  static constexpr bool is_borrowed = true;
  struct Attached;

  constexpr ExternalStorage(std::span<std::byte> bytes) noexcept : ExternalStorage(bytes, false) {}

  /// For a pool that another process, or another pool of this one, created in the same bytes; see the top of this file.
  /// With a PoolConfig, capacity and alignment must be the same; without, they are taken as they are (and pages are not
  /// touched in advance). Where there is no such pool, or not yet, construction fails with invalid_configuration; to
  /// try again, use try_create().
  [[nodiscard]] static constexpr Attached attach(std::span<std::byte> bytes) noexcept;

  /// Returns: the start of the span; null when the span is too small or its start not aligned enough.
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
  std::size_t size_;  ///< twice the bytes, and 1 where it attaches; no object has more than half of all bytes
};

/// What attach() returns. A type of its own, so that pools that cannot be shared refuse it when they are compiled;
/// copied to an ExternalStorage it attaches still, and they refuse it when they are constructed.
struct ExternalStorage::Attached : ExternalStorage {
 private:
  friend ExternalStorage;
  constexpr explicit Attached(std::span<std::byte> bytes) noexcept : ExternalStorage(bytes, true) {}
};

constexpr auto ExternalStorage::attach(std::span<std::byte> bytes) noexcept -> Attached { return Attached(bytes); }

static_assert(Storage<ExternalStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE
