// SPDX-License-Identifier: MIT OR Apache-2.0
// TraceStats<Sink>: a statistics policy that tells a sink of each event of a pool, while no lock is held.
//
//   struct Console : TraceSwitch<Console> {                                       a sink: static functions
//     static void event(TraceEvent const& e) noexcept { std::printf("%p\n", e.address); }
//   };
//   FixedPool<Order, TraceStats<Console>> orders(1000);
//   Console::turn(true);                                                          from here on events arrive
//
//   under the pool's lock    failed(), grown(): counted, and noted as untold
//   after the unlock         Scope, Wait: the sink hears what is untold; built(), ended(): what became of an object
//
// Switched off, an object costs two relaxed loads and two branches that are not taken.
#pragma once

#include <fastalloc/stats/atomic_stats.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace fastalloc::inline FASTALLOC_MODE {

enum class TraceKind : unsigned char {
  allocated,  ///< an object was built
  freed,      ///< an object's destructor has run; its slot is still taken
  grew,       ///< blocks were added
  failed,     ///< requests found no slot
  waited      ///< allocate_for() or allocate_until() waited
};

/// Slots of a pool, when it was asked.
struct PoolUsage {
  std::size_t live = 0;
  std::size_t capacity = 0;
  bool is_known = false;  ///< false on a thread that may not ask: of another thread's part of a ThreadLocalPool
};

/// One event. All that it refers to is valid until the sink returns.
struct TraceEvent {
  TraceKind kind{};
  void const* pool = nullptr;       ///< tells pools apart; of a ThreadLocalPool, the parts of its threads
  std::string_view pool_name = {};  ///< PoolConfig::name; of a wait the first 63 bytes
  std::string_view type_name = {};  ///< of the objects; static
  void const* address = nullptr;    ///< of the object, if there is one
  std::size_t bytes = 0;            ///< of the object
  std::uint64_t count = 1;          ///< blocks added, requests that failed
  std::chrono::nanoseconds wait{};  ///< how long it waited
  bool served = false;              ///< the wait ended with a slot
  PoolUsage (*ask)(void const* of) = nullptr;
  void const* of = nullptr;

  /// Returns: what the pool holds now. Takes the pool's lock; in a ThreadSafePool one step per thread cache.
  [[nodiscard]] PoolUsage usage() const { return ask == nullptr ? PoolUsage{} : ask(of); }
};

/// A sink for TraceStats: a type with static functions.
/// - `S::is_on()`: events are wanted. Asked twice an object: let it be a load.
/// - `S::event(e)`: takes one event, on the thread where it happened. No lock of the library is held: it may use any
///   pool. Events of pools with the same sink that it causes are not told. Threads call it at the same time.
template <class S>
concept TraceSink = requires(TraceEvent const& e) {
  { S::is_on() } noexcept -> std::convertible_to<bool>;
  { S::event(e) } noexcept;
};

