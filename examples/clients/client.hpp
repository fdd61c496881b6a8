// SPDX-License-Identifier: MIT OR Apache-2.0
// What the clients have in common: their sources of memory, and a main() that measures one run for each. POSIX.
//
// A client is a template over the source: `template <class Source> std::uint64_t work(int size)`. It does the same work
// whatever the source, and returns a checksum of all its results.
//
//   Plain      the memory that the library takes on its own
//   Pools      a PoolResource, and CAllocator for hooks that free without a size
//   Counted    the same, with the requests counted on both sides of the resource; not measured
#pragma once

#include <fastalloc/adapters/c_allocator.hpp>

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory_resource>
#include <string_view>

namespace client {

/// A memory resource that counts the requests it passes on.
class Counter final : public std::pmr::memory_resource {
 public:
  explicit Counter(std::pmr::memory_resource* upstream) noexcept : upstream_(upstream) {}
  std::uint64_t requests = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    ++requests;
    return upstream_->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    upstream_->deallocate(p, bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }

  std::pmr::memory_resource* upstream_;
};

struct Plain {
  static constexpr bool has_hooks = false;
};

/// Static functions, as most hooks are C function pointers.
template <bool counts> struct Hooked {
  static constexpr bool has_hooks = true;
  static inline Counter heap{std::pmr::new_delete_resource()};
  static inline fastalloc::PoolResource pools{counts ? &heap : std::pmr::new_delete_resource()};
  static inline fastalloc::CAllocator<fastalloc::PoolResource> allocator{pools};
  static inline Counter above{&pools};
  using Functions = fastalloc::CHooks<allocator>;

  // For hooks that free without a size.
  static void* malloc(std::size_t bytes) noexcept { return count(), Functions::malloc(bytes); }
  static void* realloc(void* p, std::size_t bytes) noexcept { return count(), Functions::realloc(p, bytes); }
  static void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    return count(), Functions::aligned_alloc(alignment, bytes);
  }
  static void free(void* p) noexcept { Functions::free(p); }
  static std::size_t usable_size(void* p) noexcept { return Functions::usable_size(p); }
  static std::size_t good_size(std::size_t bytes) noexcept { return decltype(allocator)::good_size(bytes); }

  /// For hooks that pass the old size. Null `p` allocates; 0 `bytes` free.
  static void* renew(void* p, std::size_t old_bytes, std::size_t bytes) noexcept {
    if (bytes != 0) return count(), pools.try_reallocate(p, old_bytes, bytes);
    if (p != nullptr) pools.deallocate(p, old_bytes);
    return nullptr;
  }
  /// For std::pmr.
  static std::pmr::memory_resource* resource() noexcept {
    return counts ? static_cast<std::pmr::memory_resource*>(&above) : &pools;
  }

 private:
  static void count() noexcept {
    if constexpr (counts) ++above.requests;
  }
};
using Pools = Hooked<false>;
using Counted = Hooked<true>;

/// One way to run a client; the name is what its command line takes.
struct Way {
  char const* name;
  std::uint64_t (*work)(int size);
};

struct Result {
  std::uint64_t checksum = 0;
  std::uint64_t requests = 0;  ///< of the client; Counted only
  std::uint64_t blocks = 0;    ///< requests of the resource to the heap; Counted only
};

struct Run {
  Result result;
  rusage used{};
};

/// Ends the program where a library fails; there is nothing to compare then.
[[noreturn]] inline void give_up(char const* what) {
  std::fprintf(stderr, "%s\n", what);
  std::_Exit(1);
}

/// FNV-1a over bytes.
inline std::uint64_t checksum(std::string_view bytes, std::uint64_t sum = 0xcbf29ce484222325) noexcept {
  for (char const c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}

/// The same sequence of numbers in each run.
class Random {
 public:
  std::uint32_t below(std::uint32_t n) noexcept {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::uint32_t>((state_ >> 32) * n >> 32);
  }

 private:
  std::uint64_t state_ = 1;
};

/// Runs one way in a process of its own: memory of another run would be in its peak.
inline Run run(Way const& way, int size) {
  Run made;
  int ends[2];
  std::fflush(nullptr);
  if (pipe(ends) != 0) give_up("no pipe");
  pid_t const child = fork();
  if (child == 0) {
    Result result{.checksum = way.work(size)};
    result.requests = Counted::above.requests;
    result.blocks = Counted::heap.requests;
    bool const written = write(ends[1], &result, sizeof result) == sizeof result;
    std::_Exit(written ? 0 : 1);
  }
  close(ends[1]);
  bool const has_result = child > 0 && read(ends[0], &made.result, sizeof made.result) == sizeof made.result;
  close(ends[0]);
  int status = 1;
  if (child > 0) wait4(child, &status, 0, &made.used);
  if (!has_result || status != 0) give_up("a run failed");
  return made;
}

#if defined(__APPLE__)
inline constexpr double maxrss_a_mb = 1 << 20;  ///< bytes
#else
inline constexpr double maxrss_a_mb = 1 << 10;  ///< KiB
#endif

inline double milliseconds(timeval const& time) noexcept {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

/// The program of a client: `NAME [way [size]]`. Without a way, all of them: prints a table and compares the results.
/// With one, that way alone, in this process, for measurement from outside: prints the checksum. `full` for the size
/// takes the one of the published figures.
inline int main(int argc, char** argv, int small, int full, std::initializer_list<Way> ways) {
  std::string_view const chosen = argc > 1 ? argv[1] : "all";
  std::string_view const wanted = argc > 2 ? argv[2] : "";
  int const size = wanted == "full" ? full : argc > 2 ? std::atoi(argv[2]) : small;
  if (size < 1) give_up("the size is a number from 1 on, or \"full\"");
  for (Way const& way : ways)
    if (chosen == way.name) {
      std::printf("%016llx\n", static_cast<unsigned long long>(way.work(size)));
      return 0;
    }
  if (chosen != "all") give_up("the first argument is all, default, fastalloc, or another way in the table");

  std::printf("%-14s %9s %9s %9s %12s %10s\n", "", "CPU, ms", "user", "system", "page faults", "peak, MB");
  std::uint64_t first = 0;
  bool equal = true;
  for (Way const& way : ways) {
    Run const made = run(way, size);
    if (&way == ways.begin()) first = made.result.checksum;
    equal = equal && made.result.checksum == first;
    if (made.result.requests != 0) {
      std::printf("requests of the client: %llu; of the resource, to the heap: %llu\n",
                  static_cast<unsigned long long>(made.result.requests),
                  static_cast<unsigned long long>(made.result.blocks));
      continue;
    }
    double const user = milliseconds(made.used.ru_utime);
    double const system = milliseconds(made.used.ru_stime);
    std::printf("%-14s %9.1f %9.1f %9.1f %12ld %10.1f\n", way.name, user + system, user, system,
                made.used.ru_minflt + made.used.ru_majflt, static_cast<double>(made.used.ru_maxrss) / maxrss_a_mb);
  }
  std::puts(equal ? "equal results" : "the results differ");
  return equal ? 0 : 1;
}

}  // namespace client
