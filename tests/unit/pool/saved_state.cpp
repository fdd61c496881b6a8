// SPDX-License-Identifier: MIT OR Apache-2.0
// save() and load(): the whole pool as bytes, back in place or elsewhere, or refused and unchanged.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "model/source.hpp"
#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Unit {
  std::uint64_t hp = 0;
  std::int32_t x = 0, y = 0;
};
struct Byte {
  unsigned char hp = 0;
};

using Bytes = std::vector<std::byte>;

template <class P> Bytes saved(P const& pool) {
  Bytes bytes(pool.saved_bytes());
  EXPECT(pool.save(bytes) == bytes.size());
  return bytes;
}

template <class P> std::unique_ptr<P> make(std::size_t alignment = 0) {
  if constexpr (std::is_default_constructible_v<P>) return std::make_unique<P>();
  else return std::make_unique<P>(PoolConfig{.capacity = 100, .alignment = alignment});
}

/// A world whose objects have no handles, as a game's: it works by what lives in the pool alone, so it goes on after a
/// load() as it did after the save().
template <class P> class World {
 public:
  explicit World(P& pool) : pool_(pool) {}

  /// Everything that can be seen: live objects by index, their values, their keys.
  using State = std::vector<std::tuple<std::size_t, std::uint64_t, std::uint64_t>>;
  [[nodiscard]] State state() {
    State state;
    pool_.for_each([&](auto& object) { state.emplace_back(pool_.index_of(&object), object.hp, number(object)); });
    EXPECT(state.size() == pool_.allocated() && pool_.check_invariants());
    return state;
  }
  void play(std::size_t steps, std::uint64_t seed) {
    model::SeededSource source(seed);
    for (std::size_t i = 0; i != steps; ++i) {
      std::size_t const what = source.below(3);
      if (what == 0) {
        release(source.below(100));
      } else if (auto handle = pool_.try_allocate()) {
        handle->hp = static_cast<unsigned char>(source.below(200));
        (void)number(*handle);
        (void)handle.release();
      }
      if (what == 2 && source.below(4) == 0) release(source.below(100));
    }
  }
  void end() {
    pool_.for_each([&](auto& object) { pool_.adopt(&object).reset(); });
  }

 private:
  /// The live object of the index, or the next one.
  void release(std::size_t index) {
    typename P::value_type* found = nullptr;
    pool_.for_each([&](auto& object) {
      if (found == nullptr && pool_.index_of(&object) >= index) found = &object;
    });
    if (found != nullptr) pool_.adopt(found).reset();
  }
  std::uint64_t number([[maybe_unused]] typename P::value_type& object) {
    if constexpr (P::has_keys) return pool_.key(&object).value();
    else return 0;
  }
  P& pool_;
};

}  // namespace

