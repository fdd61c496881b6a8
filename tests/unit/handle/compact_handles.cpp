// SPDX-License-Identifier: MIT OR Apache-2.0
// CompactHandles: handles of one word, whose pools are found from their objects' addresses.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/adapters/unique_ptr.hpp>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;

namespace {

struct Node;
using Nodes = FixedPool<Node, CompactHandles>;

struct Base {
  virtual ~Base() = default;
  long padding = 0;
};
struct Other {
  virtual ~Other() = default;
  int other = 5;
};
struct Node : Base, Other, test::Tracked {
  explicit Node(std::uint64_t value = 0) : Tracked(value) {}
  std::vector<Handle<Node, Nodes>> children;  // Node is incomplete here
  Handle<Node, Nodes> next = nullptr;
};

struct Object {
  explicit Object(std::uint64_t v = 0) noexcept : value(v) {}
  std::uint64_t value;
  std::byte rest[56] = {};
};
static_assert(sizeof(Object) == 64);

template <class P> constexpr bool can_reserve = requires(P& pool) { pool.reserve(3); };
template <class P> constexpr bool is_one_word = sizeof(typename P::handle_type) == sizeof(void*);
static_assert(is_one_word<Nodes> && is_one_word<GrowingPool<int, FullChecks, CompactHandles>>);
static_assert(is_one_word<ThreadSafePool<int, CompactHandles>> && is_one_word<ThreadLocalPool<int, CompactHandles>>);
static_assert(is_one_word<FixedPool<int, InlineStorage<4>, CompactHandles>>);
static_assert(sizeof(CompactHandle<int>) == sizeof(void*) && sizeof(FixedPool<int>::handle_type) == 2 * sizeof(void*));
static_assert(sizeof(decltype(to_unique(std::declval<Nodes::handle_type>()))) == sizeof(void*));
static_assert(!std::is_copy_constructible_v<Nodes::handle_type> &&
              std::is_nothrow_move_constructible_v<Nodes::handle_type> &&
              std::is_nothrow_move_assignable_v<Nodes::handle_type> &&
              std::is_nothrow_move_constructible_v<CompactHandle<int>>);
static_assert(FixedPool<int, CompactHandles>::segment_bytes == 262'144 &&
              FixedPool<std::array<char, 2049>, CompactHandles>::segment_bytes == 524'288 &&
              ThreadLocalPool<int, CompactHandles>::segment_bytes == 262'144 && FixedPool<int>::segment_bytes == 0 &&
              ThreadLocalPool<int>::segment_bytes == 0);
static_assert(std::convertible_to<Nodes::handle_type, CompactHandle<Other>> &&
              std::convertible_to<CompactHandle<Node>, CompactHandle<Other>> &&
              std::convertible_to<CompactHandle<Node>, Handle<Other>>);
static_assert(!std::convertible_to<FixedPool<Node>::handle_type, CompactHandle<Node>> &&
              !std::convertible_to<Handle<Node>, CompactHandle<Node>> &&
              !std::convertible_to<CompactHandle<Other>, CompactHandle<Node>>);

/// Fills the pool with n objects, frees and takes them in random order, and looks at everything.
template <class Pool> void use(Pool& pool, std::size_t n) {
  std::mt19937 random(42);
  std::vector<typename Pool::handle_type> live;
  for (int round = 0; round != 2; ++round) {
    while (live.size() != n) {
      live.push_back(pool.allocate());
      live.back()->value = live.size();
    }
    std::set<void const*> addresses;
    bool intact = true;
    for (std::size_t i = 0; i != n; ++i) intact = intact && live[i]->value == i + 1 && pool.owns(live[i].get());
    for (auto const& handle : live) addresses.insert(handle.get());
    CHECK(intact);
    CHECK(addresses.size() == n);
    CHECK(pool.allocated() == n);
    CHECK(pool.check_invariants());
    std::size_t visited = 0;
    pool.for_each([&](Object&) { ++visited; });
    CHECK(visited == n);
    std::vector<char> indices(pool.capacity());
    for (auto const& handle : live) indices.at(pool.index_of(handle)) = 1;
    CHECK(static_cast<std::size_t>(std::count(indices.begin(), indices.end(), 1)) == n);
    std::shuffle(live.begin(), live.end(), random);
    live.resize(n / 3);
    CHECK(pool.check_invariants());
    for (std::size_t i = 0; i != live.size(); ++i) live[i]->value = i + 1;
  }
  live.clear();
  CHECK(pool.is_empty());
}

template <class Storage> struct Account {
  ~Account() {
    CHECK(test::storage_account().blocks() == 0);
    CHECK(test::storage_account().check());
  }
};

}  // namespace

