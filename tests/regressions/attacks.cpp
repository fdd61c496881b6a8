// SPDX-License-Identifier: MIT OR Apache-2.0
// What an attack on the pools of one thread found: user code that runs in the middle of an operation, and requests at
// the edges.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <iterator>
#include <limits>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

#if FASTALLOC_EXCEPTIONS
namespace {

/// Resets the statistics of its pool while it is being built, and throws.
template <template <class, class...> class Pool, class... Ps> struct Resetting {
  using PoolType = Pool<Resetting, Ps...>;
  explicit Resetting(PoolType* pool) {
    if (pool == nullptr) return;
    pool->reset_statistics();
    throw test::Blown{};
  }
};

template <class Pool> void reset_while_throwing() {
  Pool pool(PoolConfig{.capacity = 4});
  typename Pool::value_type::PoolType* const self = &pool;
  auto const check = [&](std::uint64_t live) {
    auto const statistics = pool.statistics();
    CHECK(statistics.current_usage == live);
    CHECK(statistics.total_allocations <= 1000);  // has not wrapped
    CHECK(statistics.total_deallocations <= 1000);
    CHECK(statistics.peak_usage >= live);
  };
  CHECK_THROWS_AS(pool.allocate(self), test::Blown);
  check(0);
  CHECK(pool.statistics().total_allocations == 0);
  CHECK(pool.statistics().total_deallocations == 0);
  auto const held = pool.allocate(nullptr);
  CHECK_THROWS_AS(pool.allocate(self), test::Blown);
  check(1);
  std::vector<typename Pool::handle_type> handles(3);
  CHECK_THROWS_AS(pool.allocate_batch(3, handles.begin(), self), test::Blown);
  check(1);
  auto const more = pool.allocate(nullptr);
  check(2);
  CHECK(pool.check_invariants());
}

}  // namespace

TEST_CASE("trap: statistics are reset by a constructor that then throws") {
  reset_while_throwing<FixedPool<Resetting<FixedPool, BasicStats>, BasicStats>>();
  reset_while_throwing<GrowingPool<Resetting<GrowingPool, BasicStats>, BasicStats>>();
  reset_while_throwing<FixedPool<Resetting<FixedPool, BasicStats, FreeListAllocator>, BasicStats, FreeListAllocator>>();
}
TEST_CASE("trap: statistics that threads share are reset by a constructor that then throws") {
  reset_while_throwing<FixedPool<Resetting<FixedPool, AtomicStats, LockFree>, AtomicStats, LockFree>>();
  reset_while_throwing<ThreadSafePool<Resetting<ThreadSafePool, AtomicStats>, AtomicStats>>();
  reset_while_throwing<ThreadSafePool<Resetting<ThreadSafePool, AtomicStats, NoCache>, AtomicStats, NoCache>>();
}
#endif

namespace {
/// Plain, so that batches are built in the quick way.
struct Number {
  std::uint64_t value;
};
}  // namespace

// The object that the argument lies in is released when the first handle is written.
TEMPLATE_TEST_CASE("trap: a batch is built from an argument that its output destroys", "",
                   (FixedPool<Number, NoChecks>), (GrowingPool<Number, FreeListAllocator>),
                   (FixedPool<Number, BitmapAllocator, FullChecks>)MORE_ROWS((FixedPool<Number>),
                                                                             (FixedPool<Number, FullChecks>))) {
  TestType pool(40);
  for (std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{8}, std::size_t{20}}) {
    std::vector<typename TestType::handle_type> handles(n);
    handles[0] = pool.allocate(std::uint64_t{42});
    pool.allocate_batch(n, handles.data(), handles[0]->value);
    for (auto const& handle : handles) CHECK(handle->value == 42);
    handles[n - 1]->value = 7;
    CHECK(pool.try_allocate_batch(n, handles.begin(), handles[n - 1]->value));
    for (auto const& handle : handles) CHECK(handle->value == 7);
  }
  CHECK(pool.is_empty());
}

