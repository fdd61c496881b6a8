// SPDX-License-Identifier: MIT OR Apache-2.0
// Recycle<Init, Reset>: objects are constructed once, reset on return, reused, and destroyed with the pool.
//
//   slot   | T | built |        built == 1: the slot holds a T, whether it is handed out or not
//
// `built` is written when the slot is first handed out, so constructing a pool touches no slot.
#pragma once

#include <fastalloc/lifetime/construct_on_allocate.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// A function object that is callable after default construction. Excludes function pointers and std::function: null.
template <class F>
concept CallableByDefault = std::default_initializable<F> &&
                            !(std::is_constructible_v<F, std::nullptr_t> && std::is_constructible_v<bool, F const&>);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: objects that are costly to build and cheap to clear: buffers, connections, parsers.
/// Complexity: 1 step (reads `built`), plus init() or reset().
///
/// `init()` returns a T, which need not be movable. `reset(T&)` runs when the object is returned. It returns void, or
/// false to have the object destroyed and built anew next time (for example because it grew too big). A reset that
/// throws counts as false. allocate() takes no arguments. Create the policy with recycle(init, reset). Both functions
/// may use the pool, as constructors and destructors may, except init under pre_initialize, which runs in the pool's
/// constructor. In pools that threads share, several threads call both at once.
template <class Init, class Reset> class Recycle {
  static_assert(std::invocable<Init&>,
                "fastalloc: recycle() calls init without arguments, and takes the object that it returns; write "
                "recycle([] { return T(); }, [](T& object) { object.clear(); })");
  static_assert(
      !requires(Init& init) {
        { init() } -> std::same_as<void>;
      }, "fastalloc: init of recycle() returns nothing; return the object, as in recycle([] { return T(); })");

  /// Bytes of the mark behind T. Checks that init and reset fit T.
  template <class T> static consteval std::size_t mark_bytes() noexcept {
    static_assert(
        requires(Init& init) { T(init()); },
        "fastalloc: T cannot be built from what init of recycle() returns; return a T");
    static_assert(std::invocable<Reset&, T&>, "fastalloc: recycle() calls reset with the object that came back; write "
                                              "[](T& object) { object.clear(); }");
    if constexpr (std::invocable<Reset&, T&>) {
      using Result = std::invoke_result_t<Reset&, T&>;
      static_assert(std::is_void_v<Result> || std::is_constructible_v<bool, Result>,
                    "fastalloc: reset of recycle() returns void, or false to have the object destroyed");
    }
    return 1;
  }

 public:
  static constexpr bool is_lifetime_policy = true;
  static constexpr bool keeps_objects = true;
  template <class T> static constexpr std::size_t slot_bytes = sizeof(T) + mark_bytes<T>();
  template <class T, class... Args> static constexpr bool accepts = sizeof...(Args) == 0;

  constexpr Recycle() requires detail::CallableByDefault<Init> && detail::CallableByDefault<Reset> = default;
  constexpr Recycle(Init init, Reset reset) : init_(std::move(init)), reset_(std::move(reset)) {}

  /// Effects: marks a slot as empty when it is first handed out.
  template <class T> FASTALLOC_ALWAYS_INLINE void begin(std::byte* slot) noexcept { built<T>(slot) = std::byte{0}; }

  template <class T> FASTALLOC_ALWAYS_INLINE T* acquire(std::byte* slot, bool untouched) {
    if (untouched) begin<T>(slot);
    if (built<T>(slot) == std::byte{0}) [[unlikely]]
      build<T>(slot);
    return std::launder(reinterpret_cast<T*>(slot));
  }

  template <class T> FASTALLOC_ALWAYS_INLINE void release(std::byte* slot) noexcept {
    T& object = *std::launder(reinterpret_cast<T*>(slot));
    bool keep = true;
    bool done = false;
    if constexpr (std::is_void_v<decltype(reset_(object))>)
      done = detail::swallow([&]() noexcept(noexcept(reset_(object))) { reset_(object); });
    else
      done = detail::swallow(
          [&]() noexcept(noexcept(static_cast<bool>(reset_(object)))) { keep = static_cast<bool>(reset_(object)); });
    if (!done || !keep) [[unlikely]]
      destroy_kept<T>(slot);
  }

  template <class T> void destroy_kept(std::byte* slot) noexcept {
    if (built<T>(slot) == std::byte{0}) return;
    built<T>(slot) = std::byte{0};
    std::launder(reinterpret_cast<T*>(slot))->~T();
  }

 private:
  template <class T> static std::byte& built(std::byte* slot) noexcept { return slot[sizeof(T)]; }
  template <class T> void build(std::byte* slot) {
    built<T>(slot) = std::byte{0};
    ::new (static_cast<void*>(slot)) T(init_());
    built<T>(slot) = std::byte{1};
  }

  FASTALLOC_NO_UNIQUE_ADDRESS Init init_{};
  FASTALLOC_NO_UNIQUE_ADDRESS Reset reset_{};
};

/// Returns: a policy whose objects are built by `init()` and cleared by `reset(T&)`:
///   auto pool = FixedPool(PoolConfig{.capacity = 100},
///                         recycle([] { return Buffer(1024); }, [](Buffer& b) { b.clear(); }));
/// A data member must spell the type: FixedPool<Buffer, decltype(recycle(build, clear))>. Captureless lambdas and other
/// stateless function objects need no value: pool(100). Functions and std::function do, as they would be null:
///   pool(PoolConfig{.capacity = 100}, recycle(build, clear))
template <class Init, class Reset> constexpr Recycle<Init, Reset> recycle(Init init, Reset reset) {
  return Recycle<Init, Reset>(std::move(init), std::move(reset));
}
/// The same without a reset: reused objects keep the state they were returned in.
template <class Init> constexpr auto recycle(Init init) {
  auto nothing = [](auto&) noexcept {};
  return Recycle<Init, decltype(nothing)>(std::move(init), nothing);
}

}  // namespace fastalloc::inline FASTALLOC_MODE
