// SPDX-License-Identifier: MIT OR Apache-2.0
// One pool for many threads: producers allocate, consumers destroy, and the pool's capacity keeps the producers in
// check.
#include <fastalloc/fastalloc.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

namespace {

using namespace std::chrono_literals;

struct Message {
  int sender;
  int number;
  char text[48] = {};
};

// AtomicStats: the statistics for pools that threads share. Each thread counts for itself; statistics() adds up.
using Pool = fastalloc::ThreadSafePool<Message, fastalloc::AtomicStats>;

// Handles are two words and move like any other owner; a queue of them needs nothing special.
class Queue {
 public:
  void push(Pool::handle_type message) {
    {
      std::lock_guard const guard(mutex_);
      messages_.push(std::move(message));
    }
    changed_.notify_one();
  }
  // Waits for a message; an empty handle says that there will be none any more.
  Pool::handle_type pop() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return closed_ || !messages_.empty(); });
    if (messages_.empty()) return nullptr;
    auto message = std::move(messages_.front());
    messages_.pop();
    return message;
  }
  void close() {
    {
      std::lock_guard const guard(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<Pool::handle_type> messages_;
  bool closed_ = false;
};

std::vector<std::thread> start(int count, std::function<void(int)> const& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i != count; ++i) threads.emplace_back(work, i);
  return threads;
}
void join(std::vector<std::thread>& threads) {
  for (auto& thread : threads) thread.join();
}

// 3 producers, 2 consumers, 3000 messages through 16 slots. Producers that are too fast wait for consumers, in
// allocate_for.
void pipeline(Pool& pool) {
  Queue queue;
  std::atomic<int> refused = 0, received = 0;
  std::atomic<long> sum = 0;

  auto producers = start(3, [&](int sender) {
    for (int number = 0; number != 1000; ++number) {
      auto message = pool.allocate_for(10s, sender, number);
      if (!message) {  // a consumer hangs: a real program would raise the alarm
        ++refused;
        continue;
      }
      std::snprintf(message->text, sizeof message->text, "number %d of %d", number, sender);
      queue.push(std::move(message));
    }
  });
  auto consumers = start(2, [&](int) {
    while (auto const message = queue.pop()) {
      sum += message->number;
      ++received;
    }  // here the message is destroyed, and its slot is free for any producer
  });
  join(producers);
  queue.close();
  join(consumers);
  std::printf("received: %d, refused: %d, sum: %ld\n", received.load(), refused.load(), sum.load());
}

// Slots that lie in other threads' caches are found all the same: together, the threads get every slot there is.
void race_for_slots(Pool& pool) {
  std::atomic<std::size_t> taken = 0;
  std::vector<std::vector<Pool::handle_type>> hoards(4);
  auto threads = start(4, [&](int i) {
    while (auto message = pool.try_allocate(i, 0)) {
      hoards[static_cast<std::size_t>(i)].push_back(std::move(message));
      ++taken;
    }
  });
  join(threads);
  std::printf("4 threads took %zu of %zu slots; available: %zu\n", taken.load(), pool.capacity(), pool.available());
}

void wait_for_a_slot(Pool& pool) {
  std::vector<Pool::handle_type> messages(pool.capacity());
  pool.allocate_batch(messages.size(), messages.data(), 0, 0);

  auto const begin = std::chrono::steady_clock::now();
  auto const late = pool.allocate_for(20ms, 1, 1);
  bool const waited = std::chrono::steady_clock::now() - begin >= 20ms;
  std::printf("full, 20 ms: %s, waited: %s\n", late ? "a slot" : "none", waited ? "yes" : "no");

  // The slot goes straight to whoever waits longest; a try_allocate() in between does not get it.
  std::thread waiting([&] {
    auto const message = pool.allocate_for(10s, 7, 42);
    std::printf("full, until one comes back: %s\n", message && message->number == 42 ? "a slot" : "none");
  });
  messages.pop_back();
  waiting.join();
  messages.push_back(pool.allocate(0, 0));

#if defined(__cpp_lib_jthread)
  // Shutting down: a thread that waits need not sit out its timeout.
  std::jthread stopped([&](std::stop_token const& stop) {
    auto const message = pool.allocate_for(1h, stop, 1, 1);
    std::printf("full, until stopped: %s\n", message ? "a slot" : "none");
  });
  stopped.request_stop();
#else
  std::printf("no std::stop_token in this standard library\n");
#endif
}

}  // namespace

int main() {
  Pool pool(16);
  pipeline(pool);

  auto const statistics = pool.statistics();
  std::printf("allocations: %llu, deallocations: %llu, in use: %zu, failures: %llu\n",
              static_cast<unsigned long long>(statistics.total_allocations),
              static_cast<unsigned long long>(statistics.total_deallocations), statistics.current_usage,
              static_cast<unsigned long long>(statistics.allocation_failures));
  std::printf("peak within the capacity: %s\n", statistics.peak_usage <= statistics.capacity ? "yes" : "no");

  race_for_slots(pool);
  wait_for_a_slot(pool);
  std::printf("failures: %llu, in use at the end: %zu\n",
              static_cast<unsigned long long>(pool.statistics().allocation_failures), pool.allocated());
}