TEMPLATE_TEST_CASE("saved state: a pool goes on after load() as it did after save(), in place and elsewhere", "",
                   (FixedPool<Unit, Generations, NoChecks>), (FixedPool<Byte, FreeListAllocator, DebugChecks>),
                   (FixedPool<Unit, BitmapAllocator, Generations, BasicStats, FullChecks>),
                   (FixedPool<Byte, BitmapAllocator, MutexLock, FullChecks>),
                   (ThreadSafePool<Unit, NoCache, InlineStorage<100>, Generations, AtomicStats>)
                       MORE_ROWS((FixedPool<Unit, Generations, BasicStats, FullChecks>), (FixedPool<Unit, FullChecks>),
                                 (FixedPool<Byte, Generations32, FullChecks>),
                                 (FixedPool<Unit, FreeListAllocator, Generations, NoChecks>),
                                 (FixedPool<Unit, FreeListAllocator, Generations, FullChecks>),
                                 (FixedPool<Unit, BitmapAllocator, Generations, NoChecks>),
                                 (FixedPool<Unit, Generations, InlineStorage<100>>))) {
  bool const fixed = !std::is_default_constructible_v<TestType>;
  auto const pool_owner = make<TestType>(fixed ? GENERATE(0U, 64U) : 0);
  TestType& pool = *pool_owner;
  World<TestType> world(pool);
  for (std::uint64_t round = 0; round != 12; ++round) {
    world.play(round * 7, round);
    Bytes const bytes = saved(pool);
    auto const then = world.state();
    EXPECT(saved(pool) == bytes || FASTALLOC_ASAN);  // reading changes nothing
    world.play(1 + round * 9, 100 + round);
    auto const later = world.state();

    REQUIRE(pool.load(bytes).has_value());
    EXPECT(world.state() == then);
    world.play(1 + round * 9, 100 + round);
    EXPECT(world.state() == later);  // the same slots and keys

    if (round % 3 == 0 && fixed) {  // as a later run of the program
      auto const other_owner = make<TestType>(64);
      auto const same_owner = make<TestType>();
      bool const loaded = same_owner->load(bytes).has_value(), elsewhere = other_owner->load(bytes).has_value();
      EXPECT(loaded != elsewhere);  // the alignment is part of the state
      TestType& other = loaded ? *same_owner : *other_owner;
      World<TestType> again(other);
      EXPECT(again.state() == then);
      again.play(1 + round * 9, 100 + round);
      EXPECT(again.state() == later);
      again.end();
    }
  }
  if constexpr (TestType::has_statistics) {
    auto const s = pool.statistics();
    CHECK(s.current_usage == pool.allocated());
    CHECK(s.total_allocations - s.total_deallocations == pool.allocated());
    CHECK(s.peak_usage >= pool.allocated());
    CHECK(s.peak_usage <= 100);
  }
  world.end();
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("saved state: keys from before hold, later ones do not, and the same ones come again", "",
                   StackAllocator, FreeListAllocator, BitmapAllocator) {
  FixedPool<Unit, TestType, Generations> pool(64);
  std::vector<Key> keys;
  for (int i = 0; i != 10; ++i) {
    auto handle = pool.allocate(static_cast<std::uint64_t>(i), i);
    keys.push_back(pool.key(handle));
    (void)handle.release();
  }
  pool.adopt(pool.get(keys[3])).reset();
  Unit* const zeroth = pool.get(keys[0]);
  Bytes const bytes = saved(pool);
  auto const run = [&] {
    std::vector<Key> made;
    pool.adopt(pool.get(keys[5])).reset();
    for (int i = 0; i != 40; ++i) {
      auto handle = pool.allocate(100U);
      made.push_back(pool.key(handle));
      (void)handle.release();
    }
    pool.get(keys[0])->hp += 50;
    return made;
  };
  auto const first = run();
  CHECK(pool.allocated() == 48);
  REQUIRE(pool.load(bytes));
  CHECK(pool.allocated() == 9);
  CHECK(pool.get(keys[0]) == zeroth);
  CHECK(zeroth->hp == 0);
  CHECK(pool.get(keys[5])->hp == 5);
  CHECK(pool.get(keys[3]) == nullptr);
  for (Key const key : first) CHECK_FALSE(pool.contains(key));
  CHECK(run() == first);
  World(pool).end();
}

TEST_CASE("saved state: handles of objects that live in both states stay valid") {
  FixedPool<Unit, FullChecks> pool(10);
  auto kept = pool.allocate(1U), other = pool.allocate(2U);
  Bytes const bytes = saved(pool);
  kept->hp = 7;
  Unit* const gone = other.release();
  pool.adopt(gone).reset();
  REQUIRE(pool.load(bytes));
  CHECK(kept->hp == 1);
  kept.reset();
  CHECK(pool.allocated() == 1);
  other = pool.adopt(gone);  // what came back has no handle until it is adopted
  CHECK(other->hp == 2);
  other.reset();
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("saved state: reserved keys are part of it") {
  FixedPool<Unit, Generations, FullChecks> pool(10);
  Key const reserved = pool.reserve_key();
  Bytes const bytes = saved(pool);
  pool.cancel(reserved);
  Key const later = pool.reserve_key();
  REQUIRE(pool.load(bytes));
  CHECK(pool.allocated() == 1);
  std::size_t met = 0;
  pool.for_each([&](Unit&) { ++met; });
  CHECK(met == 0);
  CHECK_FALSE(pool.try_build(later, 1U));
  auto const handle = pool.build(reserved, 5U);
  CHECK(pool.get(reserved)->hp == 5);
}

TEST_CASE("saved state: checks policies may differ") {
  FixedPool<Unit, NoChecks, Generations> unchecked(20);
  FixedPool<Unit, FullChecks, Generations> checked(20);
  World(unchecked).play(100, 3);
  REQUIRE(checked.load(saved(unchecked)));
  CHECK(World(checked).state() == World(unchecked).state());
  test::RecordedErrors errors;
  World(checked).play(100, 4);  // no free slot seems to have been written to
  World(unchecked).play(100, 4);
  CHECK(World(checked).state() == World(unchecked).state());
  REQUIRE(unchecked.load(saved(checked)));
  CHECK(errors.count() == 0);
  World(unchecked).end(), World(checked).end();
}

TEMPLATE_TEST_CASE("saved state: with checks, free slots after load() are free", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  FixedPool<Unit, TestType, FullChecks> pool(10);
  auto first = pool.allocate(1U);
  Bytes const bytes = saved(pool);
  auto second = pool.allocate(2U);
  Unit* const stale = second.release();
  REQUIRE(pool.load(bytes));
  test::RecordedErrors errors;
  CHECK_FALSE(pool.adopt(stale));
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::double_free);
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("saved state: an iteration goes on behind a load()", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  FixedPool<Unit, TestType, FullChecks> pool(50);
  World world(pool);
  for (std::uint64_t i = 0; i != 30; ++i) (void)pool.allocate(i).release();
  for (std::size_t i = 10; i != 20; ++i) pool.adopt(pool.object_at(i)).reset();
  Bytes const bytes = saved(pool);
  for (std::uint64_t i = 0; i != 20; ++i) (void)pool.allocate(100 + i).release();  // 10 to 19, 30 to 39
  std::vector<std::size_t> met;
  pool.for_each([&](Unit& unit) {
    std::size_t const index = pool.index_of(&unit);
    met.push_back(index);
    if (index == 5) REQUIRE(pool.load(bytes));
  });
  CHECK(met.size() == 20);
  CHECK(std::none_of(met.begin(), met.end(), [](std::size_t i) { return (i >= 10 && i < 20) || i >= 30; }));
  world.end();
}

TEST_CASE("saved state: sizes, a span that is too small, one that is too big, at any address") {
  FixedPool<Unit, Generations> pool(100);
  std::size_t const empty = pool.saved_bytes();
  CHECK(empty < 160);
  (void)pool.allocate(1U).release();
  CHECK(pool.saved_bytes() <= empty + sizeof(Unit) + 4 + 16);
  Bytes bytes(pool.saved_bytes() + 100, std::byte{0x55});
  auto const small = std::span(bytes).first(pool.saved_bytes() - 1);
  auto const refused = pool.try_save(small);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::invalid_configuration);
  CHECK(refused.error().requested == pool.saved_bytes());
  CHECK(refused.error().limit == pool.saved_bytes() - 1);
  CHECK_THAT(refused.error().to_string(), ContainsSubstring("the span is too small") && ContainsSubstring("Unit"));
  CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0x55}; }));
