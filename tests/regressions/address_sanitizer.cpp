// SPDX-License-Identifier: MIT OR Apache-2.0
// Under AddressSanitizer: dead slots may not be touched, and nothing stays poisoned behind the pool's back.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/death.hpp"

using namespace fastalloc;

namespace {

struct Item {
  std::uint64_t words[5];
};

struct Chunk {
  alignas(64) unsigned char bytes[1 << 16];
  bool used = false;
};

/// Keeps what comes back, writes to it, and hands it out again.
struct RecyclingUpstream {
  static constexpr bool can_grow = true;
  static constexpr std::size_t most = sizeof(Chunk::bytes);

  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > most || alignment > 64) return nullptr;
    for (auto& chunk : chunks)
      if (!chunk.used) {
        chunk.used = true;
        ++acquired;
        std::memset(chunk.bytes, 0x5A, most);
        return chunk.bytes;
      }
    return nullptr;
  }
  void release(void* block, std::size_t bytes, std::size_t) noexcept {
    std::memset(block, 0xA5, bytes);  // what it gets back is wholly its own
    for (auto& chunk : chunks)
      if (chunk.bytes == block) chunk.used = false;
  }

  static inline Chunk chunks[12];
  static inline int acquired = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("trap: ASan leftovers: a recycling upstream may write to what it gets back", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  for (int round = 0; round != 3; ++round) {
    GrowingPool<Item, TestType, RecyclingUpstream> pool(
        PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(100)});
    std::vector<Handle<Item>> handles;
    for (int i = 0; i != 300; ++i) handles.push_back(pool.allocate());
    handles.erase(handles.begin() + 5, handles.end());
    CHECK(pool.shrink_to_fit() > 0);
    for (int i = 0; i != 200; ++i) handles.push_back(pool.allocate());
    CHECK(pool.check_invariants());
  }
  FixedPool<Item, TestType, RecyclingUpstream> const untouched(100);
  CHECK(RecyclingUpstream::acquired > 0);
}

TEST_CASE("trap: ASan leftovers: the caller's span is usable after the pool") {
  using Pool = FixedPool<Item, ExternalStorage>;
  alignas(64) static std::byte buffer[Pool::required_bytes(10)];
  {
    Pool pool{std::span(buffer)};
    auto const handle = pool.allocate();
  }
  std::memset(buffer, 1, sizeof buffer);
  CHECK(buffer[5] == std::byte{1});
}

TEST_CASE("trap: ASan leftovers: neighbours in one granule of eight bytes stay usable") {
  FixedPool<char> pool(64);
  std::vector<FixedPool<char>::handle_type> handles;
  for (int i = 0; i != 64; ++i) handles.push_back(pool.allocate(static_cast<char>(i)));
  for (std::size_t i = 0; i != 64; i += 2) handles[i].reset();
  for (std::size_t i = 1; i < 64; i += 2) {
    CHECK(*handles[i] == static_cast<char>(i));
    *handles[i] = 'x';
  }
}

#if FASTALLOC_ASAN
namespace {
template <class Pool> void check_deaths() {
  auto const dies = [](auto&& access) {
    auto const ending = test::run_in_child([&] {
      Pool pool(4);
      auto keep = pool.allocate();
      access(pool);
    });
    return !ending.survived && ending.errors.find("use-after-poison") != std::string::npos;
  };
  CHECK(dies([](Pool& pool) {  // read after release
    Item volatile* const stale = pool.allocate().get();
    (void)static_cast<std::uint64_t>(stale->words[4]);
  }));
  CHECK(dies([](Pool& pool) {  // write after release
    Item volatile* const stale = pool.allocate().get();
    stale->words[0] = 1;
  }));
  CHECK(dies([](Pool& pool) {  // a slot that was never handed out
    auto const handle = pool.allocate();
    Item volatile* const next = handle.get() + 1;
    next->words[0] = 1;
  }));
}
}  // namespace

TEST_CASE("trap: use after release dies") {
  check_deaths<FixedPool<Item>>();
  check_deaths<FixedPool<Item, FreeListAllocator, NoChecks>>();
  check_deaths<FixedPool<Item, BitmapAllocator, FullChecks>>();
  check_deaths<GrowingPool<Item, FreeListAllocator>>();
  check_deaths<GrowingPool<Item, NoChecks>>();
}

