// SPDX-License-Identifier: MIT OR Apache-2.0
// SharedHandle<T> and WeakHandle<T>: several owners of one object in a pool with Shared or AtomicShared; two words
// each.
//
//   object_   T*: the object, a base or a member of it
//   counts_   where its counts are: behind the object, in its slot (sharing.hpp)
//
// The type of the pool is forgotten. No heap allocation, ever. The object dies with the last SharedHandle, its slot
// goes back with the last handle of either kind. Up to 2^32 - 1 of each kind an object.
#pragma once

#include <fastalloc/handle/sharing.hpp>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// What both have. Unit: what one handle counts as.
template <class T, std::uint64_t Unit> class CountedHandle {
 public:
  using element_type = T;

  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle const& other) noexcept
      : CountedHandle(other, opaque(other.object_)) {}
  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle&& other) noexcept
      : CountedHandle(std::move(other), opaque(other.object_)) {}
  /// The handle is changed before the object that it let go of dies.
  FASTALLOC_ALWAYS_INLINE CountedHandle& operator=(CountedHandle const& other) noexcept {
    T* const object = opaque(other.object_);
    CountsRef const counts = other.counts_.copy();
    counts.template add<Unit>();
    return replace(object, counts);
  }
  /// Self-move leaves the handle as it is.
  FASTALLOC_ALWAYS_INLINE CountedHandle& operator=(CountedHandle&& other) noexcept {
    T* const object = opaque(other.object_);
    CountsRef const counts = other.counts_.copy();
    other.clear();
    return replace(object, counts);
  }
  FASTALLOC_ALWAYS_INLINE ~CountedHandle() { counts_.template drop<Unit>(); }

  /// Effects: empty. The handle is so before the object dies.
  void reset() noexcept { replace(nullptr, {}); }

  /// SharedHandles to the object; 0 when it is dead or the handle empty. Exact while no other thread copies or drops
  /// any.
  [[nodiscard]] std::size_t use_count() const noexcept { return counts_ ? counts_.strong() : 0; }
  /// WeakHandles to the object, dead or alive; one more while its destructor runs.
  [[nodiscard]] std::size_t weak_count() const noexcept { return counts_ ? counts_.weak() : 0; }

  /// True for handles, of either kind and to any part, that keep the same slot.
  template <class U, std::uint64_t V> [[nodiscard]] bool owner_equal(CountedHandle<U, V> const& other) const noexcept {
    return counts_ == other.counts_;
  }

 protected:
  constexpr CountedHandle() noexcept = default;
  /// Takes over one that is counted already.
  FASTALLOC_ALWAYS_INLINE CountedHandle(T* object, CountsRef counts) noexcept : object_(object), counts_(counts) {}
  template <class U, std::uint64_t V>
  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle<U, V> const& other, T* object) noexcept
      : object_(object), counts_(other.counts_.copy()) {
    counts_.template add<Unit>();
  }
  template <class U>
  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle<U, Unit>&& other, T* object) noexcept
      : object_(object), counts_(other.counts_.copy()) {
    other.clear();
  }

  FASTALLOC_ALWAYS_INLINE CountedHandle& replace(T* object, CountsRef counts) noexcept {
    CountsRef const old = counts_;
    object_ = object;
    counts_ = counts;
    old.template drop<Unit>();
    return *this;
  }
  FASTALLOC_ALWAYS_INLINE void clear() noexcept {
    object_ = nullptr;
    counts_ = {};
  }
  void exchange(CountedHandle& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(counts_, other.counts_);
  }

  T* object_ = nullptr;
  CountsRef counts_;

 private:
  template <class U, std::uint64_t V> friend class CountedHandle;
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_ABI {

/// One of the owners of an object; made by Handle::share(). Requires: the pool outlives it. Thread safety: with
/// AtomicShared that of std::shared_ptr: handles to one object may be used, copied and dropped by several threads at
/// once, one handle by one thread at a time. With Shared all handles to an object are one thread's. No function throws.
/// Complexity: 1 step (the counts); with AtomicShared lock() again for each other thread that changed them meanwhile;
/// the last drop: that of a Handle's end and 2 steps.
template <class T> class [[nodiscard]] SharedHandle : public detail::CountedHandle<T, detail::SharedCounts::strong> {
  using Base = detail::CountedHandle<T, detail::SharedCounts::strong>;

 public:
  constexpr SharedHandle() noexcept = default;
  constexpr SharedHandle(std::nullptr_t) noexcept {}
  SharedHandle(SharedHandle const&) noexcept = default;
  SharedHandle(SharedHandle&&) noexcept = default;
  SharedHandle& operator=(SharedHandle const&) noexcept = default;
  SharedHandle& operator=(SharedHandle&&) noexcept = default;
  FASTALLOC_ALWAYS_INLINE ~SharedHandle() = default;  // in big files the compiler thinks better of it: 13 instructions

  /// From a handle to T or to a class derived from it, by any base, virtual ones too.
  template <class U> requires std::convertible_to<U*, T*>
  SharedHandle(SharedHandle<U> const& other) noexcept : Base(other, other.get()) {}
  template <class U> requires std::convertible_to<U*, T*>
  SharedHandle(SharedHandle<U>&& other) noexcept : Base(std::move(other), other.get()) {}

  /// Owns what `owner` owns, and points to `part`: a member of it, or something that lives as long.
  template <class U> SharedHandle(SharedHandle<U> const& owner, T* part) noexcept : Base(owner, part) {}
  template <class U> SharedHandle(SharedHandle<U>&& owner, T* part) noexcept : Base(std::move(owner), part) {}

  /// Requires: not empty.
  [[nodiscard]] std::add_lvalue_reference_t<T> operator*() const noexcept { return *this->object_; }
  [[nodiscard]] T* operator->() const noexcept { return this->object_; }
  /// The object, or null when empty.
  [[nodiscard]] T* get() const noexcept { return this->object_; }
  explicit operator bool() const noexcept { return this->object_ != nullptr; }

  /// A handle that does not keep the object alive; empty when this one is.
  WeakHandle<T> downgrade() const noexcept { return *this; }

  void swap(SharedHandle& other) noexcept { this->exchange(other); }
  friend void swap(SharedHandle& a, SharedHandle& b) noexcept { a.swap(b); }

  /// By address.
  friend bool operator==(SharedHandle const& a, SharedHandle const& b) noexcept { return a.get() == b.get(); }
  friend std::strong_ordering operator<=>(SharedHandle const& a, SharedHandle const& b) noexcept {
    return std::compare_three_way{}(a.get(), b.get());
  }
  friend bool operator==(SharedHandle const& a, std::nullptr_t) noexcept { return a.get() == nullptr; }

 private:
  template <class U, class O> friend class Handle;
  template <class U> friend class WeakHandle;
  SharedHandle(T* object, detail::CountsRef counts) noexcept : Base(object, counts) {}
};

/// Knows an object without keeping it alive; keeps its slot. Requires: the pool outlives it. Thread safety: as
/// SharedHandle; lock() may meet the drop of the last SharedHandle on another thread: it gives a handle to the living
/// object, or an empty one.
template <class T> class [[nodiscard]] WeakHandle : public detail::CountedHandle<T, detail::SharedCounts::weak> {
  using Base = detail::CountedHandle<T, detail::SharedCounts::weak>;

 public:
  constexpr WeakHandle() noexcept = default;
  template <class U> requires std::convertible_to<U*, T*>
  WeakHandle(SharedHandle<U> const& other) noexcept : Base(other, other.get()) {}
  template <class U> requires std::convertible_to<U*, T*>
  WeakHandle(WeakHandle<U> const& other) noexcept : Base(other, other.template to<T>()) {}
  template <class U> requires std::convertible_to<U*, T*>
  WeakHandle(WeakHandle<U>&& other) noexcept : Base(std::move(other), other.template to<T>()) {}

  /// An owner of the object; an empty handle when it is dead, or being destroyed, or this handle is empty.
  SharedHandle<T> lock() const noexcept {
    return this->counts_.lock() ? SharedHandle<T>(this->object_, this->counts_) : SharedHandle<T>();
  }
  /// True when lock() gives an empty handle, now and ever.
  [[nodiscard]] bool expired() const noexcept { return this->use_count() == 0; }

  void swap(WeakHandle& other) noexcept { this->exchange(other); }
  friend void swap(WeakHandle& a, WeakHandle& b) noexcept { a.swap(b); }

 private:
  template <class U> friend class WeakHandle;

  /// Where a virtual base is can be read from a living object only.
  template <class B> [[nodiscard]] B* to() const noexcept {
    if constexpr (requires(B const volatile* base) { static_cast<T const volatile*>(base); }) return this->object_;
    else return lock().get();
  }
};

}  // namespace fastalloc::inline FASTALLOC_ABI

template <class T> struct std::hash<fastalloc::SharedHandle<T>> {
  [[nodiscard]] std::size_t operator()(fastalloc::SharedHandle<T> const& handle) const noexcept {
    return std::hash<T*>{}(handle.get());
  }
};
