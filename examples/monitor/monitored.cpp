// SPDX-License-Identifier: MIT OR Apache-2.0
// A program whose pools can be watched: it serves PoolRegistry::to_prometheus() over HTTP.
//
//   monitored 9464            works until it is stopped; meanwhile:  fastalloc_top 9464, or Prometheus
//   monitored                 once: serves its page on any free port, fetches it, and draws it
#include "page_server.hpp"
#include "prometheus_page.hpp"
#include "screen.hpp"

#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace {

struct Order {
  long id;
  double price;
  int quantity;
};
struct Session {
  char user[120];
};
struct Message {
  unsigned char bytes[512];
};

// Threads read the registry while others use the pools, so all of them have locks.
using Orders = fastalloc::ThreadSafePool<Order, fastalloc::Registered, fastalloc::AtomicStats>;
using Sessions = fastalloc::GrowingPool<Session, fastalloc::Registered, fastalloc::BasicStats, fastalloc::AdaptiveLock>;
using Messages = fastalloc::FixedPool<Message, fastalloc::Registered, fastalloc::BasicStats, fastalloc::AdaptiveLock>;

struct Program {
  Orders orders{fastalloc::PoolConfig{.capacity = 1000, .name = "orders"}};
  Sessions sessions{fastalloc::PoolConfig{.capacity = 16,
                                          .max_capacity = 4096,
                                          .growth_strategy = fastalloc::GrowthStrategy::exponential(2.0),
                                          .name = "sessions"}};
  Messages messages{fastalloc::PoolConfig{.capacity = 64, .name = "messages"}};
  std::vector<Orders::handle_type> open_orders;
  std::vector<Sessions::handle_type> users;
  std::vector<Messages::handle_type> queue;

  /// Brings each pool to the given number of objects.
  void step(std::size_t order_count, std::size_t user_count, std::size_t message_count) {
    while (open_orders.size() > order_count) open_orders.pop_back();
    while (users.size() > user_count) users.pop_back();
    while (queue.size() > message_count) queue.pop_back();
    while (open_orders.size() < order_count) open_orders.push_back(orders.allocate(Order{1, 99.5, 10}));
    while (users.size() < user_count) users.push_back(sessions.allocate());
    while (queue.size() < message_count) {
      auto message = messages.try_allocate();
      if (!message) return;  // full: the message is dropped, and counted as a failure
      queue.push_back(std::move(message));
    }
  }
};

std::string make_page() { return fastalloc::PoolRegistry::to_prometheus(); }

}  // namespace

int main(int argc, char** argv) {
  Program program;
  if (argc > 1) {
    monitor::PageServer const server(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)), &make_page);
    std::printf("http://localhost:%u/metrics\n", static_cast<unsigned>(server.port()));
    std::fflush(stdout);
    std::mt19937 random(7);
    for (;;) {
      program.step(random() % 900, 20 + random() % 200, random() % 70);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  program.step(700, 100, 64);
  program.step(500, 60, 66);
  monitor::PageServer const server(0, &make_page);
  std::string const text = monitor::PageServer::fetch(server.port());
  monitor::Page const page = monitor::PageReader::read(text);
  if (!page.error.empty() || page.metrics.empty()) {
    std::printf("the page is wrong: %s\n%s", page.error.c_str(), text.c_str());
    return 1;
  }
  monitor::Screen screen(false);
  std::fputs(screen.draw(page, 0).c_str(), stdout);
  std::printf("%zu metrics on the page\n", page.metrics.size());
  return 0;
}
