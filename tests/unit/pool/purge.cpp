// SPDX-License-Identifier: MIT OR Apache-2.0
// purge(): pages of free slots go back to the system; what lives stays, and every slot is as good as before.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <vector>

#include "support/audit.hpp"
#include "support/expect.hpp"

using namespace fastalloc;

namespace {

/// Bytes of it are known, so that a lost page is seen.
struct Kilobyte {
  explicit Kilobyte(std::size_t number) { words.fill(number); }
  [[nodiscard]] bool holds(std::size_t number) const {
    for (std::size_t const word : words)
      if (word != number) return false;
    return true;
  }
  std::array<std::size_t, 128> words;
};
constexpr std::size_t many = 4000;

#if defined(__linux__)
constexpr bool can_purge = true;
#else
constexpr bool can_purge = false;
#endif

PoolConfig config() { return {.capacity = 1000, .growth_strategy = GrowthStrategy::linear(1000)}; }

/// Fills the pool, keeps each 100th object, purges, and uses all slots again. Returns: the bytes purged.
template <class Pool> std::size_t purge_between(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  for (std::size_t i = 0; i != many; ++i) handles.push_back(pool.allocate(i));
  for (std::size_t i = 0; i != many; ++i)
    if (i % 100 != 0) handles[i].reset();
  std::size_t const bytes = pool.purge();
  EXPECT(pool.purge() == 0);  // they are gone
  EXPECT(pool.allocated() == many / 100);
  for (std::size_t i = 0; i != many; i += 100) EXPECT(handles[i]->holds(i));
  for (std::size_t i = 0; i != many; ++i)
    if (!handles[i]) handles[i] = pool.allocate(i);
  for (std::size_t i = 0; i != many; ++i) EXPECT(handles[i]->holds(i));
  handles.clear();
  EXPECT(pool.check_invariants());
  return bytes;
}

}  // namespace

TEST_CASE("purge: pages between live objects go back, in pools of every kind") {
  std::size_t const least = can_purge ? many * sizeof(Kilobyte) / 2 : 0;
  auto const run = [&]<class Pool>(std::type_identity<Pool>) {
    Pool pool(config());
    CHECK(purge_between(pool) >= least);
  };
  run(std::type_identity<GrowingPool<Kilobyte>>());
  run(std::type_identity<GrowingPool<Kilobyte, NoChecks, BasicStats>>());
  run(std::type_identity<GrowingPool<Kilobyte, BitmapAllocator, DebugChecks>>());
  run(std::type_identity<ThreadSafePool<Kilobyte>>());
  run(std::type_identity<ThreadSafePool<Kilobyte, BitmapAllocator, NoCache>>());
  run(std::type_identity<ThreadLocalPool<Kilobyte>>());
  run(std::type_identity<GrowingPool<Kilobyte, PageStorage>>());
  FixedPool<Kilobyte, Generations> fixed(many);
  CHECK(purge_between(fixed) >= least);
}

TEST_CASE("purge: what free slots keep stays where it is") {
  auto const run = [&]<class Pool>(std::type_identity<Pool>) {
    Pool pool(config());
    purge_between(pool);
  };
  run(std::type_identity<GrowingPool<Kilobyte, FreeListAllocator>>());
  run(std::type_identity<GrowingPool<Kilobyte, FullChecks>>());
  run(std::type_identity<GrowingPool<Kilobyte, FreeListAllocator, FullChecks>>());
  run(std::type_identity<GrowingPool<Kilobyte, Generations>>());

  std::size_t built = 0;
  GrowingPool pool(config(), recycle([&] { return Kilobyte(built++); }, [](Kilobyte&) {}));
  std::vector<decltype(pool)::handle_type> handles;
  for (std::size_t i = 0; i != many; ++i) handles.push_back(pool.allocate());
  handles.clear();
  (void)pool.purge();
  for (std::size_t i = 0; i != many; ++i) handles.push_back(pool.allocate());
  for (auto const& handle : handles) EXPECT(handle->holds(handle->words[0]));
  CHECK(built == many);
}

TEST_CASE("purge: keys of dead objects stay stale, and those of live ones valid") {
  FixedPool<Kilobyte, Generations> pool(many);
  std::vector<decltype(pool)::handle_type> handles;
  std::vector<Key> keys;
  for (std::size_t i = 0; i != many; ++i) handles.push_back(pool.allocate(i)), keys.push_back(pool.key(handles.back()));
  for (std::size_t i = 0; i != many; ++i)
    if (i % 50 != 0) handles[i].reset();
  (void)pool.purge();
  for (std::size_t i = 0; i != many; ++i) EXPECT(pool.contains(keys[i]) == (i % 50 == 0));
}

TEST_CASE("purge: untouched slots of a prefaulted pool, and memory that is not the pool's") {
  FixedPool<Kilobyte, FreeListAllocator> pool(PoolConfig{.capacity = many, .pre_initialize = true});
  CHECK(pool.purge() >= (can_purge ? many * sizeof(Kilobyte) / 2 : 0));
  auto const handle = pool.allocate(5U);
  CHECK(handle->holds(5));
  std::vector<std::byte> bytes(64 * sizeof(Kilobyte));
  FixedPool<Kilobyte, ExternalStorage> outside{std::span(bytes)};
  CHECK(outside.purge() == 0);
  FixedPool<Kilobyte, InlineStorage<16>> inside;
  CHECK(inside.purge() == 0);
}

TEST_CASE("NoPoison: a reader may look at a slot that came back meanwhile") {
  FixedPool<Kilobyte, NoPoison, NoChecks> pool(4);
  Kilobyte* const object = pool.allocate(7U).release();
  pool.adopt(object).reset();
  std::size_t const volatile* const word = &object->words[100];
  CHECK(*word == 7);  // AddressSanitizer says nothing
}
