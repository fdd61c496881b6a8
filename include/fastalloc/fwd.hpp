// SPDX-License-Identifier: MIT OR Apache-2.0
// Every public name, and every default, once. Include this where a name is enough.
//
// Policies follow T in any order; what is left out is the default of its axis (struct Defaults below).
#pragma once

#include <fastalloc/config.hpp>

#include <cstddef>

namespace fastalloc::detail {

/// A sentence as part of a type, so that compilers print it: see FASTALLOC_ADVICE. An aggregate: a constructor that
/// copies the characters takes g++ eight times as long to compile.
template <std::size_t N> struct Text {
  char text[N];
};
template <std::size_t N> Text(char const (&)[N]) -> Text<N>;
template <Text text> struct Advice {
  explicit constexpr Advice() = default;  // nothing converts to it
};

}  // namespace fastalloc::detail

// Functions that a class lacks, but that users may look for: a call does not compile, and the first message says
// what to type. To overload resolution they are deleted, so `requires { pool.f(); }` is false.
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

struct PoolStatistics;
struct Error;
class Key;
struct Poolable;  // lifetime/poolable.hpp: types whose hooks are called

inline namespace FASTALLOC_ABI {
struct PoolConfig;
class PoolConfigBuilder;
class GrowthStrategy;
class AnyOwner;
template <class T, class Owner = AnyOwner> class Handle;
template <class T, class Owner> class SpanHandle;
template <class T, class Owner> class BatchHandle;
template <auto& Pool> struct Bound;
template <class T> class SharedHandle;
template <class T> class WeakHandle;
template <class T, class Owner = AnyOwner> class PoolDeleter;  // adapters/unique_ptr.hpp
}  // namespace FASTALLOC_ABI

inline namespace FASTALLOC_MODE {

// storage: where the bytes come from
struct HeapStorage;
template <std::size_t Slots> struct InlineStorage;
struct ExternalStorage;
class PageStorage;
struct PageOptions;
enum class HugePages : unsigned char;
enum class PageFeature : unsigned char;

// slots: which slot is handed out next
struct StackAllocator;
struct FreeListAllocator;
struct BitmapAllocator;

// keys: numbers by which objects are found, and missed when they are gone
struct NoKeys;
template <int Bits = 31> struct BasicGenerations;
using Generations = BasicGenerations<>;

// checks: what is verified when objects come back
struct NoChecks;
struct DebugChecks;
struct FullChecks;

// lock: what guards the pool's own data
struct NoLock;
class MutexLock;
class SpinLock;
class AdaptiveLock;
class LockFree;
template <auto Enter, auto Exit> class InterruptLock;

// cache: slots that threads keep for themselves
template <std::size_t Slots = 256> struct ThreadCache;
struct NoCache;

// statistics
struct NoStats;
class BasicStats;
class AtomicStats;

// lifetime: when objects are built and destroyed
struct ConstructOnAllocate;
template <class Init, class Reset> class Recycle;

// sharing: whether objects may have several owners; none by default
struct Shared;
struct AtomicShared;

/// What a pool uses on each axis for which it is given no policy.
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

/// The same for ThreadSafePool. LockFree leaves no room for a cache.
struct ThreadSafeDefaults : Defaults {
  using lock = AdaptiveLock;
  using cache = ThreadCache<>;
};

template <class T, class... Policies> class FixedPool;
template <class T, class... Policies> class GrowingPool;
template <class T, class... Policies> class ThreadSafePool;
template <class T, class... Policies> class ThreadLocalPool;

// adapters, each by a header of its own
class PoolResource;
class SynchronizedPoolResource;
template <class T, class Resource = PoolResource> class PoolAllocator;
// adapters/coroutine.hpp: coroutine frames from a pool
template <std::size_t Bytes> struct FrameSlot;
template <auto Pool = nullptr> struct PooledFrame;
template <auto Pool = nullptr> struct TryPooledFrame;

}  // namespace FASTALLOC_MODE

namespace detail::inline FASTALLOC_MODE {
template <class T, class... Policies> class SubPool;
template <class Pool, class T, class Owner> class Batches;
}  // namespace detail::inline FASTALLOC_MODE
}  // namespace fastalloc
