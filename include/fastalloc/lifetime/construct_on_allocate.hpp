// SPDX-License-Identifier: MIT OR Apache-2.0
// The lifetime axis: when objects are constructed and destroyed.
//
//   ConstructOnAllocate     constructed by allocate(args...), destroyed on return     default
//   Recycle<Init, Reset>    constructed once by init(), reset on return, reused       objects that are costly to build
#pragma once

#include <fastalloc/lifetime/hooks.hpp>

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace fastalloc::detail::inline FASTALLOC_MODE {

enum class ForOverwrite : unsigned char {};  // a scalar: batches copy it

template <class... Args>
constexpr bool overwrites = sizeof...(Args) == 1 && (std::same_as<std::remove_cvref_t<Args>, ForOverwrite> && ...);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// In place of T's arguments: the object is default-initialised, as by `new T`; see allocate_for_overwrite().
inline constexpr detail::ForOverwrite for_overwrite{};

/// A policy for the lifetime axis.
/// - `L::keeps_objects`: returned slots still hold objects; the pool must not write to them.
/// - `L::slot_bytes<T>`: bytes per slot, the T first.
/// - `acquire<T>(slot, untouched, args...)`: puts a T into the slot and returns it. May throw; the slot is then empty.
/// - `release<T>(slot)`: called when the object is returned.
/// - `destroy_kept<T>(slot)`: called before the memory of a slot that was handed out is released.
template <class L, class T>
concept LifetimePolicy = requires(L& lifetime, std::byte* slot) {
  { L::keeps_objects } -> std::convertible_to<bool>;
  { L::template slot_bytes<T> } -> std::convertible_to<std::size_t>;
  { lifetime.template release<T>(slot) } noexcept;
  { lifetime.template destroy_kept<T>(slot) } noexcept;
};

/// When to use: by default. Constructs objects in place from any arguments; T need not be movable. Complexity: 0 steps,
/// plus T's constructor and destructor.
struct ConstructOnAllocate {
  static constexpr bool is_lifetime_policy = true;
  static constexpr bool keeps_objects = false;
  template <class T> static constexpr std::size_t slot_bytes = sizeof(T);
  template <class T, class... Args>
  static constexpr bool accepts =
      detail::overwrites<Args...> ? std::is_default_constructible_v<T>
                                  : std::is_constructible_v<T, Args...> || requires { T{std::declval<Args>()...}; };

  // An aggregate T may get fewer values than it has members; do not warn from this header.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
  template <class T, class... Args>
  FASTALLOC_ALWAYS_INLINE T* acquire(std::byte* slot, bool /*untouched*/, Args&&... args) const
      noexcept(detail::overwrites<Args...> ? std::is_nothrow_default_constructible_v<T>
                                           : std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (detail::overwrites<Args...>) {
      return ::new (static_cast<void*>(slot)) T;
    } else if constexpr (std::is_constructible_v<T, Args...>) {
      return ::new (static_cast<void*>(slot)) T(static_cast<Args&&>(args)...);
    } else {
      return ::new (static_cast<void*>(slot)) T{static_cast<Args&&>(args)...};
    }
  }
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

  template <class T> FASTALLOC_ALWAYS_INLINE void release(std::byte* slot) const noexcept {
    std::launder(reinterpret_cast<T*>(slot))->~T();
  }
  template <class T> void destroy_kept(std::byte*) const noexcept {}
};

static_assert(LifetimePolicy<ConstructOnAllocate, int>);

}  // namespace fastalloc::inline FASTALLOC_MODE
