// SPDX-License-Identifier: MIT OR Apache-2.0
// DebugChecks and FullChecks: what they notice, what they fill in, and that the pool is unchanged after each mistake.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

using test::Tracked;

struct Wide {
  std::uint64_t words[4];
};

/// What handles do when a pointer is no good: the error is `code`, and nothing changed.
template <class Pool>
void check_refused(Pool& pool, typename Pool::value_type* object, ErrorCode code, char const* part) {
  test::RecordedErrors errors;
  std::size_t const allocated = pool.allocated();
  std::size_t const destroyed = test::ledger().destroyed();
  auto handle = pool.adopt(object);
  CHECK_FALSE(static_cast<bool>(handle));
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == code);
  CHECK(errors[0].address == object);
  CHECK_FALSE(errors[0].type_name.empty());
  CHECK_THAT(errors[0].to_string(), ContainsSubstring(part) && ContainsSubstring("address 0x"));
  CHECK(pool.allocated() == allocated);
  CHECK(test::ledger().destroyed() == destroyed);
  CHECK(pool.check_invariants());
}

}  // namespace

#define CHECKED_POOLS                                                                                                    \
  (FixedPool<Tracked, DebugChecks>), (FixedPool<Tracked, FullChecks, FreeListAllocator>),                                \
      (FixedPool<Tracked, FullChecks, BitmapAllocator, BasicStats>), (FixedPool<Tracked, DebugChecks, MutexLock, InlineStorage<8>>), \
      (GrowingPool<Tracked, FullChecks, BasicStats>), (GrowingPool<Tracked, FullChecks, FreeListAllocator>),             \
      (GrowingPool<Tracked, DebugChecks, BitmapAllocator>)

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: twice", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  auto keep = pool.allocate(1U);
  Tracked* const object = pool.allocate(2U).release();
  pool.adopt(object).reset();
  check_refused(pool, object, ErrorCode::double_free, "returned before");
  CHECK(pool.allocated() == 1);
  auto again = pool.allocate(3U);  // whether or not it is the same slot
  CHECK((again->value() == 3 && keep->value() == 1));
}

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: a handle for an object that is back", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  Tracked* const object = pool.allocate(2U).release();
  auto first = pool.adopt(object);
  auto second = pool.adopt(object);  // two owners: the second one to return it is noticed
  test::RecordedErrors errors;
  first.reset();
  CHECK(errors.count() == 0);
  second.reset();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::double_free);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEMPLATE_TEST_CASE("trap: a free that corrupts counters: foreign and interior pointers", "", CHECKED_POOLS) {
  test::Audit const audit;
  TestType pool(8);
  TestType other(8);
  auto const keep = pool.allocate(1U);
  auto theirs = other.allocate(2U);
  Tracked local(3);
  check_refused(pool, &local, ErrorCode::invalid_handle, "not from this pool");
  check_refused(pool, theirs.get(), ErrorCode::invalid_handle, "not from this pool");
  auto* const inside = reinterpret_cast<Tracked*>(reinterpret_cast<char*>(keep.get()) + 8);
  check_refused(pool, inside, ErrorCode::invalid_handle, "middle of a slot");
  auto* const before = reinterpret_cast<Tracked*>(reinterpret_cast<std::uintptr_t>(keep.get()) - 4096 * 4096);
  check_refused(pool, before, ErrorCode::invalid_handle, "not from this pool");
  CHECK(pool.allocated() == 1);
  CHECK(other.allocated() == 1);
}

TEST_CASE("checks: a slot that was never handed out is not in use either") {
  test::Audit const audit;
  FixedPool<Tracked, DebugChecks> pool(8);
  auto const first = pool.allocate(1U);
  check_refused(pool, first.get() + 1, ErrorCode::double_free, "not in use");
}

TEST_CASE("checks: null is an empty handle, without a report") {
  test::RecordedErrors const errors;
  FixedPool<int, FullChecks> pool(2);
  CHECK(pool.adopt(nullptr) == nullptr);
  CHECK(errors.count() == 0);
}

