// SPDX-License-Identifier: MIT OR Apache-2.0
// Traps around pages: a pool that was built but not used costs next to no memory.
#include <fastalloc/fastalloc.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "support/catch.hpp"

using namespace fastalloc;

namespace {

[[maybe_unused]] constexpr std::size_t gibibyte = std::size_t{1} << 30;
[[maybe_unused]] constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct Line {
  std::uint64_t words[8];
};

/// Pages of fresh memory, as the kernel hands them out; counts which of them were touched.
struct PageMap {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t) noexcept {
    void* const block =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) return nullptr;
    (void)::madvise(block, bytes, MADV_NOHUGEPAGE);
    last = static_cast<unsigned char*>(block);
    last_bytes = bytes;
    return block;
  }
  void release(void* block, std::size_t bytes, std::size_t) noexcept { ::munmap(block, bytes); }

  [[nodiscard]] static std::size_t touched_pages() {
    std::vector<unsigned char> in_core((last_bytes + 4095) / 4096);
    REQUIRE(::mincore(last, last_bytes, in_core.data()) == 0);
    std::size_t count = 0;
    for (unsigned char const page : in_core) count += page & 1;
    return count;
  }
  static inline unsigned char* last = nullptr;
  static inline std::size_t last_bytes = 0;
};

}  // namespace

#if !FASTALLOC_ASAN  // whose shadow of a gibibyte is memory of its own
#if defined(__linux__)
namespace {
std::size_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  unsigned long total = 0;
  unsigned long resident = 0;
  int const read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  REQUIRE(read == 2);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}
}  // namespace

TEMPLATE_TEST_CASE("trap: links written into untouched slots: a pool of 1 GiB", "",
                   (FixedPool<Line, StackAllocator, NoChecks>), (FixedPool<Line, BitmapAllocator, NoChecks>),
                   (GrowingPool<Line, FreeListAllocator, NoChecks>)MORE_ROWS(
                       (FixedPool<Line, FreeListAllocator, NoChecks>), (GrowingPool<Line, StackAllocator, NoChecks>),
                       (GrowingPool<Line, BitmapAllocator, NoChecks>))) {
  std::size_t const before = resident_bytes();
  TestType pool(gibibyte / sizeof(Line));
  std::size_t const after = resident_bytes();
  CHECK(after < before + mebibyte);
  CHECK(pool.available() == gibibyte / sizeof(Line));
}
#endif

TEMPLATE_TEST_CASE("trap: links written into untouched slots: building touches no slot", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  constexpr std::size_t slots = 64 * mebibyte / sizeof(Line);
  {
    FixedPool<Line, TestType, NoChecks, PageMap> pool(slots);
    CHECK(PageMap::touched_pages() <= 8);  // the bitmap's summary levels at most
    std::vector<Handle<Line>> handles;
    for (int i = 0; i != 64; ++i) {
      handles.push_back(pool.allocate());
      handles.back()->words[0] = 1;
    }
    CHECK(PageMap::touched_pages() <= 12);  // and now the first slots
    handles.clear();
    CHECK(PageMap::touched_pages() <= 14);
  }
  {
    FixedPool<Line, TestType, DebugChecks, PageMap> const pool(slots);
    CHECK(PageMap::touched_pages() <= 8 + slots / 8 / 4096 + 2);  // and the marks, 1 bit a slot
  }
}
#endif

TEST_CASE("pre_initialize touches every page of the slots") {
  constexpr std::size_t slots = mebibyte / sizeof(Line);
  FixedPool<Line, NoChecks, PageMap> const pool(PoolConfig{.capacity = slots, .pre_initialize = true});
  CHECK(PageMap::touched_pages() == (PageMap::last_bytes + 4095) / 4096);
}

TEST_CASE("the frontier hands out slots in address order, so that pages are touched one by one") {
  FixedPool<Line> pool(1000);
  std::vector<Handle<Line>> handles;
  for (std::size_t i = 0; i != 1000; ++i) {
    handles.push_back(pool.allocate());
    CHECK(pool.index_of(handles.back().get()) == i);
  }
}
