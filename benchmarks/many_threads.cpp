// SPDX-License-Identifier: MIT OR Apache-2.0
// Many pools, many threads: each thread uses all pools in turn; threads that used the pool sleep; threads live for a
// few uses; demand comes near the capacity or above it. The shapes in which caches of threads cost more than they save.
#include "heap.hpp"
#include "limit.hpp"
#include "pools.hpp"
#include "thread_workloads.hpp"

#include <fastalloc/fastalloc.hpp>

#include <malloc.h>
#include <pthread.h>

#include <functional>
#include <latch>
#include <mutex>
#include <numeric>
#include <type_traits>

namespace bench {
namespace {

using namespace fastalloc;

using Shared = Ours<ThreadSafePool<Object>>;
using Uncached = Ours<ThreadSafePool<Object, NoCache>>;
using Local = Ours<ThreadLocalPool<Object>>;
using Single = Ours<FixedPool<Object>>;
using Synchronized = Pmr<std::pmr::synchronized_pool_resource>;

/// Free objects in a vector behind a mutex. At most n objects.
class LockedVector {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit LockedVector(std::size_t n) : left_(n) {}
  LockedVector(LockedVector const&) = delete;
  LockedVector& operator=(LockedVector const&) = delete;
  ~LockedVector() {
    for (Object* object : free_) delete object;
  }
  Object* try_make(std::uint64_t value) {
    std::lock_guard const guard(lock_);
    if (free_.empty()) return left_ == 0 ? nullptr : (--left_, new Object(value));
    Object* const object = free_.back();
    free_.pop_back();
    return ::new (object) Object(value);
  }
  Object* make(std::uint64_t value) { return try_make(value); }
  void kill(Object* object) {
    std::lock_guard const guard(lock_);
    free_.push_back(object);
  }
  static Object const* object(Object* object) { return object; }

 private:
  std::mutex lock_;
  std::vector<Object*> free_;
  std::size_t left_;
};

/// A subject that takes its room for each thread anew gets room for a few objects.
template <class S> constexpr std::size_t room(std::size_t n) {
  return std::is_same_v<S, Local> || std::is_same_v<S, Limit> ? 4 : n;
}

/// The subjects that are used in turn; each in memory of its own.
template <Subject S> class Row {
 public:
  Row(std::size_t used, std::size_t step, std::size_t objects) {
    for (std::size_t i = 0; i != (used - 1) * step + 1; ++i) {
      all_.push_back(std::make_unique<S>(room<S>(objects)));
      if (i % step == 0) used_.push_back(all_.back().get());
    }
    escape(used_.data());
  }
  std::size_t size() const { return used_.size(); }
  S& operator[](std::size_t i) const { return *used_[i]; }

 private:
  std::vector<std::unique_ptr<S>> all_;
  std::vector<S*> used_;
};

template <Subject S> std::uint64_t use(S& subject, std::uint64_t value) {
  typename S::owner owner = subject.make(value);
  escape(S::object(owner));
  std::uint64_t const wrong = S::object(owner)->value ^ value;
  if constexpr (!S::owner_frees) subject.kill(owner);
  return wrong;
}

struct Grid {
  int pools, threads;
  /// Two pools are 128 apart, where tables of that many places collide.
  std::size_t step() const { return pools == 2 ? 128 : 1; }
  std::int64_t pairs() const { return std::int64_t{pools} * threads; }
};
constexpr int warm_turns = 16;  ///< caches may come with a thread's later uses

/// Each thread uses all pools, of `objects` objects, in turn. `Each`: every thread has a row of its own.
template <Subject S, bool Each> void in_turn_of(benchmark::State& state, Grid grid, std::size_t objects) {
  std::vector<std::unique_ptr<Row<S>>> rows;
  for (int i = 0; i != (Each ? grid.threads : 1); ++i)
    rows.push_back(std::make_unique<Row<S>>(static_cast<std::size_t>(grid.pools), grid.step(), objects));
  measure(
      state, grid.threads, static_cast<int>(grid.pairs()),
      [&](int thread, std::int64_t turns) {
        Row<S> const& row = *rows[Each ? static_cast<std::size_t>(thread) : 0];
        std::uint64_t value = first_value(thread);
        std::uint64_t wrong = 0;
        for (; turns != 0; --turns)
          for (std::size_t i = 0; i != row.size(); ++i) wrong |= use(row[i], ++value);
        return wrong;
      },
      warm_turns);
}

template <Subject S, bool Each> void in_turn(benchmark::State& state, Grid grid) {
  in_turn_of<S, Each>(state, grid, static_cast<std::size_t>(std::max(1024, 64 * grid.threads)));
}

/// new and delete with a working set as large: each thread holds as many objects as there are pools, and replaces them
/// in turn.
void replace_in_turn(benchmark::State& state, Grid grid) {
  measure(
      state, grid.threads, static_cast<int>(grid.pairs()),
      [&](int thread, std::int64_t turns) {
        std::uint64_t const value = first_value(thread);
        std::uint64_t wrong = 0;
        std::vector<std::unique_ptr<Object>> live(static_cast<std::size_t>(grid.pools));
        for (auto& object : live) object.reset(new Object(value));
        for (; turns != 0; --turns)
          for (auto& object : live) {
            wrong |= object->value ^ value;
            object.reset();
            object.reset(new Object(value));
            escape(object.get());
          }
        return wrong;
      },
      warm_turns);
}

/// Threads that have used a subject and sleep.
class Sleepers {
 public:
  template <class F> Sleepers(int n, F const& work) : worked_(n + 1) {
    for (int i = 0; i != n; ++i)
      threads_.emplace_back([this, &work] {
        work();
        worked_.count_down();
        end_.wait();
      });
    worked_.arrive_and_wait();
  }
  ~Sleepers() { end_.count_down(); }

