// SPDX-License-Identifier: MIT OR Apache-2.0
// SynchronizedPoolResource with threads: blocks change threads and hold what was written into them; threads end before
// the resource and after it; the upstream resource, which is not thread-safe, is never called by two at once.
#include <fastalloc/adapters/pool_allocator.hpp>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/test_resource.hpp"

#if defined(__unix__) && !FASTALLOC_TSAN
#include "support/death.hpp"
#endif

using namespace fastalloc;
using test::CountingResource;

namespace {

constexpr std::uint64_t cookie = 0x9E3779B97F4A7C15;

struct Given {
  std::uint64_t* words;
  std::size_t bytes;
};

Given pop(std::pmr::memory_resource& resource, std::size_t bytes, std::uint64_t tag) {
  auto* const words = static_cast<std::uint64_t*>(resource.allocate(bytes, alignof(std::uint64_t)));
  for (std::size_t i = 0; i != bytes / sizeof(std::uint64_t); ++i) words[i] = cookie ^ (tag + i);
  return {words, bytes};
}
/// Returns: false when the words are not what was written.
bool push(std::pmr::memory_resource& resource, Given given) {
  std::uint64_t const tag = given.words[0] ^ cookie;
  bool intact = true;
  for (std::size_t i = 0; i != given.bytes / sizeof(std::uint64_t); ++i)
    intact &= given.words[i] == (cookie ^ (tag + i));
  resource.deallocate(given.words, given.bytes, alignof(std::uint64_t));
  return intact;
}

/// Where threads leave blocks for each other.
class Exchange {
 public:
  std::optional<Given> swap(Given given, std::size_t place) {
    std::lock_guard const guard(mutex_);
    return std::exchange(places_[place % places_.size()], given);
  }
  template <class F> void clear(F&& f) {
    for (auto& place : places_)
      if (place) f(*std::exchange(place, std::nullopt));
  }

 private:
  std::mutex mutex_;
  std::vector<std::optional<Given>> places_ = std::vector<std::optional<Given>>(64);
};

}  // namespace

TEST_CASE("resources: blocks of all sizes change threads, and all come back") {
  CountingResource upstream;
  {
    SynchronizedPoolResource resource(&upstream);
    Exchange exchange;
    std::atomic<int> broken = 0;
    for (int generation = 0; generation != 3; ++generation) {  // new threads take over what ended ones kept
      std::vector<std::thread> threads;
      for (unsigned t = 0; t != 4; ++t) {
        threads.emplace_back([&, t, generation] {
          std::mt19937 random(t + 10 * static_cast<unsigned>(generation));
          for (unsigned i = 0; i != 4000; ++i) {
            std::size_t const bytes = 8 * (1 + (i % 50 == 0 ? random() % 1500 : random() % 40));
            auto const other = exchange.swap(pop(resource, bytes, (std::uint64_t{t} << 40) + i), random());
            if (other && !push(resource, *other)) ++broken;
            if (i % 1000 == 0) resource.shrink_to_fit();
          }
        });
      }
      for (auto& thread : threads) thread.join();
      CHECK(resource.check_invariants());
    }
    exchange.clear([&](Given given) { broken += !push(resource, given); });
    CHECK(broken == 0);
    CHECK(resource.bytes_in_use() == 0);
    CHECK(resource.bytes_held() == upstream.bytes());
    resource.shrink_to_fit();
    CHECK(upstream.bytes() == 0);
  }
  CHECK(upstream.blocks() == 0);
}

TEST_CASE("resources: containers of several threads over one resource") {
  CountingResource upstream;
  SynchronizedPoolResource resource(&upstream);
  std::vector<std::thread> threads;
  std::atomic<std::size_t> elements = 0;
  for (int t = 0; t != 4; ++t) {
    threads.emplace_back([&] {
      std::map<int, int, std::less<>, PoolAllocator<std::pair<int const, int>, SynchronizedPoolResource>> map(
          PoolAllocator<std::pair<int const, int>, SynchronizedPoolResource>{resource});
      std::pmr::list<std::uint64_t> list(&resource);
      for (int i = 0; i != 3000; ++i) {
        map[i * 7 % 500] = i;
        if (i % 3 == 0) map.erase(i % 500);
        list.push_back(1);
        if (list.size() > 100) list.pop_front();
      }
      elements += map.size() + list.size();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(elements > 400);
  CHECK(resource.bytes_in_use() == 0);
}

TEST_CASE("resources: the resource ends, or is released, before a thread that used it does") {
  CountingResource upstream;
  for (bool const only_released : {false, true}) {
    std::optional<SynchronizedPoolResource> resource(std::in_place, &upstream);
    std::barrier step(2);
    std::thread thread([&] {
      for (std::size_t bytes = 8; bytes < 3000; bytes += 8) push(*resource, pop(*resource, bytes, bytes));
      step.arrive_and_wait();
      step.arrive_and_wait();
      if (only_released) {
        for (std::size_t bytes = 8; bytes < 3000; bytes += 8) push(*resource, pop(*resource, bytes, bytes));
      }
    });
    step.arrive_and_wait();
    (void)resource->allocate(100);
    if (only_released) resource->release();
    else resource.reset();
    CHECK(upstream.blocks() == 0);
    step.arrive_and_wait();
    thread.join();
    if (resource) CHECK(resource->bytes_in_use() == 0);
  }
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("resources: an upstream that has no more; what other threads keep is found") {
  CountingResource upstream;
  SynchronizedPoolResource resource(PoolResourceOptions{.initial_slots = 8}, &upstream);
  std::vector<void*> blocks;
  for (int i = 0; i != 8; ++i) blocks.push_back(resource.allocate(64));
  upstream.fail_after(0);
  std::barrier step(2);
  std::thread thread([&] {
    for (void* const block : blocks) resource.deallocate(block, 64);  // into this thread's cache
    step.arrive_and_wait();
    step.arrive_and_wait();
  });
  step.arrive_and_wait();
  for (void*& block : blocks) block = resource.allocate(64);
  bool refused = false;
  try {
    (void)resource.allocate(64);
  } catch (std::bad_alloc const&) {
    refused = true;
  }
  CHECK(refused);
  upstream.allow();
  for (void* const block : blocks) resource.deallocate(block, 64);
  step.arrive_and_wait();
  thread.join();
  CHECK(resource.bytes_in_use() == 0);
}
#endif

// Not under AddressSanitizer: in the child, the locks of its own heap may be held by threads that are not there.
#if defined(__unix__) && !FASTALLOC_TSAN && !FASTALLOC_ASAN
TEST_CASE("resources: the child of a fork goes on, whatever other threads were doing") {
  SynchronizedPoolResource resource(std::pmr::new_delete_resource());
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t != 2; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; !done; ++i) {
        std::vector<Given> given;
        for (std::size_t bytes = 16; bytes < 10'000; bytes += 500) given.push_back(pop(resource, bytes, i));
        for (auto const& one : given) push(resource, one);
        if (i % 4 == 0) resource.shrink_to_fit();
      }
    });
  }
  for (int i = 0; i != 20; ++i) {
    auto const ending = test::run_in_child([&] {
      ::alarm(60);
      for (std::size_t bytes = 16; bytes < 10'000; bytes += 100) push(resource, pop(resource, bytes, bytes));
      resource.shrink_to_fit();
    });
    CHECK(ending.survived);
  }
  done = true;
  for (auto& thread : threads) thread.join();
  CHECK(resource.bytes_in_use() == 0);
}
#endif