#if FASTALLOC_EXCEPTIONS
  CHECK(test::throws<InvalidConfiguration>([&] { (void)pool.save(small); }));
#endif
  for (std::size_t offset : {0U, 1U, 3U, 8U}) {
    auto const place = std::span(bytes).subspan(offset);
    std::size_t const used = pool.save(place);
    CHECK(used == pool.saved_bytes());
    pool.object_at(0)->hp = 9;
    CHECK(pool.load(place).has_value());  // with bytes behind
    CHECK(pool.object_at(0)->hp == 1);
  }
  pool.adopt(pool.object_at(0)).reset();
}

TEMPLATE_TEST_CASE("saved state: cut or changed data is refused, and changes nothing", "",
                   (FixedPool<Unit, Generations, FullChecks>),
                   (FixedPool<Unit, BitmapAllocator, Generations, NoChecks>),
                   (FixedPool<Byte, FreeListAllocator, NoChecks>)) {
  TestType pool(100);
  World<TestType> world(pool);
  world.play(200, 1);
  Bytes const good = saved(pool);
  auto const then = world.state();
  world.play(50, 2);
  auto const now = world.state();
  Bytes const before = saved(pool);
  auto const refused = [&](std::span<std::byte const> bytes) {
    auto const result = pool.load(bytes);
    if (result.has_value()) return false;
    EXPECT(result.error().code == ErrorCode::invalid_data && result.error().text != nullptr &&
           (result.error().requested != 0 || result.error().limit != 0));
    return true;
  };
  for (std::size_t size = 0; size != good.size(); ++size) EXPECT(refused(std::span(good).first(size)));
  CHECK(world.state() == now);

  std::size_t const checked = good.size() - [&] {  // what the checksum covers
    std::uint64_t handed = 0, stride = 0;
    std::memcpy(&handed, good.data() + 10 * 8, 8);
    std::memcpy(&stride, good.data() + 5 * 8, 8);
    return static_cast<std::size_t>(handed * stride);
  }();
  Bytes bad = good;
  std::size_t accepted = 0;
  for (std::size_t i = 0; i != checked; ++i)
    for (unsigned bit = 0; bit != 8; ++bit) {
      bad[i] ^= std::byte{1} << bit;
      if (!refused(bad)) ++accepted;
      bad[i] = good[i];
    }
  CHECK(accepted <= 16 * 8);  // the padding in front of the slots
  if (accepted != 0) REQUIRE(pool.load(before).has_value());
  CHECK(world.state() == now);
  for (std::size_t i = checked; i != good.size(); ++i) {  // bytes of objects are anything
    bad[i] ^= std::byte{0xFF};
    EXPECT(pool.load(bad).has_value() && pool.check_invariants());
    bad[i] = good[i];
  }
  CHECK(pool.load(good).has_value());
  CHECK(world.state() == then);
  world.end();
}

