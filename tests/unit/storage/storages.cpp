// SPDX-License-Identifier: MIT OR Apache-2.0
// HeapStorage, InlineStorage, ExternalStorage alone, and what pools ask of a storage.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;

namespace {
struct Item {
  std::uint64_t words[6];
};
bool is_aligned(void const* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }
}  // namespace

TEST_CASE("heap storage: blocks have the alignment and the size that was asked for") {
  HeapStorage heap;
  for (std::size_t alignment = 8; alignment <= 65536; alignment *= 4)
    for (std::size_t const bytes : {std::size_t{1}, std::size_t{100}, std::size_t{4096}, HeapStorage::huge_block - 1,
                                    HeapStorage::huge_block + 1}) {
      void* const block = heap.acquire(bytes, alignment);
      REQUIRE(block != nullptr);
      CHECK(is_aligned(block, alignment));
      static_cast<char volatile*>(block)[0] = 1;
      static_cast<char volatile*>(block)[bytes - 1] = 1;
      heap.release(block, bytes, alignment);
    }
}

TEST_CASE("heap storage: big blocks begin in the first page of a huge one") {
  HeapStorage heap;
  for (std::size_t const alignment : {std::size_t{8}, std::size_t{64}, std::size_t{128}}) {
    void* const block = heap.acquire(HeapStorage::huge_block, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % HeapStorage::huge_page <= detail::CacheColour::page);
    if (alignment > 64) CHECK(is_aligned(block, HeapStorage::huge_page));
    heap.release(block, HeapStorage::huge_block, alignment);
  }
}

namespace {
/// How many of the lines of a page the addresses are in.
std::size_t lines(std::vector<void*> const& addresses) {
  std::set<std::uintptr_t> found;
  for (void* address : addresses) found.insert(reinterpret_cast<std::uintptr_t>(address) % 4096 / 64);
  return found.size();
}
}  // namespace

TEST_CASE("heap storage: blocks of 128 KiB and more begin at different lines of a page") {
  if (!detail::CacheColour::enabled) return;
  HeapStorage heap;
  for (std::size_t const bytes : {std::size_t{128} << 10, std::size_t{1} << 20, HeapStorage::huge_block}) {
    std::vector<void*> blocks;
    for (int i = 0; i != 32; ++i) {
      blocks.push_back(heap.acquire(bytes, 16));
      REQUIRE(blocks.back() != nullptr);
      CHECK(is_aligned(blocks.back(), 64));
      static_cast<char volatile*>(blocks.back())[0] = 1;
      static_cast<char volatile*>(blocks.back())[bytes - 1] = 1;
    }
    CHECK(lines(blocks) >= 12);
    for (void* block : blocks) heap.release(block, bytes, 16);
  }
}

// A cache of the processor has room for 8 to 16 lines with the same place in their page.
TEMPLATE_TEST_CASE("heap storage: the objects of 32 big pools that are used in turn have room in a cache", "",
                   (FixedPool<Item, NoChecks>), (GrowingPool<Item, NoChecks>),
                   (FixedPool<Item, NoChecks, FreeListAllocator>)) {
  if (!detail::CacheColour::enabled) return;
  std::vector<std::unique_ptr<TestType>> pools;
  std::vector<void*> objects;
  for (int i = 0; i != 32; ++i) {
    pools.push_back(std::make_unique<TestType>(PoolConfig{.capacity = 8192}));
    objects.push_back(pools.back()->allocate().get());
  }
  CHECK(lines(objects) >= 12);
}

TEST_CASE("heap storage: what no heap has is null") {
  constexpr bool is_64_bit = sizeof(std::size_t) == 8;
  if (!is_64_bit) return;  // there may be memory for all that a program of 32 bits can ask for
  HeapStorage heap;
  CHECK(heap.acquire(std::size_t{1} << (is_64_bit ? 60 : 0), 64) == nullptr);
  // Near the end of the address space nothing may wrap, not in libstdc++ either.
  for (std::size_t const less : {std::size_t{0}, std::size_t{100}, std::size_t{5000}, std::size_t{1} << 20})
    for (std::size_t const alignment : {std::size_t{8}, std::size_t{64}, std::size_t{4096}}) {
      std::size_t volatile bytes = (std::numeric_limits<std::size_t>::max)() - less;
      CHECK(heap.acquire(bytes, alignment) == nullptr);
    }
}

