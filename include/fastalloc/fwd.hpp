// SPDX-License-Identifier: MIT OR Apache-2.0
// Every public name and every default, once. Include this where a declaration is enough.
//
// Policies follow T in any order; an omitted axis uses its default (struct Defaults below).
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>

namespace fastalloc::detail {

/// A sentence as part of a type, so that compilers print it: see FASTALLOC_ADVICE. An aggregate, since a constructor
/// that copies the characters takes g++ eight times as long to compile.
template <std::size_t N> struct Text {
  char text[N];
};
template <std::size_t N> Text(char const (&)[N]) -> Text<N>;
template <Text text> struct Advice {
  explicit constexpr Advice() = default;  // nothing converts to it
};

}  // namespace fastalloc::detail

// Functions that a class lacks, but users may look for: a call does not compile, and the first message says what to
// type. They count as deleted in overload resolution, so `requires { pool.f(); }` is false.
//   FASTALLOC_UNAVAILABLE("what to type", void, f() requires condition);
//   C(C const&, FASTALLOC_ADVICE("what to type")) = delete;          for constructors. On one line: clang++ shows it
//   FASTALLOC_ADVISES("what to type") operator=(C const&) = delete;  for assignment; the same
#define FASTALLOC_ADVISES(text) ::fastalloc::detail::Advice<::fastalloc::detail::Text{text}>
#define FASTALLOC_ADVICE(text) FASTALLOC_ADVISES(text) = FASTALLOC_ADVISES(text)()
#if defined(__clang__)
#define FASTALLOC_UNAVAILABLE(text, type, ...) __attribute__((unavailable(text))) type __VA_ARGS__
#else
#define FASTALLOC_UNAVAILABLE(text, type, ...) FASTALLOC_ADVISES(text) __VA_ARGS__ = delete
#endif

namespace fastalloc {

inline namespace FASTALLOC_STATE {
struct PoolStatistics;
struct Error;
class Key;
template <int IndexBits, int GenerationBits> class ShortKey;
struct Poolable;  // lifetime/poolable.hpp: opts a type in to hooks
}  // namespace FASTALLOC_STATE

inline namespace FASTALLOC_ABI {
struct PoolConfig;
class PoolConfigBuilder;
class GrowthStrategy;
class AnyOwner;
template <class T, class Owner = AnyOwner> class Handle;
template <class T, class Owner> class SpanHandle;
template <class T, class Owner> class BatchHandle;
template <auto& Pool> struct Bound;
struct InSegment;
/// A handle of one word of any pool with the policy CompactHandles: pool/compact_handles.hpp.
template <class T> using CompactHandle = Handle<T, InSegment>;
template <class T> class SharedHandle;
template <class T> class WeakHandle;
template <class T, class Owner = AnyOwner> class PoolDeleter;  // adapters/unique_ptr.hpp
}  // namespace FASTALLOC_ABI

inline namespace FASTALLOC_MODE {

// storage: the source of the bytes
struct HeapStorage;
template <std::size_t Slots> struct InlineStorage;
struct ExternalStorage;
class PageStorage;
class MemoryBudget;
template <class S = HeapStorage> class Budgeted;
struct PageOptions;
enum class HugePages : unsigned char;
enum class PageFeature : unsigned char;

// slots: the choice of the next slot
struct StackAllocator;
struct FreeListAllocator;
struct BitmapAllocator;

// keys: numbers that find an object while it is live
struct NoKeys;
template <int Bits = 30, int GenerationBits = 0> struct BasicGenerations;  // <bits>, or <index bits, bits>
/// Keys of 8 bytes; see BasicGenerations.
using Generations = BasicGenerations<>;
/// Keys of 4 bytes: up to 1,048,576 slots, and 4,095 objects with keys a slot.
using Generations32 = BasicGenerations<20, 12>;

// checks: verification of returned objects
struct NoChecks;
struct DebugChecks;
struct FullChecks;

// lock: protection of the pool's own data
struct NoLock;
class MutexLock;
class SpinLock;
class AdaptiveLock;
class LockFree;
template <auto Enter, auto Exit> class InterruptLock;

// cache: per-thread slots
template <std::size_t Slots = 256> struct ThreadCache;
struct NoCache;

// statistics
struct NoStats;
class BasicStats;
class AtomicStats;
template <class Sink, class Counts = AtomicStats> class TraceStats;  // debug/trace.hpp

// lifetime: construction and destruction of objects
struct ConstructOnAllocate;
template <class Init, class Reset> class Recycle;

// sharing: several owners per object; none by default
struct Shared;
struct AtomicShared;

// registration: the list of all pools; none by default
struct Registered;
struct PoolInfo;
class PoolRegistry;

// ending: what becomes of a pool whose owner ends before its handles
struct Abandonable;

// poison: by default AddressSanitizer reports accesses to free slots
struct NoPoison;

// handles of one word; of two by default
struct CompactHandles;

// exhaustion: what happens when every slot is in use
struct Fail;
template <class F> class Evict;
class HeapFallback;
template <class T> class OldestFirst;

/// The policy of each axis for which a pool is given none.
struct Defaults {
  using slot_allocator = StackAllocator;
  using storage = HeapStorage;
  using lock = NoLock;
  using stats = NoStats;
  using cache = NoCache;
  using lifetime = ConstructOnAllocate;
  using keys = NoKeys;
#if FASTALLOC_CHECKED
  using checks = DebugChecks;
#else
  using checks = NoChecks;
#endif
};

/// The same for ThreadSafePool. ThreadCache needs a lock; LockFree has none and implies NoCache.
struct ThreadSafeDefaults : Defaults {
  using lock = AdaptiveLock;
  using cache = ThreadCache<>;
};

template <class T, class... Policies> class FixedPool;
template <class T, class... Policies> class GrowingPool;
template <class T, class... Policies> class ThreadSafePool;
template <class T, class... Policies> class ThreadLocalPool;
template <class P> class MovablePool;

// adapters, each with its own header
class PoolResource;
class SynchronizedPoolResource;
template <bool OnCopyAssignment = false, bool OnMoveAssignment = true, bool OnSwap = true> struct Propagation;
template <class T, class Resource = PoolResource, class Propagates = Propagation<>> class PoolAllocator;
template <class T, auto& Resource, class Propagates = Propagation<>> class BoundAllocator;
template <class Resource = PoolResource> class CAllocator;
template <auto& Allocator> struct CHooks;
template <class T, class... Policies> class Pooled;
// adapters/coroutine.hpp: coroutine frames from a pool
template <std::size_t Bytes> struct FrameSlot;
template <auto Pool = nullptr> struct PooledFrame;
template <auto Pool = nullptr> struct TryPooledFrame;

}  // namespace FASTALLOC_MODE

namespace detail::inline FASTALLOC_ABI {
template <class T, class Owner, class Slots> class OwnedSlots;
}  // namespace detail::inline FASTALLOC_ABI
namespace detail::inline FASTALLOC_MODE {
template <class T, class... Policies> class SubPool;
template <class Objects> class Batches;     // pool/batches.hpp
template <class Objects> class Clearing;    // pool/clearing.hpp
template <class Objects> class Identities;  // pool/identities.hpp
template <class Objects> class Looking;     // pool/looking.hpp
struct DebugAccess;                         // debug/occupancy.hpp
template <class Core> class Purging;        // pool/purge.hpp
template <class Objects> class SavedState;  // pool/saved_state.hpp
template <class Objects> class Sharing;     // pool/sharing.hpp
}  // namespace detail::inline FASTALLOC_MODE
}  // namespace fastalloc
