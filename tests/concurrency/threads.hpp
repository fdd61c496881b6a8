// SPDX-License-Identifier: MIT OR Apache-2.0
// What the concurrency tests share. Catch2's checks are the main thread's only: other threads note what goes wrong in
// Faults, and the test looks there at the end.
//
//   Stopwatch, slice(), limit(), short_slice(seconds), scaled(n, long_n)   short runs in CI, long ones with
//                                                                          FASTALLOC_STRESS_SECONDS
//   run(n, f)                               f(0) ... f(n - 1) on threads of their own
//   Asleep                                  tells when a thread sleeps in the kernel: then it waits
//   Payload                                 cookie ^ index, checked when it ends; lives are counted
#pragma once

#include <fastalloc/config.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "support/catch.hpp"

namespace test {

using namespace std::chrono_literals;

/// Seconds for each stress scenario, and whether that was asked for.
inline double asked_seconds() {
  static double const seconds = [] {
    char const* const text = std::getenv("FASTALLOC_STRESS_SECONDS");
    return text == nullptr ? 0.0 : std::atof(text);
  }();
  return seconds;
}
/// Of a stress scenario. ThreadSanitizer, which looks at orders that did not happen, too, gets twice the time.
inline std::chrono::duration<double> slice() {
  return std::chrono::duration<double>(asked_seconds() > 0 ? asked_seconds() : FASTALLOC_TSAN ? 0.6 : 0.3);
}
/// Of what counts rounds, and ends before it did all where the machine is slow.
inline std::chrono::duration<double> limit() {
  return std::chrono::duration<double>(asked_seconds() > 0 ? asked_seconds() : 0.6);
}
/// Of what need not run for minutes.
inline std::chrono::duration<double> short_slice(double usual) {
  return std::chrono::duration<double>(asked_seconds() > 0 ? 10 * usual : usual);
}
inline std::size_t scaled(std::size_t usual, std::size_t in_long_runs) {
  return asked_seconds() > 0 ? in_long_runs : usual;
}

class Stopwatch {
 public:
  [[nodiscard]] std::chrono::duration<double> time() const { return std::chrono::steady_clock::now() - begin_; }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// What went wrong, from any thread. The texts are constants.
class Faults {
 public:
  void expect(bool ok, char const* text) {
    if (ok) return;
    count_.fetch_add(1);
    char const* none = nullptr;
    first_.compare_exchange_strong(none, text);
  }
  /// To be looked at by the main thread. "": none.
  [[nodiscard]] std::string first() const { return first_.load() == nullptr ? "" : first_.load(); }
  [[nodiscard]] std::size_t count() const { return count_.load(); }
  void forgive() { first_ = nullptr, count_ = 0; }

 private:
  std::atomic<char const*> first_{nullptr};
  std::atomic<std::size_t> count_{0};
};
inline Faults& faults() {
  static Faults the_faults;
  return the_faults;
}

/// Calls f(i) on n threads, and waits until all have returned.
template <class F> void run(std::size_t n, F&& f) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i != n; ++i) threads.emplace_back([&f, i] { f(i); });
  for (auto& thread : threads) thread.join();
}

/// Small and fast; a generator for each thread.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15 + 1) {}
  std::size_t operator()(std::size_t below) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return static_cast<std::size_t>(state_ >> 11) % below;
  }

 private:
  std::uint64_t state_;
};

/// A thread calls begin() before a call that shall sleep; another one waits for that with wait().
class Asleep {
 public:
  void begin() {
#if defined(__linux__)
    thread_ = static_cast<long>(::syscall(SYS_gettid));
#else
    thread_ = 1;
#endif
  }
  /// Returns when the thread has slept for some milliseconds on end, or has ended.
  void wait() const {
    (void)wait([] { return false; });
  }
  /// The same, or when done() is true, which is the answer.
  template <class Done> bool wait(Done&& done) const {
    while (thread_ == 0) std::this_thread::sleep_for(100us);
    for (int looks = 0; looks != 5;) {
      if (done()) return true;
      std::this_thread::sleep_for(1ms);
      looks = sleeps() ? looks + 1 : 0;
    }
    return done();
  }

 private:
#if defined(__linux__)
  [[nodiscard]] bool sleeps() const {
    char name[64];
    std::snprintf(name, sizeof name, "/proc/self/task/%ld/stat", thread_.load());
    std::FILE* const file = std::fopen(name, "r");
    if (file == nullptr) return true;  // the thread has ended: it will not wait any more
    char text[512];
    std::size_t const size = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[size] = '\0';
    std::string const line = text;
    std::size_t const end = line.rfind(')');
    return end != std::string::npos && end + 2 < line.size() && line[end + 2] == 'S';
  }
#else
  [[nodiscard]] static bool sleeps() {
    std::this_thread::sleep_for(10ms);
    return true;
  }
#endif
  std::atomic<long> thread_{0};
};

/// A lock that counts how often it was taken: what threads keep for themselves needs none.
class CountedLock {
 public:
  void lock() {
    mutex_.lock();
    ++taken;
  }
  void unlock() { mutex_.unlock(); }
  static inline std::atomic<std::uint64_t> taken{0};

 private:
  std::mutex mutex_;
};
/// True when pairs of this thread take no lock, or next to none.
template <class Pool, class... Args> bool caches_work(Pool& pool, Args... args) {
  (void)pool.try_allocate(args...);  // fetches a batch
  std::uint64_t const before = CountedLock::taken;
  for (int i = 0; i != 100; ++i)
    if (pool.try_allocate(args...) == nullptr) return false;
  return CountedLock::taken - before < 10;
}

/// An object that knows when somebody writes over it, or ends it twice.
class Payload {
 public:
  static constexpr std::uint64_t cookie = 0x9E3779B97F4A7C15;

  explicit Payload(std::uint64_t index = 0) : index_(index), word_(cookie ^ index) {
    lives().fetch_add(1, std::memory_order_relaxed);
  }
  Payload(Payload const&) = delete;
  Payload& operator=(Payload const&) = delete;
  ~Payload() {
    verify();
    word_ = 0;
    ends().fetch_add(1, std::memory_order_relaxed);
    lives().fetch_sub(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  void set(std::uint64_t index) {
    verify();
    index_ = index;
    word_ = cookie ^ index;
  }
  void verify() const { faults().expect(word_ == (cookie ^ index_), "the payload of a live object was overwritten"); }

  static std::atomic<std::int64_t>& lives() {
    static std::atomic<std::int64_t> count{0};
    return count;
  }
  /// Ended, ever.
  static std::atomic<std::uint64_t>& ends() {
    static std::atomic<std::uint64_t> count{0};
    return count;
  }

 private:
  std::uint64_t index_;
  std::uint64_t word_;
};

/// For the end of a test case.
inline void check_faults() {
  CHECK(faults().first() == "");
  CHECK(faults().count() == 0);
  faults().forgive();
}

}  // namespace test
