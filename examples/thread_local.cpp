// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool for each thread: workers allocate without locks, and the main thread destroys what they hand it.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdio>
#include <latch>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

// The primes among 100 numbers, and how many they are.
struct Block {
  static constexpr int size = 100;
  int number;
  int count = 0;
  int primes[size] = {};
  explicit Block(int n) : number(n) {}
};

// Each thread that allocates gets a sub-pool; the capacity is that of each. Handles find their way back by themselves.
using Pool = fastalloc::ThreadLocalPool<Block, fastalloc::AtomicStats>;

class Mailbox {
 public:
  void put(Pool::handle_type block) {
    std::lock_guard const guard(mutex_);
    blocks_.push_back(std::move(block));
  }
  std::vector<Pool::handle_type> take_all() {
    std::lock_guard const guard(mutex_);
    return std::exchange(blocks_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Pool::handle_type> blocks_;
};

bool is_prime(int n) {
  for (int i = 2; i * i <= n; ++i)
    if (n % i == 0) return false;
  return n >= 2;
}

void compute(Block& block) {
  for (int n = block.number * Block::size; n != (block.number + 1) * Block::size; ++n)
    if (is_prime(n)) block.primes[block.count++] = n;
}

// 3 workers at once, each with at most 8 blocks in flight.
void all_primes_below(int limit) {
  constexpr int workers = 3;
  int const blocks = limit / Block::size;
  Pool pool(8);
  Mailbox mailbox;
  std::latch all_here(workers);

  std::vector<std::thread> threads;
  for (int worker = 0; worker != workers; ++worker)
    threads.emplace_back([&, worker] {
      for (int number = worker; number < blocks; number += workers) {
        auto block = pool.try_allocate(number);
        // All 8 are on their way to the main thread. What it destroys comes back to us.
        for (; !block; block = pool.try_allocate(number)) std::this_thread::yield();
        if (number == worker)
          all_here.arrive_and_wait();  // else a late worker might take over the sub-pool of one that has ended
        compute(*block);
        mailbox.put(std::move(block));
      }
    });

  int received = 0, primes = 0, greatest = 0;
  while (received != blocks) {
    for (auto const& block : mailbox.take_all()) {
      primes += block->count;
      if (block->count != 0) greatest = std::max(greatest, block->primes[block->count - 1]);
      ++received;
    }  // the blocks are destroyed here: each goes back to the sub-pool of the worker that made it
    std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();

  std::printf("primes below %d: %d, the greatest is %d\n", limit, primes, greatest);
  auto const total = pool.total_statistics();  // no other thread uses the pool any more
  std::printf("sub-pools: %zu, slots: %zu, allocations: %llu, in use: %zu\n", pool.sub_pools(), pool.total_capacity(),
              static_cast<unsigned long long>(total.total_allocations), total.current_usage);
}

// Workers that come and go. Each has the whole capacity: a sub-pool whose thread has ended serves another one when
// nothing lives in it any more.
void shifts() {
  Pool pool(8);
  std::vector<Pool::handle_type> kept;
  for (int shift = 1; shift <= 5; ++shift) {
    std::thread([&] {
      kept.push_back(pool.allocate(0));  // this one outlives the thread
      std::size_t const found = pool.allocated() - 1;
      for (int number = 1; number != 3; ++number) auto const block = pool.allocate(number);
      std::printf("shift %d: found %zu of %zu in use, left %zu\n", shift, found, pool.capacity(), pool.allocated());
    }).join();
  }
  std::printf("after 5 shifts: sub-pools %zu, slots %zu\n", pool.sub_pools(), pool.total_capacity());

  kept.clear();  // their threads are gone; the sub-pool is not
  std::printf("in use: %zu\n", pool.total_statistics().current_usage);

  // To destroy, a thread needs no sub-pool. To allocate, it does: main takes over one that a shift left.
  auto const mine = pool.allocate(0);
  std::printf("main allocates, too: sub-pools %zu, in use %zu\n", pool.sub_pools(), pool.allocated());
}

}  // namespace

int main() {
  all_primes_below(30'000);
  shifts();
}
