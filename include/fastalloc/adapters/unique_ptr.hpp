// SPDX-License-Identifier: MIT OR Apache-2.0
// A handle as a std::unique_ptr, for interfaces that ask for one, and back.
//
//   std::unique_ptr<T, PoolDeleter<T, P>>            two words, from P::handle_type: returning is inlined
//   std::unique_ptr<T, PoolDeleter<T, Bound<pool>>>  one word, from handles of Bound<pool>
//   std::unique_ptr<T, PoolDeleter<T>>               two words, from Handle<T>, or from a unique_ptr to T or to a class
//                                                    derived from it
//
// std::shared_ptr<T>(to_unique(std::move(handle))) makes a shared pointer (its counts come from the heap).
#pragma once

#include <fastalloc/handle/handle.hpp>

#include <memory>

namespace fastalloc::inline FASTALLOC_ABI {

/// Returns objects to the pool that they are from: the second word of a handle. Requires: the pool outlives the
/// pointer.
template <class T, class Owner> class PoolDeleter {
 public:
  PoolDeleter() noexcept = default;  ///< of an empty pointer

  /// Forgets the type of the pool, as in unique_ptr<Base> from unique_ptr<Derived>. Where the types differ the pool
  /// finds the slot from the address: logarithmic in its blocks. A handle that is converted first
  /// (to_unique(Handle<Base>(...))) does that only for bases that lie at another address.
  template <class U, class O> requires(!std::same_as<PoolDeleter<U, O>, PoolDeleter>) &&
                                      std::same_as<Owner, AnyOwner> && std::convertible_to<U*, T*>
  PoolDeleter(PoolDeleter<U, O> const& other) noexcept
      : owner_(other.owner_.any(), other.owner_.inside() || !std::same_as<U const volatile, T const volatile>) {}

  /// Requires: `object` is from the pool that this deleter came with.
  void operator()(T* object) const noexcept { owner_.release(object); }

 private:
  template <class, class> friend class PoolDeleter;
  template <class U, class O> friend std::unique_ptr<U, PoolDeleter<U, O>> to_unique(Handle<U, O>&& handle) noexcept;
  template <class U, class O> friend Handle<U, O> to_handle(std::unique_ptr<U, PoolDeleter<U, O>>&& pointer) noexcept;

  FASTALLOC_NO_UNIQUE_ADDRESS detail::OwnerWord<Owner> owner_;
};

/// Effects: the pointer owns what the handle did, which is empty then.
template <class T, class Owner>
[[nodiscard]] std::unique_ptr<T, PoolDeleter<T, Owner>> to_unique(Handle<T, Owner>&& handle) noexcept {
  PoolDeleter<T, Owner> deleter;
  deleter.owner_ = detail::HandleAccess::owner_word(handle);
  return {handle.release(), deleter};
}

/// The way back: the handle owns what the pointer did.
template <class T, class Owner>
[[nodiscard]] Handle<T, Owner> to_handle(std::unique_ptr<T, PoolDeleter<T, Owner>>&& pointer) noexcept {
  auto const owner = pointer.get_deleter().owner_;
  return detail::HandleAccess::make(pointer.release(), owner);
}

}  // namespace fastalloc::inline FASTALLOC_ABI
