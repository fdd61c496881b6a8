// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolRegistry: all pools of the program that have the policy Registered, with name, type, statistics and bytes.
//
//   FixedPool<Particle, Registered, BasicStats> particles(PoolConfig{.capacity = 1000, .name = "particles"});
//   std::puts(PoolRegistry::report().c_str());
//
// The list is doubly linked, so a pool enters and leaves in constant time. Its lock is held for that only. A pool that
// is looked at is pinned instead, and cannot end meanwhile:
//
//   first -> | previous, next, pool, describe, pins | -> ...      in the order of entering
#pragma once

#include <fastalloc/cache/forks.hpp>
#include <fastalloc/error.hpp>
#include <fastalloc/stats/report.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace fastalloc::inline FASTALLOC_MODE {

/// What a pool in the registry says about itself. A copy; it does not refer to the pool.
struct PoolInfo {
  std::string name;               ///< PoolConfig::name
  std::string_view type_name;     ///< of the objects
  PoolStatistics statistics{};    ///< without the name; only capacity and current_usage if the pool does not count
  bool counts = false;            ///< the pool has a statistics policy
  std::size_t bytes = 0;          ///< held from the storage: slots and metadata
  std::uint64_t id = 0;           ///< counts the pools of the program, from 1
  std::size_t segment_bytes = 0;  ///< of the segments that slots lie in, with CompactHandles; else 0
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_STATE {

/// A pool in the list.
struct PoolEntry {
  PoolEntry* previous = nullptr;
  PoolEntry* next = nullptr;
  void const* pool = nullptr;
  void (*describe)(void const* pool, void* info) = nullptr;  ///< info: a PoolInfo
  std::uint64_t id = 0;
  std::size_t pins = 0;      ///< threads that look at the pool
  long pinning_process = 0;  ///< their process; a fork leaves their pins to the child
};
struct PoolList {
  PoolEntry* first = nullptr;  // all: guarded by list_lock
  PoolEntry* last = nullptr;
  std::size_t count = 0;
  std::uint64_t ids = 0;
};
FASTALLOC_ONE constinit PoolList registered_pools{};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Tells a process from its forks.
inline long process_number() noexcept {
#if FASTALLOC_POSIX
  return ::getpid();
#else
  return 0;
#endif
}

/// A pool's place in the registry, a member of the pool.
template <class Pool> class Registration : PoolEntry {
 public:
  Registration() noexcept = default;
  Registration(Registration const&) = delete;
  Registration& operator=(Registration const&) = delete;

  /// Call it when the pool is complete.
  void enter(Pool& owner) noexcept {
    this->pool = &owner;
    this->describe = &fill;
    ForkHandlers::install();
    ListGuard const guard;
    PoolList& list = registered_pools;
    this->id = ++list.ids;
    this->previous = list.last;
    (list.last != nullptr ? list.last->next : list.first) = this;
    list.last = this;
    ++list.count;
  }
  /// Waits until no thread looks at the pool. Call it before the pool ends. Without enter() it does nothing.
  void leave() noexcept {
    if (this->pool == nullptr) return;
    while (!try_leave()) yield();
  }

 private:
  bool try_leave() noexcept {
    ListGuard const guard;
    if (this->pins != 0 && this->pinning_process == process_number()) return false;
    PoolList& list = registered_pools;
    (this->previous != nullptr ? this->previous->next : list.first) = this->next;
    (this->next != nullptr ? this->next->previous : list.last) = this->previous;
    --list.count;
    return true;
  }
  static void fill(void const* from, void* to) {
    Pool const& pool = *static_cast<Pool const*>(from);
    PoolInfo& info = *static_cast<PoolInfo*>(to);
    if constexpr (Pool::has_statistics) info.statistics = pool.statistics();
    else info.statistics = {.current_usage = pool.allocated(), .capacity = pool.capacity()};
    info.counts = Pool::has_statistics;
    info.name = pool.name();
    info.statistics.name = {};
    info.type_name = type_name<typename Pool::value_type>();
    info.bytes = pool.bytes();
    info.segment_bytes = Pool::segment_bytes;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy: lists the pool in the PoolRegistry. Costs 56 bytes a pool, and two locks over its life; nothing else.
struct Registered {
  static constexpr bool is_registered = true;
  template <class Pool> using entry = detail::Registration<Pool>;
};

/// All pools with the policy Registered, in the order of their construction. Libraries that hide their symbols have a
/// registry each.
/// Thread safety: any function may run while threads use pools, make and end them; a pool that ends waits while it is
/// looked at. A pool without a lock must not be used by another thread meanwhile. No lock is held while `f` runs.
/// Throws: std::bad_alloc, and what `f` throws. Complexity: linear in the pools; those of statistics() and allocated().
class PoolRegistry {
 public:
  PoolRegistry() = delete;

  /// Calls f(PoolInfo const&) for each pool that was there when the call began. `f` may make and end pools.
  template <class F> static void for_each(F&& f) {
    for (PoolInfo const& info : list()) f(info);
  }
  /// The number of pools.
  [[nodiscard]] static std::size_t size() noexcept {
    detail::ListGuard const guard;
    return detail::registered_pools.count;
  }

  /// Returns: a table for people, a line for each pool ("-": not counted), and the sum. With a column for the bytes of
  /// segments if there are pools with CompactHandles.
  [[nodiscard]] static std::string report() { return table(list(), ""); }
  /// Returns: the same for pools with live objects; empty if there are none.
  [[nodiscard]] static std::string leaks() {
    std::vector<PoolInfo> pools = list();
    std::erase_if(pools, [](PoolInfo const& info) { return info.statistics.current_usage == 0; });
    return pools.empty() ? std::string() : table(pools, " with live objects");
  }
  /// Effects: at the end of the program, after main(), prints leaks() to stderr, if there are any. Pools constructed
  /// before the call still exist then, unless they are local.
  static void report_leaks_at_exit() noexcept {
    std::atexit([] {
      FASTALLOC_TRY { std::fputs(leaks().c_str(), stderr); }
      FASTALLOC_CATCH_ALL { std::fputs("fastalloc: no memory for the report of leaks\n", stderr); }
    });
  }

  /// Returns: an array of objects on one line: the numbers of to_json(statistics), with id, name, type and bytes.
  /// Without a statistics policy only capacity, usage and what follows from them. With CompactHandles also
  /// segment_bytes.
  [[nodiscard]] static std::string to_json() {
    std::string out;
    for (PoolInfo const& info : list()) {
      detail::append(out, out.empty() ? "[" : ",", "{\"id\":", detail::decimal(info.id),
                     ",\"name\":", detail::json_string(info.name), ",\"type\":", detail::json_string(info.type_name),
                     ",\"bytes\":", detail::decimal(info.bytes));
      if (has_segments(info)) detail::append(out, ",\"segment_bytes\":", detail::decimal(info.segment_bytes));
      for (auto const& field : detail::statistics_fields<void>())
        if (is_known(info, field.key)) detail::append(out, ",\"", field.key, "\":", field.text(info.statistics));
      out += '}';
    }
    return out += out.empty() ? "[]" : "]";
  }
  /// Returns: a page in Prometheus' text format: the metrics of to_prometheus(statistics), and fastalloc_held_bytes,
  /// with the labels pool (the name, or the type), type and id. With CompactHandles also fastalloc_segment_bytes.
  [[nodiscard]] static std::string to_prometheus() {
    std::vector<PoolInfo> const pools = list();
    if (pools.empty()) return {};
    std::string out;
    auto const metric = [&](std::string_view key, std::string_view name, std::string_view help, auto&& value) {
      detail::append(out, "# HELP ", name, " ", help, "\n# TYPE ", name,
                     name.ends_with("_total") ? " counter\n" : " gauge\n");
      for (PoolInfo const& info : pools)
        if (is_known(info, key))
          detail::append(out, name, "{pool=\"", detail::label(info.name.empty() ? info.type_name : info.name),
                         "\",type=\"", detail::label(info.type_name), "\",id=\"", detail::decimal(info.id), "\"} ",
                         value(info), "\n");
    };
    for (auto const& field : detail::statistics_fields<void>())
      metric(field.key, field.metric, field.help, [&](PoolInfo const& info) { return field.text(info.statistics); });
    metric("available", "fastalloc_held_bytes", "Bytes that the pool holds from its storage.",
           [](PoolInfo const& info) { return detail::decimal(info.bytes); });
    if (std::any_of(pools.begin(), pools.end(), has_segments))
      metric("segment_bytes", "fastalloc_segment_bytes", "Bytes of the segments that slots lie in (CompactHandles).",
             [](PoolInfo const& info) { return detail::decimal(info.segment_bytes); });
    return out;
  }

 private:
  static bool has_segments(PoolInfo const& info) noexcept { return info.segment_bytes != 0; }
  /// False for what only a statistics policy counts, and for segments that are not there.
  static bool is_known(PoolInfo const& info, std::string_view key) noexcept {
    if (key == "segment_bytes") return has_segments(info);
    for (std::string_view const always : {"capacity", "current_usage", "available", "utilization_percent"})
      if (key == always) return true;
    return info.counts;
  }
  /// Describes all pools, each while it is pinned, without a lock.
  static std::vector<PoolInfo> list() {
    struct Pin {
      detail::PoolEntry* at = nullptr;
      ~Pin() { move(nullptr); }
      /// Pins `to` and unpins the entry pinned before. Requires: the lock, if `to` may leave meanwhile.
      void move_locked(detail::PoolEntry* to) noexcept {
        if (to != nullptr) {
          long const process = detail::process_number();
          if (to->pinning_process != process) to->pins = 0;  // of threads that a fork left behind
          to->pinning_process = process;
          ++to->pins;
        }
        if (at != nullptr) --at->pins;
        at = to;
      }
      void move(detail::PoolEntry* to) noexcept {
        detail::ListGuard const guard;
        move_locked(to);
      }
    } pin;
    std::vector<PoolInfo> pools;
    pools.reserve(size());
    std::uint64_t last = 0;
    {
      detail::ListGuard const guard;
      last = detail::registered_pools.ids;
      pin.move_locked(detail::registered_pools.first);
    }
    while (pin.at != nullptr && pin.at->id <= last) {
      PoolInfo info;
      info.id = pin.at->id;
      pin.at->describe(pin.at->pool, &info);
      pools.push_back(std::move(info));
      detail::ListGuard const guard;
      pin.move_locked(pin.at->next);
    }
    return pools;
  }

  static std::string table(std::vector<PoolInfo> const& pools, std::string_view which) {
    std::vector<std::vector<std::string>> rows{{"pool", "type", "used", "peak", "capacity", "allocations", "bytes"}};
    PoolStatistics sum;
    std::size_t bytes = 0;
    auto const row = [&](std::string name, std::string_view type, PoolStatistics const& s, std::size_t held,
                         bool counts) {
      rows.push_back({std::move(name), std::string(type), detail::decimal(s.current_usage),
                      counts ? detail::decimal(s.peak_usage) : "-", detail::decimal(s.capacity),
                      counts ? detail::decimal(s.total_allocations) : "-", detail::decimal(held)});
    };
    for (PoolInfo const& info : pools) {
      row(info.name.empty() ? "#" + detail::decimal(info.id) : info.name, info.type_name, info.statistics, info.bytes,
          info.counts);
      sum += info.statistics;
      bytes += info.bytes;
    }
    std::string count = detail::decimal(pools.size());
    row("all", detail::append(count, pools.size() == 1 ? " pool" : " pools", which), sum, bytes, true);
    if (std::any_of(pools.begin(), pools.end(), has_segments)) {
      rows.front().push_back("segment");
      for (std::size_t i = 0; i != pools.size(); ++i)
        rows[i + 1].push_back(has_segments(pools[i]) ? detail::decimal(pools[i].segment_bytes) : "-");
      rows.back().push_back("-");
    }
    std::vector<std::size_t> widths(rows[0].size());
    for (auto const& cells : rows)
      for (std::size_t i = 0; i != cells.size(); ++i)
        if (cells[i].size() > widths[i]) widths[i] = cells[i].size();
    std::string out;
    for (auto const& cells : rows) {
      for (std::size_t i = 0; i != cells.size(); ++i) {
        std::string const blanks(widths[i] - cells[i].size() + (i == 0 ? 0 : 2), ' ');
        if (i < 2) detail::append(out, i == 0 ? "" : "  ", cells[i], blanks.substr(i == 0 ? 0 : 2));
        else detail::append(out, blanks, cells[i]);
      }
      out += '\n';
    }
    return out;
  }
};

}  // namespace fastalloc::inline FASTALLOC_MODE
