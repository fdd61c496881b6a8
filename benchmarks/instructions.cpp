// SPDX-License-Identifier: MIT OR Apache-2.0
// Instructions per operation, counted by valgrind: the same on every run, so that a test can hold hot paths to a budget
// that no timing could. The program runs itself under callgrind with two numbers of repetitions of each kernel; the
// difference, divided, is what one allocate+free pair costs, the loop around it included.
//
//   fastalloc-instructions                    all counts; exit code 1 when one is over its budget, 77 without valgrind
//   fastalloc-instructions SUBJECT KERNEL N   runs a kernel N times: what valgrind runs
#include <fastalloc/debug/trace.hpp>

#include "limit.hpp"
#include "pools.hpp"

#include <fastalloc/registry.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>

#include <unistd.h>

namespace {

using namespace bench;

constexpr std::size_t room = 256;

template <Subject S, bool EscapeOwner> [[gnu::noinline]] void pairs(S& subject, std::size_t times) {
  for (std::size_t i = 0; i != times; ++i) {
    typename S::owner owner = subject.make(i);
    if constexpr (EscapeOwner) {
      escape(&owner);
    } else {
      escape(S::object(owner));
    }
    if constexpr (!S::owner_frees) subject.kill(owner);
  }
}

/// All `room` objects live, then freed in the order of their allocation.
template <Subject S> [[gnu::noinline]] void bulk(S& subject, std::vector<typename S::owner>& live, std::size_t times) {
  for (std::size_t i = 0; i < times; i += room) {
    for (std::size_t k = 0; k != room; ++k) live.push_back(subject.make(k));
    escape(live.data());
    if constexpr (!S::owner_frees)
      for (auto& owner : live) subject.kill(owner);
    live.clear();
  }
}

template <Subject S> void run(std::string const& kernel, std::size_t times) {
  S subject(room);
  escape(&subject);
  if (kernel == "pairObj") return pairs<S, false>(subject, times);
  if (kernel == "pair") return pairs<S, true>(subject, times);
  std::vector<typename S::owner> live;
  live.reserve(room);
  bulk(subject, live, times);
}

using Fixed = fastalloc::FixedPool<Object>;
using Traced = fastalloc::TraceStats<fastalloc::ChromeTrace>;

/// An owner of a new object, in a pool that counts owners.
template <class Pool> struct Sharing {
  using owner = fastalloc::SharedHandle<Object>;
  static constexpr bool owner_frees = true;
  explicit Sharing(std::size_t n) : pool(n) {}
  [[gnu::always_inline]] owner make(std::uint64_t value) { return pool.allocate(value).share(); }
  void kill(owner& object) { object.reset(); }
  static Object const* object(owner const& object) { return object.get(); }
  Pool pool;
};
struct EndNothing {
  bool operator()() const { return false; }
};
/// A pool with a name, in the registry.
struct Named : Ours<fastalloc::FixedPool<Object, fastalloc::Registered>> {
  explicit Named(std::size_t n) : Ours({.capacity = n, .name = "objects"}) {}
};
/// One more owner of an object that is there.
template <class Pool> struct Copying : Sharing<Pool> {
  using owner = typename Sharing<Pool>::owner;
  explicit Copying(std::size_t n) : Sharing<Pool>(n) {}
  [[gnu::always_inline]] owner make(std::uint64_t) { return first; }
  owner first = Sharing<Pool>::make(0);
};

struct Unique {
  using owner = std::unique_ptr<Object>;
  static constexpr bool owner_frees = true;
  explicit Unique(std::size_t) {}
  [[gnu::always_inline]] owner make(std::uint64_t value) { return std::make_unique<Object>(value); }
  void kill(owner& object) { object.reset(); }
  static Object const* object(owner const& object) { return object.get(); }
};

/// The budgets, instructions per pair: a tenth above what g++ 12 or clang 14 takes, whichever is more.
struct Row {
  char const* subject;
  void (*run)(std::string const&, std::size_t);
  std::array<double, 3> budgets;  // in the order of `kernels`
};
constexpr std::array kernels{"pairObj", "pair", "bulk"};
#if !defined(__OPTIMIZE__)
// A debug build, -O0 with checks: no pool takes more than std::make_unique. (clang optimizes no single functions.)
constexpr Row rows[] = {
    {"std::make_unique", run<Unique>, {700, 800, 1400}},
    {"FixedPool", run<Ours<Fixed>>, {500, 600, 1000}},
    {"GrowingPool", run<Ours<fastalloc::GrowingPool<Object>>>, {500, 600, 1000}},
    {"ThreadSafePool", run<Ours<fastalloc::ThreadSafePool<Object>>>, {1500, 1600, 2500}},
};
#else
constexpr Row rows[] = {
    {"raw free list", run<Limit>, {10, 12, 22}},
    {"FixedPool", run<Ours<Fixed>>, {16, 24, 54}},
    {"FixedPool, erased handle", run<Ours<Fixed, 0, fastalloc::Handle<Object>>>, {24, 32, 62}},
    {"FixedPool, BasicStats", run<Ours<fastalloc::FixedPool<Object, fastalloc::BasicStats>>>, {17, 25, 56}},
    {"FixedPool, FreeListAllocator",
     run<Ours<fastalloc::FixedPool<Object, fastalloc::FreeListAllocator>>>,
     {17, 24, 44}},
    {"FixedPool, BitmapAllocator", run<Ours<fastalloc::FixedPool<Object, fastalloc::BitmapAllocator>>>, {56, 56, 112}},
    {"GrowingPool", run<Ours<fastalloc::GrowingPool<Object>>>, {17, 24, 50}},
    {"FixedPool, named, Registered", run<Named>, {16, 24, 54}},
    {"FixedPool, Evict", run<Ours<fastalloc::FixedPool<Object, fastalloc::Evict<EndNothing>>>>, {16, 24, 54}},
    {"FixedPool, HeapFallback", run<Ours<fastalloc::FixedPool<Object, fastalloc::HeapFallback>>>, {24, 32, 62}},
    {"FixedPool, CompactHandles", run<Ours<fastalloc::FixedPool<Object, fastalloc::CompactHandles>>>, {24, 28, 56}},
    {"FixedPool, AtomicShared", run<Sharing<fastalloc::FixedPool<Object, fastalloc::AtomicShared>>>, {51, 63, 95}},
    {"copy of a SharedHandle", run<Copying<fastalloc::FixedPool<Object, fastalloc::AtomicShared>>>, {21, 31, 43}},
    {"FixedPool, LockFree", run<Ours<fastalloc::FixedPool<Object, fastalloc::LockFree>>>, {49, 55, 69}},
    {"ThreadSafePool", run<Ours<fastalloc::ThreadSafePool<Object>>>, {39, 47, 95}},
    {"ThreadSafePool, AtomicStats",
     run<Ours<fastalloc::ThreadSafePool<Object, fastalloc::AtomicStats>>>,
     {46, 53, 107}},
    {"ThreadLocalPool", run<Ours<fastalloc::ThreadLocalPool<Object>>>, {35, 41, 80}},
    // Compiled in and switched off: 7 to 9 more than BasicStats or AtomicStats, less than 1 ns.
    {"FixedPool, TraceStats", run<Ours<fastalloc::FixedPool<Object, Traced>>>, {24, 32, 63}},
    {"ThreadSafePool, TraceStats", run<Ours<fastalloc::ThreadSafePool<Object, Traced>>>, {55, 62, 114}},
};
#endif

std::string own_path() {
  std::array<char, 4096> path{};
  ssize_t const length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  return length > 0 ? path.data() : "";
}

/// Instructions of the whole process, or -1 when there is no valgrind.
double instructions(char const* subject, char const* kernel, std::size_t times) {
  std::string const command = "valgrind --tool=callgrind --callgrind-out-file=/dev/null '" + own_path() + "' '" +
                              subject + "' " + kernel + ' ' + std::to_string(times) + " 2>&1";
  std::FILE* const out = popen(command.c_str(), "r");
  if (out == nullptr) return -1;
  double count = -1;
  std::array<char, 512> line{};
  while (std::fgets(line.data(), line.size(), out) != nullptr)
    if (char const* const found = std::strstr(line.data(), "Collected :")) count = std::atof(found + 11);
  pclose(out);
  return count;
}

int count_all() {
  if (instructions(rows[0].subject, kernels[0], room) < 0) {
    std::printf("valgrind is not installed, or does not run this program: skipped\n");
    return 77;
  }
  int over = 0;
  std::printf("instructions per allocate+free pair (budget)\n%-30s", "");
  for (char const* kernel : kernels) std::printf("%16s", kernel);
  std::printf("\n");
  for (Row const& row : rows) {
    std::printf("%-30s", row.subject);
    for (std::size_t i = 0; i != kernels.size(); ++i) {
      constexpr std::size_t few = 10 * room, many = 50 * room;
      double const base = instructions(row.subject, kernels[i], few);
      double const count = (instructions(row.subject, kernels[i], many) - base) / (many - few);
      bool const good = count <= row.budgets[i];
      if (!good) ++over;
      std::printf("%9.1f (%3.0f)%s", count, row.budgets[i], good ? " " : "!");
      std::fflush(stdout);
    }
    std::printf("\n");
  }
  if (over != 0) std::printf("%d over their budgets (marked !)\n", over);
  return over != 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return count_all();
  if (argc != 4) return 2;
  for (Row const& row : rows) {
    if (std::strcmp(row.subject, argv[1]) != 0) continue;
    row.run(argv[2], std::strtoul(argv[3], nullptr, 10));
    return 0;
  }
  return 2;
}
