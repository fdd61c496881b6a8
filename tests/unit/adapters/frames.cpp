// SPDX-License-Identifier: MIT OR Apache-2.0
// The two operators that coroutines call, without coroutines: so this runs with compilers that have none, and with all
// sanitizers.
#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;

namespace {

using Slot = FrameSlot<200>;
constexpr std::size_t word = sizeof(void*);

struct Promise : PooledFrame<> {
  int value = 0;
};
static_assert(sizeof(Promise) == sizeof(int) && std::is_empty_v<TryPooledFrame<>>);
static_assert(!noexcept(Promise::operator new(1, std::declval<FixedPool<Slot>&>())));
static_assert(noexcept(TryPooledFrame<>::operator new(1, std::declval<FixedPool<Slot>&>())));
static_assert(alignof(Slot) == __STDCPP_DEFAULT_NEW_ALIGNMENT__ && sizeof(Slot) >= 200 &&
              Slot::max_frame == sizeof(Slot) - word);
static_assert(!std::is_trivially_default_constructible_v<Slot>);  // or allocate() would write zeros

inline FixedPool<Slot, InlineStorage<3>, FullChecks> fixed_frames;
inline ThreadLocalPool<Slot> local_frames(3);

/// A frame, written to from end to end.
struct Frame {
  void* at;
  std::size_t size;
  unsigned char stamp;

  void write() const { std::memset(at, stamp, size); }
  [[nodiscard]] bool intact() const {
    auto const* const bytes = static_cast<unsigned char const*>(at);
    for (std::size_t i = 0; i != size; ++i)
      if (bytes[i] != stamp) return false;
    return reinterpret_cast<std::uintptr_t>(at) % __STDCPP_DEFAULT_NEW_ALIGNMENT__ == 0;
  }
};

/// What went to the heap since this was made.
template <class Base> class FromHeap {
 public:
  [[nodiscard]] std::size_t count() const { return Base::heap_frames().count - before_; }

 private:
  std::size_t before_ = Base::heap_frames().count;
};

/// Frames of every size on both sides of the limit, a few at a time.
template <class Base, class P, class... Args> void all_sizes(P& pool, Args&... args) {
  for (std::size_t size = 1; size != sizeof(Slot) + 20; ++size) {
    FromHeap<Base> const heap;
    std::vector<Frame> frames;
    for (unsigned char i = 0; i != 5; ++i) {
      frames.push_back({Base::operator new(size, args...), size, static_cast<unsigned char>(size + i)});
      frames.back().write();
    }
    std::size_t const fit = size <= Slot::max_frame ? 3 : 0;
    CHECK(pool.allocated() == fit);
    CHECK(heap.count() == 5 - fit);
    for (std::size_t const i : {1U, 4U, 0U, 3U, 2U}) {
      CHECK(frames[i].intact());
      CHECK(pool.owns(frames[i].at) == (i < fit));
      Base::operator delete(frames[i].at, size);
    }
    CHECK(pool.is_empty());
  }
  CHECK(pool.check_invariants());
}

}  // namespace

TEMPLATE_TEST_CASE("frames: from the pool while it has slots of that size, else from the heap", "",
                   (FixedPool<Slot, NoChecks>), (FixedPool<Slot, FullChecks, FreeListAllocator>),
                   (GrowingPool<Slot, BitmapAllocator>), (ThreadSafePool<Slot, LockFree>),
                   ThreadLocalPool<Slot> MORE_ROWS(FixedPool<Slot>, ThreadSafePool<Slot>)) {
  TestType pool(PoolConfig{.capacity = 3});
  all_sizes<Promise>(pool, pool);
}

TEST_CASE("frames: from a static pool") {
  all_sizes<PooledFrame<&fixed_frames>>(fixed_frames);
  int const argument = 1;
  all_sizes<PooledFrame<&local_frames>>(local_frames, argument, local_frames);
}

TEST_CASE("frames: the pool is the first parameter, or the second") {
  FixedPool<Slot> pool(2), other(2);
  int object = 0;
  std::string const constant;
  void* const a = Promise::operator new(100, object, pool, other);
  void* const b = Promise::operator new(100, constant, pool);
  CHECK(pool.allocated() == 2);
  void* const c = Promise::operator new(100, other, pool, constant);
  CHECK(other.allocated() == 1);
  for (void* const frame : {a, b, c}) Promise::operator delete(frame, 100);
  CHECK((pool.is_empty() && other.is_empty()));
}

