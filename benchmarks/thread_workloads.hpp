// SPDX-License-Identifier: MIT OR Apache-2.0
// The multi-thread workloads, each once, as templates over a subject that all threads share.
//
// Threads live for one measurement. Each does a sixteenth of its work before the barrier, so that pages and caches are
// there; the time runs from the barrier to the end of the last thread and is divided by the work of all of them.
// Objects are checked where they are freed: two threads that were given one slot, or a lost write, are an error.
#pragma once

#include "spin.hpp"
#include "workloads.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

/// Thread i runs on processor i, round and round: left alone, threads that were woken together may share one for the
/// whole time.
inline void pin(int thread) {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(static_cast<unsigned>(thread) % std::max(1U, std::thread::hardware_concurrency()), &processors);
  sched_setaffinity(0, sizeof processors, &processors);  // a machine that does not let us is measured as it is
}

/// Calls work(thread, turns) on each thread; it returns 0 unless an object was not what it should be. One turn of all
/// threads together is `pairs` pairs. `Timed`: sets the time of the case. At least `warm` turns come before the
/// barrier.
template <bool Timed = true, class F>
void measure(benchmark::State& state, int threads, int pairs, F const& work, std::int64_t warm = 1) {
  std::int64_t const turns = (state.max_iterations + pairs - 1) / pairs;
  std::atomic<std::uint64_t> wrong = 0;
  while (state.KeepRunningBatch(turns * pairs)) {
    Clock::time_point start;
    std::vector<Clock::time_point> ends(static_cast<std::size_t>(threads));
    std::barrier barrier(threads, [&start]() noexcept { start = Clock::now(); });
    {
      std::vector<std::jthread> all;
      for (int i = 0; i != threads; ++i) {
        all.emplace_back([&, i] {
          pin(i);
          std::uint64_t bits = work(i, turns / 16 + warm);
          barrier.arrive_and_wait();
          bits |= work(i, turns);
          ends[static_cast<std::size_t>(i)] = Clock::now();
          wrong |= bits;
        });
      }
    }
    std::chrono::duration<double> const seconds = *std::max_element(ends.begin(), ends.end()) - start;
    if constexpr (Timed) state.SetIterationTime(seconds.count());
  }
  if (wrong != 0) state.SkipWithError("an object does not hold what was written into it");
}

/// What the objects of a thread hold: nothing that another thread writes.
inline std::uint64_t first_value(int thread) { return cookie ^ static_cast<std::uint64_t>(thread) << 48; }

/// About 20 ns that need nothing but registers.
inline void private_work(Random& random) {
  for (int i = 0; i != 16; ++i) random.next();
  escape(&random);
}

/// Frees all of `live`, whose objects hold `value`, `value` + 1, ... Returns: 0 when they do.
template <Subject S>
std::uint64_t check_and_free(S& subject, std::vector<typename S::owner>& live, std::uint64_t value) {
  std::uint64_t wrong = 0;
  for (auto const& owner : live) wrong |= S::object(owner)->value ^ value++;
  free_all(subject, live);
  return wrong;
}

template <Subject S, int Threads, int Held> void local(benchmark::State& state) {
  S subject(static_cast<std::size_t>(1024 * Threads));
  escape(&subject);
  measure(state, Threads, Threads * Held, [&](int thread, std::int64_t turns) {
    std::uint64_t value = first_value(thread);
    std::uint64_t wrong = 0;
    std::vector<typename S::owner> live;
    live.reserve(Held);
    for (; turns != 0; --turns, value += Held) {
      if constexpr (Held == 1) {
        typename S::owner owner = subject.make(value);
        escape(S::object(owner));
        wrong |= S::object(owner)->value ^ value;
        if constexpr (!S::owner_frees) subject.kill(owner);
      } else {
        for (std::uint64_t i = 0; i != Held; ++i) live.push_back(subject.make(value + i));
        escape(live.data());
        wrong |= check_and_free(subject, live, value);
      }
    }
    return wrong;
  });
}

