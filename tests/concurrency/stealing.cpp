// SPDX-License-Identifier: MIT OR Apache-2.0
// Slots are taken from the cache of a thread that uses it just then, through the fences as they are shipped:
// ThreadSanitizer, which knows none, gets others. Whether the fence is there is counted; that the slots are right is
// looked at while both threads run, with stores before each operation that hold back the owner's next one. A control,
// where the fence does nothing, says how well that can see.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "concurrency/threads.hpp"

#if defined(__linux__) && !FASTALLOC_TSAN
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdarg>

namespace {
std::atomic<bool> fences_work{true};
std::atomic<std::uint64_t> fences{0};
}  // namespace

/// In this program, the C library's, but for a membarrier() that says that it went well and did nothing where the test
/// wants it so.
extern "C" long syscall(long number, ...) noexcept {
  long arguments[6];
  std::va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_membarrier && arguments[0] == 8) {
    fences.fetch_add(1, std::memory_order_relaxed);
    if (!fences_work.load(std::memory_order_relaxed)) return 0;
  }
  static auto const real = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
#endif

using namespace fastalloc;

namespace {

/// Lines of memory that both threads write to: a store to one waits for the other processor's cache.
struct alignas(64) Line {
  std::atomic<int> word{0};
};
std::array<Line, 64> lines;
void write_lines() {
  for (Line& line : lines) line.word.store(1, std::memory_order_relaxed);
}

/// One thread allocates and releases, another one takes its slots away meanwhile, until the first did so `most` times,
/// or something was wrong. Returns: what, or null.
char const* steal(std::uint64_t most) {
  constexpr std::size_t capacity = 64;
  ThreadSafePool<std::uint64_t, NoChecks> pool(capacity);
  std::vector<decltype(pool)::handle_type> all;
  for (std::size_t i = 0; i != capacity; ++i) all.push_back(pool.allocate(i));
  std::uint64_t const* const first = std::min_element(all.begin(), all.end(), [](auto const& a, auto const& b) {
                                       return std::less<>()(a.get(), b.get());
                                     })->get();
  all.clear();

  std::array<std::atomic<int>, capacity> owners{};
  std::atomic<char const*> wrong{nullptr};
  std::atomic<bool> stop{false};
  std::thread thief([&] {
    test::Random random(7);
    while (!stop.load(std::memory_order_relaxed)) {
      pool.trim();
      for (std::size_t times = random(4); times != 0; --times) write_lines();
    }
  });
  std::array<decltype(pool)::handle_type, 8> held;
  for (std::uint64_t done = 0; done < most && wrong == nullptr; done += held.size()) {
    for (auto& handle : held) {
      write_lines();
      handle = pool.try_allocate(done);
      if (handle == nullptr) wrong = "a slot is lost";
      else if (++owners[static_cast<std::size_t>(handle.get() - first)] != 1) wrong = "one slot was handed out twice";
    }
    for (auto& handle : held) {
      if (handle != nullptr) --owners[static_cast<std::size_t>(handle.get() - first)];
      handle.reset();
    }
  }
  stop = true;
  thief.join();
  if (wrong != nullptr) return wrong;
  while (auto handle = pool.try_allocate(most)) all.push_back(std::move(handle));
  return all.size() == capacity ? nullptr : "slots are lost, or too many";
}

}  // namespace

TEST_CASE("stealing: by the fences that are shipped each slot has one owner, and none is lost") {
  char const* const wrong = steal(test::scaled(200'000, 5'000'000));
  CHECK(std::string(wrong == nullptr ? "" : wrong) == "");
}

#if defined(__linux__) && !FASTALLOC_TSAN
TEST_CASE("stealing: one fence for each look into other threads' caches, none for one's own") {
  ThreadSafePool<int, NoChecks> pool(64);
  auto const fences_of = [](auto&& f) {
    std::uint64_t const before = fences;
    f();
    return fences - before;
  };
  pool.warm_up();
  (void)pool.allocate();
  CHECK(fences_of([&] { pool.trim(); }) == 0);
  std::barrier barrier(2);
  std::thread other([&] {
    pool.warm_up();  // a thread's first operations need no cache
    for (int round = 0; round != 4; ++round) {
      (void)pool.allocate();
      barrier.arrive_and_wait();
      barrier.arrive_and_wait();
    }
  });
  auto const meanwhile = [&](auto&& f) {
    barrier.arrive_and_wait();
    f();
    barrier.arrive_and_wait();
  };
  meanwhile([&] { CHECK(fences_of([&] { pool.trim(); }) == 1); });
  meanwhile([&] { CHECK(fences_of([&] { pool.for_each([](int) {}); }) == 1); });
  std::vector<decltype(pool)::handle_type> many(65);
  bool served = false;
  meanwhile([&] { CHECK(fences_of([&] { served = pool.try_allocate_batch(65, many.begin()); }) == 1); });
  CHECK_FALSE(served);
  meanwhile([&] {
    std::vector<decltype(pool)::handle_type> all;
    CHECK(fences_of([&] {
            while (auto handle = pool.try_allocate()) all.push_back(std::move(handle));
          }) >= 1);
    CHECK(all.size() == 64);
  });
  other.join();
  CHECK(pool.allocated() == 0);
}

TEST_CASE("stealing: control: without the fence a slot is handed out twice") {
  std::fflush(nullptr);
  ::pid_t const child = ::fork();
  if (child == 0) {
    for (int const signal : {SIGABRT, SIGSEGV, SIGBUS}) std::signal(signal, SIG_DFL);  // Catch2's handlers
    set_error_handler([](Error const&) {});
    fences_work = false;
    ::_exit(steal(4'000'000) == nullptr ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  // The processors have to run both threads at the same time for that, which a busy machine may not do.
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) WARN("the control saw nothing this time");
}
#endif
