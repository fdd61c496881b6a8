// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolResource and SynchronizedPoolResource as memory resources: sizes, alignments, the account with the upstream
// resource, failures, and what is reported when a block comes back in another way than it went.
#include <fastalloc/adapters/pool_resource.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/expect.hpp"
#include "support/recorded_errors.hpp"
#include "support/test_resource.hpp"

using namespace fastalloc;
using test::CountingResource;

#define RESOURCES PoolResource, SynchronizedPoolResource

namespace {

constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
constexpr bool is_checked = Defaults::checks::tracks_slots;
/// Classes then keep 8 bytes a slot beside the slots.
constexpr bool has_stacks = is_checked || FASTALLOC_ASAN;

struct Given {
  void* address;
  std::size_t bytes, alignment;
  unsigned char cookie;

  void write() { std::memset(address, cookie, bytes); }
  [[nodiscard]] bool intact() const {
    auto const* at = static_cast<unsigned char const*>(address);
    return std::all_of(at, at + bytes, [&](unsigned char byte) { return byte == cookie; });
  }
};

/// Takes a block and writes to all of it.
template <class Resource>
Given pop(Resource& resource, std::size_t bytes, std::size_t alignment, unsigned char cookie) {
  Given given{resource.allocate(bytes, alignment), bytes, alignment, cookie};
  EXPECT(given.address != nullptr);
  EXPECT(reinterpret_cast<std::uintptr_t>(given.address) % alignment == 0);
  given.write();
  return given;
}
template <class Resource> void push(Resource& resource, Given const& given) {
  EXPECT(given.intact());
  resource.deallocate(given.address, given.bytes, given.alignment);
}

template <class Resource> std::size_t slots_in_use(Resource const& resource) {
  std::size_t slots = 0;
  for (std::size_t i = 0; i != Resource::size_classes; ++i) slots += resource.usage(i).allocated;
  return slots;
}
template <class Resource> std::size_t capacity_of(Resource const& resource, std::size_t slot_bytes) {
  for (std::size_t i = 0; i != Resource::size_classes; ++i)
    if (resource.usage(i).slot_bytes == slot_bytes) return resource.usage(i).capacity;
  return most;
}

}  // namespace

static_assert(!std::is_copy_constructible_v<PoolResource> && !std::is_move_constructible_v<PoolResource>);
static_assert(std::is_base_of_v<std::pmr::memory_resource, SynchronizedPoolResource>);
static_assert(std::is_default_constructible_v<PoolResource>);

TEST_CASE("size classes: rising, at most a quarter too big, and aligned") {
  using Classes = detail::SizeClasses;
  auto const table = Classes::table(1);
  for (std::size_t bytes = 0; bytes <= Classes::largest; ++bytes) {
    std::size_t const index = table[Classes::entry(bytes)];
    EXPECT(Classes::bytes(index) >= bytes);
    EXPECT(index == 0 || Classes::bytes(index - 1) < bytes);
    if (bytes > 128) EXPECT((Classes::bytes(index) - bytes) * 4 <= bytes);
    // Rounded up to an alignment, a request meets a class of that alignment.
    for (std::size_t alignment = 1; alignment <= Classes::max_alignment; alignment *= 2)
      if (bytes % alignment == 0 && bytes != 0 && alignment > Classes::granule)
        EXPECT(Classes::alignment(index) >= alignment);
  }
}

TEMPLATE_TEST_CASE("every size and alignment gets a block of its own", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  std::vector<Given> given;
  for (std::size_t bytes = 0; bytes <= 5000; bytes += bytes < 300 || bytes % 512 > 500 ? 1 : 7) {
    for (std::size_t alignment = 1; alignment <= 256; alignment *= 2)
      given.push_back(pop(resource, bytes, alignment, static_cast<unsigned char>(bytes + alignment)));
    if (given.size() < 400) continue;
    for (auto const& one : given) push(resource, one);
    given.clear();
  }
  for (auto const& one : given) push(resource, one);
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.bytes_held() == upstream.bytes());
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("random operations agree with a reference, and the upstream account is exact", "", RESOURCES) {
  CountingResource upstream;
  std::mt19937 random(20240607);
  auto const below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  {
    TestType resource(&upstream);
    std::map<std::uintptr_t, Given> live;
    for (int step = 0; step != 20'000; ++step) {
      if (live.empty() || below(100) < 52) {
        std::size_t const bytes = below(10) == 0 ? below(20'000) : below(3) == 0 ? below(5'000) : below(200);
        Given const given = pop(resource, bytes, std::size_t{1} << below(9), static_cast<unsigned char>(step));
        auto const at = reinterpret_cast<std::uintptr_t>(given.address);
        auto const next = live.upper_bound(at);
        EXPECT(next == live.end() || at + bytes <= next->first);
        EXPECT(next == live.begin() || std::prev(next)->first + std::prev(next)->second.bytes <= at);
        EXPECT(live.emplace(at, given).second);
      } else {
        auto found = live.lower_bound(random());
        if (found == live.end())
          found = std::next(live.begin(), static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(live.size(), 20))));
        push(resource, found->second);
        live.erase(found);
      }
      if (step % 1000 == 0) {
        EXPECT(resource.check_invariants());
        EXPECT(resource.bytes_held() == upstream.bytes());
        std::size_t const held = upstream.bytes();
        std::size_t const back = resource.shrink_to_fit();
        // Directories get smaller, too.
        EXPECT(upstream.bytes() + back <= held);
        std::size_t sum = 0;
        for (auto const& [at, one] : live) sum += one.bytes;
        EXPECT(resource.bytes_in_use() >= sum);
      }
    }
    for (auto const& [at, one] : live) push(resource, one);
    CHECK(resource.bytes_in_use() == 0);
    resource.shrink_to_fit();
    CHECK(upstream.bytes() == 0);
    CHECK(upstream.blocks() == 0);
  }
  CHECK(upstream.blocks() == 0);
}

