// SPDX-License-Identifier: MIT OR Apache-2.0
// Under AddressSanitizer: dead slots may not be touched, and nothing stays poisoned behind the pool's back.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <cstring>
#include <iterator>
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

TEMPLATE_TEST_CASE("trap: ASan leftovers: a recycling upstream may write to what it gets back", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  for (int round = 0; round != 3; ++round) {
    GrowingPool<Item, TestType, RecyclingUpstream> pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(100)});
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
template <class Pool>
void check_deaths() {
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
#endif
