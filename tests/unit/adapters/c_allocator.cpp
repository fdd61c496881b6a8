// SPDX-License-Identifier: MIT OR Apache-2.0
// CAllocator: what C expects of malloc() and its like, failures, and that every byte comes back through a pointer only.
#include <fastalloc/adapters/c_allocator.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"
#include "support/test_resource.hpp"

using namespace fastalloc;
using test::CountingResource;

#define RESOURCES PoolResource, SynchronizedPoolResource

namespace {

constexpr std::size_t most = std::numeric_limits<std::size_t>::max();

unsigned char* bytes_of(void* p) { return static_cast<unsigned char*>(p); }
void fill(void* p, std::size_t bytes, unsigned char cookie) { std::memset(p, cookie, bytes); }
bool holds(void* p, std::size_t bytes, unsigned char cookie) {
  return std::all_of(bytes_of(p), bytes_of(p) + bytes, [&](unsigned char byte) { return byte == cookie; });
}
bool is_aligned(void* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

CAllocator<SynchronizedPoolResource> shared;
using Hooks = CHooks<shared>;

}  // namespace

static_assert(!std::is_copy_constructible_v<CAllocator<>> && std::is_default_constructible_v<CAllocator<>>);
static_assert(std::is_same_v<CAllocator<>::resource_type, PoolResource>);
static_assert(noexcept(std::declval<CAllocator<>&>().malloc(1)));
static_assert(noexcept(std::declval<CAllocator<>&>().realloc(nullptr, 1)));
static_assert(CAllocator<>::good_size(0) == 0 && CAllocator<>::good_size(1) == 8 && CAllocator<>::good_size(9) == 16);
static_assert(CAllocator<>::good_size(100) == 112 && CAllocator<>::good_size(most) == most);

TEMPLATE_TEST_CASE("blocks of every size are aligned, apart, and freed without a size", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  CAllocator<TestType> memory(resource);
  CHECK(&memory.resource() == &resource);
  std::vector<void*> blocks;
  std::vector<std::size_t> sizes;
  for (std::size_t bytes = 0; bytes < 20'000; bytes += 1 + bytes / 9)
    for (int i = 0; i != 3; ++i) {
      void* const p = memory.malloc(bytes);
      EXPECT(p != nullptr);
      EXPECT(is_aligned(p, bytes <= 8 ? 8 : 16));
      std::size_t const usable = memory.usable_size(p);
      EXPECT(usable >= bytes);
      if (!FASTALLOC_ASAN) EXPECT(usable == CAllocator<TestType>::good_size(bytes));
      fill(p, usable, static_cast<unsigned char>(blocks.size()));
      blocks.push_back(p), sizes.push_back(usable);
    }
  std::sort(blocks.begin(), blocks.end());
  CHECK(std::adjacent_find(blocks.begin(), blocks.end()) == blocks.end());
  for (void* const p : blocks) {
    std::size_t const usable = memory.usable_size(p);
    if (usable != 0) EXPECT(holds(p, usable, *bytes_of(p)));
    memory.free(p);
  }
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("an allocator that owns its resource", "", RESOURCES) {
  CountingResource upstream;
  auto* const before = std::pmr::set_default_resource(&upstream);
  {
    CAllocator<TestType> memory;
    for (std::size_t const bytes : std::initializer_list<std::size_t>{1, 100, 10'000})
      CHECK(memory.malloc(bytes) != nullptr);  // ends with the allocator
    CHECK(memory.resource().upstream() == &upstream);
    CHECK(upstream.blocks() != 0);
  }
  CHECK(upstream.blocks() == 0);
  std::pmr::set_default_resource(before);
}

TEMPLATE_TEST_CASE("null, zero, and what has no memory", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  CAllocator<TestType> memory(resource);
  memory.free(nullptr);
  CHECK(memory.usable_size(nullptr) == 0);
  for (std::size_t const bytes :
       {most, most - 1, most - 8, most - 16, most - 17, most / 2 + 1, most / 2, most / 2 - 15}) {
    EXPECT(memory.malloc(bytes) == nullptr);
    EXPECT(memory.calloc(1, bytes) == nullptr);
    EXPECT(memory.calloc(bytes, 1) == nullptr);
    EXPECT(memory.realloc(nullptr, bytes) == nullptr);
    for (std::size_t const alignment : {std::size_t{1}, std::size_t{64}, std::size_t{4096}, most / 2 + 1})
      EXPECT(memory.aligned_alloc(alignment, bytes) == nullptr);
  }
  EXPECT(memory.calloc(most / 2 + 1, 2) == nullptr);  // the product is 0
  EXPECT(memory.calloc(most / 2 + 2, 2) == nullptr);  // the product is 2
  EXPECT(memory.calloc(most / 16, 32) == nullptr);
  for (std::size_t const alignment : {std::size_t{0}, std::size_t{3}, std::size_t{24}, std::size_t{48}, most})
    EXPECT(memory.aligned_alloc(alignment, 10) == nullptr);
  EXPECT(memory.aligned_alloc(most / 2 + 1, 1) == nullptr);
  CHECK(upstream.requests() == 0);

  void* const none = memory.malloc(0);
  void* const zero = memory.calloc(0, 10);
  void* const other = memory.realloc(nullptr, 0);
  CHECK((none != nullptr && zero != nullptr && other != nullptr));
  CHECK((none != zero && none != other && zero != other));
  CHECK(memory.realloc(none, 0) == nullptr);  // frees it
  memory.free(zero), memory.free(other);
  CHECK(resource.bytes_in_use() == 0);
}

TEMPLATE_TEST_CASE("calloc clears memory that was used before", "", RESOURCES) {
  CAllocator<TestType> memory;
  for (std::size_t const bytes : std::initializer_list<std::size_t>{8, 100, 6000}) {
    void* const dirty = memory.malloc(bytes);
    fill(dirty, bytes, 0xFF);
    memory.free(dirty);
    void* const p = memory.calloc(bytes / 4, 4);
    REQUIRE(p != nullptr);
    CHECK(holds(p, bytes, 0));
    memory.free(p);
  }
}

TEMPLATE_TEST_CASE("realloc keeps the contents and the alignment", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  CAllocator<TestType> memory(resource);
  std::mt19937 random(3);
  for (std::size_t const alignment : std::initializer_list<std::size_t>{1, 32, 64, 1024}) {
    void* p = nullptr;
    std::size_t bytes = 0;
    for (int step = 0; step != 500; ++step) {
      std::size_t const next = 1 + random() % (step % 4 == 0 ? 9000 : step % 4 == 1 ? 12 : 300);
      std::size_t const usable = memory.usable_size(p);
      void* const moved = p == nullptr ? memory.aligned_alloc(alignment, next) : memory.realloc(p, next);
      EXPECT(moved != nullptr);
      if (next <= usable && next >= bytes) EXPECT(moved == p);
      EXPECT(is_aligned(moved, std::max<std::size_t>(alignment, next <= 8 ? 8 : 16)));
      EXPECT(holds(moved, std::min(usable, next), static_cast<unsigned char>(step - 1)));
      p = moved, bytes = next;
      fill(p, memory.usable_size(p), static_cast<unsigned char>(step));
    }
    memory.free(p);
  }
  CHECK(resource.bytes_in_use() == 0);
}

TEMPLATE_TEST_CASE("a failure is null and changes nothing, whatever the upstream throws", "", RESOURCES) {
  for (auto const failure : {CountingResource::Failure::bad_alloc, CountingResource::Failure::other}) {
    CountingResource upstream;
    TestType resource(&upstream);
    CAllocator<TestType> memory(resource);
    void* const tiny = memory.malloc(5);
    void* const small = memory.malloc(100);
    fill(tiny, 5, 1), fill(small, 100, 2);
    upstream.fail_after(0, failure);
    CHECK(memory.malloc(700) == nullptr);
    CHECK(memory.malloc(7000) == nullptr);
    CHECK(memory.calloc(700, 10) == nullptr);
    CHECK(memory.aligned_alloc(64, 700) == nullptr);
    for (void* const p : {tiny, small})
      for (std::size_t const bytes : {std::size_t{700}, std::size_t{7000}, most / 2, most})
        EXPECT(memory.realloc(p, bytes) == nullptr);
    CHECK((holds(tiny, 5, 1) && holds(small, 100, 2)));
    memory.free(tiny), memory.free(small);
    CHECK(resource.bytes_in_use() == 0);
  }
}

TEST_CASE("a pointer that is no block is reported and ignored") {
  if (!Defaults::checks::tracks_slots) return;
  CountingResource upstream;
  PoolResource resource(&upstream);
  PoolResource other(&upstream);
  CAllocator<> memory(resource), foreign(other);
  void* const p = memory.malloc(100);
  test::RecordedErrors const errors;
  foreign.free(p);
  CHECK(errors.count() == 1);
  alignas(16) unsigned char local[64]{};
  memory.free(local + 32);
  CHECK(errors.count() == 2);
  CHECK(foreign.realloc(p, 1000) == nullptr);
  CHECK(errors.count() == 3);
  if (!FASTALLOC_ASAN) {
    memory.free(p);
    memory.free(p);  // the word is filled
    CHECK(errors.count() == 4);
  } else {
    memory.free(p);
  }
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.check_invariants());
}

TEST_CASE("C function pointers, and memory that moves between threads") {
  void* (*const get)(std::size_t) = Hooks::malloc;
  void* (*const clear)(std::size_t, std::size_t) = Hooks::calloc;
  void* (*const again)(void*, std::size_t) = Hooks::realloc;
  void* (*const aligned)(std::size_t, std::size_t) = Hooks::aligned_alloc;
  std::size_t (*const usable)(void*) = Hooks::usable_size;
  void (*const put)(void*) = Hooks::free;

  std::vector<void*> blocks(4000);
  bool right[2] = {true, true};
  auto const worker = [&](std::size_t id) {
    for (std::size_t i = id; i < blocks.size(); i += 2) {
      std::size_t const bytes = i % 300;
      void* const p = i % 3 == 0 ? get(bytes) : i % 3 == 1 ? clear(bytes, 1) : aligned(64, bytes);
      if (p == nullptr) right[id] = false;
      else fill(p, bytes, static_cast<unsigned char>(i));
      blocks[i] = p == nullptr ? nullptr : again(p, bytes + 50);
    }
  };
  {
    std::thread other([&] { worker(1); });
    worker(0);
    other.join();
  }
  auto const freer = [&](std::size_t id) {  // each what the other allocated
    for (std::size_t i = 1 - id; i < blocks.size(); i += 2) {
      std::size_t const bytes = i % 300;
      if (blocks[i] == nullptr || usable(blocks[i]) < bytes + 50 ||
          !holds(blocks[i], bytes, static_cast<unsigned char>(i)))
        right[id] = false;
      put(blocks[i]);
    }
  };
  {
    std::thread other([&] { freer(1); });
    freer(0);
    other.join();
  }
  CHECK((right[0] && right[1]));
  CHECK(shared.resource().bytes_in_use() == 0);
  CHECK(shared.resource().check_invariants());
}

TEST_CASE("hooks with a user pointer") {
  CAllocator<> memory;
  void* (*const hook)(void*, unsigned, unsigned) = [](void* user, unsigned n, unsigned bytes) {
    return static_cast<CAllocator<>*>(user)->calloc(n, bytes);
  };
  void* const p = hook(&memory, 10, 20);
  CHECK(holds(p, 200, 0));
  memory.free(p);
}
