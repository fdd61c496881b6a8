// SPDX-License-Identifier: MIT OR Apache-2.0
// What things cost in bytes, what may be copied or moved, and what may throw.
#include <fastalloc/fastalloc.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using namespace fastalloc;

// Policies that do nothing cost nothing, in any order.
template <class T, template <class, class...> class Pool>
constexpr bool empty_policies_are_free =
    sizeof(Pool<T, NoStats, NoLock, NoChecks>) == sizeof(Pool<T, NoChecks>) &&
    sizeof(Pool<T, NoChecks, ConstructOnAllocate, HeapStorage>) == sizeof(Pool<T, NoChecks>) &&
    sizeof(Pool<T, DebugChecks>) == sizeof(Pool<T, NoChecks>) &&
    sizeof(Pool<T, FullChecks>) == sizeof(Pool<T, NoChecks>) &&
    sizeof(Pool<T, BasicStats>) == sizeof(Pool<T>) + sizeof(BasicStats) &&
    // one for growth
    sizeof(Pool<T, MutexLock>) <=
        sizeof(Pool<T>) + (requires(Pool<T>& pool) { pool.reserve(1); } ? 2 : 1) * sizeof(MutexLock);
static_assert(empty_policies_are_free<int, FixedPool> && empty_policies_are_free<int, GrowingPool>);
static_assert(empty_policies_are_free<std::string, FixedPool> && empty_policies_are_free<std::string, GrowingPool>);
static_assert(std::is_empty_v<NoStats> && std::is_empty_v<NoLock> && std::is_empty_v<NoChecks> &&
              std::is_empty_v<HeapStorage> && std::is_empty_v<ConstructOnAllocate> && std::is_empty_v<DebugChecks> &&
              std::is_empty_v<FullChecks>);

/// An empty policy of one's own is free, too.
struct OwnLock {
  void lock() {}
  void unlock() {}
};
static_assert(sizeof(FixedPool<int, OwnLock>) == sizeof(FixedPool<int>));

// InterruptLock keeps what its Enter returns, and nothing else.
[[maybe_unused]] unsigned mask() noexcept { return 0; }
[[maybe_unused]] void unmask(unsigned) noexcept {}
[[maybe_unused]] void off() noexcept {}
[[maybe_unused]] void on() noexcept {}
static_assert(sizeof(InterruptLock<mask, unmask>) == sizeof(unsigned) && std::is_empty_v<InterruptLock<off, on>>);
static_assert(sizeof(FixedPool<int, InterruptLock<off, on>>) == sizeof(FixedPool<int>) &&
              sizeof(FixedPool<int, InterruptLock<mask, unmask>>) <= sizeof(FixedPool<int>) + sizeof(void*));

// The pool's own data does not depend on T.
static_assert(sizeof(FixedPool<char>) == sizeof(FixedPool<std::string>));

// An inline pool is its slots, the metadata of its slot allocator, and a few words; with a bitmap some more, for the
// levels it may have.
constexpr std::size_t word = sizeof(void*);
static_assert(sizeof(FixedPool<std::uint64_t, InlineStorage<100>, FreeListAllocator, NoChecks>) <= 800 + 18 * word);
static_assert(sizeof(FixedPool<std::uint64_t, InlineStorage<100>, StackAllocator, NoChecks>) <= 1200 + 17 * word);
static_assert(sizeof(FixedPool<std::uint64_t, InlineStorage<6400>, BitmapAllocator, NoChecks>) <=
              51200 + 832 + 33 * word);
struct alignas(256) Big {
  char bytes[256];
};
static_assert(alignof(FixedPool<Big, InlineStorage<2>>) == 256);

// Slots: what T needs, and what the link or the mark of a kept object adds.
template <class T, bool Growing, class... Ps>
constexpr std::size_t slot =
    detail::PoolTypes<T, std::conditional_t<Growing, detail::GrowingKind, detail::FixedKind>, Ps...>::size;
