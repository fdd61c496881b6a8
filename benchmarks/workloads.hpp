// SPDX-License-Identifier: MIT OR Apache-2.0
// The single-thread workloads, each once, as templates over a subject.
//
// The subject lives in memory (its address is escaped), as a pool does in a program: no compiler may keep its state in
// registers across an operation.
// What a live object holds is always (cookie ^ its index); each workload checks that once outside of the timed part, so
// that a subject that hands out one slot twice, or a compiler that drops the work, is an error and not a record.
#pragma once

#include "cases.hpp"
#include "subject.hpp"

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::uint64_t cookie = 0x9e3779b97f4a7c15;
inline constexpr std::size_t small = 1'000;
inline constexpr std::size_t medium = 100'000;
inline constexpr std::size_t large = 1'000'000;
inline constexpr std::size_t frame = 10'000;

enum class Order { random, fifo, lifo };

/// Every object holds what was written into it: no slot was handed out twice, no write was dropped.
template <Subject S> void verify(benchmark::State& state, std::vector<typename S::owner> const& live) {
  for (std::size_t i = 0; i != live.size(); ++i) {
    if (S::object(live[i])->value == (cookie ^ i)) continue;
    state.SkipWithError("an object does not hold what was written into it");
    return;
  }
}

template <Subject S> void fill(S& subject, std::vector<typename S::owner>& live, std::size_t n) {
  while (live.size() != n) live.push_back(subject.make(cookie ^ live.size()));
}

/// Frees everything, in the order in which one would write it for this kind of owner.
template <Order O = Order::fifo, Subject S>
void free_all(S& subject, std::vector<typename S::owner>& live, std::vector<std::uint32_t> const& order = {}) {
  if constexpr (O == Order::random) {
    for (std::uint32_t i : order) subject.kill(live[i]);
    live.clear();
  } else if constexpr (O == Order::lifo) {
    while (!live.empty()) {
      if constexpr (!S::owner_frees) subject.kill(live.back());
      live.pop_back();
    }
  } else {
    if constexpr (!S::owner_frees)
      for (auto& owner : live) subject.kill(owner);
    live.clear();
  }
}

template <Subject S, bool EscapeOwner> void pair_of(benchmark::State& state) {
  S subject(small);
  escape(&subject);
  constexpr std::int64_t batch = 1024;
  std::uint64_t value = 0;
  while (state.KeepRunningBatch(batch)) {
    for (std::int64_t i = 0; i != batch; ++i) {
      typename S::owner owner = subject.make(++value);
      if constexpr (EscapeOwner) {
        escape(&owner);
      } else {
        escape(S::object(owner));
      }
      if constexpr (!S::owner_frees) subject.kill(owner);
    }
  }
}

template <Subject S, Order O, std::size_t N> void bulk(benchmark::State& state) {
  S subject(N);
  escape(&subject);
  std::vector<std::uint32_t> order(N);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(42));
  std::vector<typename S::owner> live;
  live.reserve(N);
  fill(subject, live, N);  // the first touch of every page
  verify<S>(state, live);
  free_all<O>(subject, live, order);
  while (state.KeepRunningBatch(N)) {
    fill(subject, live, N);
    escape(live.data());
    free_all<O>(subject, live, order);
  }
}

template <Subject S, std::size_t N> void churn(benchmark::State& state) {
  S subject(N);
  escape(&subject);
  std::vector<typename S::owner> live;
  live.reserve(N);
  fill(subject, live, N);
  Random random;
  auto const replace = [&](std::int64_t times) {
    for (; times != 0; --times) {
      std::size_t const i = random.below(N);
      subject.kill(live[i]);
      live[i] = subject.make(cookie ^ i);
    }
  };
  replace(N / 2);
  constexpr std::int64_t batch = 4096;
  while (state.KeepRunningBatch(batch)) replace(batch);
  escape(live.data());
  verify<S>(state, live);
  free_all(subject, live);
}

/// One iteration is one game frame over N entities: about N / 8 die and are replaced. The scan is part of the time.
template <Subject S, std::size_t N> void wave(benchmark::State& state) {
  S subject(N);
  escape(&subject);
  std::vector<typename S::owner> live;
  live.reserve(N);
  fill(subject, live, N);
  verify<S>(state, live);
  Random random;
  for (auto _ : state) {
    for (std::size_t i = 0; i < live.size();) {
      if (random.next() >> 29 != 0) {
        ++i;
        continue;
      }
      subject.kill(live[i]);
      live[i] = std::move(live.back());
      live.pop_back();
    }
    fill(subject, live, N);
    escape(live.data());
  }
  free_all(subject, live);
}

