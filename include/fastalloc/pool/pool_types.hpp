// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolTypes: maps T, the kind of pool and its policies to the pool's component types. The bytes of a slot:
//
//   | T and what its lifetime policy keeps | counts of owners | link, if it must not overlap        | index of a key |
//   0                                      counts_offset      link_offset                           used          size
#pragma once

#include <fastalloc/pool/policies.hpp>
#include <fastalloc/pool/pool_core.hpp>
#include <fastalloc/storage/external_storage.hpp>
#include <fastalloc/storage/inline_storage.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The traits that distinguish pools: default policies; whether blocks may be added, and double by default; the caches
/// between threads and slots; waiting threads.
struct FixedKind {
  using defaults = Defaults;
  static constexpr bool grows = false, doubles = false, shared = false, cached = false;
  static constexpr bool local = false;             ///< releasing a handle asks Derived::is_home()
  static constexpr std::size_t least_link = 0;     ///< bytes of a slot that must be writable when its object is gone
  template <class Derived> using owner = Derived;  ///< of handles
  template <class P, class Shape> using caches = NoCaches;
  using waiters = NoWaiters;
};
struct GrowingKind : FixedKind {
  static constexpr bool grows = true, doubles = true;
};

template <class SlotPolicy, bool Growing> constexpr bool takes_runs() noexcept {
  return TakesRuns<typename SlotPolicy::template Slots<SlotShape<16, 8, Growing, 0, 8>>>;
}

/// Value: a constructor argument's type. If it is a span to attach to and the pool cannot attach, says what to type.
template <class Value, bool LockFreeInSpan, bool Joins, bool Shares, bool Keeps>
constexpr void check_attached() noexcept {
  if constexpr (std::same_as<Value, ExternalStorage::Attached>) {
    static_assert(LockFreeInSpan, "fastalloc: processes can share only what lies in the span, and this pool keeps free "
                                  "slots, or those who wait for one, in the pool object; attach to a "
                                  "FixedPool<T, ExternalStorage, LockFree>");
    static_assert(
        !Shares,
        "fastalloc: owners of shared objects find the pool by its address, which is another one in each process; leave "
        "Shared or AtomicShared out of a pool to attach to, and hand on keys");
    static_assert(!Keeps, "fastalloc: a pool with Recycle destroys what it keeps when it ends, which other processes "
                          "may still use; leave Recycle "
                          "out of a pool to attach to");
    static_assert(
        Joins || !LockFreeInSpan,
        "fastalloc: the slots of this lock policy have no join(); attach to a FixedPool<T, ExternalStorage, LockFree>");
  }
}

/// The bytes of a segment of slots of `size` bytes: room for 128, so that the rest is less than a hundredth. Above 64
/// MiB for 3: a segment's bytes are its alignment, too, and a storage may need as many addresses once more.
constexpr std::size_t segment_for(std::size_t size) noexcept {
  constexpr std::size_t most = std::size_t{64} << 20, top = (std::numeric_limits<std::size_t>::max)() / 2 + 1;
  return size > top / 4      ? top  // no storage has so much memory
         : size > most / 128 ? greater(most, std::bit_ceil(size * 4))
                             : greater(usual_segment, std::bit_ceil(size * 128));
}

