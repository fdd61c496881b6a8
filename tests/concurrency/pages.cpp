// SPDX-License-Identifier: MIT OR Apache-2.0
// Notes of PageStorage: read by one thread while another acquires what makes the storage leave them.
#include <fastalloc/fastalloc.hpp>

#include <cstring>
#include <thread>

#include "support/catch.hpp"

#if __has_include(<sys/mman.h>)

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

#endif
