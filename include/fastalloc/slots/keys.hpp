// SPDX-License-Identifier: MIT OR Apache-2.0
// The keys axis: which pools have keys. slots/generations.hpp has the policy that gives them.
#pragma once

#include <fastalloc/fwd.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the keys axis: `P::generation_bits`, or 0 for none. Optional: `P::index_bits` (32), `P::Key`.
template <class P>
concept KeysPolicy = requires {
  { P::generation_bits } -> std::convertible_to<int>;
};

/// Default: no keys, 0 bytes.
struct NoKeys {
  static constexpr int generation_bits = 0;
};

static_assert(KeysPolicy<NoKeys>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_STATE {

/// One variable for pools of all modes, so outside their namespaces: multiples of the golden ratio of 2^32, which lie
/// far apart.
FASTALLOC_ONE std::atomic<std::uint32_t> generation_seed{0};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_MODE {

using GenerationWord = std::uint32_t;

/// Returns: a number that no other pool of the process gets. A library that hides its symbols has its own seed, at
/// another address.
[[nodiscard]] inline GenerationWord next_generation_seed() noexcept {
  constexpr GenerationWord step = 0x9E3779B9U;
  auto const place = static_cast<GenerationWord>(
      (reinterpret_cast<std::uintptr_t>(&generation_seed) * std::uint64_t{0xD6E8FEB86659FD93U}) >> 32);
  if constexpr (std::atomic<GenerationWord>::is_always_lock_free) {
    // relaxed: only the uniqueness of the number matters
    return place + generation_seed.fetch_add(step, std::memory_order_relaxed);
    // single core without atomic addition (Cortex-M0): a pool opened by an interrupt handler meanwhile may get the same
    // number
  } else {
    GenerationWord const number = generation_seed.load(std::memory_order_relaxed);  // relaxed: as above
    generation_seed.store(number + step, std::memory_order_relaxed);                // relaxed: as above
    return place + number;
  }
}

/// The type of the keys of a pool, and the bits of an index in it.
template <class P> struct KeysOf {
  using type = Key;
  static constexpr int index_bits = 32;
};
template <class P> requires(P::index_bits != 0) struct KeysOf<P> {
  using type = typename P::Key;
  static constexpr int index_bits = P::index_bits;
};

template <class Shape> class BlockGenerations;
template <class Shape> class PagedGenerations;

/// For pools without keys.
struct NoGenerations {
  static constexpr std::size_t block_bytes(std::size_t) noexcept { return 0; }
};

/// The table of a pool whose slots are of this shape.
template <class Shape>
using GenerationTable =
    std::conditional_t<Shape::generation_bits == 0, NoGenerations,
                       std::conditional_t<Shape::growing, PagedGenerations<Shape>, BlockGenerations<Shape>>>;

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