namespace {
template <class T> bool is_covered(T const* dead, std::size_t from = 0, std::size_t to = sizeof(T)) {
  auto const* const bytes = reinterpret_cast<unsigned char const*>(dead);
  for (std::size_t i = from; i != to; ++i)
    if (!__asan_address_is_poisoned(bytes + i)) return false;
  return true;
}

template <class Pool> void check_links_covered() {
  Pool pool(8);
  std::vector<typename Pool::handle_type> handles;
  std::vector<typename Pool::value_type*> dead;
  for (int i = 0; i != 8; ++i) handles.push_back(pool.allocate());
  for (std::size_t i = 1; i != 8; ++i) {
    dead.push_back(handles[i].get());
    handles[i].reset();
  }
  auto const covered = [&] {
    return std::all_of(dead.begin(), dead.end(), [](auto const* object) { return is_covered(object); });
  };
  CHECK(covered());
  pool.for_each([](auto&) {});  // reads every link
  CHECK(covered());
  CHECK(pool.check_invariants());
  CHECK(covered());
  if constexpr (requires { pool.shrink_to_fit(); }) pool.shrink_to_fit();
  CHECK(covered());
  auto const again = pool.allocate();
  dead.erase(std::find(dead.begin(), dead.end(), again.get()));
  CHECK(covered());
  CHECK_FALSE(is_covered(again.get(), 0, 1));
}
struct Six {
  std::uint16_t parts[3];
};

/// Every second one is dead.
template <class Pool> void check_neighbours() {
  Pool pool(16);
  std::vector<typename Pool::handle_type> handles;
  for (int i = 0; i != 16; ++i) handles.push_back(pool.allocate());
  for (std::size_t parity = 0; parity != 2; ++parity) {
    std::vector<typename Pool::value_type*> dead;
    for (std::size_t i = parity; i < 16; i += 2) {
      dead.push_back(handles[i].get());
      handles[i].reset();
    }
    for (auto const* object : dead) CHECK(is_covered(object));
    for (auto const& handle : handles)
      if (handle != nullptr) *handle.get() = {};
    for (std::size_t i = parity; i < 16; i += 2) handles[i] = pool.allocate();
    for (auto const& handle : handles) *handle.get() = {};
  }
}
}  // namespace

TEST_CASE("trap: use after release dies: the link in a dead object's place is covered, too") {
  check_links_covered<FixedPool<Item, FreeListAllocator, NoChecks>>();
  check_links_covered<FixedPool<Item, FreeListAllocator, FullChecks>>();
  check_links_covered<FixedPool<std::uint32_t, FreeListAllocator>>();
  check_links_covered<FixedPool<std::uint64_t, FreeListAllocator>>();
  check_links_covered<GrowingPool<Item, FreeListAllocator, DebugChecks>>();
  check_links_covered<GrowingPool<char, FreeListAllocator>>();
}

TEST_CASE("trap: use after release dies: slots of less than eight bytes beside live ones") {
  check_neighbours<FixedPool<int>>();
  check_neighbours<FixedPool<char, NoChecks>>();
  check_neighbours<FixedPool<Six, FreeListAllocator, FullChecks>>();
  check_neighbours<GrowingPool<int, StackAllocator>>();
  check_neighbours<GrowingPool<Six>>();
  check_neighbours<ThreadSafePool<int>>();
  check_neighbours<ThreadSafePool<Six, NoCache, DebugChecks>>();
  check_neighbours<FixedPool<std::uint32_t, LockFree>>();
  check_neighbours<ThreadLocalPool<char>>();
}

TEST_CASE("trap: ASan and small slots: memory of one's own, runs, and pools inside of classes") {
  using Pool = FixedPool<int, ExternalStorage>;
  CHECK(Pool::required_bytes(100) >= 800);
  alignas(64) static std::byte buffer[Pool::required_bytes(100)];
  {
    Pool pool{std::span(buffer)};
    CHECK(pool.capacity() == 100);
    std::vector<Pool::handle_type> handles;
    for (int i = 0; i != 100; ++i) handles.push_back(pool.allocate(i));
    CHECK(pool.is_full());
  }
  FixedPool<int, BitmapAllocator> runs(64);  // arrays
  auto const run = runs.allocate_n(10, 5);
  CHECK(&run[9] - &run[0] == 9);
  FixedPool<int, InlineStorage<8>, NoChecks> inside;  // as big as without AddressSanitizer
  static_assert(sizeof(FixedPool<int, InlineStorage<108>, NoChecks>) ==
                sizeof(FixedPool<int, InlineStorage<8>, NoChecks>) + 100 * 8);
  std::vector<Handle<int>> handles;
  for (int i = 0; i != 8; ++i) handles.push_back(inside.allocate(i));
  for (int i = 0; i != 8; ++i) CHECK(*handles[static_cast<std::size_t>(i)] == i);
  using Span = FixedPool<int, ExternalStorage, LockFree, NoChecks>;  // processes without AddressSanitizer may attach
  CHECK(Span::required_bytes(1100) - Span::required_bytes(100) == 1000 * (sizeof(int) + 8));
}
#endif
