// SPDX-License-Identifier: MIT OR Apache-2.0
// One process that maps the same memory twice: each mapping has a pool of its own, as in two processes. Who may attach
// to what, what is said where that fails, and what the end of each does.
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "concurrency/memory/shared_memory.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;
using test::Item;
using test::Mapping;
using test::Memory;

#define NEEDS(memory)                                             \
  if (!(memory).usable()) {                                       \
    WARN("no memory that processes share is permitted: skipped"); \
    return;                                                       \
  }

namespace {

using Pool = FixedPool<Item, ExternalStorage, LockFree, Generations, AtomicStats, FullChecks>;

/// What attaching fails with; "" where it does not.
template <class P, class... Config> Error attach_error(std::span<std::byte> bytes, Config const&... config) {
  auto const result = P::try_create(config..., ExternalStorage::attach(bytes));
  return result ? Error{} : result.error();
}
std::string text(Error const& error) { return error.to_string(); }

/// Statistics that try to attach when they are made: the pool is half made then.
struct Watching {
  static constexpr bool enabled = true, is_thread_safe = true;
  Watching() noexcept {
    said() = FixedPool<Item, ExternalStorage, LockFree, NoChecks, Watching>::try_create(ExternalStorage::attach(span()))
                 .error()
                 .text;
  }
  static std::string& said() {
    static std::string text;
    return text;
  }
  static std::span<std::byte>& span() {
    static std::span<std::byte> bytes;
    return bytes;
  }
  void allocated(std::size_t) noexcept {}
  void withdrawn() noexcept {}
  void failed() noexcept {}
  void grown() noexcept {}
  void note_peak(std::size_t) noexcept {}
  void fill(PoolStatistics&) const noexcept {}
  void reset(std::size_t) noexcept {}
};

struct Wide : Item {
  using Item::Item;
  std::uint64_t more = 0;
};

}  // namespace

TEST_CASE("shared memory: two mappings in one process are one pool") {
  constexpr std::size_t capacity = 10;
  Memory const memory(Pool::required_bytes(capacity));
  NEEDS(memory);
  Mapping const one = memory.map();
  Mapping const two = memory.map();
  REQUIRE(one.data() != two.data());
  Pool first(PoolConfig{.capacity = capacity}, ExternalStorage(one.pool().first(Pool::required_bytes(capacity))));
  Pool second(ExternalStorage::attach(two.pool()));
  CHECK(second.capacity() == capacity);

  // Slots that were never handed out, some that came back, from either side: each only once.
  for (int round = 0; round != 3; ++round) {
    std::vector<Pool::handle_type> handles;
    bool seen[capacity] = {};
    for (std::size_t i = 0; i != capacity; ++i) {
      Pool& pool = i % 2 == 0 ? first : second;
      Pool& other = i % 2 == 0 ? second : first;
      handles.push_back(pool.allocate(i));
      std::size_t const index = pool.index_of(handles.back());
      REQUIRE(index < capacity);
      CHECK_FALSE(seen[index]);
      seen[index] = true;
      // Found from the other side, at another address; AddressSanitizer does not object.
      Item const* const there = std::as_const(other).object_at(index);
      REQUIRE(there != nullptr);
      CHECK(other.owns(there));
      CHECK_FALSE(pool.owns(there));
      CHECK(there->index == i);
      CHECK(there->is_whole());
      Key const key = pool.key(handles.back());
      CHECK(other.get(key) == there);
      CHECK(other.key(there) == key);
      CHECK(other.allocated() == i + 1);
    }
    CHECK(first.try_allocate(std::uint64_t{0}) == nullptr);
    CHECK(second.try_allocate(std::uint64_t{0}) == nullptr);
    for (Pool* pool : {&first, &second}) {
      std::size_t met = 0;
      pool->for_each([&](Item& item) { met += item.is_whole() ? 1U : 0U; });
      CHECK(met == capacity);
    }
    std::vector<Key> keys;
    for (auto& handle : handles) keys.push_back((first.owns(handle.get()) ? first : second).key(handle));
    // Given back on the side where they were not built.
    for (std::size_t i = 0; i != handles.size(); ++i) {
      Pool& other = i % 2 == 0 ? second : first;
      std::size_t const index = (i % 2 == 0 ? first : second).index_of(handles[i]);
      (void)handles[i].release();
      other.adopt(other.object_at(index)).reset();
    }
    for (Key const key : keys) CHECK_FALSE((first.contains(key) || second.contains(key)));
    CHECK(first.is_empty());
    CHECK((first.check_invariants() && second.check_invariants()));
  }
  // Statistics are the pool's, whoever did what.
  CHECK(first.statistics().total_allocations == 3 * capacity);
  CHECK(second.statistics().total_deallocations == 3 * capacity);
  CHECK(first.statistics().allocation_failures == 6);
  CHECK(second.statistics().peak_usage == capacity);
  second.reset_statistics();
  CHECK(first.statistics().total_allocations == 0);
}