TEMPLATE_TEST_CASE("compact handles: fixed pools, of one segment and of several", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  auto const all = [](auto... policies) {
    for (std::size_t const n : {1U, 10U, 4'000U, 20'000U}) {
      FixedPool<Object, CompactHandles, TestType, decltype(policies)...> pool(n);
      CHECK(pool.capacity() == n);
      use(pool, n);
    }
  };
  all(NoChecks{});
  all(FullChecks{}, BasicStats{}, Generations{});
}

TEMPLATE_TEST_CASE("compact handles: growing pools", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  Account<test::CountingStorage> const account;
  auto const all = [](auto... policies) {
    using Pool = GrowingPool<Object, CompactHandles, TestType, test::CountingStorage, decltype(policies)...>;
    Pool pool(10);
    use(pool, 20'000);
    CHECK(pool.capacity() == 20'480);
    CHECK(pool.shrink_to_fit() > 0);
    CHECK(pool.capacity() == 10);
    CHECK(pool.check_invariants());
    use(pool, 9'000);
  };
  all(NoChecks{}, BasicStats{});
  all(DebugChecks{}, Generations{});
}

TEST_CASE("compact handles: blocks that came together go together") {
  Account<test::CountingStorage> const account;
  GrowingPool<Object, CompactHandles, test::CountingStorage> pool(
      PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(10'000)});
  std::vector<decltype(pool)::handle_type> live;
  while (live.size() != 20'100) live.push_back(pool.allocate(live.size()));
  CHECK(test::storage_account().blocks() == 4);  // and the directory
  auto kept = std::move(live[5'000]);            // of the first segment of the second acquisition
  live.clear();
  CHECK(pool.shrink_to_fit() > 0);
  CHECK(pool.capacity() == 10'000);
  CHECK(kept->value == 5'000);
  CHECK(pool.owns(kept.get()));
  CHECK(pool.check_invariants());
  std::vector<decltype(pool)::handle_type> more;
  while (more.size() != 15'000) more.push_back(pool.allocate());
  CHECK(pool.check_invariants());
  kept.reset();
  more.clear();
  pool.shrink_to_fit();
  CHECK(pool.capacity() == 0);  // no acquisition was of 100 slots or less
}

TEST_CASE("compact handles: memory is the slots', and 2 % or a page") {
  Account<test::CountingStorage> const account;
  auto const waste = [](auto const& pool, std::size_t size) {
    std::size_t const slots = pool.capacity() * (size + sizeof(void*));  // the stack of a pool of blocks
    CHECK(test::storage_account().bytes() <= slots + (slots / 50 < 4096 ? 4096 : slots / 50));
  };
  for (std::size_t const n : {1U, 10U, 500U, 4'096U, 100'000U})
    waste(FixedPool<Object, CompactHandles, test::CountingStorage, NoChecks>(n), sizeof(Object));
  for (std::size_t const n : {1U, 10U, 500U, 20'000U})
    waste(FixedPool<std::array<char, 1000>, CompactHandles, test::CountingStorage, NoChecks>(n), 1000);
  waste(FixedPool<std::array<char, 30'000>, CompactHandles, test::CountingStorage, NoChecks>(500), 30'000);
  FixedPool<Object, CompactHandles, test::CountingStorage> pool(100'000);
  CHECK(test::storage_account().blocks() == 2);  // the slots from one acquisition, and the directory
}

TEST_CASE("compact handles: alignments, big and small objects") {
  struct alignas(256) Aligned {
    char bytes[256];
  };
  auto const check = [](auto& pool, std::size_t n, std::size_t alignment) {
    std::vector<typename std::remove_reference_t<decltype(pool)>::handle_type> live;
    bool aligned = true;
    while (live.size() != n) live.push_back(pool.allocate());
    for (auto const& handle : live)
      aligned = aligned && reinterpret_cast<std::uintptr_t>(handle.get()) % alignment == 0;
    CHECK(aligned);
    CHECK(pool.is_full());
    std::set<void const*> addresses;
    for (auto const& handle : live) addresses.insert(handle.get());
    CHECK(addresses.size() == n);
    CHECK(pool.check_invariants());
  };
  FixedPool<Aligned, CompactHandles> over_aligned(3'000);
  check(over_aligned, 3'000, 256);
  FixedPool<Object, CompactHandles> pages(PoolConfig{.capacity = 200, .alignment = 4096});
  check(pages, 200, 4096);
  FixedPool<char, CompactHandles> tiny(600'000);
  check(tiny, 600'000, 1);
  FixedPool<char, CompactHandles, FullChecks, FreeListAllocator> tiny_list(3'000);
  check(tiny_list, 3'000, 1);
  FixedPool<std::array<char, 300'000>, CompactHandles> big(3);
  check(big, 3, 1);
  FixedPool<std::array<std::uint64_t, 3>, CompactHandles> odd(30'000);
  check(odd, 30'000, 8);
}

TEST_CASE("compact handles: handles as members, erased, to bases, and back") {
  test::Audit const audit;
  {
    Nodes nodes(100);
    auto root = nodes.allocate(1U);
    root->children.push_back(nodes.allocate(2U));
    root->children.back()->children.push_back(nodes.try_allocate(3U));
    root->next = nodes.allocate(4U);
    CHECK(nodes.allocated() == 4);
    root->next.reset();
    CompactHandle<Node> erased = std::move(root);
    CHECK(root == nullptr);
    CompactHandle<Other> other = std::move(erased);  // at another address
    CHECK(other->other == 5);
    Handle<Other> wide = std::move(other);
    CHECK(other == nullptr);
    CHECK(nodes.allocated() == 3);
    wide.reset();
    CHECK(nodes.is_empty());

    Handle<Node> erased_wide = nodes.allocate(6U);
    Handle<Base> base = std::move(erased_wide);
    CompactHandle<int> part(nodes.allocate(7U), static_cast<int*>(nullptr));
    CHECK(part == nullptr);
    auto owner = nodes.allocate(8U);
    int* const member = &owner->other;
    part = CompactHandle<int>(std::move(owner), member);
    CHECK(*part == 5);
    part = nullptr;
    base = nullptr;
    CHECK(nodes.is_empty());

    CompactHandle<Base> const empty = Nodes::handle_type();
    Handle<Base> const empty_wide = Nodes::handle_type();
    CHECK(empty == nullptr);
    CHECK(empty_wide == nullptr);

    auto unique = to_unique(nodes.allocate(9U));
    CHECK(to_handle(std::move(unique))->value() == 9);
    Node* const given_up = nodes.allocate(10U).release();
    CHECK(nodes.adopt(given_up)->value() == 10);
    CHECK(nodes.is_empty());
  }
}

TEST_CASE("compact handles: of trivial types, erased") {
  // The pool's function for erased handles that runs no code of T.
  FixedPool<Object, CompactHandles, NoChecks> pool(30'000);
  std::vector<CompactHandle<Object>> handles;
  std::vector<CompactHandle<std::byte>> parts;
  while (!pool.is_full()) {
    if (handles.size() == parts.size()) {
      handles.push_back(pool.allocate());
    } else {
      auto handle = pool.allocate();
      std::byte* const inside = &handle->rest[parts.size() % 56];
      parts.emplace_back(std::move(handle), inside);
    }
  }
  std::mt19937 random(1);
  std::shuffle(handles.begin(), handles.end(), random);
  std::shuffle(parts.begin(), parts.end(), random);
  parts.clear();
  CHECK(pool.allocated() == 15'000);
  handles.clear();
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("compact handles: keys, counted owners, kept objects, batches") {
  test::Audit const audit;
  {
    FixedPool<test::Tracked, CompactHandles, Generations> keyed(20'000);
    std::vector<Key> keys;
    std::vector<decltype(keyed)::handle_type> live;
    while (!keyed.is_full()) {
      live.push_back(keyed.allocate(live.size()));
      keys.push_back(keyed.key(live.back()));
    }
    bool right = true;
    for (std::size_t i = 0; i != keys.size(); ++i) right = right && keyed.get(keys[i]) == live[i].get();
    CHECK(right);
    live.resize(1'000);
    right = true;
    for (std::size_t i = 0; i != keys.size(); ++i) right = right && keyed.contains(keys[i]) == (i < 1'000);
    CHECK(right);
    live.clear();

    GrowingPool<test::Tracked, Shared, CompactHandles> counted(1);
    SharedHandle<test::Tracked> shared = counted.allocate(3U).share();
    WeakHandle<test::Tracked> weak(shared);
    SharedHandle<test::Tracked> copy = shared;
    shared.reset();
    CHECK(weak.lock()->value() == 3);
    copy.reset();
    CHECK(weak.lock() == nullptr);

    FixedPool<Object, CompactHandles> batches(9'000);
    std::vector<decltype(batches)::handle_type> many(9'000);
    batches.allocate_batch(9'000, many.begin(), 5U);
    CHECK(many[8'999]->value == 5);
    many.clear();
    auto batch = batches.allocate_batch_handle(9'000, 6U);
    CHECK(batches.is_full());
    batch.reset();
    CHECK(batches.is_empty());
    batches.clear();
    use(batches, 9'000);
  }
}

TEST_CASE("compact handles: Recycle keeps objects in all segments") {
  int built = 0;
  auto init = [&] { return ++built, Object(1); };
  auto reset = [](Object& object) { object.value = 2; };
  FixedPool<Object, Recycle<decltype(init), decltype(reset)>, CompactHandles> pool(
      PoolConfig{.capacity = 9'000, .pre_initialize = true}, recycle(init, reset));
  CHECK(built == 9'000);
  std::vector<decltype(pool)::handle_type> live;
  while (!pool.is_full()) live.push_back(pool.allocate());
  CHECK(built == 9'000);
}

TEST_CASE("compact handles: runs lie in one segment") {
  GrowingPool<Object, CompactHandles, BitmapAllocator> pool(10);
  auto run = pool.try_allocate_n(3'000);
  CHECK(run.size() == 3'000);
  std::size_t const before = pool.capacity();
  CHECK(!pool.try_allocate_n(5'000));  // more than a segment holds: no growth could help
  CHECK(pool.capacity() == before);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_WITH((void)pool.allocate_n(5'000), Catch::Matchers::ContainsSubstring("in a segment"));
#endif
}

TEST_CASE("compact handles: a full fixed pool does not grow") {
  FixedPool<Object, CompactHandles> pool(
      PoolConfig{.capacity = 2, .growth_strategy = GrowthStrategy::exponential(2.0)});
  auto const a = pool.allocate(), b = pool.allocate();
  CHECK(!pool.try_allocate());
  CHECK(pool.capacity() == 2);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS((void)pool.allocate(), PoolExhausted);
  CHECK_THROWS_WITH((void)pool.allocate(), Catch::Matchers::ContainsSubstring("every slot of this fixed pool"));
#endif
  static_assert(!can_reserve<decltype(pool)> && can_reserve<GrowingPool<Object, CompactHandles>>);
}

TEST_CASE("compact handles: what cannot be is refused, and leaves nothing") {
  {
    Account<test::FailingStorage> const account;
    using Pool = GrowingPool<Object, CompactHandles, test::FailingStorage, Generations>;
    for (std::size_t n = 0; n != 6; ++n) {
      test::storage_account().fail_after(n);
      auto pool = Pool::try_create(PoolConfig{.capacity = 9'000, .growth_strategy = GrowthStrategy::linear(9'000)});
      test::storage_account().allow();
      if (!pool) continue;
      use(*pool, 9'000);
      std::vector<Pool::handle_type> live;
      while (!pool->is_full()) live.push_back(pool->allocate());
      for (std::size_t m = 0; m != 3; ++m) {
        test::storage_account().fail_after(m);
        auto const more = pool->try_allocate();
        test::storage_account().allow();
        CHECK(pool->check_invariants());
      }
    }
  }
  auto const huge = FixedPool<Object, CompactHandles>::try_create(PoolConfig{.capacity = std::size_t{1} << 60});
  REQUIRE(!huge);
  CHECK(huge.error().code == ErrorCode::invalid_configuration);
  auto const aligned =
      FixedPool<Object, CompactHandles>::try_create(PoolConfig{.capacity = 4, .alignment = std::size_t{1} << 20});
  REQUIRE(!aligned);
  CHECK(aligned.error().code == ErrorCode::invalid_alignment);
  CHECK(std::string(aligned.error().text).find("segment") != std::string::npos);
}

TEMPLATE_TEST_CASE("compact handles: misuse is caught as in other pools", "", DebugChecks, FullChecks) {
  test::RecordedErrors errors;
  FixedPool<Object, CompactHandles, TestType> pool(9'000), stranger(10);
  auto handle = pool.allocate(1U);
  auto const strange = stranger.allocate(2U);
  Object* const object = handle.get();
  auto const at = [&](std::ptrdiff_t offset) {
    return reinterpret_cast<Object*>(reinterpret_cast<std::uintptr_t>(object) + static_cast<std::uintptr_t>(offset));
  };
  auto const refused = [&](Object* p, char const* text) {
    errors.clear();
    CHECK(pool.adopt(p) == nullptr);
    REQUIRE(errors.count() == 1);
    CHECK(std::string(errors.last().text).find(text) != std::string::npos);
  };
  refused(at(8), "middle of a slot");
  refused(at(-64), "not from this pool");  // the head of the first segment
  refused(at(-4096), "not from this pool");
  refused(at(64), "not in use");
  refused(at(std::ptrdiff_t{1} << 18), "not");  // in the next segment, before its slots or not handed out
  refused(at(std::ptrdiff_t{1} << 28), "not from this pool");
  refused(strange.get(), "not from this pool");
  Object local;
  refused(&local, "not from this pool");
  CHECK(!pool.owns(at(-64)));
  CHECK(!pool.owns(strange.get()));

  errors.clear();
  (void)handle.release();
  CHECK(pool.adopt(object));  // and gone
  auto twice = pool.allocate();
  CHECK(twice.get() == object);
  Nodes::handle_type const none;
  auto second = pool.adopt(object);
  twice.reset();
  second.reset();  // the same object again
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::double_free);
}

namespace {
constinit FixedPool<Object, InlineStorage<5>, CompactHandles> static_pool;
FixedPool<FrameSlot<128>, CompactHandles> frames(4);
FixedPool<Node, CompactHandles, NoChecks> bound_pool(4);
}  // namespace

TEST_CASE("compact handles: static pools, Bound, frames, owners that move") {
  use(static_pool, 5);
  auto bound = Bound<bound_pool>::allocate(3U);
  CHECK(bound->value() == 3);
  bound.reset();
  CHECK(bound_pool.is_empty());

  using Frames = detail::Frames<&frames>;
  void* const frame = Frames::take(frames, 100);
  REQUIRE(frame != nullptr);
  CHECK(frames.allocated() == 1);
  Frames::give(frame, 100);
  CHECK(frames.is_empty());
  Frames::give(Frames::take_from_heap(1000), 1000);

  using Movable = MovablePool<FixedPool<Object, CompactHandles>>;
  auto const last = [] {
    Movable pool{10};
    auto handle = pool->allocate(7U);
    static_assert(sizeof handle == sizeof(void*));
    Movable moved = std::move(pool);
    auto second = moved->allocate(8U);
    return handle;
  }();
  CHECK(last->value == 7);  // the pool ends with it
}

namespace {
/// Respects alignments up to 64 bytes only.
struct CarelessStorage : test::CountingStorage {
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment <= 64) return CountingStorage::acquire(bytes, alignment);
    auto* const memory = static_cast<std::byte*>(CountingStorage::acquire(bytes + 64, alignment));
    return memory + 64;
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment <= 64) CountingStorage::release(block, bytes, alignment);
    else CountingStorage::release(static_cast<std::byte*>(block) - 64, bytes + 64, alignment);
  }
};
template <std::size_t N> struct Big {
  Big() noexcept {}  // touches nothing
  char bytes[N];
};
}  // namespace

TEST_CASE("compact handles: a storage that does not align its memory is found out") {
  Account<test::CountingStorage> const account;
  auto const pool = FixedPool<Object, CompactHandles, CarelessStorage>::try_create(PoolConfig{.capacity = 4});
  REQUIRE(!pool);
  CHECK(pool.error().code == ErrorCode::invalid_alignment);
  CHECK(std::string(pool.error().text).find("the storage returned memory without") != std::string::npos);
}

TEST_CASE("compact handles: objects of many megabytes") {
  // Segments for 128 of them would be aligned to more addresses than a system gives.
  auto const check = [](auto pool) {
    auto const a = pool->allocate(), b = pool->allocate();
    CHECK(pool->owns(a.get()));
    CHECK(pool->index_of(a) != pool->index_of(b));
  };
  if constexpr (sizeof(void*) >= 8) {
    check(std::make_unique<FixedPool<Big<100'000'000>, CompactHandles, NoChecks>>(2));
    check(std::make_unique<FixedPool<Big<std::size_t{1} << 28>, CompactHandles, NoChecks>>(2));
  }
  check(std::make_unique<FixedPool<Big<17'000'000>, CompactHandles, NoChecks>>(2));
}

TEST_CASE("compact handles: any part of a big object leads to its slot") {
  // With 32-bit sizes, the stride times another number than the slot's may equal the part's offset, modulo 2^32.
  FixedPool<Big<66'666>, CompactHandles, NoChecks> pool(3);
  auto first = pool.allocate(), second = pool.allocate(), third = pool.allocate();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i != sizeof *third; ++i) {
    void const* const object = third.get();
    char* const part = &third->bytes[i];
    Handle<char>(std::move(third), part).reset();
    third = pool.allocate();
    if (third.get() == object) continue;
    ++wrong;
    (void)third.release();
    break;
  }
  CHECK(wrong == 0);
  if (wrong != 0) (void)first.release(), (void)second.release();
}

TEST_CASE("compact handles: each pool on its own storage") {
  std::optional<FixedPool<Object, InlineStorage<3>, CompactHandles>> again;
  for (int i = 0; i != 3; ++i) {  // AddressSanitizer: the head's bytes may be written after the pool's end
    again.emplace();
    CHECK(again->allocate());
  }
  FixedPool<Object, InlineStorage<100>, CompactHandles> inside;
  use(inside, 100);
  FixedPool<Object, InlineStorage<3>, CompactHandles, FullChecks, BitmapAllocator> few(PoolConfig{.capacity = 2});
  use(few, 2);
  // Wider strides than those the segment was made for: as many slots as the bytes allow, all in the segment.
  using Narrow = FixedPool<std::uint32_t, InlineStorage<60>, CompactHandles, NoChecks>;
  for (std::size_t n = 1; n <= 60; ++n) {
    auto wide = Narrow::try_create(PoolConfig{.capacity = n, .alignment = 8});
    if (!wide) continue;
    std::vector<Narrow::handle_type> live;
    while (!wide->is_full()) live.push_back(wide->allocate(7U));
    CHECK(live.size() == n);
    live.clear();
    CHECK(wide->is_empty());
  }
#if FASTALLOC_HAS_THREADS
  FixedPool<Object, InlineStorage<9>, CompactHandles, LockFree, DebugChecks> lock_free;
  use(lock_free, 9);
#endif
  FixedPool<char, InlineStorage<1>, CompactHandles> one;
  CHECK(sizeof(one) <= 320);
  // Room for the slots, and as much again, rounded up to a power of two.
  using Plain = FixedPool<Object, InlineStorage<1000>>;
  using Compact = FixedPool<Object, InlineStorage<1000>, CompactHandles>;
  CHECK(sizeof(Compact) <= sizeof(Plain) + Compact::segment_bytes + 64);
  CHECK(Compact::segment_bytes == 65'536);
  CHECK(alignof(Compact) == alignof(Plain));
  Handle<char> const erased = one.allocate('a');
  CHECK(*erased == 'a');
  using Outside = FixedPool<Object, ExternalStorage, CompactHandles, FullChecks>;
  for (std::size_t const n : {1U, 100U, 9'000U}) {
    std::size_t const bytes = Outside::required_bytes(n);
    CHECK(bytes <= n * 72 + 8192);
    auto const alignment = std::align_val_t{Outside::required_alignment()};
    auto* const memory = static_cast<std::byte*>(::operator new(bytes, alignment));
    {
      Outside pool(std::span(memory, bytes));
      CHECK(pool.capacity() == n);
      CHECK(pool.bytes() == bytes);
      use(pool, n);
      CHECK(!Outside::try_create(PoolConfig{.capacity = n}, ExternalStorage(std::span(memory, bytes - 1))));
      auto const misaligned =
          Outside::try_create(PoolConfig{.capacity = 1}, ExternalStorage(std::span(memory + 64, bytes - 64)));
      REQUIRE(!misaligned);
      CHECK((misaligned.error().code == ErrorCode::invalid_alignment || bytes < 2 * 4096));
    }
    ::operator delete(memory, alignment);
  }
#if __STDC_HOSTED__ && defined(__linux__)
  FixedPool<Object, PageStorage, CompactHandles> pages(10'000);
  use(pages, 10'000);
#endif
}

namespace {

/// A pool at each address that its alignment allows, over two segments; some behind bytes that are not zero.
template <class Pool> void use_at_all_addresses() {
  constexpr std::size_t most = 2 * Pool::segment_bytes;
  auto const alignment = std::align_val_t{Pool::segment_bytes};
  auto* const memory = static_cast<std::byte*>(::operator new(most + sizeof(Pool), alignment));
  for (std::size_t at = 0; at < most; at += alignof(Pool)) {
    std::memset(memory + at, 0x5A, sizeof(Pool));
    auto* const pool = ::new (static_cast<void*>(memory + at)) Pool;
    std::vector<typename Pool::handle_type> live;
    while (!pool->is_full()) live.push_back(pool->allocate());
    bool good = true;
    for (std::size_t i = 0; i != live.size(); ++i) {
      auto* const begin = reinterpret_cast<std::byte*>(live[i].get());
      good = good && pool->owns(begin) && pool->index_of(live[i]) < live.size() && begin > memory + at &&
             begin + sizeof(typename Pool::value_type) <= memory + at + sizeof(Pool);
    }
    for (auto& handle : live) Handle<typename Pool::value_type>(std::move(handle)).reset();
    if (!good || !pool->is_empty() || !pool->check_invariants()) {
      CAPTURE(at);
      FAIL_CHECK("wrong at this address");
    }
    pool->~Pool();
  }
  ::operator delete(memory, alignment);
}

}  // namespace

TEST_CASE("compact handles: a pool with its slots inside may lie anywhere") {
  use_at_all_addresses<FixedPool<Object, InlineStorage<10>, CompactHandles>>();
  use_at_all_addresses<FixedPool<char, InlineStorage<16>, CompactHandles, BitmapAllocator, FullChecks>>();
  use_at_all_addresses<FixedPool<std::array<int, 3>, InlineStorage<7>, CompactHandles, Generations>>();
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  use_at_all_addresses<FixedPool<Line, InlineStorage<4>, CompactHandles, FreeListAllocator>>();
}

#if FASTALLOC_HAS_THREADS
TEST_CASE("compact handles: pools of threads") {
  {
    ThreadSafePool<Object, CompactHandles> pool(20'000);
    use(pool, 20'000);
    std::vector<decltype(pool)::handle_type> live;
    std::thread([&] {
      while (live.size() != 10'000) live.push_back(pool.allocate());
    }).join();
    live.clear();
    CHECK(pool.is_empty());
    CompactHandle<Object> erased = pool.allocate();
    std::thread([&] { erased.reset(); }).join();
    CHECK(pool.is_empty());
  }
  ThreadLocalPool<Object, CompactHandles> pool(9'000);
  std::vector<decltype(pool)::handle_type> live;
  std::vector<CompactHandle<Object>> erased;
  std::thread([&] {
    while (live.size() != 9'000) {
      live.push_back(pool.allocate());
      live.back()->value = live.size();
    }
    for (int i = 0; i != 1'000; ++i) erased.push_back(std::move(live[static_cast<std::size_t>(i) * 9]));
    std::erase(live, nullptr);
  }).join();
  auto own = pool.allocate();
  live.clear();  // remote returns, to the sub-pool that each object's segment names
  erased.clear();
  own.reset();
  CHECK(pool.total_allocated() == 0);
  std::thread([&] {
    for (int i = 0; i != 9'000; ++i) live.push_back(pool.allocate());
  }).join();
  CHECK(live.size() == 9'000);
}
#endif

#if FASTALLOC_ASAN
#include <sanitizer/asan_interface.h>
TEST_CASE("compact handles: AddressSanitizer reports accesses to the heads of segments") {
  FixedPool<Object, CompactHandles> pool(10);
  auto const first = pool.allocate();
  CHECK(__asan_address_is_poisoned(reinterpret_cast<char*>(first.get()) - 64) == 1);
  CHECK(__asan_address_is_poisoned(reinterpret_cast<char*>(first.get()) + 64) == 1);
}
#endif