TEMPLATE_TEST_CASE("saved state: whatever passes the checksum leaves a pool that holds together", "", StackAllocator,
                   BitmapAllocator) {
  // Entries of the order that no pool has; the checksum made anew.
  using Pool = FixedPool<Unit, TestType, Generations, NoChecks>;
  Pool pool(100);
  World<Pool> world(pool);
  world.play(300, 1);
  Bytes const good = saved(pool);
  auto const now = world.state();
  std::size_t refusals = 0;
  auto const checked_end = [&] {
    std::uint64_t h[15];
    std::memcpy(h, good.data(), sizeof h);
    return static_cast<std::size_t>(sizeof h + (h[8] == 2 ? (h[10] + 63) / 64 * 8 : h[11] * 4));
  }();
  std::uint64_t words = 0;
  std::memcpy(&words, good.data() + 12 * 8, sizeof words);
  std::size_t const words_end = checked_end + words * 4;
  for (std::size_t at = 15 * 8; at + 4 <= checked_end; at += 4) {
    Bytes bad = good;
    std::uint32_t const wild = 0xFFFF'FFF1U;
    std::memcpy(bad.data() + at, &wild, sizeof wild);
    std::uint64_t const sum = detail::SavedHeader::sum(bad.data() + 16, words_end - 16);
    std::memcpy(bad.data() + 8, &sum, sizeof sum);
    auto const result = pool.load(bad);
    refusals += !result.has_value();
    if (!result) EXPECT(result.error().unit == std::string("slots"));
  }
  CHECK(refusals == (checked_end - 15 * 8) / 4);
  CHECK(world.state() == now);
  world.end();
}