/// One thread pushes, another pops. Each side looks at the index of the other only when it must, and then not at once
/// again: two sides that take turns item by item would measure nothing but the way of the indices.
template <class T> class Ring {
 public:
  static constexpr std::size_t size = 4096;

  void push(T&& item) {
    if (tail_.own - tail_.seen == size) tail_.seen = wait_for_change(head_.index, tail_.seen);
    items_[tail_.own % size] = std::move(item);
    tail_.index.store(++tail_.own, std::memory_order_release);
  }
  T pop() {
    if (head_.own == head_.seen) head_.seen = wait_for_change(tail_.index, head_.seen);
    T item = std::move(items_[head_.own % size]);
    head_.index.store(++head_.own, std::memory_order_release);
    return item;
  }

 private:
  static std::size_t wait_for_change(std::atomic<std::size_t> const& index, std::size_t seen) {
    Backoff backoff;
    for (std::size_t now = index.load(std::memory_order_acquire);; now = index.load(std::memory_order_acquire)) {
      if (now != seen) return now;
      for (int i = 0; i != 64; ++i) backoff.wait();
    }
  }

  struct alignas(64) Side {
    std::atomic<std::size_t> index = 0;  ///< for the other side
    alignas(64) std::size_t own = 0;
    std::size_t seen = 0;  ///< the other side's index, some time ago
  };
  Side head_, tail_;
  alignas(64) std::array<T, size> items_{};
};

/// The bare ring: nothing is allocated, the objects of an array are written and sent round.
class Nothing {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Nothing(std::size_t) : objects_(Ring<Object*>::size + 2, Object(0)) {}
  Object* make(std::uint64_t value) {
    if (next_ == objects_.size()) next_ = 0;
    Object& object = objects_[next_++];
    object.value = value;
    return &object;
  }
  void kill(Object*) {}
  static Object const* object(Object* object) { return object; }

 private:
  std::vector<Object> objects_;
  std::size_t next_ = 0;
};

/// One thread allocates, another frees.
template <Subject S> void prodcons(benchmark::State& state) {
  using Owner = typename S::owner;
  S subject(2 * Ring<Owner>::size);
  escape(&subject);
  auto const ring = std::make_unique<Ring<Owner>>();
  measure(state, 2, 1, [&](int thread, std::int64_t turns) {
    std::uint64_t value = cookie;
    std::uint64_t wrong = 0;
    if (thread == 0) {
      for (; turns != 0; --turns) ring->push(subject.make(value++));
    } else {
      for (; turns != 0; --turns) {
        Owner owner = ring->pop();
        wrong |= S::object(owner)->value ^ value++;
        if constexpr (!S::owner_frees) subject.kill(owner);
      }
    }
    return wrong;
  });
}

template <class S>
concept LimitedSubject = Subject<S> && requires(S& subject) {
  { subject.try_make(std::uint64_t{}) } -> std::same_as<typename S::owner>;  // without an object when none is free
};

/// Four threads that hold 1 to 8 objects each, of 50 slots: none has to do without. `Failures`: counts, instead of the
/// time, how often one had to.
template <LimitedSubject S, bool Failures> void contended(benchmark::State& state) {
  S subject(50);
  escape(&subject);
  std::atomic<std::int64_t> failures = 0;
  measure<!Failures>(state, 4, 4, [&](int thread, std::int64_t pairs) {
    Random random(first_value(thread));
    std::uint64_t wrong = 0;
    std::int64_t failed = 0;
    std::vector<typename S::owner> live;
    live.reserve(8);
    while (pairs != 0) {
      std::uint64_t const value = first_value(thread) + static_cast<std::uint64_t>(pairs);
      std::int64_t wanted = std::min(pairs, static_cast<std::int64_t>(1 + random.below(8)));
      for (; wanted != 0; --wanted) {
        typename S::owner owner = subject.try_make(value + live.size());
        if (S::object(owner) == nullptr) ++failed;
        else live.push_back(std::move(owner));
      }
      escape(live.data());
      private_work(random);
      pairs -= static_cast<std::int64_t>(live.size());
      wrong |= check_and_free(subject, live, value);
    }
    failures += failed;
    return wrong;
  });
  if constexpr (Failures) state.SetIterationTime(static_cast<double>(failures) * 1e-9);
}

/// Four threads that want one of two slots.
template <Subject S> void waiters(benchmark::State& state) {
  S subject(2);
  escape(&subject);
  measure(state, 4, 4, [&](int thread, std::int64_t turns) {
    std::uint64_t value = first_value(thread);
    std::uint64_t wrong = 0;
    for (; turns != 0; --turns, ++value) {
      typename S::owner const owner = subject.wait_make(std::chrono::seconds(1), value);
      escape(S::object(owner));
      wrong |= S::object(owner) == nullptr ? 1 : S::object(owner)->value ^ value;
    }
    return wrong;
  });
}

