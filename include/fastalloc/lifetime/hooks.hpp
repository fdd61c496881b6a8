// SPDX-License-Identifier: MIT OR Apache-2.0
// Hooks: `void T::on_acquire()` is called when an object is handed out, `void T::on_release()` when it comes back.
// Found by concept; a T without them costs nothing.
#pragma once

#include <fastalloc/fwd.hpp>

#include <concepts>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class T>
concept HasOnAcquire = requires(T& object) { object.on_acquire(); };

template <class T>
concept HasOnRelease = requires(T& object) { object.on_release(); };

/// True when handing out a T cannot throw after it was built.
template <class T> constexpr bool nothrow_on_acquire = !HasOnAcquire<T> || requires(T& object) {
  { object.on_acquire() } noexcept;
};

template <class T> FASTALLOC_ALWAYS_INLINE void call_on_acquire([[maybe_unused]] T& object) {
  if constexpr (HasOnAcquire<T>) object.on_acquire();
}

/// Runs `f` where nothing may be thrown; returns false if it threw.
template <class F> FASTALLOC_ALWAYS_INLINE bool swallow(F&& f) noexcept {
  if constexpr (noexcept(f())) {
    f();
    return true;
  } else {
#if FASTALLOC_EXCEPTIONS
    try {
      f();
      return true;
    } catch (...) { return false; }
#else
    f();
    return true;
#endif
  }
}

/// An exception that leaves on_release ends here: the object goes back all the same.
template <class T> FASTALLOC_ALWAYS_INLINE void call_on_release([[maybe_unused]] T& object) noexcept {
  if constexpr (HasOnRelease<T>) (void)swallow([&]() noexcept(noexcept(object.on_release())) { object.on_release(); });
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