TEST_CASE("frames: one promise for pools of several types") {
  FixedPool<FrameSlot<64>> small(1);
  GrowingPool<FrameSlot<512>> big(1);
  ThreadLocalPool<Slot> local(1);
  std::vector<Frame> frames;
  auto const pop = [&](auto& pool) {
    for (std::size_t const size : {40U, 150U, 400U}) {
      frames.push_back({Promise::operator new(size, pool), size, static_cast<unsigned char>(frames.size())});
      frames.back().write();
    }
  };
  pop(small);
  pop(big);
  pop(local);
  CHECK((small.allocated() == 1 && big.allocated() == 3 && local.allocated() == 1));
  for (Frame const& frame : frames) {
    CHECK(frame.intact());
    Promise::operator delete(frame.at, frame.size);
  }
  CHECK((small.is_empty() && big.is_empty() && local.is_empty()));
}

TEST_CASE("frames: a growing pool grows first") {
  GrowingPool<Slot> pool(PoolConfig{.capacity = 1, .max_capacity = 3, .growth_strategy = GrowthStrategy::linear(1)});
  FromHeap<Promise> const heap;
  std::vector<void*> frames;
  for (int i = 0; i != 5; ++i) frames.push_back(Promise::operator new(100, pool));
  CHECK(pool.allocated() == 3);
  CHECK(heap.count() == 2);
  for (void* const frame : frames) Promise::operator delete(frame, 100);
  CHECK(pool.is_empty());
}

TEST_CASE("frames: where the pool's storage has no more memory, the heap may have some") {
  test::Audit const audit;
  GrowingPool<Slot, test::FailingStorage> pool(1);
  test::storage_account().fail_after(0);
  FromHeap<Promise> const heap;
  void* const frames[] = {Promise::operator new(100, pool), Promise::operator new(100, pool)};
  CHECK(pool.allocated() == 1);
  CHECK(heap.count() == 1);
  for (void* const frame : frames) Promise::operator delete(frame, 100);
  CHECK(pool.is_empty());
}

TEST_CASE("frames: the largest that went to the heap says how big slots should be") {
  using Base = PooledFrame<&fixed_frames>;
  for (std::size_t const size : {3000U, 2000U}) Base::operator delete(Base::operator new(size), size);
  CHECK(Base::heap_frames().largest == 3000);
}

TEST_CASE("frames: without the heap there is none when the pool is full or the slots are too small") {
  FixedPool<Slot> pool(1);
  using Base = TryPooledFrame<>;
  CHECK(Base::operator new(Slot::max_frame + 1, pool) == nullptr);
  void* const frame = Base::operator new(Slot::max_frame, pool);
  REQUIRE(frame != nullptr);
  CHECK(Base::operator new(8, pool) == nullptr);
  Base::operator delete(frame, Slot::max_frame);
  CHECK(pool.is_empty());

  using Static = TryPooledFrame<&fixed_frames>;
  std::vector<void*> frames;
  for (void* next; (next = Static::operator new(100)) != nullptr;) frames.push_back(next);
  CHECK(frames.size() == 3);
  for (void* const one : frames) Static::operator delete(one, 100);
  CHECK(fixed_frames.is_empty());
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("frames: what the growth function throws passes, and nothing is lost") {
  GrowingPool<Slot> pool(PoolConfig{
      .capacity = 1,
      .growth_strategy = GrowthStrategy::custom([](std::size_t) -> std::size_t { throw std::runtime_error("no"); })});
  void* const frame = Promise::operator new(100, pool);
  CHECK_THROWS_AS(Promise::operator new(100, pool), std::runtime_error);
  CHECK(TryPooledFrame<>::operator new(100, pool) == nullptr);
  CHECK(pool.allocated() == 1);
  Promise::operator delete(frame, 100);
  CHECK(pool.is_empty());
}

#if !FASTALLOC_ASAN && !FASTALLOC_TSAN  // which end the program instead
TEST_CASE("frames: no memory in the heap either") {
  FixedPool<Slot> pool(1);
  FromHeap<Promise> const heap;
  for (std::size_t const size : {SIZE_MAX / 2, SIZE_MAX - 2 * word, SIZE_MAX - word, SIZE_MAX - 3, SIZE_MAX})
    CHECK_THROWS_AS(Promise::operator new(size, pool), std::bad_alloc);
  CHECK(heap.count() == 0);
  CHECK(pool.is_empty());
}
#endif
#endif
