// SPDX-License-Identifier: MIT OR Apache-2.0
// The worst case of each operation in instructions, over pools, policies, capacities and adversarial states.
//
//   steps_machine           compares with budgets.hpp: exits 0; 1 with a list of what is over; 77 where the system
//                           allows no stepping
//   steps_machine --table   prints the table of include/fastalloc/README.md, too
//   steps_machine --rows    prints what was measured, a line a pool and capacity
//   steps_machine --all     over twice the states, and more capacities between the smallest and the largest
//
// Compiled with -O2 -DNDEBUG in every build (CMakeLists.txt): the library as users ship it.
#include "steps/budgets.hpp"
#include "steps/scenarios.hpp"

#include <cstdio>
#include <cstring>
#include <string>

#if STEPS_CAN_BE_COUNTED && !FASTALLOC_ASAN && !FASTALLOC_TSAN

using namespace fastalloc;
using steps::Kind, steps::Maxima, steps::Meter, steps::Object;

namespace {

struct Row {
  std::string pool, slots, lock;
  std::size_t capacity;
  std::size_t levels;  ///< of the bitmap, or 0
  Maxima maxima;
};
std::vector<Row> rows;
bool shows_rows = false;

/// The most of a kind, without the frame; 0 where it was not measured.
std::uint32_t most(Row const& row, std::size_t kind) {
  if (row.maxima.times[kind] == 0) return 0;
  return row.maxima.most[kind] - std::min(row.maxima.most[kind], row.maxima.most[steps::call]);
}

void print(Row const& row) {
  std::printf("%s, %s, %s, %zu slots:", row.pool.c_str(), row.slots.c_str(), row.lock.c_str(), row.capacity);
  for (std::size_t kind = 1; kind != steps::kinds; ++kind)
    if (row.maxima.times[kind] != 0)
      std::printf("  %s %u (%u)", steps::names[kind], most(row, kind), row.maxima.times[kind]);
  std::printf("%s\n", row.maxima.ended_well ? "" : "  FAILED");
  std::fflush(stdout);
}

template <class S> constexpr char const* slots_name = "Stack";
template <> constexpr char const* slots_name<FreeListAllocator> = "FreeList";
template <> constexpr char const* slots_name<BitmapAllocator> = "Bitmap";
template <class L> constexpr char const* lock_name = "NoLock";
template <> constexpr char const* lock_name<SpinLock> = "SpinLock";
template <> constexpr char const* lock_name<AdaptiveLock> = "AdaptiveLock";
template <> constexpr char const* lock_name<MutexLock> = "MutexLock";
template <> constexpr char const* lock_name<LockFree> = "LockFree";

std::size_t levels_of(std::size_t slots, std::size_t blocks) {
  std::size_t levels = 1;
  for (std::size_t words = slots / word_bits + blocks; words > 1; words = words_for(words)) ++levels;
  return levels;
}

/// Builds a Pool in a child, runs the scenario there, and notes the row.
template <class Pool, class Slots, class Lock, class Build, class Run>
void add(char const* name, std::size_t capacity, std::size_t blocks, Build&& build, Run&& run) {
  Row row{name,     std::same_as<Lock, LockFree> ? "TaggedList" : slots_name<Slots>,        lock_name<Lock>,
          capacity, std::same_as<Slots, BitmapAllocator> ? levels_of(capacity, blocks) : 0, {}};
  row.maxima = steps::count_steps([&](Meter& meter) {
    Pool& pool = *build();  // never destroyed: the child ends with its objects
    return run(pool, meter);
  });
  rows.push_back(std::move(row));
  if (shows_rows) print(rows.back());
}

using Capacities = std::vector<std::size_t>;
/// Ascending. `others`: with --all.
Capacities capacities_of(Capacities some, Capacities const& others) {
  if (steps::all_states) some.insert(some.end(), others.begin(), others.end());
  std::sort(some.begin(), some.end());
  return some;
}

template <class Slots, class Lock, class... Ps> void fixed(char const* name, Capacities const& capacities) {
  using Pool = FixedPool<Object, Slots, Lock, Ps...>;
  for (std::size_t const n : capacities)
    add<Pool, Slots, Lock>(
        name, n, 1, [=] { return new Pool(n); },
        [=](Pool& pool, Meter& meter) {
          return steps::run_plain(pool, n, meter, 0, std::same_as<Slots, BitmapAllocator>);
        });
}

constexpr std::size_t blocks = 16;
template <class Pool> Pool* build_growing(std::size_t n) {
  auto* const pool = new Pool(
      PoolConfig{.capacity = n / blocks, .max_capacity = n, .growth_strategy = GrowthStrategy::linear(n / blocks)});
  for (std::size_t b = 2; b <= blocks; ++b) pool->reserve(n / blocks * b);
  return pool;
}
template <class Slots, class... Ps> void growing(char const* name, Capacities const& capacities) {
  using Pool = GrowingPool<Object, Slots, Ps...>;
  for (std::size_t const n : capacities)
    add<Pool, Slots, NoLock>(
        name, n, blocks, [=] { return build_growing<Pool>(n); },
        [=](Pool& pool, Meter& meter) {
          return steps::run_plain(pool, n, meter, n / blocks, std::same_as<Slots, BitmapAllocator>);
        });
}

template <class Slots, class Lock, class... Ps> void uncached(char const* name, Capacities const& capacities) {
  using Pool = std::conditional_t<std::same_as<Lock, LockFree>, ThreadSafePool<Object, Slots, Lock, Ps...>,
                                  ThreadSafePool<Object, Slots, Lock, NoCache, Ps...>>;
  for (std::size_t const n : capacities)
    add<Pool, Slots, Lock>(
        name, n, 1, [=] { return new Pool(n); },
        [=](Pool& pool, Meter& meter) { return steps::run_plain(pool, n, meter, 0, false); });
}
template <class Slots, class... Ps> void cached(char const* name, Capacities const& capacities) {
  using Pool = ThreadSafePool<Object, Slots, Ps...>;
  for (std::size_t const n : capacities)
    add<Pool, Slots, AdaptiveLock>(
        name, n, 1, [=] { return new Pool(n); },
        [=](Pool& pool, Meter& meter) { return steps::run_cached(pool, n, meter); });
}
template <class Slots> void local(Capacities const& capacities) {
  using Pool = ThreadLocalPool<Object, Slots>;
  for (std::size_t const n : capacities)
    add<Pool, Slots, NoLock>(
        "ThreadLocalPool", n, 1, [=] { return new Pool(n); },
        [=](Pool& pool, Meter& meter) { return steps::run_local(pool, n, meter); });
}

void measure_all() {
  constexpr std::size_t k = 1024, m = k * k;
  fixed<StackAllocator, NoLock>("FixedPool", capacities_of({64, m}, {4 * k, 256 * k}));
  fixed<FreeListAllocator, NoLock>("FixedPool", capacities_of({64, m}, {4 * k, 256 * k}));
  fixed<BitmapAllocator, NoLock>("FixedPool", {64, 4 * k, 256 * k, m, 17 * m});
  fixed<StackAllocator, SpinLock>("FixedPool", {64, 256 * k});
  fixed<FreeListAllocator, SpinLock>("FixedPool", {256 * k});
  fixed<BitmapAllocator, SpinLock>("FixedPool", {4 * k});
  fixed<StackAllocator, AdaptiveLock>("FixedPool", {64, 256 * k});
  fixed<FreeListAllocator, AdaptiveLock>("FixedPool", {256 * k});
  fixed<BitmapAllocator, AdaptiveLock>("FixedPool", capacities_of({4 * k}, {256 * k}));
  fixed<StackAllocator, MutexLock>("FixedPool", {64, 256 * k});
  fixed<StackAllocator, NoLock, BasicStats>("FixedPool, BasicStats", {64, 256 * k});
  fixed<FreeListAllocator, NoLock, BasicStats>("FixedPool, BasicStats", {64, 256 * k});
  fixed<BitmapAllocator, NoLock, BasicStats>("FixedPool, BasicStats", capacities_of({4 * k}, {256 * k}));
  growing<StackAllocator>("GrowingPool, 16 blocks", capacities_of({4 * k, m}, {256 * k}));
  growing<FreeListAllocator>("GrowingPool, 16 blocks", {4 * k, 256 * k});
  growing<BitmapAllocator>("GrowingPool, 16 blocks", {4 * k, m});
  uncached<StackAllocator, AdaptiveLock>("ThreadSafePool, NoCache", {64, 256 * k});
  local<StackAllocator>(capacities_of({4 * k, m}, {256 * k}));
  local<FreeListAllocator>({256 * k});
  local<BitmapAllocator>({4 * k, 256 * k});
  cached<StackAllocator>("ThreadSafePool", {4 * k, m});
  cached<FreeListAllocator>("ThreadSafePool", {256 * k});
  cached<BitmapAllocator>("ThreadSafePool", {4 * k, 256 * k});
  cached<StackAllocator, AtomicStats>("ThreadSafePool, AtomicStats", {4 * k, 256 * k});
  if (steps::can_step_atomics()) {
    fixed<StackAllocator, LockFree>("FixedPool", capacities_of({64, m}, {4 * k, 256 * k}));
    uncached<StackAllocator, LockFree>("ThreadSafePool", {64, 256 * k});
  }
  using Keyed = FixedPool<Object, Generations>;
  using KeyedGrowing = GrowingPool<Object, Generations>;
  using KeyedShared = ThreadSafePool<Object, Generations>;
  using Counted = FixedPool<Object, Shared>;
  using CountedShared = ThreadSafePool<Object, AtomicShared>;
  for (std::size_t const n : {4 * k, 256 * k}) {
    add<Keyed, StackAllocator, NoLock>(
        "FixedPool, Generations", n, 1, [=] { return new Keyed(n); },
        [=](Keyed& pool, Meter& meter) { return steps::run_keys(pool, n, meter, n / 16); });
    add<KeyedGrowing, StackAllocator, NoLock>(
        "GrowingPool, Generations", n, 1, [=] { return build_growing<KeyedGrowing>(n); },
        [=](KeyedGrowing& pool, Meter& meter) { return steps::run_keys(pool, n, meter, n / 16); });
    add<KeyedShared, StackAllocator, AdaptiveLock>(
        "ThreadSafePool, Generations", n, 1, [=] { return new KeyedShared(n); },
        [=](KeyedShared& pool, Meter& meter) { return steps::run_keys(pool, n, meter, 0); });
    add<Counted, StackAllocator, NoLock>(
        "FixedPool, Shared", n, 1, [=] { return new Counted(n); },
        [=](Counted& pool, Meter& meter) { return steps::run_shared(pool, n, meter); });
    add<CountedShared, StackAllocator, AdaptiveLock>(
        "ThreadSafePool, AtomicShared", n, 1, [=] { return new CountedShared(n); },
        [=](CountedShared& pool, Meter& meter) { return steps::run_shared(pool, n, meter); });
  }
}

/// What is wrong with the rows, a line each.
int judge() {
  int problems = 0;
  auto const complain = [&](Row const& row, std::size_t kind, char const* what, std::uint32_t bound) {
    ++problems;
    std::printf("%s, %s, %s, %zu slots: %s takes %u instructions%s %u\n", row.pool.c_str(), row.slots.c_str(),
                row.lock.c_str(), row.capacity, steps::names[kind], most(row, kind), what, bound);
  };
  for (Row const& row : rows) {
    if (!row.maxima.ended_well) {
      ++problems;
      std::printf("%s, %s, %s, %zu slots: an operation did not do what it should\n", row.pool.c_str(),
                  row.slots.c_str(), row.lock.c_str(), row.capacity);
    }
    for (std::size_t kind = 1; kind != steps::kinds; ++kind) {
      if (row.maxima.times[kind] == 0) continue;
      std::uint32_t const bound = steps::budget(row.pool, row.slots, row.lock, static_cast<Kind>(kind), row.levels);
      if (bound == 0) complain(row, kind, ", and budgets.hpp has no line for it:", 0);
      else if (most(row, kind) > bound) complain(row, kind, ", more than budgets.hpp allows:", bound);
      // The capacity has no part in it, but by the levels of the bitmap. Other states come up in pools of other sizes,
      // hence the few more; a loop is more.
      if (row.levels != 0) continue;
      for (Row const& small : rows) {
        if (&small == &row) break;
        bool const same = small.pool == row.pool && small.slots == row.slots && small.lock == row.lock &&
                          small.maxima.times[kind] != 0;
        if (same && most(row, kind) > most(small, kind) + 16)
          complain(row, kind, ", and in a smaller pool", most(small, kind));
      }
    }
  }
  return problems;
}

/// The instructions of a growth of a pool of 400 blocks of one slot.
template <class... Keys> std::uint32_t growth() {
  using Pool = GrowingPool<Object, Keys...>;
  Row row{"", "", "", 400, 0, {}};
  row.maxima = steps::count_steps([&](Meter& meter) {
    auto* const pool = new Pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::linear(1)});
    steps::calibrate(meter, pool);
    steps::Stage stage(*pool, row.capacity + 2, meter);
    while (stage.size() != row.capacity + 2) stage.pop(stage.size() >= row.capacity);
    return stage.ok();
  });
  return row.maxima.ended_well ? most(row, steps::allocate) : 0;
}
/// Blocks are looked at as often with keys as without; a page of generations may have to be written.
int judge_growth() {
  std::uint32_t const plain = growth(), keyed = growth<Generations>();
  if (plain != 0 && keyed != 0 && keyed <= plain + plain / 4 + 3000) return 0;
  std::printf("GrowingPool of 400 blocks: growth takes %u instructions, with Generations %u\n", plain, keyed);
  return 1;
}

