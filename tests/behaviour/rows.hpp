// SPDX-License-Identifier: MIT OR Apache-2.0
// Row: one combination of policies. Rows<T, shift> is the table of those that the suite runs for T.
//
// Twelve rows: each slot allocator in each place. Statistics, checks and lifetime are dealt out such that each value of
// each of them meets each value of every other axis; `shift` flips them, so that different T see different triples.
// The slices of CI take four of the twelve, each place once; twelve kinds of T share out the rest.
// Keys, counts of owners and handles of one word, which nothing here uses but which change what slots look like, are
// dealt out in turn.
#pragma once

#include "behaviour/kinds.hpp"

#include <fastalloc/fastalloc.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace behaviour {

enum class Place { heap, inside, outside, growing };

template <class T> struct Make {
  T operator()() const { return T(); }
};
template <class T> struct Keep {
  void operator()(T&) const noexcept {}
};

/// Slots of the fixed pools, and the cap of the growing ones: more than a word of the bitmap.
inline constexpr std::size_t slots = 70;

template <class T, class SlotPolicy, Place place, class Stats, class Checks, bool recycles, class Keys, class Sharing,
          class Handles>
struct Row {
  using value_type = T;
  using slot_policy = SlotPolicy;
  using Lifetime = std::conditional_t<recycles, fastalloc::Recycle<Make<T>, Keep<T>>, fastalloc::ConstructOnAllocate>;
  static constexpr bool has_statistics = Stats::enabled;
  static constexpr bool is_recycling = recycles;
  static constexpr bool grows = place == Place::growing;

  using pool_type = std::conditional_t<
      place == Place::growing, fastalloc::GrowingPool<T, Keys, Handles, SlotPolicy, Stats, Checks, Lifetime, Sharing>,
      std::conditional_t<
          place == Place::heap, fastalloc::FixedPool<T, SlotPolicy, Stats, Sharing, Checks, Lifetime, Keys, Handles>,
          std::conditional_t<place == Place::inside,
                             fastalloc::FixedPool<T, fastalloc::InlineStorage<slots>, SlotPolicy, Stats, Checks,
                                                  Handles, Lifetime, Sharing, Keys>,
                             fastalloc::FixedPool<T, Lifetime, Checks, Keys, Stats, fastalloc::ExternalStorage, Sharing,
                                                  SlotPolicy, Handles>>>>;
  using handle_type = typename pool_type::handle_type;

  /// Calls f(pool) with a pool that holds `slots` objects, no more; a growing one begins with 10 and doubles.
  template <class F> static void with_pool(F&& f) {
    if constexpr (place == Place::heap) {
      auto const pool = std::make_unique<pool_type>(slots);
      f(*pool);
    } else if constexpr (place == Place::inside) {
      auto const pool = std::make_unique<pool_type>();
      f(*pool);
    } else if constexpr (place == Place::outside) {
      constexpr std::size_t bytes = pool_type::required_bytes(slots);
      constexpr auto alignment = std::align_val_t{pool_type::required_alignment()};
      auto* const memory = static_cast<std::byte*>(::operator new(bytes, alignment));
      {
        pool_type pool(fastalloc::PoolConfig{.capacity = slots},
                       fastalloc::ExternalStorage(std::span<std::byte>(memory, bytes)));
        f(pool);
      }
      ::operator delete(memory, alignment);
    } else {
      auto const pool = std::make_unique<pool_type>(fastalloc::PoolConfig{
          .capacity = 10, .max_capacity = slots, .growth_strategy = fastalloc::GrowthStrategy::exponential(2.0)});
      f(*pool);
    }
  }

  /// Number i, made as the row's lifetime wants it. Not inlined: that halves the time to compile the suite.
  [[gnu::noinline]] static handle_type make(pool_type& pool, std::size_t i) {
    if constexpr (recycles) {
      handle_type handle = pool.allocate();
      Kind<T>::set(*handle, i);
      return handle;
    } else {
      return pool.allocate(Kind<T>::arg(i));
    }
  }

  [[gnu::noinline]] static bool holds(handle_type const& handle, std::size_t i) { return Kind<T>::holds(*handle, i); }

  [[gnu::noinline]] static void drop(handle_type& handle) { handle.reset(); }

  static std::string name() {
    static constexpr char const* places[] = {"heap", "inline", "external", "growing"};
    return std::string(fastalloc::detail::type_name<T>()) + " " +
           std::string(fastalloc::detail::type_name<SlotPolicy>()) + " " + places[static_cast<int>(place)] +
           (Stats::enabled ? " BasicStats" : " NoStats") + (Checks::tracks_slots ? " FullChecks" : " NoChecks") +
           (recycles ? " Recycle" : " ConstructOnAllocate") + (Keys::generation_bits != 0 ? " Generations" : "") +
           (std::is_same_v<Sharing, fastalloc::detail::NoSharing> ? "" : " sharing") +
           (std::is_same_v<Handles, fastalloc::CompactHandles> ? " CompactHandles" : "");
  }
};

namespace rows_detail {

template <class T, std::size_t shift, std::size_t s, std::size_t p> constexpr auto row() {
  constexpr bool stats = ((s + p + shift) & 1) != 0;
  constexpr bool checks = ((s + (p >> 1) + (shift >> 1)) & 1) != 0;
  constexpr bool recycles = ((std::size_t{s == 2} + p + (p >> 1) + (shift >> 2)) & 1) != 0;
  return std::type_identity<
      Row<T,
          std::tuple_element_t<
              s, std::tuple<fastalloc::StackAllocator, fastalloc::FreeListAllocator, fastalloc::BitmapAllocator>>,
          static_cast<Place>(p), std::conditional_t<stats, fastalloc::BasicStats, fastalloc::NoStats>,
          std::conditional_t<checks, fastalloc::FullChecks, fastalloc::NoChecks>, recycles,
          std::conditional_t<(s + p + shift) % 3 == 0, fastalloc::Generations, fastalloc::NoKeys>,
          std::conditional_t<(s + 2 * p + shift) % 4 == 1, fastalloc::Shared, fastalloc::detail::NoSharing>,
          std::conditional_t<(s + p + p / 2 + shift) % 2 == 1 && (p != 2 || (s + p + shift) % 3 != 0),
                             fastalloc::CompactHandles, fastalloc::Fail>>>{};
}

template <class T, std::size_t shift, std::size_t... i> constexpr auto table(std::index_sequence<i...>) {
  return std::type_identity<std::tuple<typename decltype(row<T, shift, i % 3, i / 3>())::type...>>{};
}

}  // namespace rows_detail

#if FASTALLOC_SAMPLE
template <class T, std::size_t shift>
using Rows = typename decltype(rows_detail::table<T, shift>(
    std::index_sequence<shift % 3, 3 + (shift + 1) % 3, 6 + (shift + 2) % 3, 9 + shift % 3>{}))::type;
#else
template <class T, std::size_t shift>
using Rows = typename decltype(rows_detail::table<T, shift>(std::make_index_sequence<12>{}))::type;
#endif

}  // namespace behaviour
