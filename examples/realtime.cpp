// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool for a real-time thread: its memory is brought in and locked before the thread begins, and from then on no
// operation takes a page fault, nor makes a system call while the lock is free. (Where threads contend for it,
// AdaptiveLock sleeps and wakes by futex; LockFree never makes a call, SpinLock none but a yield.) What the system
// refuses (often: locking, to those without the privilege) is said before, not noticed later.
//
// A control loop of 1 kHz: each cycle takes samples from the pool, hands them to a logger through a queue, and gives
// back those that the logger is done with. Both threads use one ThreadSafePool.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>
#endif

namespace {

using namespace fastalloc;

struct Sample {
  int cycle = 0;
  double channels[7] = {};
};

// AtomicStats: whether the pool ever ran dry. NoCache: no thread keeps slots for itself, so a full pool is full without
// a search through others' caches, which takes a system call.
using Pool = ThreadSafePool<Sample, PageStorage, NoCache, AtomicStats>;
using Owned = Pool::handle_type;

/// A ring for one writer and one reader; no lock, no memory but its own.
class Queue {
 public:
  bool push(Owned& sample) noexcept {
    std::size_t const end = end_.load(std::memory_order_relaxed);  // relaxed: written by this thread
    // acquire: the reader has emptied the place that is written to.
    if (end - begin_.load(std::memory_order_acquire) == places) return false;
    ring_[end % places] = std::move(sample);
    end_.store(end + 1, std::memory_order_release);  // release: the sample is there
    return true;
  }
  Owned pop() noexcept {
    std::size_t const begin = begin_.load(std::memory_order_relaxed);  // relaxed: written by this thread
    // acquire: what was pushed is there.
    if (begin == end_.load(std::memory_order_acquire)) return {};
    Owned sample = std::move(ring_[begin % places]);
    begin_.store(begin + 1, std::memory_order_release);  // release: the place is empty
    return sample;
  }

 private:
  static constexpr std::size_t places = 64;
  std::array<Owned, places> ring_;
  std::atomic<std::size_t> begin_{0};
  std::atomic<std::size_t> end_{0};
};

/// Page faults of the calling thread so far; 0 where nobody counts them.
long page_faults() {
#if defined(RUSAGE_THREAD)
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
#else
  return 0;
#endif
}

constexpr int cycles = 300;
constexpr int samples_per_cycle = 3;

struct Outcome {
  int handed_over = 0;
  int refused = 0;
  long faults = 0;
};

Outcome control_loop(Pool& pool, Queue& queue) {
  // Here a real program makes itself SCHED_FIFO. The first cycle brings in the code and the stack of the thread.
  Outcome outcome;
  long before = 0;
  auto next = std::chrono::steady_clock::now();
  for (int cycle = 0; cycle != cycles; ++cycle) {
    if (cycle == 1) before = page_faults();
    for (int i = 0; i != samples_per_cycle; ++i) {
      Owned sample = pool.try_allocate();  // never waits: no room is an answer
      if (sample) {
        sample->cycle = cycle;
        sample->channels[i] = 0.5 * cycle;
        if (queue.push(sample)) {
          ++outcome.handed_over;
          continue;
        }
      }
      ++outcome.refused;  // the logger is late: this sample is dropped, the loop goes on
    }
    std::this_thread::sleep_until(next += std::chrono::milliseconds(1));
  }
  outcome.faults = page_faults() - before;
  return outcome;
}

}  // namespace

int main() {
  PoolConfig const config{.capacity = 1000, .pre_initialize = true};
  // Locked, from here on, and on node 0, where the loop's processor is to be. Without `required` the pool is built in
  // any case, and the storage has a note of what the system refused.
  Pool pool(config, PageStorage{{.lock_memory = true, .numa_node = 0}});
  std::printf("pool of %zu samples, memory %s\n", pool.capacity(),
              pool.storage().has_note(PageFeature::lock_memory) ? "not locked" : "locked");
  std::printf("note: %s\n", pool.storage().has_note() ? pool.storage().note().to_string().c_str() : "none");

  // Where unlocked memory will not do: no pool, and the same text as an error. This node is not there.
  auto const strict = Pool::try_create(config, PageStorage{{.lock_memory = true, .numa_node = 1023, .required = true}});
  std::printf("required: %s\n", strict ? "all was had" : strict.error().to_string().c_str());

  Queue queue;
  std::atomic<bool> done{false};
  int logged = 0;
  std::thread logger([&] {
    bool last = false;
    while (!last) {
      last = done.load(std::memory_order_acquire);  // acquire: what was pushed before is seen by the pops below
      while (Owned const sample = queue.pop()) logged += sample->cycle >= 0 ? 1 : 0;
      if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  Outcome outcome;
  std::thread control([&] { outcome = control_loop(pool, queue); });
  control.join();
  done.store(true, std::memory_order_release);  // release: see the logger
  logger.join();

  std::printf("%d cycles: every sample was logged or refused: %s\n", cycles,
              outcome.handed_over == logged && outcome.handed_over + outcome.refused == cycles * samples_per_cycle
                  ? "yes"
                  : "no");
  std::printf("page faults of the loop after its first cycle: %ld\n", outcome.faults);
  PoolStatistics const statistics = pool.statistics();
  std::printf("in use at the end: %zu, requests of a full pool: %llu\n", statistics.current_usage,
              static_cast<unsigned long long>(statistics.allocation_failures));
}
