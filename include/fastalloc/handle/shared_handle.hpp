// SPDX-License-Identifier: MIT OR Apache-2.0
// SharedHandle<T> and WeakHandle<T>: shared ownership of an object in a pool with Shared or AtomicShared. Two words:
//
//   object_   T*: the object, a base or a member of it
//   counts_   the address of its counts: behind the object, in its slot (sharing.hpp)
//
// The pool's type is erased. No heap allocation. The last SharedHandle destroys the object; the last handle of either
// kind returns the slot. Limit: 2^32 - 1 handles of each kind per object.
#pragma once

#include <fastalloc/handle/sharing.hpp>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Common base. Unit: the amount that one handle adds to the counts.
template <class T, std::uint64_t Unit> class CountedHandle {
 public:
  using element_type = T;

  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle const& other) noexcept
      : CountedHandle(other, opaque(other.object_)) {}
  FASTALLOC_ALWAYS_INLINE CountedHandle(CountedHandle&& other) noexcept
      : CountedHandle(std::move(other), opaque(other.object_)) {}
  /// The handle holds its new value before the old object is destroyed.
  FASTALLOC_ALWAYS_INLINE CountedHandle& operator=(CountedHandle const& other) noexcept {
    T* const object = opaque(other.object_);
    CountsRef const counts = other.counts_.copy();
    counts.template add<Unit>();
    return replace(object, counts);
  }
  /// Self-move has no effect.
  FASTALLOC_ALWAYS_INLINE CountedHandle& operator=(CountedHandle&& other) noexcept {
    T* const object = opaque(other.object_);
    CountsRef const counts = other.counts_.copy();
    other.clear();
    return replace(object, counts);
  }
  FASTALLOC_ALWAYS_INLINE ~CountedHandle() { counts_.template drop<Unit>(); }

  /// Effects: empties the handle, before the object is destroyed.
  void reset() noexcept { replace(nullptr, {}); }

  /// The number of SharedHandles to the object; 0 if it is dead or the handle empty. Exact only while no other thread
  /// copies or drops any.
  [[nodiscard]] std::size_t use_count() const noexcept { return counts_ ? counts_.strong() : 0; }
  /// The number of WeakHandles to the object, live or dead; one more while its destructor runs.
  [[nodiscard]] std::size_t weak_count() const noexcept { return counts_ ? counts_.weak() : 0; }

  /// True if both handles keep the same slot, whatever their kind and the part they point to.
  template <class U, std::uint64_t V> [[nodiscard]] bool owner_equal(CountedHandle<U, V> const& other) const noexcept {
    return counts_ == other.counts_;
  }

 protected:
  constexpr CountedHandle() noexcept = default;
  /// Takes over a reference that is already counted.
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

/// One of several owners of an object; made by Handle::share(). No function throws. Requires: the pool outlives it.
/// Thread safety: with AtomicShared that of std::shared_ptr: several threads may use, copy and drop handles to one
/// object at once, but each handle only one thread at a time. With Shared, use all handles to an object on one thread.
/// Complexity: 1 step (the counts); with AtomicShared lock() takes 1 more for each other thread that changed them
/// meanwhile. The last drop: that of releasing a Handle, and 2 steps.
template <class T> class [[nodiscard]] SharedHandle : public detail::CountedHandle<T, detail::SharedCounts::strong> {
  using Base = detail::CountedHandle<T, detail::SharedCounts::strong>;

 public:
  constexpr SharedHandle() noexcept = default;
  constexpr SharedHandle(std::nullptr_t) noexcept {}
  SharedHandle(SharedHandle const&) noexcept = default;
  SharedHandle(SharedHandle&&) noexcept = default;
  SharedHandle& operator=(SharedHandle const&) noexcept = default;
  SharedHandle& operator=(SharedHandle&&) noexcept = default;
  FASTALLOC_ALWAYS_INLINE ~SharedHandle() = default;  // in big files compilers stop inlining it: 13 instructions

  /// From a handle to T or to a class derived from T, through any base, virtual ones included.
  template <class U> requires std::convertible_to<U*, T*>
  SharedHandle(SharedHandle<U> const& other) noexcept : Base(other, other.get()) {}
  template <class U> requires std::convertible_to<U*, T*>
  SharedHandle(SharedHandle<U>&& other) noexcept : Base(std::move(other), other.get()) {}

  /// Shares the ownership of `owner`, and points to `part`: a member of the object, or anything that lives as long.
  template <class U> SharedHandle(SharedHandle<U> const& owner, T* part) noexcept : Base(owner, part) {}
  template <class U> SharedHandle(SharedHandle<U>&& owner, T* part) noexcept : Base(std::move(owner), part) {}

  /// Requires: not empty.
  [[nodiscard]] std::add_lvalue_reference_t<T> operator*() const noexcept { return *this->object_; }
  [[nodiscard]] T* operator->() const noexcept { return this->object_; }
  /// The object, or null if empty.
  [[nodiscard]] T* get() const noexcept { return this->object_; }
  explicit operator bool() const noexcept { return this->object_ != nullptr; }

  /// Returns: a handle that does not keep the object alive; empty if this one is.
  WeakHandle<T> downgrade() const noexcept { return *this; }

  /// Effects: gives up this owner without counting it off, as for the `void*` of a C library; adopt_shared() of the
  /// pool takes it back. Returns: the object.
  [[nodiscard]] T* release() noexcept {
    T* const object = this->object_;
    this->clear();
    return object;
  }

  void swap(SharedHandle& other) noexcept { this->exchange(other); }
  friend void swap(SharedHandle& a, SharedHandle& b) noexcept { a.swap(b); }

  /// Compares addresses.
  friend bool operator==(SharedHandle const& a, SharedHandle const& b) noexcept { return a.get() == b.get(); }
  friend std::strong_ordering operator<=>(SharedHandle const& a, SharedHandle const& b) noexcept {
    return std::compare_three_way{}(a.get(), b.get());
  }
  friend bool operator==(SharedHandle const& a, std::nullptr_t) noexcept { return a.get() == nullptr; }

 private:
  template <class U, class O> friend class Handle;
  template <class U> friend class WeakHandle;
  template <class Objects> friend class detail::Sharing;
  SharedHandle(T* object, detail::CountsRef counts) noexcept : Base(object, counts) {}
};

/// Refers to an object without keeping it alive; keeps its slot. Requires: the pool outlives it.
/// Thread safety: as SharedHandle. lock() may race with the drop of the last SharedHandle on another thread; it returns
/// a handle to the live object, or an empty one.
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

  /// Returns: an owner of the object; empty if the object is dead or being destroyed, or if this handle is empty.
  SharedHandle<T> lock() const noexcept {
    return this->counts_.lock() ? SharedHandle<T>(this->object_, this->counts_) : SharedHandle<T>();
  }
  /// True if lock() returns an empty handle, now and always.
  [[nodiscard]] bool expired() const noexcept { return this->use_count() == 0; }

  void swap(WeakHandle& other) noexcept { this->exchange(other); }
  friend void swap(WeakHandle& a, WeakHandle& b) noexcept { a.swap(b); }

 private:
  template <class U> friend class WeakHandle;

  /// The offset of a virtual base can be read only from a live object.
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
