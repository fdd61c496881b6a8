// SPDX-License-Identifier: MIT OR Apache-2.0
// Converts a handle to a std::unique_ptr, for interfaces that require one, and back.
//
//   std::unique_ptr<T, PoolDeleter<T, P>>            two words, from P::handle_type: returning is inlined
//   std::unique_ptr<T, PoolDeleter<T, Bound<pool>>>  one word, from handles of Bound<pool>
//   std::unique_ptr<T, PoolDeleter<T>>               two words, from Handle<T>, or from a unique_ptr to T or to a
//                                                    derived class
//
// std::shared_ptr<T>(to_unique(std::move(handle))) makes a shared pointer (its counts come from the heap).
#pragma once

#include <fastalloc/handle/handle.hpp>

#include <memory>

namespace fastalloc::inline FASTALLOC_ABI {

/// Returns objects to their pool: the owner word of a handle. Requires: the pool outlives the pointer.
template <class T, class Owner> class PoolDeleter {
 public:
  PoolDeleter() noexcept = default;  ///< for an empty pointer

  /// Erases the type of the pool, as in unique_ptr<Base> from unique_ptr<Derived>. If the types differ, the pool finds
  /// the slot by its address: logarithmic in its blocks. Converting the handle first, by to_unique(Handle<Base>(...)),
  /// avoids that for bases at the object's own address.
  template <class U, class O> requires(!std::same_as<PoolDeleter<U, O>, PoolDeleter>) &&
                                      std::same_as<Owner, AnyOwner> && std::convertible_to<U*, T*> &&
                                      (!detail::is_compact<O>)  // a deleter has no object that leads to its pool
  PoolDeleter(PoolDeleter<U, O> const& other) noexcept
      : owner_(other.owner_.any(), other.owner_.inside() || !std::same_as<U const volatile, T const volatile>) {}

  /// Requires: `object` is from the pool of this deleter.
  void operator()(T* object) const noexcept { owner_.release(object); }

 private:
  template <class, class> friend class PoolDeleter;
  template <class U, class O> friend std::unique_ptr<U, PoolDeleter<U, O>> to_unique(Handle<U, O>&& handle) noexcept;
  template <class U, class O> friend Handle<U, O> to_handle(std::unique_ptr<U, PoolDeleter<U, O>>&& pointer) noexcept;

  FASTALLOC_NO_UNIQUE_ADDRESS detail::OwnerWord<Owner> owner_;
};

/// Effects: moves ownership from the handle to the pointer; the handle becomes empty.
template <class T, class Owner>
[[nodiscard]] std::unique_ptr<T, PoolDeleter<T, Owner>> to_unique(Handle<T, Owner>&& handle) noexcept {
  PoolDeleter<T, Owner> deleter;
  deleter.owner_ = detail::HandleAccess::owner_word(handle);
  return {handle.release(), deleter};
}

/// Effects: moves ownership from the pointer to the handle; the pointer becomes empty.
template <class T, class Owner>
[[nodiscard]] Handle<T, Owner> to_handle(std::unique_ptr<T, PoolDeleter<T, Owner>>&& pointer) noexcept {
  auto const owner = pointer.get_deleter().owner_;
  return detail::HandleAccess::make(pointer.release(), owner);
}

}  // namespace fastalloc::inline FASTALLOC_ABI
