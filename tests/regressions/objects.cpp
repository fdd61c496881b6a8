// SPDX-License-Identifier: MIT OR Apache-2.0
// Traps around single objects: tiny and over-aligned ones, and destructors and hooks that use their pool.
#include <fastalloc/adapters/unique_ptr.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <type_traits>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/hostile.hpp"

using namespace fastalloc;

namespace {

struct ThreeBytes {
  unsigned char bytes[3];
};
struct Empty {};

/// Fills the pool, writes to each object, returns and takes slots in a mixed order: nobody's bytes may change.
template <class Pool> void check_bytes(Pool& pool, std::size_t count) {
  using T = typename Pool::value_type;
  std::vector<typename Pool::handle_type> handles;
  std::vector<unsigned char> marks;
  unsigned char next = 1;
  auto const add = [&] {
    handles.push_back(pool.allocate());
    marks.push_back(next);
    if constexpr (!std::is_empty_v<T>) std::memset(static_cast<void*>(handles.back().get()), next, sizeof(T));
    ++next;
  };
  for (std::size_t i = 0; i != count; ++i) add();
  for (int round = 0; round != 4; ++round) {
    for (std::size_t i = 0; i < handles.size(); i += 3) {
      handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(i));
      marks.erase(marks.begin() + static_cast<std::ptrdiff_t>(i));
    }
    while (handles.size() != count) add();
  }
  for (std::size_t i = 0; i != handles.size(); ++i) {
    auto const* const bytes = reinterpret_cast<unsigned char const*>(handles[i].get());
    if constexpr (!std::is_empty_v<T>) EXPECT(bytes[0] == marks[i] && bytes[sizeof(T) - 1] == marks[i]);
    for (std::size_t k = 0; k != i; ++k) EXPECT(handles[k].get() != handles[i].get());
  }
  EXPECT(pool.check_invariants());
}

template <class T, class Policy> void check_small() {
  FixedPool<T, Policy, NoChecks> fixed(50);
  check_bytes(fixed, 50);
  FixedPool<T, Policy, FullChecks, InlineStorage<50>> inline_pool;
  check_bytes(inline_pool, 50);
  GrowingPool<T, Policy> growing(3);
  check_bytes(growing, 50);
}

template <std::size_t Align> struct alignas(Align) Aligned {
  unsigned char bytes[Align];
};

template <class Policy, std::size_t Align> void check_aligned() {
  auto const check = [](auto& pool) {
    std::vector<Handle<Aligned<Align>>> handles;
    for (int i = 0; i != 20; ++i) {
      handles.push_back(pool.allocate());
      EXPECT(reinterpret_cast<std::uintptr_t>(handles.back().get()) % Align == 0);
      std::memset(handles.back()->bytes, i, Align);
    }
    for (std::size_t i = 0; i != 20; ++i) EXPECT(handles[i]->bytes[0] == i && handles[i]->bytes[Align - 1] == i);
  };
  FixedPool<Aligned<Align>, Policy> fixed(20);
  check(fixed);
  GrowingPool<Aligned<Align>, Policy> growing(2);
  check(growing);
  auto const inline_pool = std::make_unique<FixedPool<Aligned<Align>, Policy, InlineStorage<20>>>();
  check(*inline_pool);
}

}  // namespace

TEMPLATE_TEST_CASE("trap: slot smaller than the link", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  check_small<char, TestType>();
  check_small<ThreeBytes, TestType>();
  check_small<Empty, TestType>();
#if !FASTALLOC_SAMPLE
  check_small<bool, TestType>();
  check_small<std::uint16_t, TestType>();
#endif
}

TEMPLATE_TEST_CASE("trap: over-aligned T", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  check_aligned<TestType, 16>();
  check_aligned<TestType, 4096>();
#if !FASTALLOC_SAMPLE
  check_aligned<TestType, 64>();
  check_aligned<TestType, 256>();
  check_aligned<TestType, 1024>();
#endif
}

