// SPDX-License-Identifier: MIT OR Apache-2.0
// MovablePool<P>: owns a pool P on the heap. It moves like a std::unique_ptr; the pool and its objects stay in place.
//
//   struct Graph {                                         // returned by value, swapped, erased from a vector;
//     fastalloc::MovablePool<fastalloc::GrowingPool<Node>> pool{16};
//     std::vector<decltype(pool)::handle_type> nodes;      // members in either order
//   };
//
// A MovablePool that ends before its handles abandons the pool: the last slot that comes back ends it.
//
//   NoLock    the pool keeps one byte, and a release tests it after the slot is back
//   any lock  a release announces itself, tests the byte, gives its slot back, and signs off. The end of the owner sets
//             the byte, waits until nobody is inside, and sets gone_ -= live slots; each later release counts instead
//             of giving its slot back, and the one that brings gone_ to 0 ends the pool:
//             abandoned:  gone_ == slots that came back since - slots that were live at the owner's end
//
// Only pools with the policy Abandonable have that state; MovablePool adds the policy. Other pools are unchanged.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/pool/basic_pool.hpp>

#include <atomic>
#include <cstdint>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// For pools of one thread at a time.
struct QuietEnding {
  bool abandoned = false;
};

FASTALLOC_BEGIN_PADDED
/// For pools that threads share.
class SharedEnding {
 public:
  /// Effects: calls give() and returns true; false, without calling it, if the pool is abandoned. The pool exists until
  /// the end of the call only; if the result is false, until slots_gone().
  template <class Give> FASTALLOC_ALWAYS_INLINE bool run(Give&& give) noexcept {
    std::atomic<std::uint32_t>& inside = gates_[gate_of_thread()].inside;
    inside.fetch_add(1, std::memory_order_seq_cst);  // seq_cst, also below: either abandon() sees this, or this sees it
    bool const open = !abandoned_.load(std::memory_order_seq_cst);
    if (open) [[likely]]
      give();
    inside.fetch_sub(1, std::memory_order_release);  // release: pairs with the acquire in abandon(). The last access
    return open;
  }
  /// Effects: from here on run() returns false, and no give() is under way.
  void abandon() noexcept {
    abandoned_.store(true, std::memory_order_seq_cst);
    for (Gate& gate : gates_)
      while (gate.inside.load(std::memory_order_seq_cst) != 0) detail::yield();
  }
  /// Effects: n slots are yet to come. Returns: true if all of them came already; the caller then ends the pool.
  [[nodiscard]] bool expect(std::size_t n) noexcept {
    auto const count = static_cast<std::int64_t>(n);
    // acq_rel, both: whoever ends the pool sees all that others did with their objects
    return gone_.fetch_sub(count, std::memory_order_acq_rel) == count;
  }
  /// Effects: counts n slots that came back. Returns: true if they were the last; the caller then ends the pool.
  [[nodiscard]] bool slots_gone(std::size_t n) noexcept {
    auto const count = static_cast<std::int64_t>(n);
    return gone_.fetch_add(count, std::memory_order_acq_rel) == -count;
  }
  [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t line = 64, gate_count = 8;
  /// Threads come in by several gates, so that they seldom write to one cache line.
  struct alignas(line) Gate {
    std::atomic<std::uint32_t> inside{0};
  };
  /// Stacks of different threads are far apart; any gate is right.
  static std::size_t gate_of_thread() noexcept {
    char here = 0;
    auto const address = reinterpret_cast<std::uintptr_t>(opaque(&here));
    return (address >> 16 ^ address >> 20 ^ address >> 23) % gate_count;
  }

  Gate gates_[gate_count];
  alignas(line) std::atomic<bool> abandoned_{false};
  std::atomic<std::int64_t> gone_{0};
};
FASTALLOC_END_PADDED

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the ending axis: the pool may outlive its owner, a MovablePool, which adds the policy itself. Costs 2
/// instructions a release and 1 byte; with a lock 2 locked instructions a release and 640 bytes.
struct Abandonable {
  static constexpr bool can_be_abandoned = true;
  template <bool Locked> using state = std::conditional_t<Locked, detail::SharedEnding, detail::QuietEnding>;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class P> struct AbandonablePool {
  static constexpr bool is_pool = false;
};
template <template <class, class...> class Pool, class T, class... Policies>
struct AbandonablePool<Pool<T, Policies...>> {
  static constexpr bool is_pool = true;
  using value_type = T;
  using type = std::conditional_t<(std::same_as<Policies, Abandonable> || ...), Pool<T, Policies...>,
                                  Pool<T, Policies..., Abandonable>>;
};
template <class P> constexpr bool is_thread_local_pool = false;
template <class T, class... Policies> constexpr bool is_thread_local_pool<ThreadLocalPool<T, Policies...>> = true;

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: a class owns a pool and the handles made from it, and is itself moved, swapped or returned by value.
/// Members may be declared in any order, and handles may outlive the MovablePool: the pool ends with the last handle,
/// SharedHandle, WeakHandle or batch. A thread-safe pool may be abandoned by one thread while others release handles.
///
/// The pool is pool_type: P with the policy Abandonable. Its handles are handle_type, not P::handle_type, and convert
/// to the erased Handle<T>. T may be incomplete where handle_type is named.
/// Not for ThreadLocalPool, nor for memory that processes share. The span of an ExternalStorage must outlive the last
/// handle.
/// Requires: after the MovablePool has ended, handles are only released: no other function of the pool runs, except,
/// in a pool without a lock, in destructors of its own objects. As with any pool, it does not end inside for_each().
/// An object that Handle::release() gave up keeps an abandoned pool, and its memory, forever.
/// Thread safety: the MovablePool: that of a pointer; the pool: that of P.
template <class P> class [[nodiscard]] MovablePool {
  using Types = detail::AbandonablePool<P>;
  static_assert(Types::is_pool,
                "fastalloc: MovablePool<P> holds a pool; write its type, as in MovablePool<GrowingPool<Node>>");
  static_assert(
      !detail::is_thread_local_pool<P>,
      "fastalloc: the sub-pools of a ThreadLocalPool belong to their threads and cannot outlive the pool; "
      "use MovablePool<ThreadSafePool<T>>, or a std::unique_ptr<ThreadLocalPool<T>> that outlives all handles");

 public:
  using pool_type = typename Types::type;
  using value_type = typename Types::value_type;
  using element_type = pool_type;
  using handle_type = Handle<value_type, pool_type>;

  /// Owns no pool.
  constexpr MovablePool() noexcept = default;
  template <std::same_as<std::nullptr_t> Null> constexpr MovablePool(Null) noexcept {}  // not from the literal 0

  /// Effects: makes a pool on the heap, from the arguments of P's constructors.
  /// Throws: as they do; AllocationFailed if the heap has no room for the pool object.
  template <int = 0> explicit MovablePool(std::size_t capacity) : pool_(make(capacity)) {}
  template <class... Values>
  explicit MovablePool(PoolConfig const& config, Values&&... values)
      : pool_(make(config, std::forward<Values>(values)...)) {}
  template <int = 0> explicit MovablePool(std::span<std::byte> bytes) : pool_(make(bytes)) {}
  /// The same from any arguments; without: the pool with InlineStorage.
  template <class... Args>
  explicit MovablePool(std::in_place_t, Args&&... args) : pool_(make(std::forward<Args>(args)...)) {}

  /// For Result: sets `failure` instead of throwing; throws only what copying `values` throws.
  template <class... Values>
  explicit MovablePool(std::optional<Error>& failure, PoolConfig const& config, Values&&... values)
      : pool_(new(std::nothrow) pool_type(failure, config, std::forward<Values>(values)...)) {
    if (pool_ == nullptr) failure = no_memory();
  }
  /// Returns: the owner of a new pool, or the error. Never throws.
  template <class... Values>
  [[nodiscard]] static Result<MovablePool> try_create(PoolConfig const& config, Values&&... values) noexcept {
    return Result<MovablePool>(std::in_place, config, std::forward<Values>(values)...);
  }

  /// The moved-from owner has no pool. Objects, handles, keys and addresses stay valid.
  MovablePool(MovablePool&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
  /// The pool owned before ends, now or with its last handle. Self-move has no effect.
  MovablePool& operator=(MovablePool&& other) noexcept {
    pool_type* const pool = std::exchange(other.pool_, nullptr);
    end(std::exchange(pool_, pool));
    return *this;
  }
  MovablePool& operator=(std::nullptr_t) noexcept { return reset(), *this; }
  MovablePool(MovablePool const&, FASTALLOC_ADVICE("fastalloc: a pool has one owner; std::move() it")) = delete;
  FASTALLOC_ADVISES("fastalloc: a pool has one owner; std::move() it") operator=(MovablePool const&) = delete;

  /// Effects: ends the pool; if slots are in use, the last one that comes back does. No objects are destroyed.
  /// Complexity: that of P's destructor; for an abandoned pool constant, plus, if threads share it, the wait for
  /// releases that are under way.
  ~MovablePool() { end(pool_); }

  /// Requires: not empty. A checks policy reports an empty owner and ends the program.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE pool_type& operator*() const noexcept { return *operator->(); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE pool_type* operator->() const noexcept {
    if constexpr (detail::checks_access<P>)
      if (pool_ == nullptr) [[unlikely]]
        detail::refuse_access<value_type>("an empty MovablePool has no pool; it was moved from, reset or default "
                                          "constructed; assign a new one, as in pool = MovablePool<P>(capacity)");
    return pool_;
  }
  /// The pool, or null if empty.
  [[nodiscard]] pool_type* get() const noexcept { return pool_; }
  explicit operator bool() const noexcept { return pool_ != nullptr; }

  /// As destruction; the owner is empty before the pool ends.
  void reset() noexcept { end(std::exchange(pool_, nullptr)); }

  void swap(MovablePool& other) noexcept { std::swap(pool_, other.pool_); }
  friend void swap(MovablePool& a, MovablePool& b) noexcept { a.swap(b); }

  /// Compares the pools' addresses.
  friend bool operator==(MovablePool const& a, MovablePool const& b) noexcept { return a.pool_ == b.pool_; }
  friend bool operator==(MovablePool const& a, std::nullptr_t) noexcept { return a.pool_ == nullptr; }

 private:
  static Error no_memory() noexcept {
    return {.code = ErrorCode::allocation_failed,
            .requested = sizeof(pool_type),
            .text = "the heap has no room for the pool object of a MovablePool; free memory, or use a pool that is a "
                    "member or static",
            .unit = "bytes",
            .type_name = detail::type_name<value_type>()};
  }
  template <class... Args> static pool_type* make(Args&&... args) {
    auto* const pool = new (std::nothrow) pool_type(std::forward<Args>(args)...);
    if (pool == nullptr) detail::fail(no_memory());
    return pool;
  }
  static void end(pool_type* pool) noexcept {
    if (pool != nullptr && pool->abandon()) delete pool;
  }

  pool_type* pool_ = nullptr;
};

}  // namespace fastalloc::inline FASTALLOC_MODE