TEST_CASE("shared memory: checks are those of the pool, on both sides") {
  Memory const memory(Pool::required_bytes(4));
  NEEDS(memory);
  Mapping const one = memory.map();
  Mapping const two = memory.map();
  Pool first(PoolConfig{.capacity = 4}, ExternalStorage(one.pool()));
  auto handle = first.allocate(std::uint64_t{1});
  Pool second(ExternalStorage::attach(two.pool()));  // with marks as they are
  test::RecordedErrors errors;

  SECTION("an index that is none") {
    CHECK(second.object_at(4) == nullptr);
    REQUIRE(errors.count() == 1);
    CHECK_THAT(text(errors.last()),
               ContainsSubstring("no slot of the requested index") && ContainsSubstring("requested 4 (index)"));
    CHECK(errors.last().code == ErrorCode::invalid_handle);
    CHECK(second.object_at(static_cast<std::size_t>(-1)) == nullptr);
  }
  SECTION("a slot that is not in use") {
    CHECK(second.object_at(3) == nullptr);
    REQUIRE(errors.count() == 1);
    CHECK(errors.last().code == ErrorCode::double_free);
    CHECK(second.adopt(second.object_at(3)) == nullptr);
  }
  SECTION("a double free, once on each side") {
    Item* const here = handle.release();
    auto there = second.adopt(second.object_at(0));
    there.reset();
    CHECK(errors.count() == 0);
    CHECK(first.adopt(here) == nullptr);
    CHECK(errors.count() == 1);
  }
  SECTION("a write to a dead object from the other side") {
    Item* const there = second.object_at(0);
    handle.reset();
#if FASTALLOC_ASAN
    detail::unpoison(there, sizeof *there);
#endif
    there->word = 1;
    handle = first.allocate(std::uint64_t{1});
    REQUIRE(errors.count() == 1);
    CHECK_THAT(text(errors.last()), ContainsSubstring("a free slot was written to"));
  }
}

TEST_CASE("shared memory: without checks an index that is none gives null") {
  using Unchecked = FixedPool<Item, NoChecks>;
  Unchecked pool(3);
  auto const handle = pool.allocate(std::uint64_t{9});
  CHECK(pool.object_at(pool.index_of(handle)) == handle.get());
  CHECK(pool.object_at(3) == nullptr);
  FixedPool<Item, NoChecks, InlineStorage<2>> lazy;
  CHECK(lazy.object_at(0) == nullptr);
}

TEST_CASE("shared memory: where there is nothing to attach to") {
  alignas(64) std::byte bytes[Pool::required_bytes(4)] = {};
  std::span const span(bytes);
  CHECK(attach_error<Pool>(span).code == ErrorCode::invalid_configuration);
  CHECK_THAT(text(attach_error<Pool>(span)), ContainsSubstring("the span holds no pool (yet)"));
  std::memset(bytes, 0xFF, sizeof bytes);
  CHECK_THAT(text(attach_error<Pool>(span)), ContainsSubstring("the span holds no pool (yet)"));
  CHECK_THAT(text(attach_error<Pool>(span, PoolConfig{.capacity = 4})),
             ContainsSubstring("the span holds no pool (yet)"));
  CHECK_THAT(text(attach_error<Pool>(span.first(40))), ContainsSubstring("too small to hold a pool"));
  CHECK_THAT(text(attach_error<Pool>({})), ContainsSubstring("too small to hold a pool"));
  CHECK_THAT(text(attach_error<Pool>(span.subspan(1))),
             ContainsSubstring("does not begin where a pool could have been created"));
  auto const* const first = reinterpret_cast<unsigned char const*>(bytes);
  CHECK(first[0] == 0xFF);  // who looks writes nothing
  {
    Pool const pool(PoolConfig{.capacity = 4}, ExternalStorage(span));
    CHECK(attach_error<Pool>(span).text == std::string());
    CHECK_THAT(text(attach_error<Pool>(span.subspan(64))), ContainsSubstring("the span holds no pool"));
    // Fewer bytes than it was created in.
    CHECK_THAT(text(attach_error<Pool>(span.first(span.size() - 1))), ContainsSubstring("the span is too small"));
  }
  CHECK_THAT(text(attach_error<Pool>(span)), ContainsSubstring("destroyed by the process that created it"));
  // A pool that could not be made is none to attach to.
  CHECK_FALSE(Pool::try_create(PoolConfig{.capacity = 400}, ExternalStorage(span)).has_value());
  CHECK_THAT(text(attach_error<Pool>(span)), ContainsSubstring("destroyed by the process that created it"));
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(Pool(ExternalStorage::attach(span)), InvalidConfiguration);
#endif
}

