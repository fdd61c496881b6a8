// SPDX-License-Identifier: MIT OR Apache-2.0
// required_bytes(n) holds exactly n slots: not one byte less will do, not one byte behind is touched.
#include <fastalloc/fastalloc.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

template <std::size_t Size, std::size_t Align> struct alignas(Align) Sized {
  std::array<unsigned char, Size> bytes;
};

/// Memory whose end lies at a page that nobody may touch, with a page like that in front, too.
class Guarded {
 public:
  Guarded() {
    memory_ = static_cast<std::byte*>(
        ::mmap(nullptr, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
    REQUIRE(::mprotect(memory_, page, PROT_NONE) == 0);
    REQUIRE(::mprotect(memory_ + page + room, page, PROT_NONE) == 0);
  }
  ~Guarded() { ::munmap(memory_, room + 2 * page); }
  Guarded(Guarded const&) = delete;
  Guarded& operator=(Guarded const&) = delete;

  /// `bytes` bytes at a multiple of `alignment`, as near to the guard page as that allows; 0xA5 in all that is left
  /// over.
  std::span<std::byte> pop(std::size_t bytes, std::size_t alignment) {
    std::byte* const end = memory_ + page + room;
    std::size_t const back = (bytes + alignment - 1) / alignment * alignment;
    REQUIRE(back <= room);
    std::memset(end - back, canary, back);
    return {end - back, bytes};
  }
  [[nodiscard]] bool intact(std::span<std::byte> taken) const {
    for (std::byte const* at = taken.data() + taken.size(); at != memory_ + page + room; ++at)
      if (*at != std::byte{canary}) return false;
    return true;
  }

 private:
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t room = std::size_t{256} * page;
  static constexpr unsigned char canary = 0xA5;
  std::byte* memory_ = nullptr;
};

/// Fills the pool to the brim twice, writing to every byte of every object.
template <class Pool> bool holds_exactly(Pool& pool, std::size_t n) {
  using T = typename Pool::value_type;
  bool right = pool.capacity() == n;
  for (int round = 0; round != 2; ++round) {
    std::vector<typename Pool::handle_type> handles;
    while (auto handle = pool.try_allocate()) {
      std::memset(static_cast<void*>(handle.get()), static_cast<int>(handles.size()), sizeof(T));
      right = right && reinterpret_cast<std::uintptr_t>(handle.get()) % alignof(T) == 0;
      handles.push_back(std::move(handle));
    }
    right = right && handles.size() == n;
    for (std::size_t i = 0; i != handles.size(); ++i) {
      auto const* const bytes = reinterpret_cast<unsigned char const*>(handles[i].get());
      right =
          right && bytes[0] == static_cast<unsigned char>(i) && bytes[sizeof(T) - 1] == static_cast<unsigned char>(i);
    }
  }
  return right && pool.check_invariants();
}

template <class Pool> void check_pool(Guarded& memory) {
  for (std::size_t const n : std::initializer_list<std::size_t>{1, 2, 3, 7, 8, 9, 63, 64, 65, 130}) {
    std::size_t const bytes = Pool::required_bytes(n);
    if (bytes > 200 * 4096) continue;
    CAPTURE(sizeof(typename Pool::value_type), alignof(typename Pool::value_type), n, bytes);
    auto const span = memory.pop(bytes, Pool::required_alignment());
    {
      Pool pool(PoolConfig{.capacity = n}, ExternalStorage(span));
      REQUIRE(holds_exactly(pool, n));
    }
    {
      Pool pool(span);  // as many as fit: where rounding left room, some more
      REQUIRE(Pool::required_bytes(pool.capacity()) == bytes);
      REQUIRE(holds_exactly(pool, pool.capacity()));
    }
    REQUIRE(memory.intact(span));
    auto const less = memory.pop(bytes - 1, Pool::required_alignment());
    auto const short_pool = Pool::try_create(PoolConfig{.capacity = n}, ExternalStorage(less));
    REQUIRE_FALSE(short_pool.has_value());
    REQUIRE(memory.intact(less));
    REQUIRE(Pool::required_bytes(n) >= n * sizeof(typename Pool::value_type));
  }
}

template <class Policy, std::size_t... Sizes> void check_sizes(std::index_sequence<Sizes...>) {
  Guarded memory;
  (check_pool<FixedPool<Sized<Sizes + 1, 1>, ExternalStorage, Policy, NoChecks>>(memory), ...);
}

template <class Policy> void check_alignments() {
  Guarded memory;
  check_pool<FixedPool<Sized<2, 2>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<4, 4>, ExternalStorage, Policy, DebugChecks>>(memory);
  check_pool<FixedPool<Sized<20, 4>, ExternalStorage, Policy, FullChecks>>(memory);
  check_pool<FixedPool<Sized<8, 8>, ExternalStorage, Policy, DebugChecks>>(memory);
  check_pool<FixedPool<Sized<24, 8>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<16, 16>, ExternalStorage, Policy, DebugChecks>>(memory);
  check_pool<FixedPool<Sized<32, 32>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<64, 64>, ExternalStorage, Policy, DebugChecks>>(memory);
  check_pool<FixedPool<Sized<300, 128>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<256, 256>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<512, 512>, ExternalStorage, Policy, DebugChecks>>(memory);
  check_pool<FixedPool<Sized<1024, 1024>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<2048, 2048>, ExternalStorage, Policy, NoChecks>>(memory);
  check_pool<FixedPool<Sized<4096, 4096>, ExternalStorage, Policy, DebugChecks>>(memory);
}

}  // namespace

TEMPLATE_TEST_CASE("trap: required_bytes is wrong: small sizes", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  check_sizes<TestType>(std::make_index_sequence<12>{});
}

TEMPLATE_TEST_CASE("trap: required_bytes is wrong: alignments 1 to 4096", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator, LockFree) {
  check_alignments<TestType>();
}

namespace {
// Every size from 1 to 300 bytes, by a configured alignment: the pool of 1-byte objects has strides of all sizes.
template <class Policy, std::size_t Size> void check_configured(Guarded& memory, std::size_t alignment) {
  using Pool = FixedPool<Sized<Size, 1>, ExternalStorage, Policy, NoChecks>;
  for (std::size_t const n : std::initializer_list<std::size_t>{1, 5, 64, 65}) {
    std::size_t const bytes = Pool::required_bytes(n, alignment);
    if (bytes > 200 * 4096) continue;
    CAPTURE(Size, alignment, n, bytes);
    auto const span = memory.pop(bytes, std::max(alignment, Pool::required_alignment()));
    {
      Pool pool(PoolConfig{.capacity = n, .alignment = alignment}, ExternalStorage(span));
      REQUIRE(holds_exactly(pool, n));
      auto const handle = pool.allocate();
      REQUIRE(reinterpret_cast<std::uintptr_t>(handle.get()) % alignment == 0);
    }
    REQUIRE(memory.intact(span));
    auto const less = memory.pop(bytes - 1, std::max(alignment, Pool::required_alignment()));
    REQUIRE_FALSE(
        Pool::try_create(PoolConfig{.capacity = n, .alignment = alignment}, ExternalStorage(less)).has_value());
  }
}
}  // namespace

TEMPLATE_TEST_CASE("trap: required_bytes is wrong: configured alignments", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator, LockFree) {
  Guarded memory;
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    check_configured<TestType, 1>(memory, alignment);
    check_configured<TestType, 24>(memory, alignment);
    check_configured<TestType, 100>(memory, alignment);
  }
}