namespace {

/// BasicLockable only; locking it twice is a mistake that the test sees.
struct StrictLock {
  void lock() {
    if (locked) ++mistakes;
    locked = true;
  }
  void unlock() {
    if (!locked) ++mistakes;
    locked = false;
  }
  bool locked = false;
  static inline int mistakes = 0;
};

/// What an object does to the pool that it lives in, when it is destroyed.
enum class Deed { nothing, free_children, allocate, shrink, batch, iterate };

template <class... Ps> struct Node {
  using Pool = GrowingPool<Node, Ps...>;
  Pool* pool = nullptr;
  Deed deed = Deed::nothing;
  std::vector<Handle<Node>> children;
  ~Node() {
    switch (deed) {
      case Deed::nothing: break;
      case Deed::free_children: children.clear(); break;
      case Deed::allocate: {
        auto const other = pool->try_allocate();
        CHECK(other.get() != this);
        CHECK(static_cast<bool>(other));
        break;
      }
      case Deed::shrink: children.clear(), pool->shrink_to_fit(); break;
      case Deed::batch: {
        std::vector<Handle<Node>> more;
        CHECK(pool->try_allocate_batch(70, std::back_inserter(more)));
        break;
      }
      case Deed::iterate: {
        std::size_t met = 0;
        pool->for_each([&](Node&) { ++met; });
        CHECK(met <= pool->allocated());
        break;
      }
    }
  }
};

template <class... Ps> void check_reentrant() {
  using N = Node<Ps...>;
  StrictLock::mistakes = 0;
  for (Deed const deed : {Deed::free_children, Deed::allocate, Deed::shrink, Deed::batch, Deed::iterate}) {
    typename N::Pool pool(2);
    auto const node = [&] {
      auto handle = pool.allocate();
      handle->pool = &pool;
      handle->deed = deed;
      return handle;
    };
    auto root = node();
    for (int i = 0; i != 10; ++i) {
      Handle<N> child = node();
      for (int k = 0; k != 10; ++k) child->children.push_back(node());
      root->children.push_back(std::move(child));
    }
    CHECK(pool.allocated() == 111);
    CHECK(pool.check_invariants());
    root->children[3].reset();
    CHECK(pool.allocated() == 100);
    CHECK(pool.check_invariants());
    root.reset();
    CHECK(pool.is_empty());
    CHECK(pool.check_invariants());
    pool.shrink_to_fit();
    CHECK(pool.capacity() <= 2);
  }
  CHECK(StrictLock::mistakes == 0);
}

}  // namespace

TEST_CASE("trap: re-entrant destructor: StackAllocator") { check_reentrant<StackAllocator>(); }
TEST_CASE("trap: re-entrant destructor: FreeListAllocator") { check_reentrant<FreeListAllocator, FullChecks>(); }
TEST_CASE("trap: re-entrant destructor: BitmapAllocator") { check_reentrant<BitmapAllocator, BasicStats>(); }
TEST_CASE("trap: re-entrant destructor: under a mutex") { check_reentrant<MutexLock, DebugChecks>(); }
TEST_CASE("trap: re-entrant destructor: under a lock that may not be taken twice") {
  check_reentrant<StrictLock, NoChecks>();
  check_reentrant<StrictLock, FullChecks, BitmapAllocator, BasicStats>();
}

namespace {

template <class... Ps> struct Hooked : Poolable {
  using Pool = FixedPool<Hooked, Ps...>;
  explicit Hooked(Pool* p) : pool(p) {
    if (pool != nullptr) inner = pool->allocate(nullptr);
  }
  void on_acquire() {
    if (pool != nullptr) pool->allocate(nullptr).reset();
  }
  void on_release() {
    if (pool != nullptr) {
      auto const more = pool->try_allocate(nullptr);
      CHECK(pool->owns(this));
    }
  }
  Pool* pool;
  Handle<Hooked> inner;
};

template <class... Ps> void check_hooks() {
  StrictLock::mistakes = 0;
  typename Hooked<Ps...>::Pool pool(30);
  {
    std::vector<Handle<Hooked<Ps...>>> handles;
    for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate(&pool));
    pool.allocate_batch(3, std::back_inserter(handles), &pool);
    CHECK(pool.allocated() == 22);
    handles.erase(handles.begin() + 2, handles.begin() + 7);
    CHECK(pool.allocated() == 12);
    CHECK(pool.check_invariants());
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
  CHECK(StrictLock::mistakes == 0);
}

}  // namespace