 private:
  std::latch worked_;
  std::latch end_{1};
  std::vector<std::jthread> threads_;
};

template <Subject S> void beside_sleepers(benchmark::State& state, int sleepers) {
  S subject(room<S>(static_cast<std::size_t>(64 * (sleepers + 1))));
  Sleepers const asleep(sleepers, [&] {
    for (int i = 0; i != warm_turns && !std::is_same_v<S, Single>; ++i) use(subject, cookie);
  });
  measure(state, 1, 1, [&](int, std::int64_t turns) {
    std::uint64_t wrong = 0;
    for (; turns != 0; --turns) wrong |= use(subject, static_cast<std::uint64_t>(turns));
    return wrong;
  });
}

/// The same with 100 objects, so that caches get slots and give them back.
template <Subject S> void held_beside_sleepers(benchmark::State& state, int sleepers) {
  constexpr std::int64_t held = 100;
  S subject(std::is_same_v<S, Local> ? held : static_cast<std::size_t>(64 * sleepers + 1024));
  Sleepers const asleep(sleepers, [&] {
    for (int i = 0; i != warm_turns && !std::is_same_v<S, Single>; ++i) use(subject, cookie);
  });
  measure(state, 1, held, [&](int, std::int64_t turns) {
    std::uint64_t wrong = 0;
    std::vector<typename S::owner> live;
    live.reserve(held);
    for (; turns != 0; --turns) {
      fill(subject, live, held);
      escape(live.data());
      for (std::size_t i = 0; i != live.size(); ++i) wrong |= S::object(live[i])->value ^ (cookie ^ i);
      free_all(subject, live);
    }
    return wrong;
  });
}

/// Attempts at a pool of which all 64 slots are in use.
template <LimitedSubject S> void polling(benchmark::State& state, int sleepers) {
  S subject(64);
  std::mutex one_by_one;
  Sleepers const asleep(sleepers, [&] {
    std::lock_guard const guard(one_by_one);
    for (int i = 0; i != warm_turns; ++i) use(subject, cookie);
  });
  std::vector<typename S::owner> live;
  for (std::uint64_t i = 0; i != 64; ++i) live.push_back(subject.make(i));
  measure(state, 1, 1, [&](int, std::int64_t turns) {
    std::uint64_t wrong = 0;
    for (; turns != 0; --turns) {
      typename S::owner const owner = subject.try_make(1);
      wrong |= S::object(owner) != nullptr ? 1 : 0;
    }
    return wrong;
  });
  check_and_free(subject, live, 0);
}

template <Subject S> typename S::owner try_make(S& subject, std::uint64_t value) {
  if constexpr (LimitedSubject<S>) return subject.try_make(value);
  else return subject.make(value);
}

/// Four threads that want `share` of 480 slots together: each replaces one of its objects at random. Per attempt.
template <Subject S> void demand(benchmark::State& state, double share) {
  constexpr int threads = 4;
  constexpr std::size_t capacity = 480;
  S subject(capacity);
  escape(&subject);
  measure(state, threads, threads, [&](int thread, std::int64_t turns) {
    Random random(first_value(thread));
    std::uint64_t const value = first_value(thread);
    std::uint64_t wrong = 0;
    std::vector<typename S::owner> live(static_cast<std::size_t>(share * capacity / threads));
    for (; turns != 0; --turns) {
      auto& owner = live[random.below(live.size())];
      if (S::object(owner) != nullptr) {
        wrong |= S::object(owner)->value ^ value;
        subject.kill(owner);
      }
      owner = try_make(subject, value);
      if (turns % 256 == 0) std::this_thread::yield();  // so that they meet, whatever the number of processors
    }
    for (auto& owner : live)
      if (S::object(owner) != nullptr) subject.kill(owner);
    return wrong;
  });
}

/// Four threads that want one of two slots, for at most 20 µs. Per attempt.
template <Subject S> void impatient(benchmark::State& state) {
  S subject(2);
  escape(&subject);
  measure(state, 4, 4, [&](int thread, std::int64_t turns) {
    std::uint64_t const value = first_value(thread);
    std::uint64_t wrong = 0;
    for (; turns != 0; --turns) {
      auto const owner = subject.pool.allocate_for(std::chrono::microseconds(20), value);
      std::this_thread::yield();
      if (owner) wrong |= S::object(owner)->value ^ value;
    }
    return wrong;
  });
}

/// When a thread ends: after the destructors of its thread_local objects and the first call of those of its keys.
class End {
 public:
  Clock::time_point time;

