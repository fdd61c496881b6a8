// SPDX-License-Identifier: MIT OR Apache-2.0
// Hooks: pools call `void T::on_acquire()` when they hand out an object, and `void T::on_release()` when it is
// returned, if T is poolable (lifetime/poolable.hpp). Any other T costs nothing.
#pragma once

#include <fastalloc/fwd.hpp>
#include <fastalloc/lifetime/poolable.hpp>

#include <concepts>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class T>
concept CallsOnAcquire = requires(T& object) {
  { object.on_acquire() } -> std::same_as<void>;
};
template <class T>
concept CallsOnRelease = requires(T& object) {
  { object.on_release() } -> std::same_as<void>;
};

template <class T>
concept HasOnAcquire = is_poolable<T> && CallsOnAcquire<T>;
template <class T>
concept HasOnRelease = is_poolable<T> && CallsOnRelease<T>;

/// Checks the hooks of a poolable T; the messages say what to type.
template <class T> class HookCheck {
  struct Names {
    void on_acquire();
    void on_release();
  };
  /// A name that U also has, private or not, is ambiguous here.
  template <class U> struct Both : U, Names {};
  /// A final T cannot be a base, so only callable hooks are detected.
  template <class U> static constexpr bool may_derive = is_poolable<U> && std::is_class_v<U> && !std::is_final_v<U>;
  template <class U> static constexpr bool names_on_acquire() noexcept {
    if constexpr (may_derive<U>) return !requires { &Both<U>::on_acquire; };
    return false;
  }
  template <class U> static constexpr bool names_on_release() noexcept {
    if constexpr (may_derive<U>) return !requires { &Both<U>::on_release; };
    return false;
  }

 public:
  static constexpr bool done = true;
  static_assert(!is_poolable<T> || CallsOnAcquire<T> || !names_on_acquire<T>(),
                "fastalloc: T is Poolable, and its on_acquire() cannot be called; declare it public, without "
                "arguments, in one base only, and returning "
                "void: void on_acquire(); or specialise fastalloc::is_poolable<T> as false");
  static_assert(!is_poolable<T> || CallsOnRelease<T> || !names_on_release<T>(),
                "fastalloc: T is Poolable, and its on_release() cannot be called; declare it public, without "
                "arguments, in one base only, and returning "
                "void: void on_release() noexcept; or specialise fastalloc::is_poolable<T> as false");
  static_assert(!is_poolable<T> || CallsOnAcquire<T> || CallsOnRelease<T> || names_on_acquire<T>() ||
                    names_on_release<T>(),
                "fastalloc: T is Poolable, and has no hook that can be called; declare a public void on_acquire() or "
                "void on_release(), or leave "
                "Poolable out");
};

/// True if handing out a constructed T cannot throw.
template <class T>
constexpr bool nothrow_on_acquire = !HasOnAcquire<T> || requires(T& object) {
  { object.on_acquire() } noexcept;
};

template <class T> FASTALLOC_ALWAYS_INLINE void call_on_acquire([[maybe_unused]] T& object) {
  if constexpr (HasOnAcquire<T>) object.on_acquire();
}

/// Calls `f` where no exception may escape. Returns: false if it threw.
template <class F> FASTALLOC_ALWAYS_INLINE bool swallow(F&& f) noexcept {
  if constexpr (noexcept(f())) {
    f();
    return true;
  } else {
    FASTALLOC_TRY {
      f();
      return true;
    }
    FASTALLOC_CATCH_ALL { return false; }
  }
}

/// Stops an exception from on_release(); the object is returned all the same.
template <class T> FASTALLOC_ALWAYS_INLINE void call_on_release([[maybe_unused]] T& object) noexcept {
  if constexpr (HasOnRelease<T>) (void)swallow([&]() noexcept(noexcept(object.on_release())) { object.on_release(); });
}

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