template <class Lock, int Threads> void lock_only(benchmark::State& state) {
  struct alignas(64) {
    Lock lock;
    std::int64_t count = 0;
  } shared;
  std::atomic<std::int64_t> wanted = 0;
  measure(state, Threads, Threads, [&](int thread, std::int64_t turns) -> std::uint64_t {
    Random random(first_value(thread));
    wanted += turns;
    for (; turns != 0; --turns) {
      shared.lock.lock();
      ++shared.count;
      shared.lock.unlock();
      private_work(random);
    }
    return 0;
  });
  if (shared.count != wanted) state.SkipWithError("two threads held the lock");
}

/// The same for 200 ms, whatever each thread gets done. `Share`: the turns of the busiest thread for one of the idlest;
/// else the longest time from one turn of a thread to its next, in ms. A nanosecond stands for one.
template <class Lock, bool Share> void lock_fairness(benchmark::State& state) {
  constexpr int threads = 16;
  struct alignas(64) Turns {
    std::int64_t count = 0;
    Clock::duration longest{};
  };
  for (auto _ : state) {
    Lock lock;
    std::int64_t count = 0;
    std::atomic<bool> ends{false};
    std::array<Turns, threads> all{};
    std::barrier barrier(threads + 1);
    std::vector<std::jthread> running;
    for (int i = 0; i != threads; ++i)
      running.emplace_back([&, i] {
        pin(i);
        Random random(first_value(i));
        Turns turns;
        barrier.arrive_and_wait();
        for (auto last = Clock::now(); !ends.load(std::memory_order_relaxed); ++turns.count) {
          lock.lock();
          ++count;
          lock.unlock();
          private_work(random);
          auto const now = Clock::now();
          turns.longest = std::max(turns.longest, now - std::exchange(last, now));
        }
        all[static_cast<std::size_t>(i)] = turns;
      });
    barrier.arrive_and_wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ends = true;
    running.clear();
    auto const [idlest, busiest] =
        std::minmax_element(all.begin(), all.end(), [](Turns const& a, Turns const& b) { return a.count < b.count; });
    auto const longest = std::max_element(all.begin(), all.end(), [](Turns const& a, Turns const& b) {
                           return a.longest < b.longest;
                         })->longest;
    state.SetIterationTime(1e-9 * (Share ? static_cast<double>(busiest->count) /
                                               static_cast<double>(std::max<std::int64_t>(idlest->count, 1))
                                         : std::chrono::duration<double, std::milli>(longest).count()));
  }
}

template <Subject S, int... Threads> void add_local(std::string const& subject) {
  auto const add = [&](std::string const& column, void (*run)(benchmark::State&)) {
    cases().push_back({"local " + column, subject, run, 0, 1, true});
  };
  (add(std::to_string(Threads) + "/1", local<S, Threads, 1>), ...);
  (add(std::to_string(Threads) + "/64", local<S, Threads, 64>), ...);
}

template <Subject S> void add_prodcons(std::string const& subject) {
  cases().push_back({"prodcons", subject, prodcons<S>, 0, 1, true});
}

/// All workloads that S can do.
template <Subject S> void add_thread_cases(std::string const& subject) {
  add_local<S, 1, 2, 4, 8, 16>(subject);
  add_prodcons<S>(subject);
  if constexpr (LimitedSubject<S>) {
    cases().push_back({"contended", subject, contended<S, false>, 0, 1, true});
    cases().push_back({"failures", subject, contended<S, true>, 400'000, 1e-6, true});
  }
  if constexpr (requires(S& some) { some.wait_make(std::chrono::seconds(1), 0U); })
    cases().push_back({"waiters", subject, waiters<S>, 0, 1, true});
}

template <class Lock> void add_lock(std::string const& subject) {
  cases().push_back({"lock 1", subject, lock_only<Lock, 1>, 0, 1, true});
  cases().push_back({"lock 2", subject, lock_only<Lock, 2>, 0, 1, true});
  cases().push_back({"lock 16", subject, lock_only<Lock, 16>, 0, 1, true});
  cases().push_back({"lock share", subject, lock_fairness<Lock, true>, 1, 1, true});
  cases().push_back({"lock wait", subject, lock_fairness<Lock, false>, 1, 1, true});
}

}  // namespace bench