/// The usual switch of a sink, its base class. `initially`: its state at the start of the program.
template <class Sink, bool initially = false> class TraceSwitch {
 public:
  // relaxed: a thread may miss events next to a switch; no data depends on it
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool is_on() noexcept { return on_.load(std::memory_order_relaxed); }
  static void turn(bool on) noexcept { on_.store(on, std::memory_order_relaxed); }

 private:
  static inline constinit std::atomic<bool> on_{initially};
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// True while this thread tells the sink of an event, of whatever pool.
template <class Sink> [[nodiscard]] bool& is_telling() noexcept {
  static thread_local constinit bool now = false;
  return now;
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: to see what a program does with a pool, by ChromeTrace, TracySink, or a sink of your own. It also
/// counts what `Counts` counts: by default BasicStats in a pool of one thread, else AtomicStats.
/// Complexity: while the sink is off, that of Counts, and 2 steps an object; an object of a type without a destructor
/// is released by itself, in batches and clear(), too.
/// Not told: slots that load() brings or ends, and reserved keys until their object is built.
template <class Sink, class Counts> class TraceStats {
  static_assert(TraceSink<Sink>, "fastalloc: TraceStats<Sink> needs a type with static functions `bool is_on() "
                                 "noexcept` and `void event(TraceEvent const&) noexcept`; derive from "
                                 "TraceSwitch<Sink> for the first");

 public:
  static constexpr bool enabled = true;
  static constexpr bool traces = true;
  static constexpr bool is_thread_safe = [] {
    if constexpr (requires { Counts::is_thread_safe; }) return Counts::is_thread_safe;
    else return true;
  }();
  /// The policy of a pool that threads share, or do not.
  template <bool Threads>
  using under = TraceStats<Sink, std::conditional_t<Threads || !std::same_as<Counts, AtomicStats>, Counts, BasicStats>>;

  // Called under the pool's lock.
  FASTALLOC_ALWAYS_INLINE constexpr void allocated(std::size_t n) noexcept { counts_.allocated(n); }
  FASTALLOC_ALWAYS_INLINE constexpr void withdrawn() noexcept { counts_.withdrawn(); }
  void failed() noexcept {
    counts_.failed();
    if (Sink::is_on()) failures_.fetch_add(1, std::memory_order_relaxed);  // relaxed: counts publish nothing
  }
  /// A wait ended without a slot. The sink hears of the wait.
  void timed_out() noexcept { counts_.failed(); }
  void grown() noexcept {
    counts_.grown();
    if (Sink::is_on()) growths_.fetch_add(1, std::memory_order_relaxed);  // relaxed: as above
  }
  void note_peak(std::size_t live) noexcept requires requires(Counts c) { c.note_peak(live); } {
    counts_.note_peak(live);
  }
  constexpr void fill(PoolStatistics& out) const noexcept { counts_.fill(out); }
  constexpr void reset(std::size_t live) noexcept { counts_.reset(live); }

  struct Untold {
    std::uint64_t failures;
    std::uint64_t growths;
  };
  /// Returns: what was counted since the last call. Two threads that grow at once may tell of each other's blocks.
  Untold take_untold() noexcept { return {taken(failures_), taken(growths_)}; }

  // Called without a lock, by the pool. Pool: its PoolObjects.

  template <class Pool, class T> FASTALLOC_ALWAYS_INLINE static T* built(Pool& pool, T* object) noexcept {
    if (Sink::is_on()) [[unlikely]]
      tell_object(pool, TraceKind::allocated, object);
    return object;
  }
  template <class Pool> FASTALLOC_ALWAYS_INLINE static void ended(Pool& pool, void const* object) noexcept {
    if (Sink::is_on()) [[unlikely]]
      tell_object(pool, TraceKind::freed, object);
  }

  /// Its end tells of failures and growth. Requires: the pool exists then.
  template <class Pool> class [[nodiscard]] Scope {
   public:
    FASTALLOC_ALWAYS_INLINE explicit Scope(Pool& pool) noexcept : pool_(pool) {}
    ~Scope() {
      if (Sink::is_on()) tell_untold(pool_);
    }
    Scope(Scope const&) = delete;
    Scope& operator=(Scope const&) = delete;

   private:
    Pool& pool_;
  };

  /// Its end tells of a wait. The pool may be gone then: one under destruction sends its waiting threads away.
  template <class Pool> class [[nodiscard]] Wait {
   public:
    template <class Taken> Wait(Pool& pool, Taken const& taken) noexcept : slot_(taken.slot), is_on_(Sink::is_on()) {
      if (!is_on_) return;
      event_ = event_of(pool, TraceKind::waited);
      std::size_t length = event_.pool_name.size();
      if (length > sizeof name_) length = sizeof name_;
      if (length != 0) std::memcpy(name_, event_.pool_name.data(), length);
      event_.pool_name = {name_, length};
      begin_ = std::chrono::steady_clock::now();
    }
    ~Wait() {
      if (!is_on_) return;
      event_.wait = std::chrono::steady_clock::now() - begin_;
      event_.served = slot_ != nullptr;
      if (!event_.served) event_.ask = nullptr;
      tell(event_);
    }
    Wait(Wait const&) = delete;
    Wait& operator=(Wait const&) = delete;

   private:
    std::byte* const& slot_;
    bool is_on_;
    TraceEvent event_;
    std::chrono::steady_clock::time_point begin_;
    char name_[63];
  };

 private:
  using Count = std::atomic<std::uint64_t>;

  static std::uint64_t taken(Count& count) noexcept {
    if (count.load(std::memory_order_relaxed) == 0) return 0;  // relaxed, also below: counts publish nothing
    return count.exchange(0, std::memory_order_relaxed);
  }

  template <class Pool>
  FASTALLOC_COLD static void tell_object(Pool& pool, TraceKind kind, void const* object) noexcept {
    TraceEvent e = event_of(pool, kind);
    e.address = object;
    e.bytes = sizeof(*Pool::object_in(nullptr));
    tell(e);
  }
  template <class Pool> FASTALLOC_COLD static void tell_untold(Pool& pool) noexcept {
    Untold const untold = pool.core_.take_untold();
    for (auto const& [kind, count] :
         {Told{TraceKind::grew, untold.growths}, Told{TraceKind::failed, untold.failures}}) {
      if (count == 0) continue;
      TraceEvent e = event_of(pool, kind);
      e.count = count;
      tell(e);
    }
  }
  struct Told {
    TraceKind kind;
    std::uint64_t count;
  };

  template <class Pool> static TraceEvent event_of(Pool& pool, TraceKind kind) noexcept {
    TraceEvent e;
    e.kind = kind;
    e.pool = e.of = &pool;
    e.pool_name = pool.pool_name();
    e.type_name = Pool::type.name;
    e.ask = [](void const* of) -> PoolUsage {
      Pool const& from = *static_cast<Pool const*>(of);
      if constexpr (Pool::Core::counts_for_all) return {from.core_.allocated(), from.core_.capacity(), true};
      else if (!const_cast<Pool&>(from).derived()->is_home()) return {};
      else return {from.core_.allocated(), from.core_.capacity(), true};
    };
    return e;
  }
  /// Events of the sink's own pools would never end.
  static void tell(TraceEvent const& e) noexcept {
    bool& is_telling = detail::is_telling<Sink>();
    if (is_telling) return;
    is_telling = true;
    Sink::event(e);
    is_telling = false;
  }

  Counts counts_{};
  Count failures_{0};
  Count growths_{0};
};

}  // namespace fastalloc::inline FASTALLOC_MODE