  void set() { pthread_setspecific(key(), this); }

 private:
  static pthread_key_t key() {
    static pthread_key_t const key = [] {
      pthread_key_t made{};
      pthread_key_create(&made, [](void* end) { static_cast<End*>(end)->call(); });
      return made;
    }();
    return key;
  }
  void call() {
    if (!std::exchange(called_, true)) return set();
    time = Clock::now();
  }
  bool called_ = false;
};

/// Seconds from the start of a thread's function to its end.
template <class F> double life_of_thread(F const& work) {
  End end;
  Clock::time_point start;
  std::thread([&] {
    end.set();
    start = Clock::now();
    work();
  }).join();
  return std::chrono::duration<double>(end.time - start).count();
}
double middle_mean(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  auto const quarter = static_cast<std::ptrdiff_t>(samples.size() / 4);
  double const sum = std::accumulate(samples.begin() + quarter, samples.end() - quarter, 0.0);
  return sum / static_cast<double>(samples.end() - samples.begin() - 2 * quarter);
}

/// Threads that use each of the pools so often, and end: their lives minus those of empty threads. Means of the middle
/// halves.
template <Subject S> void short_lived(benchmark::State& state, std::size_t pools, int uses) {
  Row<S> const row(pools, 1, 1024);
  std::vector<double> empty, used;
  for (auto _ : state) {
    empty.push_back(life_of_thread([] {}));
    used.push_back(life_of_thread([&] {
      for (int i = 0; i != uses; ++i)
        for (std::size_t pool = 0; pool != row.size(); ++pool) use(row[pool], cookie);
    }));
  }
  state.SetIterationTime(std::max(middle_mean(used) - middle_mean(empty), 1e-9) * static_cast<double>(used.size()));
}

constexpr double mebi = 1024 * 1024;
std::size_t heap_bytes() {
  struct mallinfo2 const now = mallinfo2();
  return now.uordblks + now.hblkhd;
}

/// What comes onto the heap when 50 threads use each of 5,000 pools: a nanosecond stands for a MiB.
template <Subject S> void parts(benchmark::State& state, int uses) {
  Row<S> const row(5000, 1, 3200);
  for (auto _ : state) {
    std::latch started(51), measured(1), used(51), end(1);
    std::vector<std::jthread> threads;
    for (int t = 0; t != 50; ++t)
      threads.emplace_back([&] {
        started.count_down();
        measured.wait();
        for (int use_number = 0; use_number != uses; ++use_number)
          for (std::size_t i = 0; i != row.size(); ++i) use(row[i], cookie);
        used.count_down();
        end.wait();
      });
    started.arrive_and_wait();
    std::size_t const before = heap_bytes();
    measured.count_down();
    used.arrive_and_wait();
    state.SetIterationTime(static_cast<double>(heap_bytes() - before) / mebi * 1e-9);
    end.count_down();
  }
}

using Run = std::function<void(benchmark::State&)>;
void add(std::string const& column, std::string const& subject, Run run, double pairs = 1,
         benchmark::IterationCount iterations = 0) {
  cases().push_back({"many " + column, subject, std::move(run), iterations, pairs, true});
}

template <class F>
void add_grid(std::string const& subject, std::vector<int> const& pools, std::vector<int> const& threads,
              F const& workload) {
  for (int const p : pools)
    for (int const t : threads)
      add(
          std::to_string(p) + "/" + std::to_string(t), subject,
          [=](benchmark::State& state) { workload(state, Grid{p, t}); }, 1, p < 300 ? 0 : 2'000'000);
}

/// One thread, pools of 256 KiB of objects: heaps begin such blocks at a page. That of glibc no longer does so once one
/// of them was freed, unless it is told to.
constexpr std::size_t big_pool = 4096;  ///< objects
constexpr int big_rows[] = {8, 30, 300};
template <Subject S> void big_in_turn(benchmark::State& state, int pools) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
  in_turn_of<S, true>(state, Grid{pools, 1}, big_pool);
}
template <Subject S> void add_big(std::string const& subject) {
  for (int const n : big_rows)
    add("big " + std::to_string(n), subject, [n](benchmark::State& state) { big_in_turn<S>(state, n); });
}

/// What a subject for several threads can do but for the grid.
template <Subject S> void add_rest(std::string const& subject) {
  for (int const n : {0, 1000, 4000}) {
    add("idle " + std::to_string(n), subject, [n](benchmark::State& state) { beside_sleepers<S>(state, n); });
    add("held " + std::to_string(n), subject, [n](benchmark::State& state) { held_beside_sleepers<S>(state, n); });
    if constexpr (LimitedSubject<S> && !std::is_same_v<S, Local>)
      add("full " + std::to_string(n), subject, [n](benchmark::State& state) { polling<S>(state, n); });
  }
  add("thread 1", subject, [](benchmark::State& state) { short_lived<S>(state, 1, 1); }, 1, 1000);
  add("thread 10", subject, [](benchmark::State& state) { short_lived<S>(state, 1, 10); }, 10, 1000);
  add("thread 10 pools", subject, [](benchmark::State& state) { short_lived<S>(state, 10, 1); }, 10, 1000);
  if constexpr (!std::is_same_v<S, Local>)
    for (char const* share : {"0.5", "0.95", "1.0", "1.2"})
      add("demand " + std::string(share), subject,
          [share](benchmark::State& state) { demand<S>(state, std::stod(share)); });
  if constexpr (requires(S& some) { some.pool.allocate_for(std::chrono::microseconds(1), cookie); })
    add("waiters", subject, impatient<S>);
}

template <Subject S> void add_all(std::string const& subject, std::vector<int> const& pools = {1, 2, 300, 5000}) {
  add_grid(subject, pools, {1, 4, 16, 50}, in_turn<S, false>);
  add_rest<S>(subject);
}

}  // namespace

