// SPDX-License-Identifier: MIT OR Apache-2.0
// PageStorage and other threads: one reads the notes that another's acquire() leaves; one maps memory while another
// acquires and fails.
#include <fastalloc/fastalloc.hpp>

#include <atomic>
#include <cstring>
#include <thread>

#include "support/catch.hpp"

#if __has_include(<sys/mman.h>)

#include <sys/mman.h>

using namespace fastalloc;

TEST_CASE("page storage: a note is there as a whole, or not yet") {
  for (int round = 0; round != 100; ++round) {
    PageStorage storage{{.huge_pages = HugePages::none, .numa_node = 1023}};  // no system has it
    void* block = nullptr;
    std::thread owner([&] { block = storage.acquire(100, 64); });
    while (!storage.has_note()) std::this_thread::yield();
    Error const note = storage.note();
    CHECK(note.requested == 1023);
    CHECK(std::strstr(note.message(), "Unless that is required") != nullptr);
    owner.join();
    REQUIRE(block != nullptr);
    storage.release(block, 100, 64);
  }
}

#if defined(__linux__)
TEST_CASE("page storage: reserved huge pages that cannot be had take no memory of other threads") {
  constexpr std::size_t huge = std::size_t{2} << 20;
  std::size_t const bytes = detail::free_huge_bytes(huge) + huge;  // more than there are
  std::atomic<bool> done{false};
  std::atomic<bool> is_running{false};
  bool lost = false;
  std::thread other([&] {
    // relaxed: they only say when to begin and end; join() orders the rest
    while (!lost && !done.load(std::memory_order_relaxed)) {
      void* const mine = ::mmap(nullptr, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mine == MAP_FAILED) continue;
      is_running.store(true, std::memory_order_relaxed);
      unsigned char in_core = 0;
      for (int i = 0; i != 200 && !lost; ++i) lost = ::mincore(mine, 1, &in_core) != 0;
      ::munmap(mine, huge);
    }
  });
  while (!is_running.load(std::memory_order_relaxed)) std::this_thread::yield();
  int had = 0;
  for (int i = 0; i != 10'000; ++i) {
    PageStorage storage{{.huge_pages = HugePages::reserved, .required = true}};
    had += storage.acquire(bytes, 2 * huge) != nullptr ? 1 : 0;
  }
  done.store(true, std::memory_order_relaxed);
  other.join();
  CHECK(had == 0);
  CHECK_FALSE(lost);
}
#endif

#endif
