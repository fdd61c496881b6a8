// SPDX-License-Identifier: MIT OR Apache-2.0
// NoCache, and its empty counterpart of ThreadCaches, for pools whose threads keep no slots.
#pragma once

#include <fastalloc/fwd.hpp>

#include <concepts>
#include <cstdint>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the cache axis: `C::max_cached`, the most slots that a thread keeps.
template <class C>
concept CachePolicy = requires {
  { C::max_cached } -> std::convertible_to<std::size_t>;
};

/// When to use: pools of few slots, or pools that threads use rarely. Complexity: 0 steps; each operation takes the
/// lock.
struct NoCache {
  static constexpr std::size_t max_cached = 0;
};

static_assert(CachePolicy<NoCache>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The interface of ThreadCaches, without caches.
struct NoCaches {
  static constexpr bool enabled = false;
  template <class Core> explicit constexpr NoCaches(Core*) noexcept {}
  struct Room {};
  constexpr void begin() noexcept {}
  [[nodiscard]] constexpr bool is_enrolled() const noexcept { return true; }
  constexpr void end() noexcept {}
  constexpr bool enter() noexcept { return false; }
  template <class Core> constexpr void rebind(Core*) noexcept {}
  [[nodiscard]] constexpr void* attach(unsigned = 0) const noexcept { return nullptr; }
  template <class Supply> constexpr bool gather(Supply&) noexcept { return false; }
  template <class Supply> constexpr void close(Supply&) noexcept {}
  template <class Supply> constexpr void reopen(Supply&) noexcept {}
  template <class Supply> constexpr void stay_alone(Supply&) noexcept {}
  template <class Part, class Supply> constexpr void end_cache(Part*, Supply&) noexcept {}
  template <class Supply> constexpr void poll(Supply&) noexcept {}
  template <class Supply> constexpr void reset_counts(Supply&) noexcept {}
  template <class Supply> [[nodiscard]] constexpr std::size_t cached(Supply const&) const noexcept { return 0; }
  [[nodiscard]] constexpr std::uint64_t allocations() const noexcept { return 0; }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
