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
//
// The third template argument chooses otherwise. BoundAllocator<T, resource> is bound to a resource of static storage
// duration: it has no data and a default constructor, for containers that construct their own allocator.
//
//   PoolResource memory;
//   std::vector<char, BoundAllocator<char, memory>> text;
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

/// With which operations of a container its allocator comes along from the other container. Without a swap, only
/// containers with equal allocators may be swapped.
template <bool OnCopyAssignment, bool OnMoveAssignment, bool OnSwap> struct Propagation {
  using propagate_on_container_copy_assignment = std::bool_constant<OnCopyAssignment>;
  using propagate_on_container_move_assignment = std::bool_constant<OnMoveAssignment>;
  using propagate_on_container_swap = std::bool_constant<OnSwap>;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class T>
constexpr bool is_allocatable = !std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_reference_v<T>;

/// The functions of an allocator of T with any resource.
template <class T> struct Objects {
  static constexpr std::size_t most() noexcept {
    return static_cast<std::size_t>((std::numeric_limits<std::ptrdiff_t>::max)()) / sizeof(T);
  }
  template <class Resource> FASTALLOC_ALWAYS_INLINE static T* allocate(Resource& resource, std::size_t n) {
    if (n > most()) [[unlikely]]
      too_long(n);
    return static_cast<T*>(resource.allocate(n * sizeof(T), alignof(T)));
  }
  template <class Resource>
  FASTALLOC_ALWAYS_INLINE static void deallocate(Resource& resource, T* objects, std::size_t n) noexcept {
    constexpr std::size_t too_big = (std::numeric_limits<std::size_t>::max)();
    if constexpr (Resource::is_checked)  // the product must not wrap around to a valid size
      if (n > most()) [[unlikely]]
        return resource.deallocate(objects, too_big, alignof(T));
    resource.deallocate(objects, n * sizeof(T), alignof(T));
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// Requires: `Resource` is PoolResource or SynchronizedPoolResource; the resource outlives all memory taken from it.
/// Thread safety: that of the resource.
template <class T, class Resource, class Propagates> class PoolAllocator : public Propagates {
  using Objects = detail::Objects<T>;
  static_assert(detail::is_allocatable<T>,
                "fastalloc: an allocator's T must be an object type without const or volatile; write "
                "PoolAllocator<std::remove_cv_t<T>>");

 public:
  using value_type = T;
  using resource_type = Resource;
  using is_always_equal = std::false_type;
  template <class U> struct rebind {
    using other = PoolAllocator<U, Resource, Propagates>;
  };

  /// Implicit, so that containers can be constructed from the resource itself.
  PoolAllocator(Resource& resource) noexcept : resource_(&resource) {}
  PoolAllocator(FASTALLOC_ADVICE("fastalloc: pass the resource, as in std::list<T, PoolAllocator<T>>(resource)")) =
      delete;
  PoolAllocator(Resource*, FASTALLOC_ADVICE("fastalloc: pass the resource: PoolAllocator<T>(*resource)")) = delete;
  template <class U>
  PoolAllocator(PoolAllocator<U, Resource, Propagates> const& other) noexcept : resource_(&other.resource()) {}

  [[nodiscard]] Resource& resource() const noexcept { return *resource_; }

  /// Returns: memory for n objects. Throws: std::bad_array_new_length when no memory could hold them, otherwise as
  /// PoolResource::allocate(). Complexity: as PoolResource::allocate().
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* allocate(std::size_t n) { return Objects::allocate(*resource_, n); }
  /// Requires: `objects` is from allocate(n) of an equal allocator. Checks and complexity: as
  /// PoolResource::deallocate().
  FASTALLOC_ALWAYS_INLINE void deallocate(T* objects, std::size_t n) noexcept {
    Objects::deallocate(*resource_, objects, n);
  }

  [[nodiscard]] constexpr std::size_t max_size() const noexcept { return Objects::most(); }
  [[nodiscard]] PoolAllocator select_on_container_copy_construction() const noexcept { return *this; }

  /// True when each can deallocate the memory of the other.
  template <class U> [[nodiscard]] bool operator==(PoolAllocator<U, Resource, Propagates> const& other) const noexcept {
    return resource_ == &other.resource();
  }

 private:
  Resource* resource_;
};

/// When to use: containers that make their own allocator, as `map[key]` of a map of vectors, or libraries that take
/// the type only. Size: 0 bytes in a container.
/// Requires: `Resource` is a PoolResource or SynchronizedPoolResource of static storage duration; it lives longer than
/// all memory taken from it: a container of static storage duration is defined after the resource, in the same file.
/// Thread safety: that of the resource.
template <class T, auto& Resource, class Propagates> class BoundAllocator : public Propagates {
  using Objects = detail::Objects<T>;
  static_assert(detail::is_allocatable<T>,
                "fastalloc: an allocator's T must be an object type without const or volatile; write "
                "BoundAllocator<std::remove_cv_t<T>, resource>");
  static_assert(
      requires { std::remove_reference_t<decltype(Resource)>::is_checked; },
      "fastalloc: BoundAllocator takes a PoolResource or SynchronizedPoolResource; for other resources use "
      "std::pmr::polymorphic_allocator");

 public:
  using value_type = T;
  using resource_type = std::remove_reference_t<decltype(Resource)>;
  using is_always_equal = std::true_type;
  template <class U> struct rebind {
    using other = BoundAllocator<U, Resource, Propagates>;
  };

  constexpr BoundAllocator() noexcept = default;
  template <class U> constexpr BoundAllocator(BoundAllocator<U, Resource, Propagates> const&) noexcept {}

  [[nodiscard]] static resource_type& resource() noexcept { return Resource; }

  /// As PoolAllocator::allocate().
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* allocate(std::size_t n) { return Objects::allocate(Resource, n); }
  /// As PoolAllocator::deallocate(); any BoundAllocator of the same resource may have allocated the objects.
  FASTALLOC_ALWAYS_INLINE void deallocate(T* objects, std::size_t n) noexcept {
    Objects::deallocate(Resource, objects, n);
  }
  [[nodiscard]] constexpr std::size_t max_size() const noexcept { return Objects::most(); }

  template <class U>
  [[nodiscard]] constexpr bool operator==(BoundAllocator<U, Resource, Propagates> const&) const noexcept {
    return true;
  }
};

}  // namespace fastalloc::inline FASTALLOC_MODE
