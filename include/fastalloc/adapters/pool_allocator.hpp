// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolAllocator<T>: a standard allocator over a PoolResource, without virtual calls. For single objects, such as the
// nodes of lists, maps and sets, the size class is a constant.
//
//   PoolResource memory;
//   std::map<int, Order, std::less<>, PoolAllocator<std::pair<int const, Order>>> orders(memory);
//
//   container copied           the copy uses the same resource          there is no other
//   container assigned to      keeps its resource, copies the elements  the source of its memory never changes silently
//   container moved, swapped   takes the resource along                 O(1), no element moves, never throws
#pragma once

#include <fastalloc/adapters/pool_resource.hpp>

namespace fastalloc::detail::inline FASTALLOC_ABI {

[[noreturn]] FASTALLOC_COLD inline void too_long(std::size_t n) {
#if FASTALLOC_EXCEPTIONS
  (void)n;
  throw std::bad_array_new_length();
#else
  fail(Error{.code = ErrorCode::allocation_failed,
             .requested = n,
             .text = "no memory could hold so many objects; ask for fewer",
             .unit = "objects"});
#endif
}

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_MODE {

/// Requires: `Resource` is PoolResource or SynchronizedPoolResource; the resource outlives all memory taken from it.
/// Thread safety: that of the resource.
template <class T, class Resource> class PoolAllocator {
  static_assert(!std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_reference_v<T>,
                "fastalloc: an allocator's T must be an object type without const or volatile; write "
                "PoolAllocator<std::remove_cv_t<T>>");

 public:
  using value_type = T;
  using resource_type = Resource;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;
  template <class U> struct rebind {
    using other = PoolAllocator<U, Resource>;
  };

  /// Implicit, so that containers can be constructed from the resource itself.
  PoolAllocator(Resource& resource) noexcept : resource_(&resource) {}
  PoolAllocator(FASTALLOC_ADVICE("fastalloc: pass the resource, as in std::list<T, PoolAllocator<T>>(resource)")) =
      delete;
  PoolAllocator(Resource*, FASTALLOC_ADVICE("fastalloc: pass the resource: PoolAllocator<T>(*resource)")) = delete;
  template <class U> PoolAllocator(PoolAllocator<U, Resource> const& other) noexcept : resource_(&other.resource()) {}

  [[nodiscard]] Resource& resource() const noexcept { return *resource_; }

  /// Returns: memory for n objects. Throws: std::bad_array_new_length when no memory could hold them, otherwise as
  /// PoolResource::allocate(). Complexity: as PoolResource::allocate().
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* allocate(std::size_t n) {
    if (n > max_size()) [[unlikely]]
      detail::too_long(n);
    return static_cast<T*>(resource_->allocate(n * sizeof(T), alignof(T)));
  }
  /// Requires: `objects` is from allocate(n) of an equal allocator. Checks and complexity: as
  /// PoolResource::deallocate().
  FASTALLOC_ALWAYS_INLINE void deallocate(T* objects, std::size_t n) noexcept {
    constexpr std::size_t too_big = (std::numeric_limits<std::size_t>::max)();
    if constexpr (Resource::is_checked)  // the product must not wrap around to a valid size
      if (n > max_size()) [[unlikely]]
        return resource_->deallocate(objects, too_big, alignof(T));
    resource_->deallocate(objects, n * sizeof(T), alignof(T));
  }

  [[nodiscard]] constexpr std::size_t max_size() const noexcept {
    return static_cast<std::size_t>((std::numeric_limits<std::ptrdiff_t>::max)()) / sizeof(T);
  }
  [[nodiscard]] PoolAllocator select_on_container_copy_construction() const noexcept { return *this; }

  /// True when each can deallocate the memory of the other.
  template <class U> [[nodiscard]] bool operator==(PoolAllocator<U, Resource> const& other) const noexcept {
    return resource_ == &other.resource();
  }

 private:
  Resource* resource_;
};

}  // namespace fastalloc::inline FASTALLOC_MODE
