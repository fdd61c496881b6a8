// SPDX-License-Identifier: MIT OR Apache-2.0
// OwnedSlots: the common base of SpanHandle and BatchHandle: ownership of many objects of one pool.
//
//   slots_    at(i) is the i-th slot. Adjacent: one address; Listed: an array of addresses on the heap
//   size_     number of objects
//   owner_    as in the pool's handles
#pragma once

#include <fastalloc/handle/handle.hpp>

#include <new>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Consecutive slots of `size` bytes.
template <std::size_t size> struct Adjacent {
  std::byte* first = nullptr;
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* operator()(std::size_t i) const noexcept { return first + i * size; }
  void free() const noexcept {}
};

/// Slots anywhere, in the order in which they were taken.
struct Listed {
  std::byte** list = nullptr;
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* operator()(std::size_t i) const noexcept { return list[i]; }
  /// Effects: allocates room for n addresses. Returns: false if there is no memory.
  [[nodiscard]] bool make(std::size_t n) noexcept {
    if (n <= static_cast<std::size_t>(-1) / sizeof(std::byte*))
      list = static_cast<std::byte**>(::operator new(n * sizeof(std::byte*), std::nothrow));
    return list != nullptr;
  }
  void free() const noexcept { ::operator delete(list); }
};

/// Move-only.
template <class T, class Owner, class Slots> class OwnedSlots {
  using Target = typename OwnerOf<Owner>::type;

 public:
  using element_type = T;
  using value_type = T;
  using owner_type = Owner;
  using size_type = std::size_t;

  constexpr OwnedSlots() noexcept = default;
  OwnedSlots(OwnedSlots&& other) noexcept
      : slots_(std::exchange(other.slots_, Slots{})), size_(std::exchange(other.size_, 0)), owner_(other.owner_) {}
  /// Self-move has no effect.
  OwnedSlots& operator=(OwnedSlots&& other) noexcept {
    OwnedSlots taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~OwnedSlots() { reset(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  explicit operator bool() const noexcept { return size_ != 0; }
  /// Requires: i < size(). A checks policy reports a violation and ends the program.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T& operator[](std::size_t i) const noexcept {
    if constexpr (checks_access<Owner>)
      if (i >= size_) [[unlikely]]
        refuse_access<T>("the handle has no object of the requested index (the limit is its size; an empty one was "
                         "moved from, reset, or got no slots)",
                         i, size_);
    return *object_in(slots_(i));
  }
  [[nodiscard]] T& front() const noexcept { return (*this)[0]; }
  [[nodiscard]] T& back() const noexcept { return (*this)[size_ - 1]; }

  /// Effects: destroys the objects, the last one first, and returns all slots in one step, under one lock if the pool
  /// has a lock. (Without a lock, slots of Recycle and of objects with a destructor or hook are returned one by one, so
  /// that no user code sees a dead object.) The handle is empty before the first destructor runs.
  void reset() noexcept {
    std::size_t const size = std::exchange(size_, 0);
    if (size == 0) return;
    Slots const list = std::exchange(slots_, Slots{});
    owner_->release_all(list, size);
    list.free();
  }
  void swap(OwnedSlots& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(size_, other.size_);
    std::swap(owner_, other.owner_);
  }

 protected:
  OwnedSlots(Slots list, std::size_t size, Target* owner) noexcept : slots_(list), size_(size), owner_(owner) {}
  [[nodiscard]] static T* object_in(std::byte* slot) noexcept { return std::launder(reinterpret_cast<T*>(slot)); }

  Slots slots_{};
  std::size_t size_ = 0;
  Target* owner_ = nullptr;
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI
