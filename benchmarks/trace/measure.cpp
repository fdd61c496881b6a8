// SPDX-License-Identifier: MIT OR Apache-2.0
// Forks, replays in the child, and brings the result back through a pipe. Where Linux's /proc/self/smaps_rollup is
// missing, memory is the growth of the process's peak resident size, which is coarser.
#include "measure.hpp"

#include "sides.hpp"

#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <limits>

namespace fastalloc::trace {
namespace {

constexpr int out_of_memory = 3;

std::string reason_of(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == out_of_memory) {
    return "the replay needs more memory than there is here: record a smaller run, or replay on a larger machine";
  }
  return WIFSIGNALED(status) ? "the replaying process was killed by signal " + std::to_string(WTERMSIG(status)) +
                                   " (9 is often a lack of memory: record a smaller run)"
                             : "the replaying process ended without a result";
}

// Runs `work` in a forked child and returns what it returned there.
template <class Result, class Work> Result in_child(Work const& work) {
  int ends[2];
  if (pipe(ends) != 0) {
    throw ReplayError(std::string("no pipe for the replaying process: ") + std::strerror(errno));
  }
  std::fflush(nullptr);
  pid_t const child = fork();
  if (child == 0) {
    close(ends[0]);
    int status = out_of_memory;
    try {
      Result const result = work();
      status = write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1;
    } catch (std::bad_alloc const&) {}
    _exit(status);
  }
  close(ends[1]);
  Result result{};
  bool const has_result = child > 0 && read(ends[0], &result, sizeof(result)) == sizeof(result);
  close(ends[0]);
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (child < 0) {
    throw ReplayError(std::string("cannot start a replaying process: ") + std::strerror(errno));
  }
  if (!has_result || status != 0) {
    throw ReplayError(reason_of(status));
  }
  return result;
}

// The processor's time: what other programs take of it does not count, and page faults do.
struct Clock {
  using duration = std::chrono::nanoseconds;
  static duration now() noexcept {
    timespec time = {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + duration(time.tv_nsec);
  }
};
// A build with debug checks is for tests, which look at no time.
constexpr auto enough = std::chrono::milliseconds(FASTALLOC_CHECKED ? 1 : 30);

// Between two passes everything is freed, which no program does over and over: glibc would return the memory to the
// system and get it back with a page fault each time, while the pools keep theirs. So both keep it.
void keep_freed_memory() noexcept {
#if defined(__GLIBC__)
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

template <class Side> Timing time_here(Script const& script, unsigned passes) {
  std::vector<void*> objects(script.places);
  auto const steps = std::span(script.steps);
  auto const nanoseconds = [](Clock::duration time) { return std::chrono::duration<double, std::nano>(time).count(); };
  double const count = script.timed == 0 ? 1.0 : static_cast<double>(script.timed);

  Clock::duration begin = Clock::now();
  Side side(script);
  Run<Side> run{side, objects.data()};
  replay(run, steps.first(script.timed));
  Timing timing{nanoseconds(Clock::now() - begin) / count, 0};
  replay(run, steps.subspan(script.timed));

  keep_freed_memory();
  Clock::duration total{};
  unsigned done = 0;
  for (; done != passes && (done < 2 || total < enough); ++done) {
    begin = Clock::now();
    replay(run, steps.first(script.timed));
    total += Clock::now() - begin;
    replay(run, steps.subspan(script.timed));
  }
  timing.repeated = nanoseconds(total) / count / done;
  return timing;
}

// Pages of a program that was linked a moment ago count as dirty until they are on the disk.
void write_out_program() noexcept {
  if (int const descriptor = open("/proc/self/exe", O_RDONLY); descriptor >= 0) {
    fsync(descriptor);
    close(descriptor);
  }
}

// Without allocating: it runs between the steps of a replay.
std::uint64_t resident_bytes() noexcept {
  int const descriptor = open("/proc/self/smaps_rollup", O_RDONLY);
  if (descriptor >= 0) {
    char text[4096];
    auto const length = read(descriptor, text, sizeof(text) - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    constexpr char label[] = "Private_Dirty:";
    if (char const* const line = std::strstr(text, label); line != nullptr) {
      return std::strtoull(line + sizeof(label) - 1, nullptr, 10) * 1024;
    }
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

template <class Side> MemorySamples memory_here(Script const& script) {
  std::vector<void*> objects(script.places);
  auto const steps = std::span(script.steps).first(script.timed);
  std::uint64_t const before = resident_bytes();
  MemorySamples samples{};
  Side side(script);
  Run<Side> run{side, objects.data()};
  std::size_t done = 0;
  for (std::size_t i = 0; i != samples.count; ++i) {
    std::size_t const stop = steps_before(script, i);
    auto const go_to = [&](std::size_t step) {
      replay(run, steps.subspan(done, step - done));
      done = step;
      samples.bytes[i] = std::max(samples.bytes[i], std::max(before, resident_bytes()) - before);
    };
    if (done < script.peak_step && script.peak_step <= stop) {
      go_to(script.peak_step);
    }
    go_to(stop);
  }
  return samples;
}

}  // namespace

Timing measure_time(SideName side, Script const& script, unsigned passes) {
  return in_child<Timing>([&] {
    switch (side) {
      case SideName::malloc: return time_here<MallocSide>(script, passes);
      case SideName::pools: return time_here<PoolSide>(script, passes);
      case SideName::resource: return time_here<ResourceSide<PoolResource>>(script, passes);
      case SideName::std_resource:
        return time_here<ResourceSide<std::pmr::unsynchronized_pool_resource>>(script, passes);
      default: return time_here<NothingSide>(script, passes);
    }
  });
}

MemorySamples measure_memory(SideName side, Script const& script) {
  write_out_program();
  return in_child<MemorySamples>([&] {
    switch (side) {
      case SideName::pools: return memory_here<PoolSide>(script);
      case SideName::resource: return memory_here<ResourceSide<PoolResource>>(script);
      case SideName::std_resource: return memory_here<ResourceSide<std::pmr::unsynchronized_pool_resource>>(script);
      default: return memory_here<MallocSide>(script);
    }
  });
}

}  // namespace fastalloc::trace