static_assert(slot<char, false> == 1 && slot<char, true> == 1 && slot<std::uint64_t, false> == 8 &&
              slot<Big, false> == 256);
static_assert(slot<char, false, FreeListAllocator> == 4 && slot<char, true, FreeListAllocator> == sizeof(void*));
static_assert(slot<std::uint64_t, false, FreeListAllocator> == 8 && slot<std::uint32_t, false, FreeListAllocator> == 4);
static_assert(slot<char, false, BitmapAllocator> == 1);

// Counts of owners: 16 bytes behind the object, only with a sharing policy.
template <class T, class... Ps>
constexpr std::size_t counted_slot = detail::PoolTypes<T, detail::FixedKind, Shared, Ps...>::size;
static_assert(counted_slot<char> == 24 && counted_slot<std::uint64_t> == 24 && counted_slot<Big> == 512);
static_assert(counted_slot<char, FreeListAllocator> == 24 && counted_slot<char[20], BitmapAllocator> == 40);
static_assert(slot<std::uint64_t, true, AtomicShared, FreeListAllocator> == 24);
static_assert(sizeof(FixedPool<int, Shared>) == sizeof(FixedPool<int>) &&
              sizeof(GrowingPool<int, AtomicShared>) == sizeof(GrowingPool<int>));
static_assert(FixedPool<std::uint64_t, ExternalStorage, NoChecks, Shared>::required_bytes(1000) == 24000 + 4000);

// Bytes a pool acquires: exactly slots, list and bits.
static_assert(FixedPool<std::uint64_t, ExternalStorage, NoChecks>::required_bytes(1000) == 8000 + 4000);
static_assert(FixedPool<std::uint64_t, ExternalStorage, FreeListAllocator, NoChecks>::required_bytes(1000) == 8000);
static_assert(FixedPool<std::uint64_t, ExternalStorage, BitmapAllocator, NoChecks>::required_bytes(640) <=
              5120 + 80 + 32);

// Types share one instantiation of all that does not depend on them. AddressSanitizer has one for each size.
template <class Kind, class... Ps> struct CodeOf {
  template <class A, class B>
  static constexpr bool is_shared =
      std::same_as<typename detail::PoolTypes<A, Kind, Ps...>::core, typename detail::PoolTypes<B, Kind, Ps...>::core>;
};
static_assert(CodeOf<detail::FixedKind>::is_shared<std::uint64_t, Big> != bool{FASTALLOC_ASAN});
static_assert(CodeOf<detail::FixedKind>::is_shared<std::uint64_t, char[24]> != bool{FASTALLOC_ASAN});
static_assert(CodeOf<detail::FixedKind, BitmapAllocator>::is_shared<char, Big> != bool{FASTALLOC_ASAN});
static_assert(CodeOf<detail::FixedKind, BasicStats, Generations, SpinLock>::is_shared<std::uint64_t, Big> !=
              bool{FASTALLOC_ASAN});
static_assert(CodeOf<detail::GrowingKind>::is_shared<char, Big> != bool{FASTALLOC_ASAN});
static_assert(CodeOf<detail::GrowingKind, FreeListAllocator, FullChecks>::is_shared<std::uint64_t, Big> !=
              bool{FASTALLOC_ASAN});
// A slot allocator that derives from one of ours may read the size.
struct Fancy : StackAllocator {};
static_assert(!CodeOf<detail::FixedKind, Fancy>::is_shared<std::uint64_t, Big>);
// Codes count granules, and inline storage has the size of its slots.
static_assert(!CodeOf<detail::FixedKind>::is_shared<char, Big>);
static_assert(!CodeOf<detail::FixedKind, InlineStorage<8>>::is_shared<std::uint64_t, Big>);

// A block has up to 2^32 granules of 8 bytes. Where bits or addresses are kept, there is no such limit.
struct Line {
  char bytes[64];
};
template <class... Ps>
constexpr bool fits = FixedPool<Line, ExternalStorage, NoChecks, Ps...>::required_bytes(std::size_t{1} << 29) !=
                      (std::numeric_limits<std::size_t>::max)();
