// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools in static storage: constant-initialised, all zeros, in .bss; ready before any constructor has run, and until
// the very end.
#include "support/catch.hpp"

#include <fastalloc/fastalloc.hpp>

#include <cstring>
#include <string_view>

namespace {

using namespace fastalloc;

struct Sample {
  std::uint32_t time;
  std::int16_t value[4];
};
struct OwnLock {
  int depth = 0;
  void lock() { ++depth; }
  void unlock() { --depth; }
};

template <class... Ps> using Inline = NoDestructor<FixedPool<Sample, InlineStorage<40>, Ps...>>;

// One of each: what does not start as a constant does not compile, and what is not all zeros is not in .bss.
constinit Inline<> stack;
constinit Inline<FreeListAllocator> list;
constinit Inline<BitmapAllocator> bitmap;
constinit NoDestructor<FixedPool<std::uint16_t, InlineStorage<40>, FreeListAllocator>> narrow_list;
constinit Inline<NoChecks, BasicStats> unchecked;
constinit Inline<FullChecks> checked;
constinit Inline<Generations> keyed;
constinit Inline<Shared> shared;
constinit Inline<AtomicShared, SpinLock> atomic_shared;
constinit Inline<SpinLock> spin;
constinit Inline<LockFree> lock_free;
constinit Inline<LockFree, AtomicStats, Generations> lock_free_keyed;
constinit Inline<OwnLock, BitmapAllocator> own_lock;
constinit Inline<CompactHandles> compact;
constinit FixedPool<Sample, InlineStorage<40>> with_destructor;

// The same in memory that is not zero: what the constructor writes is enough.
template <class Pool> bool works(Pool& pool) {
  constexpr std::size_t capacity = 40;
  if (pool.capacity() != capacity || pool.allocated() != 0) return false;
  {
    typename Pool::handle_type handles[capacity];
    for (auto& handle : handles) handle = pool.try_allocate();
    for (auto const& handle : handles)
      if (!handle) return false;
    if (pool.try_allocate() || pool.allocated() != capacity) return false;
    Handle<typename Pool::value_type> erased = std::move(handles[7]);
    erased.reset();
    handles[7] = pool.try_allocate();
    if (!handles[7]) return false;
  }
  return pool.allocated() == 0 && pool.check_invariants();
}

template <class... Pools> bool all_work(Pools&... pools) { return (... && works(*pools)); }
bool everything_works() {
  return all_work(stack, list, bitmap, narrow_list, unchecked, checked, keyed, shared, atomic_shared, spin, lock_free,
                  lock_free_keyed, own_lock, compact) &&
         works(with_destructor);
}

// Asked by a constructor of this file, among those that run before main().
bool const worked_before_main = everything_works();

TEST_CASE("bare: inline pools work before main, and again") {
  CHECK(worked_before_main);
  CHECK(everything_works());
}

#if defined(__ELF__) && defined(__linux__)
extern "C" char __bss_start[];  // of the linker
extern "C" char _end[];

template <class Object> bool in_bss(Object const& object) {
  auto const at = reinterpret_cast<std::uintptr_t>(&object);
  return at >= reinterpret_cast<std::uintptr_t>(__bss_start) &&
         at + sizeof object <= reinterpret_cast<std::uintptr_t>(_end);
}
int initialised = 1;

TEST_CASE("bare: inline pools lie in .bss") {
  CHECK_FALSE(in_bss(initialised));
  CHECK(in_bss(stack));
  CHECK(in_bss(list));
  CHECK(in_bss(bitmap));
  CHECK(in_bss(narrow_list));
  CHECK(in_bss(unchecked));
  CHECK(in_bss(checked));
  CHECK(in_bss(keyed));
  CHECK(in_bss(shared));
  CHECK(in_bss(atomic_shared));
  CHECK(in_bss(spin));
  CHECK(in_bss(lock_free));
  CHECK(in_bss(lock_free_keyed));
  CHECK(in_bss(own_lock));
  CHECK(in_bss(compact));
  CHECK(in_bss(with_destructor));
}
#endif

template <class Pool> bool works_in_dirty_memory() {
  alignas(Pool) static std::byte memory[sizeof(Pool)];
  std::memset(memory, 0xA5, sizeof memory);
  auto* const pool = ::new (static_cast<void*>(memory)) Pool;
  bool const result = works(*pool);
  pool->~Pool();
  return result;
}

TEST_CASE("bare: inline pools work in memory that is not zero") {
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>>>());
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>, FreeListAllocator>>());
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>, BitmapAllocator, FullChecks>>());
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>, LockFree, Generations>>());
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>, MutexLock, AtomicShared>>());
  CHECK(works_in_dirty_memory<FixedPool<Sample, InlineStorage<40>, CompactHandles, FullChecks>>());
}

TEST_CASE("bare: an inline pool of less, and one that is aligned too far") {
  using Pool = FixedPool<Sample, InlineStorage<40>>;
  Pool few(PoolConfig{.capacity = 3, .pre_initialize = true});
  CHECK(few.capacity() == 3);
  auto far = Pool::try_create(PoolConfig{.capacity = 3, .alignment = 64});
  REQUIRE_FALSE(far);
  CHECK(far.error().code == ErrorCode::invalid_alignment);
  CHECK(far.error().requested == 64);
  CHECK(std::string_view(far.error().text).find("alignas") != std::string_view::npos);
  auto many = Pool::try_create(PoolConfig{.capacity = 41});
  REQUIRE_FALSE(many);
  CHECK(many.error().limit == 40);
}

TEST_CASE("bare: warm_up leaves nothing for the first allocation to do") {
  FixedPool<Sample, InlineStorage<40>, LockFree> pool;
  CHECK_FALSE(pool.owns(&pool));
  pool.warm_up();
  pool.warm_up();
  CHECK(pool.owns(&pool) == false);
  CHECK(pool.capacity() == 40);
  auto const handle = pool.allocate();
  CHECK(pool.owns(handle.get()));
  CHECK(pool.allocated() == 1);
}

TEST_CASE("bare: NoDestructor builds its pool from arguments, and forwards constness") {
  static NoDestructor<GrowingPool<Sample>> pool(
      PoolConfig{.capacity = 5, .growth_strategy = GrowthStrategy::linear(5)});
  static auto const& same = pool;
  auto const handle = pool->allocate();
  CHECK(same->allocated() == 1);
  CHECK(&*same == pool.get());
  CHECK((*pool).capacity() == 5);
  using Wrapped = NoDestructor<FixedPool<Sample>>;
  static_assert(std::is_constructible_v<Wrapped, std::size_t> && !std::is_constructible_v<Wrapped, Wrapped&> &&
                !std::is_copy_constructible_v<Wrapped>);
}

}  // namespace