namespace {
/// Looks at every object of the pool each time that a handle is written to it.
template <class Pool> struct Looking {
  using iterator_category = std::output_iterator_tag;
  using value_type = void;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = void;

  Pool* pool;
  std::vector<typename Pool::handle_type>* out;
  std::size_t* met;

  Looking& operator*() { return *this; }
  Looking& operator++() { return *this; }
  Looking operator++(int) { return *this; }
  Looking& operator=(typename Pool::handle_type&& handle) {
    out->push_back(std::move(handle));
    pool->for_each([&](typename Pool::value_type& object) {
      if constexpr (requires { object.intact(); }) {
        CHECK(test::ledger().lives(&object));
        CHECK(object.intact());
      } else {
        CHECK(object.value == 42);
      }
      ++*met;
    });
    return *this;
  }
};
}  // namespace

TEMPLATE_TEST_CASE("trap: the output of a batch iterates over the pool: it meets no object that is not built", "",
                   (FixedPool<Number, NoChecks, BitmapAllocator>), (FixedPool<Number, FullChecks, FreeListAllocator>),
                   (GrowingPool<Tracked, FullChecks>)MORE_ROWS((FixedPool<Number>), (GrowingPool<Number, NoChecks>),
                                                               (FixedPool<Tracked, NoChecks, BitmapAllocator>))) {
  test::Audit const audit;
  TestType pool(40);
  std::vector<typename TestType::handle_type> handles;
  handles.reserve(40);
  std::size_t met = 0;
  pool.allocate_batch(20, Looking<TestType>{&pool, &handles, &met}, std::uint64_t{42});
  CHECK(handles.size() == 20);
  CHECK(met >= 20 * 21 / 2);
  CHECK(pool.allocated() == 20);
  for (std::size_t i = 0; i < 20; i += 2) handles[i].reset();
  CHECK(pool.try_allocate_batch(10, Looking<TestType>{&pool, &handles, &met}, std::uint64_t{42}));
}

TEST_CASE("trap: a pool that grows by nothing, shrunk below its first capacity") {
  using Pool = GrowingPool<int, BasicStats>;
  Pool pool(PoolConfig{.capacity = 8, .growth_strategy = GrowthStrategy::none()});
  auto const shrunk = [&] {
    pool.reserve(12);
    std::vector<Pool::handle_type> first(8);
    pool.allocate_batch(8, first.begin(), 1);
    auto kept = pool.allocate(2);  // in the second block
    first.clear();
    CHECK(pool.shrink_to_fit() > 0);
    CHECK(pool.capacity() < 8);
    kept.reset();
    CHECK(pool.capacity() < 8);
  };
  std::vector<Pool::handle_type> handles(9);
  shrunk();
  CHECK_FALSE(pool.try_allocate_batch(9, handles.begin(), 3));
  CHECK(pool.is_empty());
  CHECK(pool.try_allocate_batch(8, handles.begin(), 3));
  CHECK(pool.capacity() == 8);
  CHECK(pool.try_allocate(4) == nullptr);
  handles.clear();
  CHECK(pool.check_invariants());
  {
    std::vector<Pool::handle_type> singles;
    while (auto handle = pool.try_allocate(5)) singles.push_back(std::move(handle));
    CHECK(singles.size() == 8);
  }
}

namespace {
/// A user's view: it says that its elements are not its own.
struct View {
  std::string* first;
  std::string* last;
  [[nodiscard]] std::string* begin() const { return first; }
  [[nodiscard]] std::string* end() const { return last; }
};
}  // namespace
template <> inline constexpr bool std::ranges::enable_borrowed_range<View> = true;