static_assert(word == 4 || FASTALLOC_ASAN || (!fits<> && fits<BitmapAllocator> && fits<FreeListAllocator>));

// Handles are two words.
template <class H>
constexpr bool is_lean_handle =
    sizeof(H) == 2 * sizeof(void*) && std::is_nothrow_default_constructible_v<H> &&
    std::is_nothrow_move_constructible_v<H> && std::is_nothrow_move_assignable_v<H> && std::is_nothrow_swappable_v<H> &&
    std::is_nothrow_destructible_v<H> && !std::is_copy_constructible_v<H> && !std::is_copy_assignable_v<H>;
static_assert(is_lean_handle<Handle<int>> && is_lean_handle<FixedPool<int>::handle_type>);
static_assert(is_lean_handle<GrowingPool<std::string, MutexLock>::handle_type>);
static_assert(is_lean_handle<FixedPool<Big, InlineStorage<2>>::handle_type> && is_lean_handle<Handle<Big const>>);

// Handles convert to erased ones and to handles to a base; nothing else converts.
struct Base {};
struct Derived : Base {};
using DerivedPool = FixedPool<Derived>;
static_assert(std::is_nothrow_convertible_v<DerivedPool::handle_type, Handle<Derived>>);
static_assert(std::is_nothrow_convertible_v<DerivedPool::handle_type, Handle<Base>>);
static_assert(std::is_nothrow_convertible_v<Handle<Derived>, Handle<Base>> &&
              std::is_nothrow_convertible_v<Handle<Derived>, Handle<Derived const>>);
static_assert(!std::is_convertible_v<Handle<Base>, Handle<Derived>> &&
              !std::is_convertible_v<Handle<Derived const>, Handle<Derived>>);
static_assert(!std::is_convertible_v<Handle<Derived>, DerivedPool::handle_type>);
static_assert(!std::is_convertible_v<Handle<Derived>&, Handle<Base>>);  // not without std::move
static_assert(!std::is_convertible_v<DerivedPool::handle_type, FixedPool<Base>::handle_type>);
static_assert(!std::is_convertible_v<GrowingPool<Derived>::handle_type, DerivedPool::handle_type>);
static_assert(!std::is_convertible_v<Handle<int>, bool> && std::is_constructible_v<bool, Handle<int>>);
static_assert(!std::is_convertible_v<int*, Handle<int>> && std::is_convertible_v<std::nullptr_t, Handle<int>>);

// Shared and weak handles are two words for all pools, and convert as std::shared_ptr does.
template <class H>
constexpr bool is_lean_owner = sizeof(H) == 2 * sizeof(void*) && std::is_nothrow_default_constructible_v<H> &&
                               std::is_nothrow_copy_constructible_v<H> && std::is_nothrow_copy_assignable_v<H> &&
                               std::is_nothrow_move_constructible_v<H> && std::is_nothrow_move_assignable_v<H> &&
                               std::is_nothrow_swappable_v<H> && std::is_nothrow_destructible_v<H>;
static_assert(is_lean_owner<SharedHandle<int>> && is_lean_owner<WeakHandle<Big const>> &&
              is_lean_owner<SharedHandle<void>>);
static_assert(std::same_as<decltype(std::declval<FixedPool<int, Shared>::handle_type>().share()), SharedHandle<int>>);
static_assert(std::same_as<decltype(std::declval<ThreadLocalPool<int, AtomicShared>::handle_type&>().share()),
                           SharedHandle<int>>);
static_assert(std::same_as<decltype(std::declval<SharedHandle<int>&>().downgrade().lock()), SharedHandle<int>>);
static_assert(noexcept(std::declval<FixedPool<int, Shared>::handle_type&>().share()) &&
              noexcept(std::declval<WeakHandle<int>&>().lock()));
static_assert(std::is_nothrow_convertible_v<SharedHandle<Derived>, SharedHandle<Base>> &&
              !std::is_convertible_v<SharedHandle<Base>, SharedHandle<Derived>>);