/// What `owns` and `index_of` take in the mean, and the most of `owns`, in a pool of so many segments.
struct Searches {
  double owns = 0, index_of = 0;
  std::uint32_t most = 0;
};
Searches searches(std::size_t segments) {
  using Pool = FixedPool<steps::Wide, CompactHandles, NoChecks>;
  using Do = steps::Operations<Pool>;
  Maxima const maxima = steps::count_steps([&](Meter& meter) {
    auto* const pool = new Pool(segments * 128);
    steps::calibrate(meter, pool);
    std::vector<steps::Wide*> slots;
    while (slots.size() != segments * 128) slots.push_back(pool->allocate().release());
    bool right = true;
    for (std::size_t i = 0; i != 400; ++i) {
      steps::Wide* const slot = slots[i * 79'999 % slots.size()];
      right = right && measure(meter, steps::owns, Do::owns, *pool, static_cast<void const*>(slot));
      right = right && measure(meter, steps::index_of, Do::index_of, *pool, slot) < slots.size();
    }
    for (int i = 1; i != 60; ++i)  // not of the pool
      right = right && !measure(meter, steps::owns, Do::owns, *pool,
                                reinterpret_cast<void const*>(reinterpret_cast<std::uintptr_t>(&slots) +
                                                              static_cast<std::uintptr_t>(i) * Pool::segment_bytes));
    return right;
  });
  if (!maxima.ended_well) return {};
  auto const mean = [&](std::size_t kind) {
    return static_cast<double>(maxima.sum[kind]) / maxima.times[kind] - maxima.most[steps::call];
  };
  return {mean(steps::owns), mean(steps::index_of), maxima.most[steps::owns]};
}
/// An address is looked up by as many instructions in a pool of many segments as in one of few.
int judge_segments() {
  int problems = 0;
  Searches const few = searches(8);
  for (std::size_t const segments : {1U, 512U, 4096U}) {
    Searches const many = searches(segments);
    if (shows_rows)
      std::printf("FixedPool, CompactHandles, %zu segments: owns %.1f, at most %u; index_of %.1f\n", segments,
                  many.owns, many.most, many.index_of);
    if (few.owns != 0 && many.owns != 0 && many.owns <= few.owns + 8 && many.most <= few.most + 40 &&
        many.index_of <= few.index_of + 1)
      continue;
    ++problems;
    std::printf("FixedPool, CompactHandles: owns takes %.1f instructions with 8 segments, %.1f with %zu, at most %u; "
                "index_of %.1f and %.1f\n",
                few.owns, many.owns, segments, many.most, few.index_of, many.index_of);
  }
  return problems;
}

void print_table() {
  std::printf("| pool | slots | lock |");
  constexpr Kind shown[] = {steps::usual_allocate, steps::allocate,  steps::refused, steps::usual_release,
                            steps::release,        steps::questions, steps::owns,    steps::index_of};
  for (Kind const kind : shown) std::printf(" %s |", steps::names[kind]);
  std::printf("\n|---|---|---|");
  for (std::size_t i = 0; i != std::size(shown); ++i) std::printf("---|");
  for (std::size_t i = 0; i != rows.size(); ++i) {
    Row const& row = rows[i];
    auto const same = [&](Row const& other) {
      return &other > &row && other.pool == row.pool && other.slots == row.slots && other.lock == row.lock;
    };
    if (std::any_of(rows.begin(), rows.end(), same)) continue;  // the largest is shown
    std::printf("\n| %s | %s%s | %s |", row.pool.c_str(), row.slots.c_str(),
                row.levels != 0 ? (", " + std::to_string(row.levels) + " levels").c_str() : "", row.lock.c_str());
    for (Kind const kind : shown) {
      if (row.maxima.times[kind] != 0) std::printf(" %u |", most(row, kind));
      else std::printf(" |");
    }
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  bool const wants_table = argc > 1 && std::strcmp(argv[1], "--table") == 0;
  shows_rows = argc > 1 && std::strcmp(argv[1], "--rows") == 0;
  steps::all_states = wants_table || (argc > 1 && std::strcmp(argv[1], "--all") == 0);
  if (steps::count_steps([](Meter&) { return true; }).refused) {
    std::printf("skipped: this system does not let a program be stepped (ptrace)\n");
    return 77;
  }
  measure_all();
  if (wants_table) print_table();
  int const problems = judge() + judge_growth() + judge_segments();
  if (problems == 0) std::printf("%zu pools: no operation takes more than its budget\n", rows.size());
  return problems == 0 ? 0 : 1;
}

#else
int main() {
  std::puts("skipped: instructions are counted on Linux, x86-64 and aarch64, without sanitizers");
  return 77;
}
#endif