TEST_CASE("checks: the default handler ends the program at a double free") {
  auto const ending = test::run_in_child([] {
    FixedPool<int, DebugChecks> pool(2);
    int* const object = pool.allocate(1).release();
    pool.adopt(object).reset();
    (void)pool.adopt(object);
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("double_free") && ContainsSubstring("type int") && ContainsSubstring("indices 0"));
}

#if !FASTALLOC_ASAN  // under AddressSanitizer the write itself ends the program: traps/address_sanitizer.cpp
TEMPLATE_TEST_CASE("checks: FullChecks notices writes to free slots", "", (FixedPool<Wide, FullChecks>),
                   (FixedPool<Wide, FullChecks, FreeListAllocator>), (FixedPool<Wide, FullChecks, BitmapAllocator>),
                   (GrowingPool<Wide, FullChecks>), (GrowingPool<Wide, FullChecks, FreeListAllocator>)) {
  TestType pool(4);
  Wide* const stale = pool.allocate().get();  // its handle is gone at once
  test::RecordedErrors errors;
  {
    auto const untouched = pool.allocate();
    CHECK(untouched.get() == stale);
    CHECK(errors.count() == 0);
  }
  stale->words[3] ^= 1;
  auto const handle = pool.allocate();
  REQUIRE(errors.count() == 1);
  CHECK(errors[0].code == ErrorCode::invalid_handle);
  CHECK(errors[0].address == stale);
  CHECK_THAT(errors[0].to_string(), ContainsSubstring("written to"));
  CHECK(pool.allocated() == 1);
}
#endif

TEMPLATE_TEST_CASE("checks: FullChecks raises no false alarm", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  test::RecordedErrors const errors;
  auto const churn = [](auto pool_of) {
    auto const pool = pool_of();
    std::vector<typename std::remove_reference_t<decltype(*pool)>::handle_type> handles;
    for (int round = 0; round != 3; ++round) {
      for (int i = 0; i != 50; ++i) handles.push_back(pool->allocate());
      for (std::size_t i = 0; i != handles.size(); i += 2) handles[i].reset();
      for (std::size_t i = 0; i != handles.size(); i += 2) handles[i] = pool->allocate();
      handles.clear();
    }
    CHECK(pool->check_invariants());
  };
  struct Odd {
    char bytes[13];
  };
  churn([] { return std::make_unique<FixedPool<char, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<Odd, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<std::uint32_t, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<std::uint64_t, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<FixedPool<Wide, FullChecks, TestType>>(50); });
  churn([] { return std::make_unique<GrowingPool<char, FullChecks, TestType>>(2); });
  churn([] { return std::make_unique<GrowingPool<Odd, FullChecks, TestType>>(2); });
  churn([] { return std::make_unique<GrowingPool<Wide, FullChecks, TestType>>(2); });
  CHECK(errors.count() == 0);
}

namespace {
// Its constructor leaves the bytes as they are; reading them is what the test is about.
struct Raw {
  Raw() noexcept {}  // NOLINT
  unsigned char bytes[64];
};

#if defined(__GNUC__)
__attribute__((noinline))
#endif
std::string
bytes_at(void const* address, std::size_t count) {
  std::string copy(count, '\0');
  for (std::size_t i = 0; i != count; ++i) copy[i] = static_cast<char const volatile*>(address)[i];
  return copy;
}
}  // namespace

TEMPLATE_TEST_CASE("trap: dead-store elimination: the fill of a new object is really there", "", DebugChecks, FullChecks) {
  FixedPool<Raw, TestType> pool(2);
  for (int round = 0; round != 3; ++round) {
    auto const handle = pool.allocate();
    CHECK(bytes_at(handle.get(), sizeof(Raw)) == std::string(sizeof(Raw), '\xCD'));
    std::memset(handle->bytes, 1, sizeof handle->bytes);
  }
}

#if !FASTALLOC_ASAN
TEMPLATE_TEST_CASE("trap: dead-store elimination: the fill of a dead object is really there", "", StackAllocator, BitmapAllocator) {
  FixedPool<Raw, DebugChecks, TestType> pool(2);
  auto handle = pool.allocate();
  void const* const address = handle.get();
  std::memset(handle->bytes, 1, sizeof handle->bytes);
  handle.reset();
  CHECK(bytes_at(address, sizeof(Raw)) == std::string(sizeof(Raw), '\xDD'));
}
#endif

TEST_CASE("checks: kept objects are not filled over") {
  auto pool = FixedPool<std::string, FullChecks, Recycle<std::string (*)(), void (*)(std::string&)>>(
      PoolConfig{.capacity = 3}, recycle(+[] { return std::string(200, 'k'); }, +[](std::string&) {}));
  void const* const first = pool.allocate().get();
  auto const again = pool.allocate();
  CHECK(again.get() == first);
  CHECK(*again == std::string(200, 'k'));
}

#if !FASTALLOC_ASAN
TEST_CASE("checks: a slot whose generations are used up is filled as any other") {
  using Pool = FixedPool<std::uint64_t, ExternalStorage, BasicGenerations<1>, FullChecks>;
  alignas(Pool::required_alignment()) std::byte memory[Pool::required_bytes(2)];
  Pool pool{std::span<std::byte>(memory)};
  auto handle = pool.allocate(0x0123456789ABCDEFU);
  auto const* const bytes = reinterpret_cast<unsigned char const*>(handle.get());
  (void)pool.key(handle);
  handle.reset();
  for (std::size_t i = 0; i != sizeof(std::uint64_t); ++i) CHECK(bytes[i] == detail::fill_dead);
}
#endif