static_assert(std::is_nothrow_convertible_v<SharedHandle<Derived> const&, SharedHandle<Base const>>);
static_assert(std::is_nothrow_convertible_v<SharedHandle<Derived>, WeakHandle<Base>> &&
              !std::is_convertible_v<WeakHandle<Base>, SharedHandle<Base>>);
static_assert(std::is_nothrow_convertible_v<WeakHandle<Derived>, WeakHandle<Base>> &&
              !std::is_convertible_v<WeakHandle<Base>, WeakHandle<Derived>>);
static_assert(!std::is_convertible_v<Handle<int>, SharedHandle<int>> &&
              !std::is_convertible_v<int*, SharedHandle<int>>);
static_assert(!std::is_convertible_v<SharedHandle<int>, bool> &&
              std::is_convertible_v<std::nullptr_t, SharedHandle<int>>);

// Pools stay where they are.
template <class P>
constexpr bool is_pinned =
    !std::is_copy_constructible_v<P> && !std::is_move_constructible_v<P> && !std::is_copy_assignable_v<P> &&
    !std::is_move_assignable_v<P> && std::is_nothrow_destructible_v<P> && std::is_final_v<P>;
static_assert(is_pinned<FixedPool<int>> && is_pinned<GrowingPool<int>> && is_pinned<FixedPool<int, InlineStorage<2>>>);
static_assert(is_pinned<FixedPool<int, ExternalStorage>> && is_pinned<GrowingPool<std::string, MutexLock, BasicStats>>);

// What cannot throw says so; what can does not.
using Pool = FixedPool<std::string>;
static_assert(noexcept(Pool::try_create(std::declval<PoolConfig const&>())));
static_assert(noexcept(std::declval<PoolConfig const&>().validate()));
static_assert(noexcept(set_error_handler(nullptr)));
static_assert(noexcept(std::declval<GrowingPool<int>&>().shrink_to_fit()));
static_assert(noexcept(Pool::required_bytes(1)));
static_assert(std::is_nothrow_default_constructible_v<FixedPool<std::string, InlineStorage<2>>>);
static_assert(!noexcept(std::declval<Pool&>().allocate()) && !noexcept(std::declval<Pool&>().try_allocate("x")));
static_assert(!noexcept(std::declval<GrowingPool<int>&>().reserve(1)) &&
              !noexcept(std::declval<PoolConfigBuilder&>().build()));
static_assert(!std::is_nothrow_constructible_v<Pool, std::size_t> &&
              !std::is_nothrow_constructible_v<Pool, PoolConfig const&>);
static_assert(noexcept(std::declval<Handle<int>&>().reset()) && noexcept(std::declval<Handle<int>&>().release()));

// Values that travel: trivially copyable where that is promised.
static_assert(std::is_trivially_copyable_v<GrowthStrategy> && std::is_trivially_copyable_v<PoolConfig> &&
              std::is_trivially_copyable_v<Error>);
static_assert(std::is_nothrow_move_constructible_v<Result<int>> && !std::is_move_constructible_v<Result<Pool>>);
static_assert(std::same_as<decltype(PoolConfig::builder().build()), PoolConfig>);

// A pool in static storage needs no initialisation at run time.
constinit FixedPool<int, InlineStorage<8>> stack_pool;
constinit FixedPool<std::string, InlineStorage<8>, FreeListAllocator, BasicStats> list_pool;
constinit FixedPool<std::string, InlineStorage<8>, BitmapAllocator, FullChecks, MutexLock> bitmap_pool;
constinit Handle<int> no_handle;
constinit FixedPool<std::string, InlineStorage<8>, Shared> shared_pool;
constinit SharedHandle<int> no_owner;
constinit WeakHandle<int> no_weak;

[[maybe_unused]] void use() {
  (void)&stack_pool;
  (void)&list_pool;
  (void)&bitmap_pool;
  (void)&no_handle;
  (void)&shared_pool;
  (void)&no_owner;
  (void)&no_weak;
}

}  // namespace