TEST_CASE("shared memory: while the pool is being created nobody attaches") {
  using Watched = FixedPool<Item, ExternalStorage, LockFree, NoChecks, Watching>;
  alignas(64) std::byte bytes[Watched::required_bytes(4)] = {};
  Watching::span() = bytes;
  Watched const pool(PoolConfig{.capacity = 4}, ExternalStorage(std::span(bytes)));
  CHECK_THAT(Watching::said(), ContainsSubstring("still being created"));
  CHECK(Watched::try_create(ExternalStorage::attach(bytes)).has_value());
}

TEST_CASE("shared memory: a pool that differs is refused, and what differs is said") {
  alignas(4096) static std::byte bytes[20'000] = {};
  std::span const span(bytes);
  Pool pool(PoolConfig{.capacity = 4, .alignment = 64}, ExternalStorage(span));
  auto const handle = pool.allocate(std::uint64_t{3});

  CHECK_THAT(text(attach_error<FixedPool<Wide, ExternalStorage, LockFree, Generations, AtomicStats, FullChecks>>(span)),
             ContainsSubstring("slots of another size") && ContainsSubstring("requested 32 bytes, limit 24 bytes"));
  CHECK_THAT(text(attach_error<Pool>(span, PoolConfig{.capacity = 5, .alignment = 64})),
             ContainsSubstring("another capacity") && ContainsSubstring("requested 5 slots, limit 4 slots"));
  CHECK_THAT(text(attach_error<Pool>(span, PoolConfig{.capacity = 4, .alignment = 128})),
             ContainsSubstring("another alignment") && ContainsSubstring("requested 128 bytes, limit 64 bytes"));
  CHECK_THAT(text(attach_error<Pool>(span, PoolConfig{.capacity = 4})), ContainsSubstring("another alignment"));
  CHECK_THAT(text(attach_error<FixedPool<Item, ExternalStorage, LockFree, AtomicStats, FullChecks>>(span)),
             ContainsSubstring("keys of another size") && ContainsSubstring("limit 30 bits"));
  CHECK_THAT(
      text(attach_error<FixedPool<Item, ExternalStorage, LockFree, BasicGenerations<29>, AtomicStats, FullChecks>>(
          span)),
      ContainsSubstring("keys of another size") && ContainsSubstring("requested 29 bits, limit 30 bits"));
  CHECK_THAT(text(attach_error<FixedPool<Item, ExternalStorage, LockFree, Generations, AtomicStats, NoChecks>>(span)),
             ContainsSubstring("another checks policy"));
  CHECK_THAT(
      text(attach_error<FixedPool<Item, ExternalStorage, LockFree, Generations, AtomicStats, DebugChecks>>(span)),
      ContainsSubstring("another checks policy"));
  CHECK_THAT(text(attach_error<FixedPool<Item, ExternalStorage, LockFree, Generations, FullChecks>>(span)),
             ContainsSubstring("other statistics"));

  // By another version, or a program with other words.
  auto const differs = [&](std::size_t offset) {
    auto& number = reinterpret_cast<unsigned char&>(bytes[offset]);
    ++number;
    std::string const said = text(attach_error<Pool>(span));
    --number;
    return said;
  };
  CHECK_THAT(differs(8), ContainsSubstring("another version of fastalloc"));
  CHECK_THAT(differs(16), ContainsSubstring("with words of another size"));
  CHECK_THAT(differs(24), ContainsSubstring("swaps words of another size"));
  CHECK_THAT(differs(0), ContainsSubstring("destroyed by the process"));

  // None of them changed anything.
  CHECK(pool.allocated() == 1);
  CHECK(handle->is_whole());
  CHECK(pool.check_invariants());
  Pool const same(PoolConfig{.capacity = 4, .alignment = 64}, ExternalStorage::attach(span));
  Pool const as_it_is(ExternalStorage::attach(span));
  CHECK((same.allocated() == 1 && as_it_is.allocated() == 1));
}

TEST_CASE("shared memory: capacity and alignment are found, whatever they were") {
  alignas(4096) static std::byte bytes[60'000] = {};
  struct Odd {
    char text[3];
  };
  using Odds = FixedPool<Odd, ExternalStorage, LockFree, NoChecks>;
  for (std::size_t const alignment : {0U, 1U, 2U, 4U, 8U, 16U, 64U, 1024U, 4096U})
    for (std::size_t const capacity : {1U, 2U, 7U}) {
      std::span const span(bytes, Odds::required_bytes(capacity, alignment));
      Odds first(PoolConfig{.capacity = capacity, .alignment = alignment}, ExternalStorage(span));
      Odds second(ExternalStorage::attach(bytes));
      CHECK(second.capacity() == capacity);
      std::vector<Odds::handle_type> handles;
      while (auto handle = (handles.size() % 2 == 0 ? first : second).try_allocate())
        handles.push_back(std::move(handle));
      CHECK(handles.size() == capacity);
      for (auto const& handle : handles) CHECK(first.object_at(second.index_of(handle)) == handle.get());
    }
}

TEST_CASE("shared memory: pages of an attached pool are not touched in advance") {
  alignas(64) std::byte bytes[Pool::required_bytes(8)] = {};
  Pool first(PoolConfig{.capacity = 8}, ExternalStorage(std::span(bytes)));
  auto const handle = first.allocate(std::uint64_t{77});
  Pool const second(PoolConfig{.capacity = 8, .pre_initialize = true}, ExternalStorage::attach(bytes));
  CHECK(handle->is_whole());
  CHECK(second.allocated() == 1);
}

TEST_CASE(
    "shared memory: the end of one that attached says and changes nothing; that of the creator reports what lives") {
  Memory const memory(Pool::required_bytes(4));
  NEEDS(memory);
  Mapping const one = memory.map();
  Mapping const two = memory.map();
  test::RecordedErrors errors;
  std::optional<Pool> first(std::in_place, PoolConfig{.capacity = 4}, ExternalStorage(one.pool()));
  auto handle = first->allocate(std::uint64_t{1});
  Key const key = first->key(handle);
  {
    Pool second(ExternalStorage::attach(two.pool()));
    (void)second.allocate(std::uint64_t{2}).release();
  }
  CHECK(errors.count() == 0);
  CHECK(first->allocated() == 2);
  CHECK(handle->is_whole());

  Pool third(ExternalStorage::attach(two.pool()));
  (void)handle.release();
  first.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::live_handles);
  CHECK(errors.last().allocated == 2);
  // Who is attached goes on.
  CHECK(attach_error<Pool>(two.pool()).code == ErrorCode::invalid_configuration);
  REQUIRE(third.get(key) != nullptr);
  CHECK(third.get(key)->is_whole());
  third.adopt(third.get(key)).reset();
  CHECK(third.allocate(std::uint64_t{3}) != nullptr);
  CHECK(third.allocated() == 1);
  CHECK(third.check_invariants());
}

TEST_CASE("shared memory: the end of a pool says nothing about one that was created in its place") {
  using Bare = FixedPool<Item, ExternalStorage, LockFree, NoChecks>;
  alignas(64) std::byte bytes[Bare::required_bytes(3)] = {};
  std::optional<Bare> old(std::in_place, std::span(bytes));
  Bare pool{std::span(bytes)};
  old.reset();
  auto const handle = pool.allocate(std::uint64_t{1});
  REQUIRE(Bare::try_create(ExternalStorage::attach(bytes)).has_value());
  CHECK(Bare(ExternalStorage::attach(bytes)).allocated() == 1);
}

TEST_CASE("shared memory: a pool that cannot be shared does not take the memory of one that is there") {
  using Single = FixedPool<Item, ExternalStorage, NoChecks>;
  alignas(64) std::byte bytes[Pool::required_bytes(8)] = {};
  Pool pool(PoolConfig{.capacity = 8}, ExternalStorage(std::span(bytes)));
  auto const handle = pool.allocate(std::uint64_t{5});
  ExternalStorage const there = ExternalStorage::attach(bytes);  // the compiler knows no more that it attaches
  auto const result = Single::try_create(PoolConfig{.capacity = 2}, there);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::invalid_configuration);
  CHECK_THAT(text(result.error()), ContainsSubstring("cannot attach to one that is there"));
  CHECK(handle->is_whole());
  CHECK(Pool::try_create(PoolConfig{.capacity = 8}, there).has_value());
  CHECK(pool.check_invariants());
}