TEST_CASE("trap: re-entrant hooks and constructors") {
  check_hooks<StackAllocator>();
  check_hooks<FreeListAllocator, FullChecks>();
  check_hooks<BitmapAllocator, BasicStats>();
  check_hooks<MutexLock>();
  check_hooks<StrictLock, DebugChecks>();
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("trap: re-entrant constructor that throws gives back its slot, not the inner one") {
  struct Picky {
    explicit Picky(FixedPool<Picky>* pool, Handle<Picky>* keep) {
      if (pool == nullptr) return;
      *keep = pool->allocate(nullptr, nullptr);
      throw 1;
    }
  };
  FixedPool<Picky> pool(4);
  std::vector<Handle<Picky>> kept(3);
  for (auto& keep : kept) CHECK_THROWS_AS(pool.allocate(&pool, &keep), int);
  CHECK(pool.allocated() == 3);
  CHECK(pool.check_invariants());
  auto const last = pool.allocate(nullptr, nullptr);
  CHECK(pool.is_full());
  for (auto const& keep : kept) CHECK(keep.get() != last.get());
}
#endif

TEST_CASE("trap: re-entrant reset of recycled objects") {
  StrictLock::mistakes = 0;
  struct Part {
    Handle<Part> next;
  };
  using Init = Part (*)();
  using Pool = GrowingPool<Part, StrictLock, FullChecks, Recycle<Init, void (*)(Part&)>>;
  Pool pool(PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::linear(3)},
            recycle(Init(+[] { return Part{}; }), +[](Part& part) { part.next.reset(); }));
  Handle<Part> chain;
  for (int i = 0; i != 40; ++i) {
    Handle<Part> link = pool.allocate();
    link->next = std::move(chain);
    chain = std::move(link);
  }
  CHECK(pool.allocated() == 40);
  chain.reset();
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(StrictLock::mistakes == 0);
}

namespace {

/// Counts as true in words of its own.
struct Yes {
  explicit operator bool() const { return true; }
  void operator!() const = delete;
};

template <class Pool> void check_hostile(Pool& pool) {
  using test::Hostile;
  auto handle = pool.allocate(1U);
  Hostile* const object = handle.get();
  CHECK(std::addressof(*handle) == object);
  CHECK(handle->value() == 1);
  auto batch = pool.allocate_batch_handle(3, 2U);
  CHECK(batch.begin()->value() == 2);
  CHECK(batch.begin().operator->() == std::addressof(batch[0]));
  std::vector<typename Pool::handle_type> handles;
  pool.allocate_batch(2, std::back_inserter(handles), 3U);
  CHECK(pool.try_allocate_batch(2, std::back_inserter(handles), 3U));
  std::uint64_t sum = 0;
  pool.for_each([&](Hostile& each) { return sum += each.value(), test::Result(); });
  CHECK(sum == 1 + 3 * 2 + 4 * 3);
  Hostile* const released = handle.release();
  handle = pool.adopt(released);
  CHECK(pool.owns(released));
  fastalloc::Handle<test::Tracked> base = std::move(handle);
  fastalloc::Handle<Hostile> const whole(std::move(base), object);
  CHECK(whole.get() == object);
}

}  // namespace

TEST_CASE("trap: T overloads its operators, or deletes them") {
  using test::Hostile;
  test::Audit const audit;
  {
    FixedPool<Hostile> fixed(20);
    check_hostile(fixed);
    GrowingPool<Hostile, FreeListAllocator, FullChecks> growing(4);
    check_hostile(growing);
    ThreadSafePool<Hostile> shared(20);
    check_hostile(shared);
    ThreadSafePool<Hostile, LockFree> lock_free(20);
    check_hostile(lock_free);
    ThreadLocalPool<Hostile> local(20);
    check_hostile(local);
  }
  {
    FixedPool<Hostile, BitmapAllocator, Generations, NoChecks> pool(20);
    check_hostile(pool);
    auto run = pool.allocate_n(3, 4U);
    CHECK(std::addressof(run[2]) == run.data() + 2);
    std::size_t met = 0;
    for (auto at = pool.live().begin(); at != pool.live().end(); at++) met += at->value() == 4 && (*at).value() == 4;
    CHECK(met == 3);
    auto const handle = pool.allocate(5U);
    CHECK(pool.get(pool.key(handle)) == handle.get());
    CHECK(pool.object_at(pool.index_of(handle)) == handle.get());
  }
  {
    FixedPool<Hostile, AtomicShared> pool(20);
    auto const shared = pool.allocate(1U).share();
    auto const weak = shared.downgrade();
    CHECK(weak.lock()->value() == 1);
    SharedHandle<test::Tracked> const base = shared;
    CHECK(base.get() == shared.get());
  }
  {
    FixedPool<Hostile> pool(2);
    auto pointer = to_unique(pool.allocate(1U));
    auto const handle = to_handle(std::move(pointer));
    CHECK(handle->value() == 1);
  }
  {
    auto pool = FixedPool(PoolConfig{.capacity = 4, .pre_initialize = true},
                          recycle([] { return Hostile(7); }, [](Hostile&) { return Yes(); }));
    CHECK(pool.allocate()->value() == 7);
    CHECK(audit.live() == 4);
  }
  {
    auto result = fastalloc::FixedPool<Hostile>::try_create(PoolConfig{.capacity = 2});
    CHECK(result->allocate(1U)->value() == 1);
  }
}
