// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads the time stamp counter around single operations, between fences; elsewhere than on x86 the steady clock.
#include "latency.hpp"

#include "pools.hpp"
#include "workloads.hpp"

#include <array>
#include <atomic>

#include <sys/resource.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {
namespace {

std::uint64_t ticks() noexcept {
  escape(nullptr);  // the compiler moves no access across, the fences keep the processor from it
#if defined(__x86_64__)
  _mm_lfence();
  std::uint64_t const now = __rdtsc();
  _mm_lfence();
#else
  auto const now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
#endif
  escape(nullptr);
  return now;
}

double ns_per_tick() {
  auto const start = Clock::now();
  std::uint64_t const first = ticks();
  while (Clock::now() - start < std::chrono::milliseconds(50)) {
  }
  std::chrono::duration<double, std::nano> const elapsed = Clock::now() - start;
  return elapsed.count() / static_cast<double>(ticks() - first);
}

class Samples {
 public:
  explicit Samples(std::size_t count) : ticks_(count, 1) {}  // written in full, so that no fault of theirs is counted

  template <class F>
  void add(F&& f) {
    std::uint64_t const start = ticks();
    f();
    ticks_[next_++] = static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks() - start, UINT32_MAX));
  }

  Percentiles percentiles(double ns_per_tick) {
    std::sort(ticks_.begin(), ticks_.end());
    auto const at = [&](double share) {
      return ticks_[static_cast<std::size_t>(share * static_cast<double>(ticks_.size() - 1))] * ns_per_tick;
    };
    return {at(0.5), at(0.99), at(0.999), at(0.9999), at(1)};
  }

 private:
  std::vector<std::uint32_t> ticks_;
  std::size_t next_ = 0;
};

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

}  // namespace

LatencyReport measure_latency(std::uint64_t count) {
  double const scale = ns_per_tick();
  fastalloc::FixedPool<Object> pool(fastalloc::PoolConfig{.capacity = medium, .pre_initialize = true});
  std::vector<fastalloc::FixedPool<Object>::handle_type> live;
  live.reserve(medium);
  for (std::size_t i = 0; i != medium; ++i) live.push_back(pool.allocate(i));

  Samples empty(count), allocate(count), free(count);
  Random random;
  long const faults = page_faults();
  for (std::uint64_t i = 0; i != count; i += 2) {
    // Two at once: the second free and the second allocation do not take the shortest way through the pool.
    std::size_t const first = random.below(medium);
    std::array const handles{&live[first], &live[(first + medium / 2) % medium]};
    for (auto* handle : handles) {
      escape(reinterpret_cast<void const*>((*handle)->value));  // an object that has just been used: it is in the cache
      std::atomic_thread_fence(std::memory_order_seq_cst);      // and what was stored before is done
      empty.add([] {});
    }
    for (auto* handle : handles) free.add([&] { handle->reset(); });
    for (auto* handle : handles) allocate.add([&] { *handle = pool.allocate(i); });
  }
  long const faults_after = page_faults();
  return {count, empty.percentiles(scale), allocate.percentiles(scale), free.percentiles(scale), faults_after - faults};
}

}  // namespace bench