namespace {

/// LockFree as it is where no more than 32 bits can be swapped.
struct NarrowSlots {
  static constexpr bool can_be_joined = true;
  template <class Shape> using Slots = detail::TaggedList<Shape, 0, detail::DoNotPause, std::uint32_t>;
};
struct NarrowLockFree : LockFree {
  using slot_allocator = NarrowSlots;
};

}  // namespace

TEST_CASE("shared memory: of a span with room for more slots than can be numbered, as many as can") {
  using Narrow = FixedPool<std::uint32_t, ExternalStorage, NarrowLockFree, NoChecks>;
  constexpr std::size_t most = 65'535;
  std::vector<std::uint64_t> bytes(Narrow::required_bytes(most) / 8 + 2000);
  auto const span = std::as_writable_bytes(std::span(bytes));
  {
    Narrow pool(span);
    CHECK(pool.capacity() == most);
  }
  auto const more = Narrow::try_create(PoolConfig{.capacity = most + 1}, ExternalStorage(span));
  REQUIRE_FALSE(more.has_value());
  CHECK(more.error().limit == most);
}

#if FASTALLOC_ASAN
TEST_CASE("shared memory: the end of a pool uncovers nothing behind its span") {
  using Bare = FixedPool<Item, ExternalStorage, LockFree, NoChecks>;
  using Single = FixedPool<Item, ExternalStorage, NoChecks>;
  alignas(64) static std::byte bytes[4096];
  auto const test = [&](std::size_t size, auto make) {
    std::size_t const behind = (size + 7) / 8 * 8;
    detail::poison(bytes + behind, 128);
    make(std::span(bytes, size));
    CHECK(__asan_region_is_poisoned(bytes, behind) == nullptr);
    for (std::size_t i = behind; i != behind + 128; ++i)
      if (__asan_address_is_poisoned(bytes + i) == 0)
        FAIL_CHECK("byte " << i - behind << " behind the span is uncovered");
    detail::unpoison(bytes, sizeof bytes);
  };
  test(Bare::required_bytes(8), [](std::span<std::byte> span) { Bare const pool(span); });
  test(Pool::required_bytes(8), [](std::span<std::byte> span) { Pool const pool(span); });
  test(Single::required_bytes(8), [](std::span<std::byte> span) { Single const pool(span); });
}
#endif