TEST_CASE("required_bytes: grows with every slot and overflows to SIZE_MAX") {
  using Stack = FixedPool<Sized<1, 1>, ExternalStorage, NoChecks>;
  using Bitmap = FixedPool<Sized<3, 1>, ExternalStorage, BitmapAllocator, DebugChecks>;
  for (std::size_t n = 1; n != 3000; ++n) {
    REQUIRE(Stack::required_bytes(n) <= Stack::required_bytes(n + 1));
    REQUIRE(Bitmap::required_bytes(n) <= Bitmap::required_bytes(n + 1));
  }
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  STATIC_REQUIRE(Stack::required_bytes(most) == most);
  STATIC_REQUIRE(Bitmap::required_bytes(most / 3 + 1) == most);
  STATIC_REQUIRE(Bitmap::required_bytes(most / 4) == most);
  STATIC_REQUIRE(FixedPool<Sized<64, 64>, ExternalStorage>::required_alignment() >= 64);
}

TEMPLATE_TEST_CASE("required_bytes: a span takes as many slots as fit, for every number of bytes", "",
                   (FixedPool<Sized<1, 1>, ExternalStorage, BitmapAllocator, NoChecks>),
                   (FixedPool<Sized<40, 8>, ExternalStorage, FreeListAllocator>),
                   (FixedPool<Sized<1, 1>, ExternalStorage, LockFree, Generations, AtomicStats, DebugChecks>)
                       MORE_ROWS((FixedPool<Sized<1, 1>, ExternalStorage, NoChecks>),
                                 (FixedPool<Sized<3, 1>, ExternalStorage, DebugChecks>),
                                 (FixedPool<Sized<8, 8>, ExternalStorage, BitmapAllocator, DebugChecks>),
                                 (FixedPool<Sized<40, 8>, ExternalStorage, LockFree>))) {
  alignas(16) static std::byte buffer[4096];
  for (std::size_t bytes = TestType::required_bytes(1); bytes <= sizeof buffer; ++bytes) {
    TestType const pool(std::span(buffer, bytes));
    std::size_t const n = pool.capacity();
    REQUIRE(TestType::required_bytes(n) <= bytes);
    REQUIRE(TestType::required_bytes(n + 1) > bytes);
  }
}

