// SPDX-License-Identifier: MIT OR Apache-2.0
// allocate_for_overwrite() and its batches: objects are default-initialised, in every kind of pool.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;

namespace {

struct Buffer {
  std::uint32_t length;
  unsigned char bytes[508];
};
struct Mixed {
  Mixed() : number(7) {}
  explicit Mixed(int n) : number(n), rest{} {}
  int number;
  unsigned char rest[60];
};
/// Constructible from anything: must not take what stands for "no arguments".
struct Greedy {
  Greedy() = default;
  template <class Any> explicit Greedy(Any const&) : from_any(true) {}
  bool from_any = false;
};

/// True if every byte is `value`.
template <class T> bool holds(T const& object, unsigned char value) {
  unsigned char bytes[sizeof(T)];
  std::memcpy(bytes, &object, sizeof(T));
  return std::all_of(bytes, bytes + sizeof(T), [&](unsigned char b) { return b == value; });
}

}  // namespace

TEMPLATE_TEST_CASE("for overwriting: the fill of a checks policy stays, allocate() zeroes", "",
                   (FixedPool<Buffer, DebugChecks, FreeListAllocator>),
                   (GrowingPool<Buffer, FullChecks, BitmapAllocator>), (ThreadSafePool<Buffer, FullChecks>),
                   (FixedPool<Buffer, LockFree, FullChecks>), (GrowingPool<Buffer, Shared, Generations, FullChecks>),
                   (FixedPool<Buffer, FullChecks, InlineStorage<16>>),
                   (ThreadLocalPool<Buffer, FullChecks>)MORE_ROWS((FixedPool<Buffer, FullChecks>))) {
  auto pool = [] {
    if constexpr (std::default_initializable<TestType>) return TestType();
    else return TestType(16);
  }();
  constexpr unsigned char fresh = 0xCD;
  for (int round = 0; round != 3; ++round) {
    auto const zeroed = pool.allocate();
    CHECK(holds(*zeroed, 0));
    auto const filled = pool.allocate_for_overwrite();
    CHECK(holds(*filled, fresh));
    auto const tried = pool.try_allocate_for_overwrite();
    CHECK(holds(*tried, fresh));
    std::vector<typename TestType::handle_type> handles;
    pool.allocate_batch_for_overwrite(3, std::back_inserter(handles));
    CHECK(pool.try_allocate_batch_for_overwrite(2, std::back_inserter(handles)));
    CHECK(handles.size() == 5);
    for (auto const& handle : handles) CHECK(holds(*handle, fresh));
    auto const batch = pool.allocate_batch_handle(3, for_overwrite);
    for (Buffer const& buffer : batch) CHECK(holds(buffer, fresh));
    auto const tried_batch = pool.try_allocate_batch_handle(2, for_overwrite);
    CHECK(tried_batch.size() == 2);
    for (Buffer const& buffer : tried_batch) CHECK(holds(buffer, fresh));
  }
  CHECK(pool.is_empty());
}

TEST_CASE("for overwriting: without checks the bytes stay as they were") {
  if (FASTALLOC_ASAN) return;
  FixedPool<Buffer, NoChecks> pool(4);
  Buffer* const where = pool.allocate().get();
  for (int i = 1; i != 4; ++i) {
    auto const buffer = pool.allocate_for_overwrite();
    CHECK(buffer.get() == where);
    std::memset(static_cast<void*>(buffer.get()), i, sizeof(Buffer));
  }
  auto const again = pool.allocate_for_overwrite();
  auto const* const bytes = reinterpret_cast<unsigned char const*>(again.get());
  CHECK(std::all_of(bytes + 16, bytes + sizeof(Buffer), [](unsigned char b) { return b == 3; }));
}

TEST_CASE("for overwriting: constructors and initializers run, from no argument") {
  test::Audit audit;
  FixedPool<Mixed, FullChecks> mixed(10);
  auto const a = mixed.allocate_for_overwrite();
  CHECK(a->number == 7);
  CHECK(a->rest[9] == 0xCD);
  FixedPool<Greedy> greedy(10);
  CHECK_FALSE(greedy.allocate_for_overwrite()->from_any);
  CHECK_FALSE(greedy.allocate_batch_handle(3, for_overwrite)[1].from_any);
  FixedPool<test::Tracked> tracked(10);
  {
    auto const b = tracked.allocate_batch_handle(10, for_overwrite);
    CHECK(audit.live() == 10);
    CHECK_FALSE(tracked.try_allocate_for_overwrite());
    CHECK_FALSE(tracked.try_allocate_batch_handle(1, for_overwrite));
    std::vector<decltype(tracked)::handle_type> none;
    CHECK_FALSE(tracked.try_allocate_batch_for_overwrite(1, std::back_inserter(none)));
  }
  CHECK(audit.live() == 0);
}

TEST_CASE("for overwriting: runs, batches to plain pointers, and Bound") {
  FixedPool<Buffer, BitmapAllocator, FullChecks> pool(20);
  auto const run = pool.allocate_n(10, for_overwrite);
  auto const tried = pool.try_allocate_n(5, for_overwrite);
  for (Buffer const& buffer : run) CHECK(holds(buffer, 0xCD));
  CHECK(tried.size() == 5);
  CHECK_FALSE(pool.try_allocate_n(6, for_overwrite));

  FixedPool<Buffer, NoChecks> quick(8);
  FixedPool<Buffer, NoChecks>::handle_type handles[8];
  CHECK(quick.allocate_batch_for_overwrite(8, handles) == handles + 8);
  CHECK(quick.is_full());

  static FixedPool<Buffer, FullChecks> bound(4);
  CHECK(holds(*Bound<bound>::allocate_for_overwrite(), 0xCD));
  CHECK(holds(*Bound<bound>::try_allocate_for_overwrite(), 0xCD));
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("for overwriting: errors are those of allocate()") {
  FixedPool<Buffer> pool(2);
  auto const a = pool.allocate_for_overwrite();
  std::vector<FixedPool<Buffer>::handle_type> handles;
  CHECK_THROWS_AS(pool.allocate_batch_for_overwrite(2, std::back_inserter(handles)), PoolExhausted);
  CHECK_THROWS_AS(pool.allocate_batch_handle(2, for_overwrite), PoolExhausted);
  auto const b = pool.allocate_for_overwrite();
  CHECK_THROWS_AS(pool.allocate_for_overwrite(), PoolExhausted);
  FixedPool<test::ThrowOnNth> throwing(4);
  test::fuse().light(3);
  CHECK_THROWS_AS(throwing.allocate_batch_handle(4, for_overwrite), test::Blown);
  CHECK(throwing.is_empty());
}
#endif