#if !FASTALLOC_ASAN  // where slots lie farther apart, entries count other units
TEST_CASE("saved state: each entry of a stack is compared with the last slot") {
  using Pool = FixedPool<Unit, StackAllocator, NoChecks>;
  constexpr std::size_t count = 100, free = 29;
  Pool pool(count);
  for (std::size_t i = 0; i != count; ++i) (void)pool.allocate(unsigned(i)).release();
  for (std::size_t i = 0; i != free; ++i) pool.adopt(pool.object_at(3 * i)).reset();
  Bytes const good = saved(pool);
  constexpr std::uint32_t last = (count - 1) * sizeof(Unit) / 8;  // in granules
  for (std::size_t i = 0; i != free; ++i) {
    for (std::uint32_t const entry : {last, last + 1, last + 100, 0x7FFF'FFFFU, 0x8000'0000U, 0x8000'0000U + last,
                                      0x8000'0001U + last, 0xFFFF'FFFFU}) {
      Bytes bad = good;
      std::memcpy(bad.data() + 15 * 8 + 4 * i, &entry, sizeof entry);
      std::uint64_t const sum = detail::SavedHeader::sum(bad.data() + 16, 13 * 8 + 4 * free);
      std::memcpy(bad.data() + 8, &sum, sizeof sum);
      EXPECT(pool.load(bad).has_value() == (entry == last));
    }
  }
  CHECK(pool.load(good).has_value());
  pool.for_each([&](Unit& object) { pool.adopt(&object).reset(); });
}
#endif

TEST_CASE("saved state: the checksum sees each bit, the length, and words that changed places") {
  Bytes bytes(200);
  for (std::size_t i = 0; i != bytes.size(); ++i) bytes[i] = std::byte(37 * i + 1);
  for (std::size_t size = 0; size != bytes.size(); ++size) {
    std::uint64_t const sum = detail::SavedHeader::sum(bytes.data(), size);
    if (size != 0) EXPECT(sum != detail::SavedHeader::sum(bytes.data(), size - 1));
    for (std::size_t bit = 0; bit != 8 * size; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << bit % 8;
      EXPECT(sum != detail::SavedHeader::sum(bytes.data(), size));
      bytes[bit / 8] ^= std::byte{1} << bit % 8;
    }
    for (std::size_t a = 0; a + 8 <= size; a += 8)
      for (std::size_t b = a + 8; b + 8 <= size; b += 8) {
        std::swap_ranges(bytes.begin() + long(a), bytes.begin() + long(a + 8), bytes.begin() + long(b));
        EXPECT(sum != detail::SavedHeader::sum(bytes.data(), size));
        std::swap_ranges(bytes.begin() + long(a), bytes.begin() + long(a + 8), bytes.begin() + long(b));
      }
  }
}