TEST_CASE("shared memory: generations are used up for all") {
  using Once = FixedPool<Item, ExternalStorage, LockFree, BasicGenerations<1>, NoChecks>;
  alignas(64) std::byte bytes[Once::required_bytes(1)] = {};
  Once first(PoolConfig{.capacity = 1}, ExternalStorage(std::span(bytes)));
  Once second(ExternalStorage::attach(bytes));
  for (int i = 0; i != 4; ++i) {
    Once& pool = i % 2 == 0 ? first : second;
    auto const handle = pool.allocate(std::uint64_t{1});
    CHECK(static_cast<bool>(pool.key(handle)) == (i == 0));
    CHECK((first.is_full() && second.is_full()));
  }
  CHECK((first.capacity() == 1 && second.available() == 1));
}

TEST_CASE("shared memory: a pool in a mapped file is found again by a later run, after an ordinary end") {
  using Stored = FixedPool<Item, ExternalStorage, LockFree, Generations>;
  constexpr std::size_t capacity = 100;
  Memory const file(Stored::required_bytes(capacity));  // stays, as a file does
  NEEDS(file);
  std::vector<std::uint64_t> written;  // keys, as the program itself may have stored them
  for (std::uint64_t run = 0; run != 4; ++run) {
    Mapping const mapping = file.map();
    auto const bytes = mapping.pool().first(Stored::required_bytes(capacity));
    // NoDestructor: the run ends without the pool's destructor, which would report the objects and close the pool.
    std::optional<NoDestructor<Stored>> pool;
    if (run == 0) pool.emplace(PoolConfig{.capacity = capacity}, ExternalStorage(bytes));
    else pool.emplace(ExternalStorage::attach(bytes));
    CHECK((*pool)->allocated() == written.size());
    for (std::uint64_t const value : written) {
      Item* const item = (*pool)->get(Key::from_value(value));
      REQUIRE(item != nullptr);
      CHECK(item->is_whole());
      CHECK((*pool)->key(item).value() == value);
    }
    if (run == 3) {
      for (std::uint64_t const value : written) (*pool)->adopt((*pool)->get(Key::from_value(value))).reset();
      CHECK((*pool)->is_empty());
      CHECK((*pool)->check_invariants());
      continue;
    }
    for (int i = 0; i != 10; ++i) {
      auto item = (*pool)->allocate(run * 10);
      written.push_back((*pool)->key(item).value());
      (void)item.release();
    }
    (*pool)->adopt((*pool)->get(Key::from_value(written[run]))).reset();
    CHECK_FALSE((*pool)->contains(Key::from_value(written[run])));
    written.erase(written.begin() + static_cast<std::ptrdiff_t>(run));
  }
}
