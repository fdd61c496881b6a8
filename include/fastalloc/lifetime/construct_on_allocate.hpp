// SPDX-License-Identifier: MIT OR Apache-2.0
// The lifetime axis: when objects are built and destroyed.
//
//   ConstructOnAllocate     built by allocate(args...), destroyed on return      default
//   Recycle<Init, Reset>    built once by init(), reset on return, reused        objects that are costly to build
#pragma once

#include <fastalloc/lifetime/hooks.hpp>

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the lifetime axis.
/// - `L::keeps_objects`: returned slots still hold objects; the pool must not write to them.
/// - `L::slot_bytes<T>`: bytes of a slot, the T first.
/// - `acquire<T>(slot, fresh, args...)`: makes the slot hold a T, and returns it. May throw; the slot is then empty.
/// - `release<T>(slot)`: the object comes back.
/// - `destroy_kept<T>(slot)`: the memory of a slot that was handed out goes away.
template <class L, class T>
concept LifetimePolicy = requires(L& lifetime, std::byte* slot) {
  { L::keeps_objects } -> std::convertible_to<bool>;
  { L::template slot_bytes<T> } -> std::convertible_to<std::size_t>;
  { lifetime.template release<T>(slot) } noexcept;
  { lifetime.template destroy_kept<T>(slot) } noexcept;
};

/// When to use: by default. Objects are built in place from any arguments; T need not be movable. Complexity: 0 steps,
/// and what T's constructor and destructor take.
struct ConstructOnAllocate {
  static constexpr bool is_lifetime_policy = true;
  static constexpr bool keeps_objects = false;
  template <class T> static constexpr std::size_t slot_bytes = sizeof(T);
  template <class T, class... Args>
  static constexpr bool accepts = std::is_constructible_v<T, Args...> || requires { T{std::declval<Args>()...}; };

  // A T that is an aggregate may be given fewer values than it has members; that is no mistake of this header.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
  template <class T, class... Args>
  FASTALLOC_ALWAYS_INLINE T* acquire(std::byte* slot, bool /*fresh*/, Args&&... args) const
      noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (std::is_constructible_v<T, Args...>) {
      return ::new (static_cast<void*>(slot)) T(std::forward<Args>(args)...);
    } else {
      return ::new (static_cast<void*>(slot)) T{std::forward<Args>(args)...};
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