TEST_CASE("trap: a misaligned or small buffer is refused") {
  using Pool = FixedPool<Sized<64, 64>, ExternalStorage>;
  alignas(64) static std::byte buffer[8192];
  for (std::size_t const offset : std::initializer_list<std::size_t>{1, 2, 8, 16, 32, 63}) {
    auto const result = Pool::try_create(PoolConfig{.capacity = 4}, ExternalStorage(std::span(buffer).subspan(offset)));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::invalid_alignment);
    CHECK(result.error().requested == 64);
    CHECK(result.error().address == buffer + offset);
    CHECK_THAT(result.error().to_string(), ContainsSubstring("requested 64 bytes") && ContainsSubstring("align it"));
  }
  CHECK(Pool::try_create(PoolConfig{.capacity = 4}, ExternalStorage(std::span(buffer).subspan(64))).has_value());
  for (std::size_t const bytes : {std::size_t{0}, std::size_t{1}, Pool::required_bytes(4) - 1}) {
    auto const result = Pool::try_create(PoolConfig{.capacity = 4}, ExternalStorage(std::span(buffer, bytes)));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::invalid_configuration);
    CHECK(result.error().requested == Pool::required_bytes(4));
    CHECK(result.error().limit == bytes);
    CHECK_THAT(result.error().to_string(), ContainsSubstring("too small") && ContainsSubstring("required_bytes"));
  }
  CHECK_FALSE(Pool::try_create(PoolConfig{.capacity = 1}, ExternalStorage(std::span<std::byte>())).has_value());
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(Pool(std::span<std::byte>()), InvalidConfiguration);
  CHECK_THROWS_AS(Pool(std::span(buffer).subspan(1)), InvalidConfiguration);
  CHECK_THROWS_AS(Pool(std::span(buffer, 63)), InvalidConfiguration);
#endif
}