TEST_CASE("inline storage: one block, or null") {
  InlineStorage<4>::region<256, 64> region;
  void* const block = region.acquire(256, 64);
  CHECK(block == static_cast<void*>(&region));
  CHECK(is_aligned(block, 64));
  CHECK(region.acquire(257, 64) == nullptr);
  CHECK(region.acquire(256, 128) == nullptr);
  CHECK(region.acquire(1, 1) == block);
  region.release(block, 256, 64);
}

TEST_CASE("external storage: the caller's span, or null") {
  alignas(64) std::byte bytes[128];
  ExternalStorage storage(bytes);
  CHECK(storage.acquire(128, 64) == static_cast<void*>(bytes));
  CHECK(storage.acquire(129, 64) == nullptr);
  CHECK(ExternalStorage(std::span(bytes).subspan(1)).acquire(8, 2) == nullptr);
  CHECK(storage.bytes().size() == 128);
}

TEST_CASE("storage: a fixed pool acquires one block of exactly the bytes it needs") {
  test::Audit const audit;
  std::size_t const acquired = test::storage_account().acquired();
  {
    FixedPool<Item, test::CountingStorage, NoChecks> const stack(1000);
    CHECK(test::storage_account().acquired() == acquired + 1);
    CHECK(test::storage_account().bytes() == 1000 * sizeof(Item) + 1000 * 4);
  }
  {
    FixedPool<Item, test::CountingStorage, NoChecks, FreeListAllocator> const list(1000);
    CHECK(test::storage_account().bytes() == 1000 * sizeof(Item));
  }
  {
    FixedPool<Item, test::CountingStorage, NoChecks, BitmapAllocator> const bitmap(640);
    CHECK(test::storage_account().bytes() < 640 * sizeof(Item) + 640 / 8 + 64);
  }
  {
    FixedPool<Item, test::CountingStorage, DebugChecks, FreeListAllocator> const checked(800);
    // one mark more, a note about links
    CHECK(test::storage_account().bytes() <= 800 * sizeof(Item) + 800 / 8 + 4 + 24);
  }
}

TEMPLATE_TEST_CASE("storage: a pool writes only into its blocks and gives them back as they were acquired", "",
                   StackAllocator, FreeListAllocator, BitmapAllocator) {
  test::Audit const audit;
  for (std::size_t const alignment : std::initializer_list<std::size_t>{0, 8, 64, 4096}) {
    GrowingPool<Item, test::CountingStorage, TestType, DebugChecks> pool(
        PoolConfig{.capacity = 5,
                   .growth_strategy = GrowthStrategy::exponential(1.7),
                   .alignment = alignment,
                   .pre_initialize = alignment == 64});
    std::vector<Handle<Item>> handles;
    for (int round = 0; round != 3; ++round) {
      for (int i = 0; i != 400; ++i) {
        handles.push_back(pool.allocate());
        if (alignment != 0) REQUIRE(is_aligned(handles.back().get(), alignment));
        std::memset(static_cast<void*>(handles.back().get()), 0xFF, sizeof(Item));
      }
      CHECK(test::storage_account().check());
      CHECK(pool.check_invariants());
      handles.erase(handles.begin() + 13, handles.end() - 100);
      std::size_t const before = test::storage_account().bytes();
      std::size_t const given_back = pool.shrink_to_fit();
      CHECK(given_back <= before - test::storage_account().bytes());  // the directory became smaller, too
      CHECK(test::storage_account().check());
    }
  }
}

TEST_CASE("storage: shrink_to_fit returns the bytes of the blocks that went") {
  test::Audit const audit;
  GrowingPool<Item, test::CountingStorage, FreeListAllocator, NoChecks> pool(
      PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)});
  std::vector<Handle<Item>> handles;
  for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate());
  std::size_t const full = test::storage_account().bytes();
  handles.clear();
  std::size_t const directory = 9 * sizeof(void*);  // entries that the smaller directory does without
  std::size_t const given_back = pool.shrink_to_fit();
  CHECK(given_back == full - test::storage_account().bytes() - directory);
  CHECK(pool.capacity() == 10);
  CHECK(pool.shrink_to_fit() == 0);
}