TEST_CASE(
    "trap: a batch from a view leaves the elements alone, one from a container that is given away may take them") {
  FixedPool<std::string> pool(20);
  std::vector<std::string> const texts{std::string(40, 'a'), std::string(40, 'b'), std::string(40, 'c')};
  auto copies = texts;
  {
    auto const from_span = pool.allocate_batch(std::span(copies));
    CHECK(copies == texts);
    auto const from_view = pool.allocate_batch(View{copies.data(), copies.data() + copies.size()});
    CHECK(copies == texts);
    auto const from_lvalue = pool.allocate_batch(copies);
    CHECK(copies == texts);
    for (std::size_t i = 0; i != texts.size(); ++i) {
      CHECK(*from_span[i] == texts[i]);
      CHECK(*from_view[i] == texts[i]);
      CHECK(*from_lvalue[i] == texts[i]);
    }
  }
  char const* const where = copies[0].data();
  auto const moved = pool.allocate_batch(std::move(copies));
  CHECK(moved.size() == 3);
  CHECK(static_cast<void const*>(moved[0]->data()) == static_cast<void const*>(where));  // no copy was made
}

namespace {
/// What can be read once only: its elements cannot be counted first.
struct InputOnly {
  [[nodiscard]] std::istream_iterator<int> begin() const { return {}; }
  [[nodiscard]] std::istream_iterator<int> end() const { return {}; }
};
template <class Pool, class Range>
concept TakesRange = requires(Pool& pool, Range&& range) { pool.allocate_batch(std::forward<Range>(range)); };

static_assert(TakesRange<FixedPool<int>, std::vector<int>&> && TakesRange<FixedPool<int>, std::vector<int>> &&
              TakesRange<FixedPool<int>, std::span<int>>);
static_assert(TakesRange<FixedPool<int>, int (&)[3]>);
static_assert(!TakesRange<FixedPool<int>, InputOnly> && !TakesRange<FixedPool<int>, InputOnly&>);
static_assert(!TakesRange<GrowingPool<int>, InputOnly const&> && !TakesRange<FixedPool<int>, int>);
}  // namespace

// Numbers of bytes only: there is no such memory. 32-bit offsets in granules reach 2^32 - 1 granules, and not one slot
// more.
TEST_CASE("trap: bytes for more than 4 GiB") {
  if constexpr (sizeof(std::size_t) == 8) {
    struct alignas(8) Eight {
      std::byte bytes[8];
    };
    using Bytes = FixedPool<char, ExternalStorage, NoChecks>;
    using Eights = FixedPool<Eight, ExternalStorage, NoChecks>;
    using Bits = FixedPool<Eight, ExternalStorage, BitmapAllocator, FullChecks>;
    constexpr auto never = std::numeric_limits<std::size_t>::max();
    constexpr std::size_t four_gi = std::size_t{1} << 32;

    constexpr std::size_t stride = FASTALLOC_ASAN ? 8 : 1;  // whole granules of AddressSanitizer
    CHECK(Bytes::required_bytes((four_gi - 1) / stride) != never);
    CHECK(Bytes::required_bytes((four_gi - 1) / stride) >= (four_gi - 1) / stride);
    CHECK(Bytes::required_bytes(four_gi) == never);
    CHECK(Eights::required_bytes(four_gi - 1) != never);
    CHECK(Eights::required_bytes(four_gi - 1) >= 8 * (four_gi - 1));
    CHECK(Eights::required_bytes(four_gi) == never);
    CHECK(Eights::required_bytes(four_gi / 2, 16) >= 16 * (four_gi / 2));
    CHECK(Eights::required_bytes(never / 8) == never);
    CHECK(Eights::required_bytes(never / 8 + 2) == never);
    CHECK(Bits::required_bytes(never) == never);
    CHECK(Bits::required_bytes(four_gi / 2) > 8 * (four_gi / 2));

    // A span is believed to have the size that it says; only numbers are looked at when it is too big or too small.
    alignas(8) static std::byte start[8];
    std::size_t const needed = Eights::required_bytes(four_gi - 1);
    auto const refused = [](auto const& result) { return !result; };
    CHECK(refused(
        Eights::try_create(PoolConfig{.capacity = four_gi}, ExternalStorage(std::span<std::byte>(start, needed)))));
    CHECK(refused(Eights::try_create(PoolConfig{.capacity = four_gi - 1},
                                     ExternalStorage(std::span<std::byte>(start, needed - 1)))));
    CHECK(refused(
        Eights::try_create(PoolConfig{.capacity = never / 8 + 2}, ExternalStorage(std::span<std::byte>(start, 8)))));
  }
}