/// The component types of a pool of T.
template <class T, class Kind, class... Ps> struct PoolTypes {
  using P = Policies<typename Kind::defaults, Ps...>;
  static constexpr bool compact = P::compact;
  /// A ThreadSafePool may grow if its policies can.
  static constexpr bool may_grow =
      Kind::grows || (Kind::shared && !P::lock_free && requires { requires P::storage::can_grow; });
  /// The pool may have several blocks. With CompactHandles each lies in a segment.
  static constexpr bool Growing = may_grow || (compact && !SizedStorage<typename P::storage>);
  using slot_allocator = typename P::slot_allocator;
  static constexpr bool shares = !std::same_as<typename P::sharing, NoSharing>;
  static constexpr std::size_t counts_offset = round_up(P::lifetime::template slot_bytes<T>, SharedCounts::alignment);
  static constexpr std::size_t object =
      shares ? counts_offset + sizeof(SharedCounts) : P::lifetime::template slot_bytes<T>;
  static constexpr std::size_t align = shares ? greater(alignof(T), SharedCounts::alignment) : alignof(T);
  static constexpr std::size_t link = greater(link_bytes<slot_allocator>(Growing, object), Kind::least_link);
  // A link overlaps the dead object, or follows one that is kept; never overlaps counts, which a for_each() may read.
  static constexpr bool link_behind = link != 0 && (P::lifetime::keeps_objects || (shares && link > counts_offset));
  static constexpr std::size_t link_offset = link_behind ? round_up(object, link) : 0;
  static constexpr int generation_bits = P::keys::generation_bits;
  static constexpr int index_bits = KeysOf<typename P::keys>::index_bits;
  static constexpr std::size_t index_bytes = Growing && generation_bits != 0 ? sizeof(std::uint32_t) : 0;
  static constexpr std::size_t used = greater(link_offset + link, object) + index_bytes;
  static constexpr std::size_t size = round_up(used, align);
  /// Processes may share the pool: all mutable state lies in the span (requirements: storage/external_storage.hpp).
  static constexpr bool is_lock_free_in_span =
      std::same_as<typename P::storage, ExternalStorage> && P::lock_free && !Growing && !Kind::shared;
  static constexpr bool joins = requires { requires slot_allocator::can_be_joined; };
  static constexpr bool spans_processes = is_lock_free_in_span && joins && !shares && !P::lifetime::keeps_objects;
  static constexpr std::size_t header =
      spans_processes ? process_header_bytes + (P::stats::enabled ? round_up(sizeof(typename P::stats), 8) : 0) : 0;
  /// AddressSanitizer separates slots only if they do not share an 8-byte granule. Slot sizes stay unchanged where
  /// other code depends on them: runs are arrays, inline slots are part of the pool's type, and processes with and
  /// without the sanitizer may share a span.
  static constexpr bool whole_granules = [] {
    if constexpr (FASTALLOC_ASAN && !SizedStorage<typename P::storage> && !spans_processes)
      return !takes_runs<slot_allocator, Growing>();
    else return false;
  }();
  static constexpr bool poisons =
      P::poison::poisons_slots && (std::same_as<typename P::lock, NoLock> || size % 8 == 0 || whole_granules);
  static constexpr std::size_t segment = !compact ? 0 : !Growing ? 1 : segment_for(size);
  using shape_of_T = SlotShape<size, align, Growing, link_offset, link, poisons, generation_bits,
                               shares ? counts_offset : 0, header, whole_granules, index_bits, segment>;
  static constexpr std::size_t least_stride_alignment = whole_granules && align < 8 ? 8 : align;
  /// Types whose slots have the same granule share one instantiation of everything below; the size is a run-time value
  /// there. Granules above 8 bytes would let one block exceed 32 GiB, at the price of another instantiation.
  /// If no code counts granules, the greatest granule sets no limit to the bytes of a block.
  static constexpr std::size_t granule = [] {
    constexpr bool counts_granules = requires { requires slot_allocator::uses_granules; };
    if (Growing || link == sizeof(void*) || !counts_granules) return (std::numeric_limits<std::size_t>::max)() / 2 + 1;
    return size % 8 == 0 ? std::size_t{8} : size & (~size + 1);
  }();
  /// A slot allocator says itself that it needs no size; one that derives from it may need one.
  static constexpr bool shares_code =
      requires { requires std::same_as<typename slot_allocator::takes_any_size, slot_allocator>; } && !FASTALLOC_ASAN &&
      !spans_processes && !shares && link_offset == 0 && index_bytes == 0 && !SizedStorage<typename P::storage> &&
      !requires { requires P::storage::fixed_alignment != 0; };
  using shape =
      std::conditional_t<shares_code, AnySizeShape<granule, Growing, link, generation_bits, index_bits, segment>,
                         shape_of_T>;
  using layout = PoolLayout<shape, slot_allocator, typename P::checks>;
  using process_block = ProcessBlock<shape, typename P::checks, layout>;

  template <class S> struct StorageOf {
    using type = S;
    static constexpr std::size_t inline_slots = 0;
  };
  template <SizedStorage S> struct StorageOf<S> {
    using region = typename S::template region<layout::block(S::slot_count, size).bytes, layout::block_alignment>;
    using type = std::conditional_t<compact, SegmentRegion<S, layout, size>, region>;
    static constexpr std::size_t inline_slots = S::slot_count;
  };
  using storage = typename StorageOf<typename P::storage>::type;
  /// Bytes of the segments that handles look for.
  static constexpr std::size_t segment_bytes = [] {
    if constexpr (segment == 1) return storage::segment_bytes;
    else return segment;
  }();
  static constexpr std::size_t inline_slots = StorageOf<typename P::storage>::inline_slots;
  static_assert(
      !compact || may_grow || inline_slots != 0 || storage::can_grow ||
          (std::same_as<storage, ExternalStorage> && generation_bits == 0),
      "fastalloc: with CompactHandles slots lie in segments, and this storage is asked for one block only; use "
      "HeapStorage, PageStorage, InlineStorage<N> or, without Generations, ExternalStorage, or leave "
      "CompactHandles out");
  static_assert(!compact || !P::lock_free || inline_slots != 0,
                "fastalloc: LockFree needs one block of slots, and CompactHandles lays them in several; use "
                "InlineStorage<N> or another lock, or leave CompactHandles out");
  static_assert(!compact || !P::exhaustion::uses_heap,
                "fastalloc: an object from the heap lies in no segment that could name its pool; leave HeapFallback or "
                "CompactHandles out");
  static_assert(
      !may_grow || storage::can_grow,
      "fastalloc: this storage is one block and cannot grow; use FixedPool with it, or HeapStorage with GrowingPool");

  static_assert(!P::exhaustion::uses_heap ||
                    (!P::lifetime::keeps_objects && !shares && P::keys::generation_bits == 0 && !Kind::local),
                "fastalloc: an object from the heap has no slot to be kept, counted or named by a key; leave "
                "HeapFallback out of pools with Recycle, Shared or Generations, and of a ThreadLocalPool");
  static_assert(!Kind::grows || !P::lock_free, "fastalloc: LockFree needs one block of slots; use FixedPool or "
                                               "ThreadSafePool with it, or AdaptiveLock with GrowingPool");
  static_assert(!Kind::shared || (!std::same_as<typename P::lock, NoLock> && may_be_shared<typename P::lock>()),
                "fastalloc: a ThreadSafePool with this lock is not safe; leave it out, or write AdaptiveLock, "
                "MutexLock, SpinLock or LockFree");
  static_assert(!Kind::shared || may_be_shared<storage>(),
                "fastalloc: this storage says that threads may not share it; use HeapStorage with ThreadSafePool");
  static_assert(!Kind::cached || may_be_shared<typename P::stats>(),
                "fastalloc: this statistics policy is not safe in a ThreadSafePool; use AtomicStats or NoStats");

  static_assert(P::sharing::counts_are_atomic || std::same_as<typename P::lock, NoLock> ||
                    !may_be_shared<typename P::lock>(),
                "fastalloc: threads may share this pool, and Shared counts the owners of an object without care for "
                "that; write AtomicShared");
  static_assert(
      !shares || !P::sharing::counts_are_atomic || CountsRef::can_be_atomic,
      "fastalloc: this processor cannot swap 64 bits at once, as AtomicShared must; use Shared, and one thread");
  static constexpr bool abandonable = P::ending::can_be_abandoned;
  using ending = typename P::ending::template state<!std::same_as<typename P::lock, NoLock>>;
  static_assert(!abandonable || !spans_processes,
                "fastalloc: a MovablePool cannot know which objects of a pool that processes share are this process's; "
                "use std::unique_ptr, and release the handles first");
  static_assert(!abandonable || !Kind::local, "fastalloc: a ThreadLocalPool cannot be Abandonable; use ThreadSafePool");

  static_assert(
      Kind::cached || !P::cached,
      "fastalloc: ThreadCache stands between the threads of a ThreadSafePool; use that pool, or leave it out");

  /// Vs: the types of the values after a PoolConfig. The pool's type must name the policy of each; none is ignored.
  template <class... Vs> static constexpr void check_values() noexcept {
    (check_attached<Vs, is_lock_free_in_span, joins, shares, P::lifetime::keeps_objects>(), ...);
    static_assert(((axis_of<Vs>() != Axis::none) && ...),
                  "fastalloc: an argument after the PoolConfig is not a policy; pass recycle(init, reset), "
                  "ExternalStorage(span), PageStorage{options}, or a storage of your own");
    static_assert((is_used_as<Vs, Axis::storage, storage, ExternalStorage::Attached> && ...),
                  "fastalloc: the type of this pool does not name this storage, so the value would have no effect; "
                  "write it after T, too, as in FixedPool<T, ExternalStorage>(config, ExternalStorage(span)) or "
                  "FixedPool<T, PageStorage>(config, PageStorage{options})");
    static_assert((is_used_as<Vs, Axis::lifetime> && ...),
                  "fastalloc: the type of this pool does not name this Recycle, so init() would never be called; leave "
                  "<T> out, as in FixedPool(config, recycle(init, reset)), or write "
                  "FixedPool<T, decltype(recycle(init, reset))>");
    static_assert((is_used_as<Vs, Axis::exhaustion> && ...),
                  "fastalloc: the type of this pool does not name this exhaustion policy, so the value would have no "
                  "effect; write it after T, as in FixedPool<T, decltype(end_one)>(config, end_one)");
    static_assert(((holds_value<Vs> || P::template names<Vs>) && ...),
                  "fastalloc: a policy value that is not in the pool's type has no effect; write its type after T, as "
                  "in FixedPool<T, FullChecks>");
    static_assert(((holds_value<Vs> || std::is_empty_v<Vs>) && ...),
                  "fastalloc: a pool makes its lock, statistics and slot allocator itself, so this value would have no "
                  "effect; leave it out, and keep its type after T");
    static_assert(((count_on<Vs...>(axis_of<Vs>()) == 1) && ...),
                  "fastalloc: two values for one policy, of which one would have no effect; keep one");
  }

  using caches = typename Kind::template caches<P, shape>;
  using core =
      PoolCore<CoreChoices<shape, slot_allocator, storage, typename P::lock, typename P::stats, typename P::checks,
                           caches, typename Kind::waiters, P::lifetime::keeps_objects, inline_slots>>;

 private:
  template <class V>
  static constexpr bool holds_value =
      axis_of<V>() == Axis::storage || axis_of<V>() == Axis::lifetime || axis_of<V>() == Axis::exhaustion;
  template <class V, Axis axis, class... Others>
  static constexpr bool is_used_as = axis_of<V>() != axis || P::template names<V> || one_of<V, Others...>;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
