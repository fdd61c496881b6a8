// SPDX-License-Identifier: MIT OR Apache-2.0
// NoDestructor<Pool>: a pool in static storage that lives as long as the program.
//
// A pool's destructor looks for live handles and reports them, which costs flash and, in programs that end, an order of
// destruction to think of. Here it never runs, so none of that is linked in. g++ still registers an empty function for
// the end of the program: 24 bytes on a Cortex-M3, and start-up code that ignores .init_array loses nothing.
#pragma once

#include <fastalloc/fwd.hpp>

#include <type_traits>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: `constinit NoDestructor<FixedPool<T, InlineStorage<N>>> pool;` in firmware, where the pool then lies in
/// .bss; and for pools that objects of static storage, or threads that are still running, may use until the very end.
/// Works for any pool; memory that it acquired is never given back, so static storage is the only place for it. Handles
/// refer to the pool itself: `pool->allocate()`.
template <class Pool> class NoDestructor {
 public:
  constexpr NoDestructor() noexcept(std::is_nothrow_default_constructible_v<Pool>)
      requires std::is_default_constructible_v<Pool>
      : pool_() {}
  /// Builds the pool from `args`, and throws what that throws.
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
