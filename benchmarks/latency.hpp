// SPDX-License-Identifier: MIT OR Apache-2.0
// What fastalloc-bench-latency measures: a case is a scenario run on one side. Each round runs each case of a scenario
// once, in a process of its own, which prints a Record; latency.cpp adds them up and prints the tables, and curves as
// JSON for the picture.
#pragma once

#include "hdr_histogram.hpp"
#include "ticks.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench::latency {

/// Histograms of ticks by the name of the operation, and what else happened in the measured part.
class Record {
 public:
  /// Stays where it is.
  Histogram& of(std::string_view operation);
  [[nodiscard]] Histogram const* find(std::string_view operation) const;
  void merge(Record const& other);

  /// A line of the two numbers, then two for each operation: its name and its histogram.
  void write(std::ostream& out) const;
  /// Throws std::runtime_error when the text is not of that form.
  static Record read(std::string const& text);

  long page_faults = 0;
  long preemptions = 0;  ///< times that another process took the processor

 private:
  std::list<std::pair<std::string, Histogram>> operations_;
};

inline constexpr char const* nothing = "nothing";
inline constexpr char const* allocating = "allocate";
inline constexpr char const* freeing = "free";

/// What was stored before is done when the first reading is taken: an operation is not charged for the stores of
/// others.
template <class F> [[gnu::always_inline]] inline void timed(Histogram& histogram, F&& f) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::uint64_t const start = Ticks::start();
  f();
  histogram.record(Ticks::stop() - start);
}

/// Brings the object into the cache.
template <class T> void touch(T const& object) noexcept {
  static_cast<void>(*reinterpret_cast<unsigned char const volatile*>(&object));
}

/// The measured part: counts page faults and preemptions into the record. At real-time priority if real_time_wanted is
/// set and the system allows it: nothing but the kernel takes the processor then.
class Measured {
 public:
  explicit Measured(Record& record);
  ~Measured();
  Measured(Measured const&) = delete;
  /// Runs f without counting.
  template <class F> void leave_out(F&& f) {
    count(1);
    f();
    count(-1);
  }

 private:
  void count(long sign);
  Record& record_;
  std::chrono::steady_clock::time_point start_;
};
extern bool real_time_wanted;

/// How much one process does.
struct Size {
  std::size_t objects;
  std::size_t operations;  ///< of each kind, about
};

struct Case {
  std::string scenario;
  std::string side;
  void (*run)(Record&, Size);
  Size size;
  int rounds;
  bool general = false;  ///< malloc: general allocators are preloaded into it
};

// The scenarios, by their titles.
inline constexpr char const* fresh = "fresh process";
inline constexpr char const* steady = "steady";
inline constexpr char const* fragmented = "fragmented";
inline constexpr char const* million = "a million live";
inline constexpr char const* worst = "worst case";

std::vector<Case> scenario_cases();  // latency_sides.cpp: allocate and free, of pools and general allocators
std::vector<Case> worst_cases();     // latency_worst.cpp: every operation of every slot policy

/// What was measured: scenario, side.
struct Row {
  Case what;
  Record record;
};
using Rows = std::vector<Row>;

}  // namespace bench::latency
