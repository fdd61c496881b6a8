// SPDX-License-Identifier: MIT OR Apache-2.0
// NoDestructor<Pool>: a pool in static storage that is never destroyed.
//
// A pool's destructor looks for live handles and reports them. That costs flash and, in programs that end, imposes an
// order of destruction. Here it never runs and is not linked in. g++ still registers an empty exit function: 24 bytes
// on a Cortex-M3; start-up code may skip .init_array.
#pragma once

#include <fastalloc/fwd.hpp>

#include <type_traits>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: `constinit NoDestructor<FixedPool<T, InlineStorage<N>>> pool;` in firmware puts the pool into .bss.
/// Also for pools that static objects, or threads still running at exit, use until the end. Works for any pool. Use it
/// only in static storage: the pool's memory is never released. Handles refer to the pool itself: `pool->allocate()`.
template <class Pool> class NoDestructor {
 public:
  constexpr NoDestructor() noexcept(std::is_nothrow_default_constructible_v<Pool>)
      requires std::is_default_constructible_v<Pool>
      : pool_() {}
  /// Constructs the pool from `args`. Throws: as that constructor.
  template <class... Args> requires(sizeof...(Args) != 0 && std::is_constructible_v<Pool, Args...>)
  explicit NoDestructor(Args&&... args) : pool_(std::forward<Args>(args)...) {}
  constexpr ~NoDestructor() {}
  NoDestructor(NoDestructor const&) = delete;
  NoDestructor& operator=(NoDestructor const&) = delete;

  [[nodiscard]] constexpr Pool& operator*() noexcept { return pool_; }
  [[nodiscard]] constexpr Pool const& operator*() const noexcept { return pool_; }
  [[nodiscard]] constexpr Pool* operator->() noexcept { return &pool_; }
  [[nodiscard]] constexpr Pool const* operator->() const noexcept { return &pool_; }
  [[nodiscard]] constexpr Pool* get() noexcept { return &pool_; }
  [[nodiscard]] constexpr Pool const* get() const noexcept { return &pool_; }

 private:
  union {
    Pool pool_;
  };
};

}  // namespace fastalloc::inline FASTALLOC_MODE