void add_many_thread_cases() {
  add_all<Shared>("ThreadSafePool");
  add_all<Local>("ThreadLocalPool");
  add_all<Uncached>("ThreadSafePool, NoCache");
  add_grid("FixedPool", {1, 2, 300, 5000}, {1}, in_turn<Single, true>);
  for (int const n : {0, 1000, 4000}) {
    add("idle " + std::to_string(n), "FixedPool", [n](benchmark::State& state) { beside_sleepers<Single>(state, n); });
    add("held " + std::to_string(n), "FixedPool",
        [n](benchmark::State& state) { held_beside_sleepers<Single>(state, n); });
  }
  add_grid("lists of the thread", {1, 2, 300, 5000}, {1, 4, 16, 50}, in_turn<Limit, true>);
  add_grid("new", {1, 2, 300, 5000}, {1, 4, 16, 50}, replace_in_turn);
  add_rest<New>("new");
  add_grid("new, one object", {1, 2, 300, 5000}, {1, 4, 16, 50}, in_turn<New, false>);
  // Each of these has a key for data of threads, of which glibc knows 1024.
  add_all<Synchronized>("std::pmr synchronized pool", {1, 2, 300});
  add_all<LockedVector>("vector, std::mutex");
  add_big<Shared>("ThreadSafePool");
  add_big<Uncached>("ThreadSafePool, NoCache");
  add_big<Single>("FixedPool");
  for (int const n : big_rows)
    add("big " + std::to_string(n), "new", [n](benchmark::State& state) { replace_in_turn(state, Grid{n, 1}); });
  for (int const uses : {1, 16})
    add(
        "parts " + std::to_string(uses), "ThreadSafePool",
        [uses](benchmark::State& state) { parts<Shared>(state, uses); }, 1, 1);
}

}  // namespace bench
