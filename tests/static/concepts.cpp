// SPDX-License-Identifier: MIT OR Apache-2.0
// Truth tables: which type is a policy of which axis, alone and among others.
#include <fastalloc/fastalloc.hpp>

#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "support/test_storage.hpp"

namespace {

using namespace fastalloc;
using detail::Axis;
using detail::axis_of;

template <bool Growing> using Shape = SlotShape<16, 8, Growing, 0, sizeof(void*)>;
template <class P, bool Growing> using State = typename P::template Slots<Shape<Growing>>;
using TestRecycle = Recycle<std::string (*)(), void (*)(std::string&)>;

// The two kinds of functions that InterruptLock takes.
[[maybe_unused]] int mask() noexcept { return 0; }
[[maybe_unused]] void unmask(int) noexcept {}
[[maybe_unused]] void off() noexcept {}
[[maybe_unused]] void on() noexcept {}

// What is on which axis: each policy on exactly one, other types on none.
static_assert(axis_of<StackAllocator>() == Axis::slot_allocator);
static_assert(axis_of<FreeListAllocator>() == Axis::slot_allocator);
static_assert(axis_of<BitmapAllocator>() == Axis::slot_allocator);
static_assert(axis_of<HeapStorage>() == Axis::storage);
static_assert(axis_of<InlineStorage<3>>() == Axis::storage);
static_assert(axis_of<ExternalStorage>() == Axis::storage);
static_assert(axis_of<PageStorage>() == Axis::storage);
static_assert(axis_of<test::CountingStorage>() == Axis::storage);
static_assert(axis_of<NoLock>() == Axis::lock);
static_assert(axis_of<MutexLock>() == Axis::lock);
static_assert(axis_of<std::mutex>() == Axis::lock);
static_assert(axis_of<std::recursive_mutex>() == Axis::lock);
static_assert(axis_of<std::shared_mutex>() == Axis::lock);
static_assert(axis_of<InterruptLock<mask, unmask>>() == Axis::lock);
static_assert(axis_of<InterruptLock<off, on>>() == Axis::lock);
static_assert(axis_of<NoStats>() == Axis::stats);
static_assert(axis_of<BasicStats>() == Axis::stats);
static_assert(axis_of<ConstructOnAllocate>() == Axis::lifetime);
static_assert(axis_of<TestRecycle>() == Axis::lifetime);
static_assert(axis_of<NoChecks>() == Axis::checks);
static_assert(axis_of<DebugChecks>() == Axis::checks);
static_assert(axis_of<FullChecks>() == Axis::checks);
static_assert(axis_of<Shared>() == Axis::sharing);
static_assert(axis_of<AtomicShared>() == Axis::sharing);
static_assert(axis_of<int>() == Axis::none);
static_assert(axis_of<std::string>() == Axis::none);
static_assert(axis_of<PoolConfig>() == Axis::none);
static_assert(axis_of<Defaults>() == Axis::none);

struct LockAndStorage : HeapStorage, NoLock {};
static_assert(axis_of<LockAndStorage>() == Axis::several);

// What slot allocators offer beyond the least: occupancy, marks, untouched slots, many at once, erasing.
template <class P, bool occupancy, bool marks, bool fresh, bool many>
constexpr bool offers =
    SlotAllocator<P> && SlotAllocatorState<State<P, false>> && SlotAllocatorState<State<P, true>> &&
    TracksOccupancy<State<P, false>> == occupancy && TracksOccupancy<State<P, true>> == occupancy &&
    MarksReturns<State<P, false>> == marks && MarksReturns<State<P, true>> == marks &&
    HearsOfUntouchedSlots<State<P, false>> == fresh && HearsOfUntouchedSlots<State<P, true>> == fresh &&
    TakesMany<State<P, false>> == many && TakesMany<State<P, true>> == many && ErasableSlots<State<P, true>>;
static_assert(offers<StackAllocator, false, true, false, true>);
static_assert(offers<FreeListAllocator, false, true, false, false>);
static_assert(offers<BitmapAllocator, true, false, true, false>);
static_assert(!SlotAllocator<int> && !SlotAllocator<HeapStorage> && !SlotAllocatorState<StackAllocator>);

// Each member that a concept names is needed.
struct ThrowingStorage {
  static constexpr bool can_grow = true;
  void* acquire(std::size_t, std::size_t);
  void release(void*, std::size_t, std::size_t) noexcept;
};
struct SilentStorage {  // does not say whether it can grow
  void* acquire(std::size_t, std::size_t) noexcept;
  void release(void*, std::size_t, std::size_t) noexcept;
};
struct ByteStorage {
  static constexpr bool can_grow = true;
  std::byte* acquire(std::size_t, std::size_t) noexcept;
  void release(void*, std::size_t, std::size_t) noexcept;
};
static_assert(!Storage<ThrowingStorage> && !Storage<SilentStorage> && !Storage<ByteStorage> && !Storage<int>);
static_assert(Storage<HeapStorage> && Storage<ExternalStorage> && !Storage<InlineStorage<1>>);
static_assert(Storage<InlineStorage<1>::region<16, 16>>);
static_assert(Storage<PageStorage> && !ExplainsFailure<HeapStorage> && !Prefaults<HeapStorage>);

struct LockOnly {
  void lock();
};
struct NoDefault {
  explicit NoDefault(int);
  void lock();
  void unlock();
};
static_assert(!LockPolicy<LockOnly> && !LockPolicy<NoDefault> && !LockPolicy<int>);
static_assert(LockPolicy<InterruptLock<mask, unmask>> && LockPolicy<InterruptLock<off, on>> &&
              LockPolicy<InterruptLock<[] { return 1L; }, [](long) {}>>);
static_assert(detail::InterruptFunctions<mask, unmask> && detail::InterruptFunctions<off, on> &&
              !detail::InterruptFunctions<mask, on> && !detail::InterruptFunctions<off, unmask> &&
              !detail::InterruptFunctions<unmask, mask> && !detail::InterruptFunctions<3, unmask>);

struct ThrowingStats : NoStats {
  void failed() {}
};
static_assert(StatsPolicy<NoStats> && StatsPolicy<BasicStats> && !StatsPolicy<ThrowingStats> && !StatsPolicy<NoLock>);
static_assert(ChecksPolicy<NoChecks> && !ChecksPolicy<NoStats>);
static_assert(LifetimePolicy<ConstructOnAllocate, int> && LifetimePolicy<TestRecycle, std::string>);
static_assert(!LifetimePolicy<NoLock, int>);

// What arguments a pool accepts.
struct Aggregate {
  int a;
  std::string b;
};
static_assert(ConstructOnAllocate::accepts<Aggregate, int, char const*> && ConstructOnAllocate::accepts<Aggregate>);
static_assert(!ConstructOnAllocate::accepts<Aggregate, char const*> && !ConstructOnAllocate::accepts<int, std::string>);
static_assert(TestRecycle::accepts<std::string> && !TestRecycle::accepts<std::string, int>);

// The defaults.
using None = detail::Policies<Defaults>;
static_assert(std::same_as<None::slot_allocator, StackAllocator> && std::same_as<None::storage, HeapStorage>);
static_assert(std::same_as<None::lock, NoLock> && std::same_as<None::stats, NoStats>);
static_assert(std::same_as<None::lifetime, ConstructOnAllocate>);
#if FASTALLOC_CHECKED
static_assert(std::same_as<None::checks, DebugChecks>);
#else
static_assert(std::same_as<None::checks, NoChecks>);
#endif

static_assert(std::same_as<None::cache, NoCache>);
using Shared = detail::Policies<ThreadSafeDefaults>;
static_assert(std::same_as<Shared::lock, AdaptiveLock> && std::same_as<Shared::cache, ThreadCache<256>>);
using Free = detail::Policies<ThreadSafeDefaults, LockFree>;
static_assert(std::same_as<Free::cache, NoCache> && std::same_as<Free::slot_allocator, detail::TaggedSlots>);

// In any order the same pool comes out.
template <class... Ps> using FixedCore = typename detail::PoolTypes<std::string, detail::FixedKind, Ps...>::core;
template <class... Ps> using GrowingCore = typename detail::PoolTypes<std::string, detail::GrowingKind, Ps...>::core;
static_assert(
    std::same_as<FixedCore<BitmapAllocator, BasicStats, MutexLock>, FixedCore<MutexLock, BitmapAllocator, BasicStats>>);
static_assert(std::same_as<FixedCore<FullChecks, InlineStorage<4>, FreeListAllocator>,
                           FixedCore<FreeListAllocator, FullChecks, InlineStorage<4>>>);
static_assert(
    std::same_as<GrowingCore<BasicStats, TestRecycle, std::mutex>, GrowingCore<std::mutex, BasicStats, TestRecycle>>);
static_assert(
    std::same_as<FixedCore<>,
                 FixedCore<StackAllocator, HeapStorage, NoLock, NoStats, ConstructOnAllocate, Defaults::checks>>);
static_assert(!std::same_as<FixedCore<BasicStats>, FixedCore<>>);

// What a pool offers depends on its policies.
template <class P>
concept HasStatistics = requires(P& p) { p.statistics(); } && requires(P& p) { p.reset_statistics(); };
template <class P>
concept Shrinks = requires(P& p) { p.shrink_to_fit(); } && requires(P& p) { p.reserve(1); };
template <class P>
concept NeedsBytes = requires { P::required_bytes(1); };
static_assert(!HasStatistics<FixedPool<int>> && HasStatistics<FixedPool<int, BasicStats>> &&
              HasStatistics<GrowingPool<int, BasicStats>>);
static_assert(!HasStatistics<GrowingPool<int, NoStats>>);
static_assert(Shrinks<GrowingPool<int>> && !Shrinks<FixedPool<int>>);
static_assert(NeedsBytes<FixedPool<int, ExternalStorage>> && !NeedsBytes<GrowingPool<int>>);

template <class P>
concept Waits = requires(P& p) { p.allocate_for(std::chrono::seconds(1)); };
template <class P>
concept HasLive = requires(P& p) { p.live(); };
template <class P>
concept Trims = requires(P& p) { p.trim(); };
template <class P>
concept HasKeys = requires(P& p, P const& c) {
  p.key(p.allocate());
  p.get(Key());
  c.contains(Key());
};
template <class P>
concept HasObjectAt = requires(P& p) { p.object_at(1); };
static_assert(!HasStatistics<ThreadLocalPool<int>> && HasStatistics<ThreadLocalPool<int, AtomicStats>>);
static_assert(Shrinks<ThreadSafePool<int>> && !Shrinks<ThreadSafePool<int, LockFree>> && Shrinks<ThreadLocalPool<int>>);
static_assert(Waits<ThreadSafePool<int>> && !Waits<FixedPool<int>> && !Waits<GrowingPool<int>> &&
              !Waits<ThreadLocalPool<int>>);
static_assert(HasLive<FixedPool<int, BitmapAllocator>> && !HasLive<FixedPool<int>> &&
              !HasLive<ThreadSafePool<int, BitmapAllocator>>);
static_assert(HasLive<FixedPool<int, BitmapAllocator> const> && !HasLive<GrowingPool<int> const> &&
              !HasLive<ThreadLocalPool<int, BitmapAllocator>>);
static_assert(Trims<ThreadSafePool<int>> && !Trims<FixedPool<int>> && !Trims<GrowingPool<int>> &&
              !Trims<ThreadLocalPool<int>>);
static_assert(HasKeys<FixedPool<int, Generations>> && !HasKeys<FixedPool<int>> && !HasKeys<ThreadSafePool<int>> &&
              !HasKeys<ThreadLocalPool<int>>);
static_assert(HasObjectAt<FixedPool<int>> && HasObjectAt<GrowingPool<int>> && !HasObjectAt<ThreadLocalPool<int>>);
template <class P>
concept Finds = requires(P& p) { p.find(1); };
static_assert(!Finds<FixedPool<int>> && Finds<FixedPool<int, FullChecks>> &&
              !Finds<FixedPool<int, LockFree, NoChecks>>);
static_assert(Finds<GrowingPool<int, BitmapAllocator>> && Finds<ThreadSafePool<int, BitmapAllocator, NoCache>> &&
              !Finds<ThreadSafePool<int, BitmapAllocator>> && Finds<ThreadSafePool<int, DebugChecks>>);

// Handles.
static_assert(std::movable<Handle<int>> && !std::is_copy_constructible_v<Handle<int>> &&
              !std::is_copy_assignable_v<Handle<int>>);
template <class H>
concept MovesOnly = std::movable<H> && std::is_nothrow_move_constructible_v<H> && !std::is_copy_constructible_v<H> &&
                    !std::is_copy_assignable_v<H>;
static_assert(MovesOnly<FixedPool<int>::handle_type> && MovesOnly<FixedPool<int>::batch_handle_type> &&
              MovesOnly<FixedPool<int>::span_handle_type>);
static_assert(std::totally_ordered<Handle<int>> &&
              !std::equality_comparable_with<Handle<int>, FixedPool<int>::handle_type>);

// Which handles look before they are followed; FixedPool<int, ...> need not be complete for that, nor T.
struct Incomplete;
static_assert(detail::checks_access<FixedPool<Incomplete, BasicStats, FullChecks>> &&
              detail::checks_access<ThreadLocalPool<int, DebugChecks>>);
static_assert(!detail::checks_access<FixedPool<Incomplete, NoChecks>> && !detail::checks_access<AnyOwner>);
static_assert(detail::checks_access<GrowingPool<Incomplete>> == Defaults::checks::tracks_slots);

// How pools can be built.
static_assert(std::default_initializable<FixedPool<int, InlineStorage<4>>> &&
              !std::default_initializable<FixedPool<int>>);
static_assert(!std::default_initializable<GrowingPool<int>> && !std::default_initializable<ThreadSafePool<int>>);
static_assert(!std::default_initializable<ThreadLocalPool<int>> &&
              std::default_initializable<ThreadSafePool<int, InlineStorage<4>>>);
struct OwnsPool {
  FixedPool<int> pool;
};
static_assert(!std::default_initializable<OwnsPool> && !std::copy_constructible<OwnsPool>);
static_assert(std::is_nothrow_default_constructible_v<FixedPool<int, InlineStorage<4>>>);
static_assert(std::constructible_from<FixedPool<int>, std::size_t> &&
              std::constructible_from<FixedPool<int>, PoolConfig>);
static_assert(!std::convertible_to<std::size_t, FixedPool<int>> && !std::convertible_to<PoolConfig, GrowingPool<int>>);
static_assert(!std::constructible_from<FixedPool<int, ExternalStorage>, std::size_t>);
static_assert(std::constructible_from<FixedPool<int, ExternalStorage>, std::span<std::byte>>);
static_assert(!std::constructible_from<FixedPool<int>, std::span<std::byte>>);
static_assert(!std::constructible_from<FixedPool<int>, PoolConfig, int>);
static_assert(std::constructible_from<FixedPool<int, ExternalStorage>, PoolConfig, ExternalStorage>);
static_assert(std::constructible_from<FixedPool<int, PageStorage>, std::size_t>);
static_assert(std::constructible_from<ThreadSafePool<int, PageStorage>, PoolConfig, PageStorage>);

}  // namespace