TEST_CASE("saved state: what differs is named, with both values") {
  FixedPool<Unit, Generations> pool(10);
  (void)pool.allocate(1U).release();
  Bytes const bytes = saved(pool);
  auto const text = [&](auto&& other, std::span<std::byte const> data) {
    auto const result = other.load(data);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::invalid_data);
    CHECK(other.is_empty());
    return result.error().to_string();
  };
  CHECK_THAT(text(FixedPool<Unit, Generations>(11), bytes),
             ContainsSubstring("another capacity") && ContainsSubstring("requested 10 slots, limit 11 slots"));
  CHECK_THAT(text(FixedPool<std::uint64_t, Generations>(10), bytes),
             ContainsSubstring("objects of another size") && ContainsSubstring("requested 16 bytes, limit 8 bytes"));
  CHECK_THAT(text(FixedPool<Unit, Generations>(PoolConfig{.capacity = 10, .alignment = 64}), bytes),
             ContainsSubstring("requested 16 bytes, limit 64 bytes"));
  CHECK_THAT(text(FixedPool<Unit>(10), bytes),
             ContainsSubstring("keys of another size") && ContainsSubstring("requested 30 bits"));
  CHECK_THAT(text(FixedPool<Unit, Generations32>(10), bytes), ContainsSubstring("requested 30 bits, limit 12 bits"));
  CHECK_THAT(text(FixedPool<Unit, Generations, BitmapAllocator>(10), bytes),
             ContainsSubstring("another slot allocator") && ContainsSubstring("limit 2 (order)"));
  FixedPool<Unit, Generations> same(10);
  auto const changed = [&](std::size_t word, std::uint64_t value) {
    Bytes bad = bytes;
    std::memcpy(bad.data() + 8 * word, &value, sizeof value);
    return text(same, bad);
  };
  CHECK_THAT(changed(0, 1), ContainsSubstring("does not begin as saved data does"));
  CHECK_THAT(changed(0, 0x6661'7374'706F'6F6C), ContainsSubstring("the other byte order"));
  CHECK_THAT(changed(2, 7), ContainsSubstring("another format") && ContainsSubstring("requested 7 (version), limit 1"));
  CHECK_THAT(changed(3, 4), ContainsSubstring("words of another size"));
  CHECK_THAT(changed(1, 4), ContainsSubstring("is damaged") && ContainsSubstring("(checksum)"));
  CHECK_THAT(changed(10, 11), ContainsSubstring("requested 11 slots, limit 10 slots"));
  CHECK_THAT(changed(9, 3), ContainsSubstring("is damaged") && ContainsSubstring("requested 3 bytes"));
  CHECK_THAT(text(same, std::span(bytes).first(bytes.size() - 1)),
             ContainsSubstring("it was cut") &&
                 ContainsSubstring("requested " + std::to_string(bytes.size()) + " bytes, limit " +
                                   std::to_string(bytes.size() - 1) + " bytes"));
  CHECK(same.load(bytes).has_value());
  pool.adopt(pool.object_at(0)).reset();
  same.adopt(same.object_at(0)).reset();
}

TEMPLATE_TEST_CASE("saved state: any T by any serialiser", "", (FixedPool<std::string, BitmapAllocator>),
                   (ThreadSafePool<std::string, BitmapAllocator, InlineStorage<40>, Generations>),
                   (GrowingPool<std::string, BitmapAllocator>)
                       MORE_ROWS((FixedPool<std::string, BitmapAllocator, Generations>))) {
  auto const make_pool = [] {
    if constexpr (std::is_default_constructible_v<TestType>) return std::make_unique<TestType>();
    else return std::make_unique<TestType>(40);
  };
  auto const pool = make_pool();
  using Name = std::conditional_t<TestType::has_keys, typename TestType::key_type, std::size_t>;
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 40; ++i) handles.push_back(pool->allocate("object number " + std::to_string(i)));
  for (std::size_t i = 0; i < 40; i += 3) handles[i].reset();
  std::vector<std::pair<Name, std::string>> stream;
  std::as_const(*pool).save_with([&](Name name, std::string const& text) { stream.emplace_back(name, text); });
  CHECK(stream.size() == pool->allocated());

  auto const other = make_pool();
  other->load_with([&](auto build) {
    for (auto const& [name, text] : stream) CHECK(build(name, text) == text);
    CHECK(build.try_build(stream[0].first, "again") == nullptr);
  });
  std::vector<std::pair<Name, std::string>> again;
  other->save_with([&](Name name, std::string const& text) { again.emplace_back(name, text); });
  CHECK(again == stream);
#if FASTALLOC_EXCEPTIONS
  Error const error = test::caught<InvalidConfiguration>([&] { other->load_with([](auto const&) {}); });
  CHECK_THAT(error.to_string(),
             ContainsSubstring("load_with() builds all objects") && ContainsSubstring("allocated 26"));
  auto const third = make_pool();
  CHECK(test::throws<int>([&] {
    third->load_with([&](auto& build) {
      for (auto const& [name, text] : stream) {
        build(name, text);
        if (name == stream[20].first) throw 1;
      }
    });
  }));
  CHECK(third->is_empty());
  CHECK(test::throws<InvalidConfiguration>(
      [&] { third->load_with([&](auto build) { build(stream[1].first, "a"), build(stream[1].first, "b"); }); }));
  CHECK(third->is_empty());
#endif
  other->for_each([&](std::string& text) { other->adopt(&text).reset(); });
}