using Clock = std::chrono::steady_clock;

inline constexpr std::size_t batch_total = 256;
inline constexpr std::size_t batch_size = 64;

/// Takes the time of parts that are too short, or too different from the rest, for the loop of Google Benchmark.
/// A sum would be ruled by the few samples in which another program had the processor: this is the mean of the middle
/// half.
class Stopwatch {
 public:
  explicit Stopwatch(benchmark::State& state) : state_(state) {
    for (int i = 0; i != 1000; ++i) {
      start();
      stop();
    }
    overhead_ = middle_mean();
    samples_.clear();
  }
  ~Stopwatch() { state_.SetIterationTime((middle_mean() - overhead_) * static_cast<double>(samples_.size())); }

  void start() { start_ = Clock::now(); }
  void stop() { samples_.push_back(std::chrono::duration<double>(Clock::now() - start_).count()); }

 private:
  double middle_mean() {
    std::sort(samples_.begin(), samples_.end());
    auto const quarter = static_cast<std::ptrdiff_t>(samples_.size() / 4);
    double const sum = std::accumulate(samples_.begin() + quarter, samples_.end() - quarter, 0.0);
    return sum / static_cast<double>(samples_.end() - samples_.begin() - 2 * quarter);
  }

  benchmark::State& state_;
  Clock::time_point start_;
  double overhead_ = 0;
  std::vector<double> samples_;
};

/// Allocation alone, into owners that exist already; the frees are not timed.
template <Subject S, bool Batched> void allocate_only(benchmark::State& state) {
  S subject(batch_total);
  escape(&subject);
  std::vector<typename S::owner> live(batch_total);
  Stopwatch watch(state);
  for (auto _ : state) {
    watch.start();
    escape(live.data());
    if constexpr (Batched) {
      for (std::size_t i = 0; i != batch_total; i += batch_size)
        subject.make_batch(batch_size, live.begin() + static_cast<std::ptrdiff_t>(i), cookie);
    } else {
      for (auto& owner : live) owner = subject.make(cookie);
    }
    escape(live.data());
    watch.stop();
    for (auto& owner : live) {
      if (S::object(owner)->value != cookie) state.SkipWithError("an object does not hold what was written into it");
      subject.kill(owner);
    }
  }
}

/// Construction of the subject itself, with room for N objects.
template <Subject S, std::size_t N> void build(benchmark::State& state) {
  Stopwatch watch(state);
  for (auto _ : state) {
    watch.start();
    auto subject = std::make_unique<S>(N);
    escape(subject.get());
    watch.stop();
  }
}

template <Subject S, Order O> void add_bulk(std::string const& column, std::string const& subject, bool small_only) {
  cases().push_back({column + " 1k", subject, bulk<S, O, small>, 1'000'000, 1, false});
  if (small_only) return;
  cases().push_back({column + " 100k", subject, bulk<S, O, medium>, 1'000'000, 1, false});
  cases().push_back({column + " 1M", subject, bulk<S, O, large>, 1'000'000, 1, false});
}

/// All workloads that S can do. `small_only`: no more than a thousand objects, for subjects that are not O(1).
template <Subject S> void add_cases(std::string const& subject, bool small_only = false) {
  cases().push_back({"pairObj", subject, pair_of<S, false>, 3'000'000, 1, false});
  cases().push_back({"pair", subject, pair_of<S, true>, 3'000'000, 1, false});
  add_bulk<S, Order::random>("bulkRND", subject, small_only);
  add_bulk<S, Order::fifo>("bulkFIFO", subject, small_only);
  add_bulk<S, Order::lifo>("bulkLIFO", subject, small_only);
  cases().push_back({"churn 1k", subject, churn<S, small>, 2'000'000, 1, false});
  if (small_only) return;
  cases().push_back({"churn 100k", subject, churn<S, medium>, 1'000'000, 1, false});
  cases().push_back({"churn 1M", subject, churn<S, large>, 1'000'000, 1, false});
  cases().push_back({"wave 10k", subject, wave<S, frame>, 400, frame / 8, false});
  cases().push_back({"allocate", subject, allocate_only<S, false>, 10'000, batch_total, true});
  if constexpr (BatchSubject<S>)
    cases().push_back({"allocate", subject + ", batches", allocate_only<S, true>, 10'000, batch_total, true});
}

/// Construction with room for a million objects, for subjects that take their room at once.
template <Subject S> void add_build(std::string const& subject) {
  cases().push_back({"build 1M", subject, build<S, large>, 20, 1, true});
}

}  // namespace bench
