// SPDX-License-Identifier: MIT OR Apache-2.0
// Evict and HeapFallback in pools that threads share: objects end on other threads than those that made them, in slots
// and on the heap.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <mutex>
#include <thread>
#include <vector>

#include "concurrency/threads.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;

namespace {

constexpr std::size_t threads = 4, capacity = 8;

}  // namespace

TEMPLATE_TEST_CASE("threads: with HeapFallback no request fails, and all objects go back where they came from", "",
                   (ThreadSafePool<test::Payload, HeapFallback>),
                   (ThreadSafePool<test::Payload, HeapFallback, FullChecks, NoCache>),
                   (ThreadSafePool<test::Payload, HeapFallback, LockFree>),
                   (FixedPool<test::Payload, HeapFallback, MutexLock, BitmapAllocator, DebugChecks>)) {
  test::RecordedErrors const errors;
  TestType pool(PoolConfig{.capacity = capacity});
  struct Shelf {
    std::mutex mutex;
    Handle<test::Payload> handle;
  };
  std::array<Shelf, 16> shelves;
  test::run(threads, [&](std::size_t thread) {
    test::Random random(thread + 1);
    test::Stopwatch const watch;
    std::vector<typename TestType::handle_type> own;
    for (std::size_t i = 0; i % 64 != 0 || watch.time() < test::short_slice(0.15); ++i) {
      if (random(2) == 0 && own.size() < 10) {
        auto handle = random(2) == 0 ? pool.allocate(i) : pool.try_allocate(i);
        test::faults().expect(static_cast<bool>(handle) && handle->index() == i, "a request failed");
        own.push_back(std::move(handle));
      } else if (!own.empty()) {
        std::swap(own[random(own.size())], own.back());
        Handle<test::Payload> handle = std::move(own.back());
        own.pop_back();
        Shelf& shelf = shelves[random(shelves.size())];
        std::lock_guard const guard(shelf.mutex);
        std::swap(shelf.handle, handle);  // what was there ends here, whoever made it
      }
    }
  });
  for (Shelf& shelf : shelves) shelf.handle.reset();
  CHECK(pool.heap_objects() == 0);
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
  CHECK(errors.count() == 0);
  CHECK(test::Payload::lives() == 0);
  test::check_faults();
}

TEMPLATE_TEST_CASE("threads: a function of evict() with a lock of its own ends what other threads made", "", NoCache,
                   (ThreadCache<4>), LockFree) {
  test::RecordedErrors const errors;
  struct Queue {
    std::mutex mutex;
    OldestFirst<test::Payload> objects;
    bool pop() {
      std::lock_guard const guard(mutex);
      return objects.pop();
    }
  } queue;
  auto const oldest = evict([&queue] { return queue.pop(); });
  ThreadSafePool<test::Payload, TestType, std::remove_const_t<decltype(oldest)>> pool(PoolConfig{.capacity = capacity},
                                                                                      oldest);
  std::atomic<std::size_t> served{0};
  test::run(threads, [&](std::size_t thread) {
    test::Stopwatch const watch;
    for (std::size_t i = 0; i % 64 != 0 || watch.time() < test::short_slice(0.15); ++i) {
      auto handle = pool.try_allocate(i + (thread << 32));
      if (!handle) continue;  // others took each slot that became free
      served.fetch_add(1, std::memory_order_relaxed);
      std::lock_guard const guard(queue.mutex);
      queue.objects.push(std::move(handle));
    }
  });
  CHECK(served.load() > capacity);
  CHECK(queue.objects.size() <= capacity);
  CHECK(pool.allocated() == queue.objects.size());
  while (queue.pop()) {}
  CHECK(pool.check_invariants());
  CHECK(errors.count() == 0);
  CHECK(test::Payload::lives() == 0);
  test::check_faults();
}