TEMPLATE_TEST_CASE("nothing is acquired before the first use of a class", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  CHECK(upstream.requests() == 0);
  CHECK(resource.upstream() == &upstream);
  void* const small = resource.allocate(64);
  CHECK(capacity_of(resource, 64) <= 64);  // as many as fit in 4 KiB with a record
  CHECK(capacity_of(resource, 64) >= 58);
  CHECK(resource.bytes_held() <= 4096 + 1024);
  CHECK(capacity_of(resource, 80) == 0);
  CHECK(resource.bytes_in_use() == 64);
  resource.deallocate(small, 64);
  void* const big = resource.allocate(100'000);
  CHECK(resource.bytes_in_use() >= 100'000);
  resource.deallocate(big, 100'000);
  CHECK(resource.bytes_in_use() == 0);
}

TEMPLATE_TEST_CASE("options: first slots, growth, the largest pooled size", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(PoolResourceOptions{.initial_slots = 3, .growth_factor = 3.0, .largest_pooled = 100}, &upstream);
  CHECK(resource.options().initial_slots == 3);
  std::vector<void*> blocks;
  for (int i = 0; i != 4; ++i) {
    blocks.push_back(resource.allocate(100));
    CHECK(capacity_of(resource, 112) == (i < 3 ? 3 : 9));
  }
  void* const big = resource.allocate(113);  // 100 is rounded up to the class of 112
  CHECK(slots_in_use(resource) == 4);
  CHECK(capacity_of(resource, 112) == 9);
  CHECK(capacity_of(resource, 128) == 0);
  resource.deallocate(big, 113);
  for (void* const block : blocks) resource.deallocate(block, 100);
}

TEMPLATE_TEST_CASE("a resource that ends, or is released, gives back what is in use, silently", "", RESOURCES) {
  CountingResource upstream;
  test::RecordedErrors const errors;
  {
    TestType resource(&upstream);
    for (int round = 0; round != 3; ++round) {
      for (std::size_t bytes = 1; bytes < 20'000; bytes += bytes / 3 + 1) (void)pop(resource, bytes, 8, 1);
      CHECK(resource.bytes_in_use() != 0);
      if (round == 2) break;
      resource.release();
      CHECK(upstream.blocks() == 0);
      CHECK(resource.bytes_in_use() == 0);
      CHECK(resource.bytes_held() == 0);
    }
  }
  CHECK(upstream.blocks() == 0);
  CHECK(errors.count() == 0);
}

TEMPLATE_TEST_CASE("shrink_to_fit gives back the blocks in which nothing is left, and the class goes on", "",
                   RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  std::vector<Given> given;
  for (int i = 0; i != 1000; ++i) given.push_back(pop(resource, 48, 8, static_cast<unsigned char>(i)));
  std::size_t const full = upstream.bytes();
  for (std::size_t i = 1; i != 1000; ++i) push(resource, given[i]);
  CHECK(resource.shrink_to_fit() > 0);
  CHECK(upstream.bytes() < full / 5);
  std::size_t const first = capacity_of(resource, 48);  // of the first block, which holds the first one
  CHECK(first * 48 < 4096);
  CHECK(given[0].intact());
  push(resource, given[0]);
  CHECK(resource.shrink_to_fit() > 0);
  CHECK(upstream.blocks() == 0);
  CHECK(resource.shrink_to_fit() == 0);
  given = {pop(resource, 48, 8, 1)};
  CHECK(capacity_of(resource, 48) == first);
  push(resource, given[0]);
}

TEMPLATE_TEST_CASE("a growing load holds little more than it uses", "", RESOURCES) {
  CountingResource upstream;
  for (unsigned mix = 0; mix != 3; ++mix) {
    TestType resource(&upstream);
    std::mt19937 random(mix);
    std::size_t in_use = 0;
    std::vector<Given> given;
    for (std::size_t i = 0; in_use < std::size_t{12} << 20; ++i) {
      std::size_t const bytes = mix == 0 ? 48 : mix == 1 ? 16 + random() % 200 : std::size_t{1} << random() % 12;
      given.push_back({resource.allocate(bytes), bytes, alignof(std::max_align_t), 0});
      in_use = resource.bytes_in_use();
      std::size_t const records = has_stacks ? in_use : 0;  // 8 bytes and a bit a slot, and twice while it grows
      EXPECT(resource.bytes_held() <= in_use + in_use / 10 + (std::size_t{1} << 20) + records);
      EXPECT(resource.bytes_held() == upstream.bytes());
    }
    for (Given const& one : given) resource.deallocate(one.address, one.bytes);
    CHECK(resource.check_invariants());
  }
  CHECK(upstream.blocks() == 0);
}

TEMPLATE_TEST_CASE("blocks that one class leaves free serve the others", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  auto const phase = [&](std::size_t bytes) {
    std::vector<Given> given;
    for (std::size_t i = 0; i != (std::size_t{4} << 20) / bytes; ++i) given.push_back(pop(resource, bytes, 8, 1));
    for (Given const& one : given) push(resource, one);
    CHECK(resource.check_invariants());
  };
  phase(64);
  std::size_t const held = upstream.bytes();
  for (std::size_t const bytes : std::initializer_list<std::size_t>{16, 96, 512, 48, 3000, 4096, 64}) phase(bytes);
  CHECK(upstream.bytes() < held + (has_stacks ? 2 * held : held / 2));  // 8 bytes for each slot of 16
  CHECK(resource.shrink_to_fit() > held / 2);
  CHECK(upstream.blocks() == 0);
}

TEMPLATE_TEST_CASE("a full upstream: idle blocks of other classes are used before a request fails", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  for (std::size_t const bytes : std::initializer_list<std::size_t>{24, 200, 4096}) {
    std::vector<Given> given;
    for (std::size_t i = 0; i != 300; ++i) given.push_back(pop(resource, bytes, 8, 1));
    for (Given const& one : given) push(resource, one);
  }
  void* const big = resource.allocate(20'000);
  upstream.fail_after(0, CountingResource::Failure::bad_alloc);
  std::size_t const held = upstream.bytes();
  std::vector<Given> given;
  std::size_t const fit = has_stacks ? 40 : 2000;  // a stack may not fit in the memory of other classes'
  for (std::size_t i = 0; i != fit; ++i) given.push_back(pop(resource, 400, 8, 1));
  CHECK(upstream.bytes() <= held);
  CHECK(resource.try_allocate(20'000) == nullptr);  // the upstream has what is left, and refuses it nevertheless
  upstream.allow();
  for (Given const& one : given) push(resource, one);
  resource.deallocate(big, 20'000);
  CHECK(resource.check_invariants());
  CHECK(resource.shrink_to_fit() != 0);
  CHECK(upstream.blocks() == 0);
}

#if FASTALLOC_EXCEPTIONS  // with which std::pmr's resources refuse
TEMPLATE_TEST_CASE("a request that fails leaves the free blocks to an upstream that takes nothing back", "",
                   RESOURCES) {
  std::vector<std::byte> room(1'000'000);
  std::pmr::monotonic_buffer_resource arena(room.data(), room.size(), std::pmr::null_memory_resource());
  TestType resource(&arena);
  auto const fill = [&](std::size_t bytes) {
    std::vector<void*> given;
    while (void* const p = resource.try_allocate(bytes)) given.push_back(p);
    for (void* const p : given) resource.deallocate(p, bytes);
    return given.size();
  };
  std::size_t const fit = fill(64);
  CHECK(fit > 5000);
  CHECK(resource.try_allocate(2'000'000) == nullptr);
  CHECK(fill(64) == fit);
  std::size_t const others = fill(400);
  CHECK(resource.try_allocate(2'000'000) == nullptr);
  CHECK(fill(400) >= others);
  CHECK(fill(64) >= (has_stacks ? 1000 : fit / 2));  // a stack may not fit in the memory of other classes'
  CHECK(resource.check_invariants());
}
#endif

TEMPLATE_TEST_CASE("a block that another class left, too small for a slot, is no reason to fail", "", RESOURCES) {
  CountingResource upstream;
  {
    TestType resource(PoolResourceOptions{.initial_slots = 4, .max_slots_per_block = 60}, &upstream);
    std::vector<void*> given;
    for (std::size_t i = 0; i != 2000; ++i) given.push_back(resource.allocate(64));
    for (void* const p : given) resource.deallocate(p, 64);
    // Blocks of 64 bytes each become free for all when another class has grown for a while.
    for (std::size_t i = 0; i != 5000 && capacity_of(resource, 64) > 200; ++i) (void)resource.allocate(128);
    CHECK(capacity_of(resource, 64) <= 200);
    for (std::size_t i = 0; i != 20; ++i) EXPECT(resource.try_allocate(4096) != nullptr);
    CHECK(resource.check_invariants());
  }
  CHECK(upstream.blocks() == 0);
}

TEST_CASE("big blocks go back to an upstream at once, and are kept from the heap for the same size") {
  CountingResource upstream;
  PoolResource resource(&upstream), heap(std::pmr::new_delete_resource());
  resource.deallocate(resource.allocate(100'000), 100'000);
  CHECK(upstream.blocks() == 0);
  void* const first = heap.allocate(100'000);
  heap.deallocate(first, 100'000);
  std::size_t const held = heap.bytes_held();
  CHECK(held >= 100'000);
  CHECK(heap.bytes_in_use() == 0);
  CHECK_FALSE(heap.owns(first));
  CHECK(heap.allocate(100'000) == first);
  CHECK(heap.bytes_held() == held);
  void* const other = heap.allocate(100'001, 256);
  CHECK(other != first);
  heap.deallocate(first, 100'000);
  heap.deallocate(other, 100'001, 256);
  for (std::size_t i = 0; i != 100; ++i) heap.deallocate(heap.allocate(90'000 + i * 1000), 90'000 + i * 1000);
  CHECK(heap.bytes_held() <= std::size_t{1} << 20);  // the oldest were released
  CHECK(heap.shrink_to_fit() > 500'000);
  CHECK(heap.bytes_held() == 0);
}

TEST_CASE("equal is who is the same") {
  PoolResource a, b;
  std::pmr::memory_resource& base = a;
  CHECK(base.is_equal(a));
  CHECK_FALSE(base.is_equal(b));
  CHECK(a != b);
}

TEST_CASE("the default upstream is the default resource") {
  CountingResource upstream;
  auto* const before = std::pmr::set_default_resource(&upstream);
  {
    PoolResource resource;
    SynchronizedPoolResource shared;
    CHECK(resource.upstream() == &upstream);
    CHECK(shared.upstream() == &upstream);
  }
  std::pmr::set_default_resource(before);
}

TEST_CASE("blocks from the heap itself, small, aligned and of some MiB") {
  PoolResource resource(std::pmr::new_delete_resource());
  for (std::size_t const bytes : {std::size_t{5000}, std::size_t{8} << 20})
    for (std::size_t const alignment : {std::size_t{8}, std::size_t{4096}})
      push(resource, pop(resource, bytes, alignment, 7));
  std::vector<Given> given;
  for (int i = 0; i != 20'000; ++i) given.push_back(pop(resource, 500, 8, static_cast<unsigned char>(i)));
  for (auto const& one : given) push(resource, one);
  CHECK(resource.shrink_to_fit() > std::size_t{8} << 20);
  CHECK(resource.bytes_held() == 0);
}

TEMPLATE_TEST_CASE("a polymorphic container with another one inside", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  {
    std::pmr::map<int, std::pmr::list<std::pmr::string>> map(&resource);
    for (int i = 0; i != 200; ++i) map[i % 50].emplace_back(static_cast<std::size_t>(i) * 3, 'x');
    for (int i = 0; i != 200; ++i) CHECK(map[i % 50].front().get_allocator().resource() == &resource);
  }
  CHECK(resource.bytes_in_use() == 0);
}

static_assert(PoolResource::usable_size(0, 1) == 8 && PoolResource::usable_size(8, 8) == 8);
static_assert(PoolResource::usable_size(8) == 16 && PoolResource::usable_size(9, 8) == 16);
static_assert(PoolResource::usable_size(129) == 144 && PoolResource::usable_size(4096) == 4096);
static_assert(PoolResource::usable_size(65, 64) == 128 && PoolResource::usable_size(10, 4096) == 16);
static_assert(PoolResource::usable_size(4097) == 4104 && PoolResource::usable_size(most) == most);
static_assert(SynchronizedPoolResource::good_size(100) == 112);

TEMPLATE_TEST_CASE("usable_size: what each request gets, with every limit of pooling, and may be given back", "",
                   RESOURCES) {
  using Classes = detail::SizeClasses;
  auto const table = Classes::table(1);
  for (std::size_t bytes = 0; bytes <= Classes::largest; ++bytes)
    EXPECT(Classes::rounded(bytes) == Classes::bytes(table[Classes::entry(bytes)]));

  test::RecordedErrors const errors;
  for (std::size_t const largest : std::initializer_list<std::size_t>{0, 8, 100, 112, 1000, 4096}) {
    CountingResource upstream;
    TestType resource(PoolResourceOptions{.largest_pooled = largest}, &upstream);
    for (std::size_t bytes = 0; bytes < 5000; bytes += 1 + bytes / 7)
      for (std::size_t alignment = 1; alignment <= 256; alignment *= 2) {
        std::size_t const usable = TestType::usable_size(bytes, alignment);
        EXPECT(usable >= bytes);
        EXPECT(TestType::usable_size(usable, alignment) == usable);
        Given given = pop(resource, usable, alignment, 3);  // writes to all of it
        resource.deallocate(given.address, bytes, alignment);
        given = pop(resource, bytes, alignment, 4);
        resource.deallocate(given.address, usable, alignment);
      }
    CHECK(resource.bytes_in_use() == 0);
  }
  CHECK(errors.count() == 0);
}

TEMPLATE_TEST_CASE("a class of 8 bytes, for what is aligned to no more", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  std::array<Given, 600> given;
  for (Given& one : given) one = pop(resource, 8, 8, 5);
  CHECK(resource.bytes_in_use() == 8 * given.size());
  CHECK(capacity_of(resource, 16) == 0);
  for (Given const& one : given) push(resource, one);
  push(resource, pop(resource, 8, 16, 6));
  CHECK(capacity_of(resource, 16) != 0);
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("try_allocate is null where allocate throws, and asks the upstream twice at most", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  for (std::size_t const bytes : {most, most - 1, most - 15, most / 2, most / 2 + 1, most - 4096})
    for (std::size_t const alignment : {std::size_t{1}, std::size_t{32}, std::size_t{64}, std::size_t{4096}})
      EXPECT(resource.try_allocate(bytes, alignment) == nullptr);
  for (std::size_t const alignment : {std::size_t{17}, std::size_t{48}, most})
    EXPECT(resource.try_allocate(10, alignment) == nullptr);
  EXPECT(resource.try_allocate(10'000, 0) == nullptr);
  CHECK(upstream.requests() == 0);

  for (std::size_t const bytes : std::initializer_list<std::size_t>{8, 64, 5000}) {
    void* const p = resource.try_allocate(bytes);
    REQUIRE(p != nullptr);
    CHECK(resource.owns(p));
    if (bytes == 5000) resource.deallocate(p, bytes);
  }
  std::size_t const first = capacity_of(resource, 64);
  for (std::size_t i = 0; i != first; ++i) (void)resource.allocate(64);  // the class has grown
  std::size_t const held = resource.bytes_held();
  for (auto const failure : {CountingResource::Failure::bad_alloc, CountingResource::Failure::other}) {
    upstream.fail_after(0, failure);
    for (std::size_t const bytes : std::initializer_list<std::size_t>{128, 5000}) {
      std::size_t const refused = upstream.refused();
      EXPECT(resource.try_allocate(bytes) == nullptr);
      EXPECT(upstream.refused() - refused == 1);  // a first block is small
    }
  }
  CHECK(resource.bytes_held() <= held);  // records of idle classes went back
  std::size_t taken = 0;
  while (resource.try_allocate(64) != nullptr) ++taken;
  CHECK(taken == capacity_of(resource, 64) - first - 1);
  CHECK(upstream.refused() == 6);  // a block of 8 KiB, then one of 4
  upstream.allow();
  CHECK(resource.try_allocate(64) != nullptr);
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("reallocate keeps the contents, and the block where it is large enough", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  std::mt19937 random(7);
  for (std::size_t const alignment : std::initializer_list<std::size_t>{1, 8, 16, 64, 512}) {
    std::size_t bytes = 0;
    void* block = resource.reallocate(nullptr, 99, bytes, alignment);
    for (int step = 0; step != 400; ++step) {
      std::size_t const next = random() % (step % 3 == 0 ? 9000 : 200);
      bool const stays = TestType::usable_size(bytes, alignment) == TestType::usable_size(next, alignment);
      std::size_t const requests = upstream.requests();
      void* const moved = step % 2 == 0 ? resource.reallocate(block, bytes, next, alignment)
                                        : resource.try_reallocate(block, bytes, next, alignment);
      EXPECT(moved != nullptr);
      EXPECT(stays == (moved == block));
      if (stays) EXPECT(upstream.requests() == requests);
      EXPECT(reinterpret_cast<std::uintptr_t>(moved) % alignment == 0);
      auto* const contents = static_cast<unsigned char*>(moved);
      for (std::size_t i = 0; i != std::min(bytes, next); ++i) EXPECT(contents[i] == i % 251);
      for (std::size_t i = 0; i != next; ++i) contents[i] = static_cast<unsigned char>(i % 251);
      block = moved, bytes = next;
    }
    resource.deallocate(block, bytes, alignment);
  }
  CHECK(resource.bytes_in_use() == 0);

  resource.release();
  Given const given = pop(resource, 100, 8, 9);
  upstream.fail_after(0);
  CHECK(resource.try_reallocate(given.address, 100, 4000, 8) == nullptr);
  CHECK(resource.try_reallocate(given.address, 100, 9000, 8) == nullptr);
  CHECK(resource.try_reallocate(given.address, 100, most, 8) == nullptr);
#if FASTALLOC_EXCEPTIONS
  EXPECT(test::throws<std::bad_alloc>([&] { (void)resource.reallocate(given.address, 100, 4000, 8); }));
  EXPECT(test::throws<std::bad_alloc>([&] { (void)resource.reallocate(given.address, 100, most, 8); }));
#endif
  push(resource, given);
}

TEMPLATE_TEST_CASE("reallocate refuses what deallocate refuses", "", RESOURCES) {
  if (!is_checked) return;
  CountingResource upstream;
  TestType resource(&upstream), other(&upstream);
  Given const small = pop(resource, 64, 8, 1), big = pop(resource, 10'000, 8, 2);
  std::byte local[64]{};
  test::RecordedErrors errors;
  std::size_t count = 0;
  auto const refuses = [&](auto& who, void* address, std::size_t bytes) {
    EXPECT(who.reallocate(address, bytes, bytes, 8) == nullptr);
    EXPECT(who.try_reallocate(address, bytes, 9000, 8) == nullptr);
    EXPECT(errors.count() == (count += 2));
    EXPECT(errors.last().address == address);
    EXPECT(errors.last().requested == bytes);
  };
  refuses(resource, local, 64);
  refuses(other, small.address, 64);
  refuses(resource, small.address, 65);
  refuses(resource, small.address, most);
  refuses(resource, big.address, 9'000);
  refuses(other, big.address, 10'000);
  push(resource, small);
  refuses(resource, small.address, 64);
  CHECK(errors.last().code == ErrorCode::double_free);
  push(resource, big);
}

TEMPLATE_TEST_CASE("owns: every byte of slots and big blocks, and nothing else", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream), other(&upstream);
  CHECK_FALSE(resource.owns(nullptr));
  for (std::size_t const bytes : std::initializer_list<std::size_t>{1, 64, 4096, 4097, 100'000}) {
    auto* const p = static_cast<std::byte*>(resource.allocate(bytes));
    CHECK(resource.owns(p));
    CHECK(resource.owns(p + bytes - 1));
    CHECK_FALSE(other.owns(p));
    resource.deallocate(p, bytes);
    CHECK(resource.owns(p) == (bytes <= 4096));  // the block of slots is still there
  }
  CHECK_FALSE(resource.owns(&resource));
  resource.release();
  CHECK(resource.upstream_resource() == &upstream);
}

TEMPLATE_TEST_CASE("the options of std::pmr's pool resources", "", RESOURCES) {
  CountingResource upstream;
  std::pmr::pool_options options;
  CHECK(TestType(options, &upstream).options().largest_pooled == 4096);
  CHECK(TestType(options).upstream() == std::pmr::get_default_resource());
  options.max_blocks_per_chunk = 5;
  options.largest_required_pool_block = 200;
  TestType resource(options, &upstream);
  CHECK(resource.options().max_slots_per_block == 5);
  CHECK(resource.options().largest_pooled == 200);  // a class of 208 bytes
  std::vector<Given> given;
  for (std::size_t i = 0; i != 40; ++i) {
    given.push_back(pop(resource, 200, 8, 1));
    CHECK(capacity_of(resource, 208) == (i / 5 + 1) * 5);
  }
  given.push_back(pop(resource, 209, 8, 2));
  CHECK(slots_in_use(resource) == 40);
  for (Given const& one : given) push(resource, one);
  options.largest_required_pool_block = 1 << 20;
  CHECK(TestType(options, &upstream).options().largest_pooled == 4096);
}

#if FASTALLOC_EXCEPTIONS
TEMPLATE_TEST_CASE("an exception of the upstream's upstream comes out as it is", "", RESOURCES) {
  CountingResource source;
  TestType inner(&source);
  TestType outer(&inner);
  source.fail_after(0, CountingResource::Failure::other);
  for (std::size_t const bytes : std::initializer_list<std::size_t>{64, 5000}) {
    int caught = 0;
    try {
      (void)outer.allocate(bytes);
    } catch (int value) {
      caught = value;
    }
    CHECK(caught == 42);
  }
  CHECK(inner.try_allocate(64) == nullptr);
  source.allow();
  outer.deallocate(outer.allocate(64), 64);
}

TEMPLATE_TEST_CASE("a heap without memory is AllocationFailed", "", RESOURCES) {
  TestType resource(std::pmr::new_delete_resource());
  Error const error = test::caught<AllocationFailed>([&] { (void)resource.allocate(most / 2); });
  CHECK(error.requested == most / 2);
}

TEMPLATE_TEST_CASE("an upstream that fails at the k-th request leaves all as it was", "", RESOURCES) {
  for (auto const failure : {CountingResource::Failure::bad_alloc, CountingResource::Failure::other}) {
    bool failed = true;
    for (std::size_t budget = 0; failed; ++budget) {
      REQUIRE(budget < 1000);
      CountingResource upstream;
      TestType resource(PoolResourceOptions{.initial_slots = 2}, &upstream);
      upstream.fail_after(budget, failure);
      failed = false;
      std::vector<Given> given;
      for (std::size_t i = 0; i != 60; ++i) {
        std::size_t const bytes = i % 4 == 3 ? 6000 : 16 + i % 3 * 100;
        std::size_t const slots = slots_in_use(resource);
        std::size_t const held = upstream.bytes();
        std::size_t const refused = upstream.refused();
        try {
          given.push_back(pop(resource, bytes, 8, static_cast<unsigned char>(i)));
        } catch (...) {
          failed = true;
          EXPECT(upstream.is_current_exception());
          EXPECT(upstream.refused() - refused <= 2);
          EXPECT(slots_in_use(resource) == slots);
          EXPECT(upstream.bytes() <= held + 16384);  // a block without a directory is kept
          upstream.allow();
          given.push_back(pop(resource, bytes, 8, static_cast<unsigned char>(i)));
        }
        EXPECT(resource.check_invariants());
        EXPECT(resource.bytes_held() == upstream.bytes());
      }
      for (auto const& one : given) push(resource, one);
      EXPECT(resource.bytes_in_use() == 0);
    }
  }
}

TEMPLATE_TEST_CASE("where a block by the growth factor is too much, smaller ones do", "", RESOURCES) {
  std::vector<std::byte> room(100'000);
  std::pmr::monotonic_buffer_resource arena(room.data(), room.size(), std::pmr::null_memory_resource());
  TestType resource(PoolResourceOptions{.growth_factor = 64.0}, &arena);
  std::size_t slots = 0;
  EXPECT(test::throws<std::bad_alloc>([&] {
    for (;; ++slots) (void)resource.allocate(64);
  }));
  CHECK(slots * 64 > room.size() * 2 / 5);  // the arena also holds each directory that was replaced
  CHECK(resource.check_invariants());
}

TEMPLATE_TEST_CASE("sizes that no memory could have", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  for (std::size_t const bytes : {most, most - 1, most - 15, most / 2, most / 2 + 1, most - 4096})
    for (std::size_t const alignment : {std::size_t{1}, std::size_t{32}, std::size_t{64}, std::size_t{4096}})
      EXPECT(test::throws<std::bad_alloc>([&] { (void)resource.allocate(bytes, alignment); }));
  for (std::size_t const alignment : {std::size_t{17}, std::size_t{48}, std::size_t{96}, most}) {
    Error const error = test::caught<InvalidConfiguration>([&] { (void)resource.allocate(10, alignment); });
    CHECK(error.code == ErrorCode::invalid_alignment);
  }
  CHECK(upstream.requests() == 0);
}

TEMPLATE_TEST_CASE("options that cannot be used are refused", "", RESOURCES) {
  auto const refused = [](PoolResourceOptions const& options,
                          std::pmr::memory_resource* upstream = std::pmr::new_delete_resource()) {
    return test::caught<InvalidConfiguration>([&] { TestType const resource(options, upstream); });
  };
  CHECK(refused({.growth_factor = 1.0}).factor == 1.0);
  CHECK(refused({.largest_pooled = 4097}).limit == 4096);
  CHECK(refused({}, nullptr).code == ErrorCode::invalid_configuration);
}
#endif

TEMPLATE_TEST_CASE("what comes back in another way than it went is reported, and ignored", "", RESOURCES) {
  if (!is_checked) return;
  CountingResource upstream;
  TestType resource(&upstream), other(&upstream);
  auto* const p = static_cast<std::byte*>(resource.allocate(64, 8));
  auto* const big = static_cast<std::byte*>(resource.allocate(10'000, 8));
  {
    test::RecordedErrors errors;
    auto const refuses = [&](auto& who, void* address, std::size_t bytes, std::size_t alignment, ErrorCode code,
                             char const* part) {
      errors.clear();
      who.deallocate(address, bytes, alignment);
      REQUIRE(errors.count() == 1);
      CHECK(errors.last().code == code);
      CHECK(errors.last().address == address);
      CHECK(errors.last().requested == bytes);
      CHECK_THAT(errors.last().to_string(), Catch::Matchers::ContainsSubstring(part));
    };
    std::byte local[64];
    auto const invalid = ErrorCode::invalid_handle;
    refuses(resource, local, 64, 8, invalid, "not the start of a block of this resource");
    refuses(resource, nullptr, 64, 8, invalid, "not the start of a block of this resource");
    refuses(other, p, 64, 8, invalid, "not the start of a block of this resource");
    refuses(resource, p + 16, 64, 8, invalid, "not the start of a block of this resource");
    refuses(resource, p, 32, 8, invalid, "another size or alignment");
    refuses(resource, p, 65, 8, invalid, "another size or alignment");
    refuses(resource, p, 10'000, 8, invalid, "another size or alignment");
    refuses(resource, big, 64, 8, invalid, "another size or alignment");
    refuses(resource, big, 9'000, 8, invalid, "another size or alignment");
    refuses(other, big, 10'000, 8, invalid, "not the start of a block of this resource");
    for (std::size_t const bytes : {most, most - 1, most - 7, most - 15, most - 63, most / 2 + 1, most / 2}) {
      for (std::size_t const alignment :
           {std::size_t{0}, std::size_t{8}, std::size_t{32}, std::size_t{64}, std::size_t{4096}, most / 2 + 1}) {
        refuses(resource, p, bytes, alignment, invalid, "another size or alignment");
        refuses(resource, big, bytes, alignment, invalid, "another size or alignment");
        refuses(resource, local, bytes, alignment, invalid, "not the start of a block of this resource");
        refuses(resource, nullptr, bytes, alignment, invalid, "not the start of a block of this resource");
      }
    }
    for (auto* const block : {p, big}) {
      refuses(resource, block, 0, 8, invalid, "another size or alignment");
      refuses(resource, block, 64, 48, invalid, "another size or alignment");  // no alignment at all
      refuses(resource, block, 64, 128, invalid, "another size or alignment");
    }
    refuses(resource, big, 9'992, 8, invalid, "another size or alignment");
    resource.deallocate(p, 64, 8);
    refuses(resource, p, 64, 8, ErrorCode::double_free, "returned before");
    CHECK(errors.last().index_count == 1);
    resource.deallocate(big, 10'000, 8);
    refuses(resource, big, 10'000, 8, invalid, "or no more");
  }
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.check_invariants());
  push(resource, pop(resource, 64, 8, 1));
}

TEMPLATE_TEST_CASE("a size that leads to the same slot does no harm", "", RESOURCES) {
  CountingResource upstream;
  TestType resource(&upstream);
  test::RecordedErrors const errors;
  for (int round = 0; round != 3; ++round) {
    resource.deallocate(pop(resource, 17, 8, 1).address, 32, 8);
    resource.deallocate(pop(resource, 32, 8, 1).address, 17, 16);
    resource.deallocate(pop(resource, 0, 8, 1).address, 8, 8);
    resource.deallocate(pop(resource, 0, 16, 1).address, 16, 8);
    resource.deallocate(pop(resource, 9, 8, 1).address, 16, 16);
    resource.deallocate(pop(resource, 64, 64, 1).address, 64, 8);
    resource.deallocate(pop(resource, 10'001 - sizeof(void*), 8, 1).address, 10'000, 4096);
    push(resource, pop(resource, 0, 128, 1));
  }
  CHECK(errors.count() == 0);
  CHECK(resource.bytes_in_use() == 0);
  CHECK(resource.check_invariants());
}

TEST_CASE("a mistake ends the program, unless the error handler says otherwise") {
  if (!is_checked) return;
  auto const ending = test::run_in_child([] {
    PoolResource resource;
    void* const p = resource.allocate(40);
    resource.deallocate(p, 40);
    resource.deallocate(p, 40);
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, Catch::Matchers::ContainsSubstring("fastalloc: double_free"));
}

#if FASTALLOC_ASAN
TEMPLATE_TEST_CASE("AddressSanitizer sees what is not the user's", "", RESOURCES) {
  auto const dies = [](std::size_t bytes, std::size_t at, bool after) {
    auto const ending = test::run_in_child([&] {
      TestType resource;
      auto* const p = static_cast<unsigned char volatile*>(resource.allocate(bytes));
      if (after) resource.deallocate(const_cast<unsigned char*>(p), bytes);
      p[at] = 1;
    });
    return !ending.survived && ending.errors.find("AddressSanitizer") != std::string::npos;
  };
  CHECK(dies(40, 0, true));
  CHECK(dies(40, 39, true));
  CHECK(dies(40, 40, false));  // the slot has 48
  CHECK(dies(4000, 4000, false));
  CHECK_FALSE(dies(40, 39, false));
}
#endif