TEST_CASE("trap: growth never stops or never resets: 1,000 cycles have the same peak") {
  test::Audit const audit;
  GrowingPool<Item, test::CountingStorage> pool(
      PoolConfig{.capacity = 8, .growth_strategy = GrowthStrategy::exponential(2.0)});
  std::size_t const initial = test::storage_account().bytes();
  std::size_t peak = 0;
  std::size_t capacity = 0;
  for (int cycle = 0; cycle != 1000; ++cycle) {
    std::vector<Handle<Item>> handles;
    for (int i = 0; i != 150; ++i) handles.push_back(pool.allocate());
    if (cycle == 0) {
      peak = test::storage_account().bytes();
      capacity = pool.capacity();
    }
    REQUIRE(test::storage_account().bytes() == peak);
    REQUIRE(pool.capacity() == capacity);
    // Another order each time: the block that is left is not always the same.
    while (!handles.empty()) {
      std::swap(handles[static_cast<std::size_t>(cycle * 7 + 3) % handles.size()], handles.back());
      handles.pop_back();
    }
    pool.shrink_to_fit();
    REQUIRE(pool.capacity() == 8);
    REQUIRE(test::storage_account().bytes() == initial);
  }
}

TEST_CASE("pre_initialize: at every size, blocks and their records stay whole") {
  test::Audit const audit;
  for (std::size_t n = 1; n != 200; ++n) {
    GrowingPool<Item, test::CountingStorage, NoChecks> pool(
        PoolConfig{.capacity = n, .growth_strategy = GrowthStrategy::linear(n), .pre_initialize = true});
    std::vector<Handle<Item>> handles;
    for (std::size_t i = 0; i != 2 * n; ++i) handles.push_back(pool.allocate());
    REQUIRE(pool.check_invariants());
    REQUIRE(pool.owns(handles.back().get()));
  }
}

TEST_CASE("inline pool: every way in opens it") {
  using Pool = FixedPool<Item, InlineStorage<6>>;
  SECTION("batch") {
    Pool pool;
    std::vector<Handle<Item>> handles;
    pool.allocate_batch(6, std::back_inserter(handles));
    CHECK(handles.size() == 6);
    CHECK(pool.is_full());
  }
  SECTION("try_allocate_batch") {
    Pool pool;
    std::vector<Handle<Item>> handles;
    CHECK_FALSE(pool.try_allocate_batch(7, std::back_inserter(handles)));
    CHECK(pool.try_allocate_batch(2, std::back_inserter(handles)));
    CHECK(pool.available() == 4);
  }
  SECTION("nothing but questions") {
    Pool pool;
    CHECK((pool.capacity() == 6 && pool.available() == 6 && pool.is_empty() && !pool.is_full()));
    CHECK_FALSE(pool.owns(&pool));
    pool.for_each([](Item&) { FAIL("there is none"); });
    CHECK(pool.check_invariants());
  }
}

TEST_CASE("external storage: a span to attach to, passed on as an ExternalStorage, is refused by pools that cannot "
          "share it") {
  alignas(64) std::byte memory[2048] = {};
  ExternalStorage const sliced = ExternalStorage::attach(memory);
  REQUIRE(sliced.attaches());
  auto const check = [&]<class Pool>(std::type_identity<Pool>) {
    auto const result = Pool::try_create(PoolConfig{.capacity = 4}, sliced);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::invalid_configuration);
    CHECK_THAT(result.error().to_string(), Catch::Matchers::ContainsSubstring("attach"));
#if FASTALLOC_EXCEPTIONS
    CHECK_THROWS_AS(Pool(PoolConfig{.capacity = 4}, sliced), InvalidConfiguration);
#endif
  };
  check(std::type_identity<FixedPool<int, ExternalStorage>>());
  check(std::type_identity<FixedPool<int, ExternalStorage, BitmapAllocator, Generations>>());
  check(std::type_identity<FixedPool<int, ExternalStorage, SpinLock>>());
  check(std::type_identity<ThreadSafePool<int, ExternalStorage>>());
  check(std::type_identity<FixedPool<int, ExternalStorage, LockFree, AtomicShared>>());
  check(std::type_identity<FixedPool<int, ExternalStorage, LockFree>>());  // it could, and there is no pool
  for (std::byte const byte : memory) REQUIRE(byte == std::byte{0});       // nothing was written
}
