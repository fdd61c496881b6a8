// SPDX-License-Identifier: MIT OR Apache-2.0
// Bound<pool>: names a pool of static storage duration in the type, so that its handles are one word.
//
//   fastalloc::FixedPool<Order> orders(100'000);               // namespace scope, or static
//   using Orders = fastalloc::Bound<orders>;
//   Orders::handle_type order = Orders::allocate(7, "bolts");  // sizeof(order) == sizeof(void*)
#pragma once

#include <fastalloc/handle/handle.hpp>

namespace fastalloc::inline FASTALLOC_ABI {

/// When to use: many handles in containers; a handle of half the size moves and caches better (figures:
/// benchmarks/README.md). `Handle<T, Bound<pool>>` may be named while T is incomplete, after `extern FixedPool<T>
/// pool;`. Thread safety, errors, complexity: those of the pool's function of the same name.
template <auto& Pool> struct Bound {
  using pool_type = std::remove_reference_t<decltype(Pool)>;
  using value_type = typename pool_type::value_type;
  using handle_type = Handle<value_type, Bound>;
  static_assert(
      std::same_as<typename detail::OwnerOf<pool_type>::type, pool_type>,
      "fastalloc: a handle of a ThreadLocalPool has to know its thread's sub-pool, and stays two words; use Bound with "
      "FixedPool, GrowingPool or ThreadSafePool");

  [[nodiscard]] static pool_type& pool() noexcept { return Pool; }

  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE static handle_type allocate(Args&&... args) {
    return wrap(Pool.allocate(std::forward<Args>(args)...));
  }
  template <class... Args> [[nodiscard]] FASTALLOC_ALWAYS_INLINE static handle_type try_allocate(Args&&... args) {
    return wrap(Pool.try_allocate(std::forward<Args>(args)...));
  }
  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE static handle_type allocate_for_overwrite() {
    return wrap(Pool.allocate_for_overwrite());
  }
  template <int = 0> [[nodiscard]] FASTALLOC_ALWAYS_INLINE static handle_type try_allocate_for_overwrite() {
    return wrap(Pool.try_allocate_for_overwrite());
  }
  [[nodiscard]] static handle_type adopt(value_type* object) { return wrap(Pool.adopt(object)); }

  /// Effects: takes over the object of `handle`. Requires: `handle` is empty or from this pool. A checks policy reports
  /// a handle of another pool, and leaves it as it is.
  [[nodiscard]] static handle_type bind(typename pool_type::handle_type&& handle) {
    if (!handle) return {};
    value_type* const object = handle.get();
    handle_type bound = adopt(object);
    if (bound) (void)handle.release();
    return bound;
  }

 private:
  FASTALLOC_ALWAYS_INLINE static handle_type wrap(typename pool_type::handle_type&& handle) noexcept {
    return detail::HandleAccess::make<Bound>(handle.release(), &Pool);
  }
};

}  // namespace fastalloc::inline FASTALLOC_ABI
