// SPDX-License-Identifier: MIT OR Apache-2.0
// TracySink, with a stand-in for Tracy's header.
#include <fastalloc/debug/tracy.hpp>
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"

using namespace fastalloc;

namespace {

struct Order {
  int id;
};

}  // namespace

TEST_CASE("TracySink: objects are memory of a pool with a lasting name") {
  auto& calls = tracy_stub::calls();
  std::size_t const before = calls.allocations;
  {
    FixedPool<Order, TraceStats<TracySink>> orders(PoolConfig{.capacity = 1, .name = "orders"});
    GrowingPool<Order, TraceStats<TracySink>> unnamed(1);
    auto const a = orders.allocate(Order{1});
    auto const b = unnamed.allocate(Order{2});
    auto const c = unnamed.allocate(Order{3});
    CHECK_FALSE(orders.try_allocate(Order{2}));
    CHECK(calls.live.size() == 3);
    std::vector<std::string> names;
    for (auto const& [key, bytes] : calls.live) {
      CHECK(bytes == sizeof(Order));
      names.emplace_back(key.first);
    }
    CHECK(std::count(names.begin(), names.end(), "orders") == 1);
    auto const is_type = [](std::string const& name) { return name.ends_with("Order"); };
    CHECK(std::count_if(names.begin(), names.end(), is_type) == 2);
  }
  CHECK(calls.live.empty());
  CHECK(calls.mistakes == 0);
  CHECK(calls.allocations == before + 3);
  auto const grew = [](std::string const& message) { return message.ends_with("Order: the pool grew"); };
  CHECK(std::count_if(calls.messages.begin(), calls.messages.end(), grew) == 1);
  CHECK(std::count(calls.messages.begin(), calls.messages.end(), "orders: no slot was free") == 1);
}

TEST_CASE("TracySink: threads, and a switch") {
  auto& calls = tracy_stub::calls();
  ThreadSafePool<int, TraceStats<TracySink>> pool(PoolConfig{.capacity = 100, .name = "threads"});
  std::vector<std::thread> threads;
  for (int t = 0; t != 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i != 500; ++i) (void)pool.allocate(i);
    });
  for (auto& thread : threads) thread.join();
  CHECK(calls.live.empty());
  CHECK(calls.mistakes == 0);
  TracySink::turn(false);
  std::size_t const before = calls.allocations;
  (void)pool.allocate(1);
  TracySink::turn(true);
  CHECK(calls.allocations == before);
}
