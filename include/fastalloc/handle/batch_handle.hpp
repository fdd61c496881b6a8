// SPDX-License-Identifier: MIT OR Apache-2.0
// BatchHandle<T, Owner>: owns n objects anywhere in a pool and returns them in one step; made by
// allocate_batch_handle(). Size: three words, plus 8 bytes per object in one heap block: half of n handles.
//
// Rejected: 32-bit codes instead of addresses. They would halve that again in fixed pools, but each access would first
// load the pool's base, and a batch exists to be iterated over.
#pragma once

#include <fastalloc/handle/owned_slots.hpp>

#include <new>

#if __STDC_HOSTED__
#include <iterator>
#endif

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Random access iterator over objects listed by address.
template <class T> class ListedIterator {
 public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using pointer = T*;
#if __STDC_HOSTED__
  using iterator_category = std::random_access_iterator_tag;
#endif

  constexpr ListedIterator() noexcept = default;
  explicit ListedIterator(std::byte* const* at) noexcept : at_(at) {}
  [[nodiscard]] T& operator*() const noexcept { return *operator->(); }
  [[nodiscard]] T* operator->() const noexcept { return std::launder(reinterpret_cast<T*>(*at_)); }
  [[nodiscard]] T& operator[](difference_type n) const noexcept { return *(*this + n); }
  ListedIterator& operator+=(difference_type n) noexcept { return at_ += n, *this; }
  ListedIterator& operator-=(difference_type n) noexcept { return at_ -= n, *this; }
  ListedIterator& operator++() noexcept { return *this += 1; }
  ListedIterator& operator--() noexcept { return *this -= 1; }
  ListedIterator operator++(int) noexcept { return ListedIterator(at_++); }
  ListedIterator operator--(int) noexcept { return ListedIterator(at_--); }
  [[nodiscard]] friend ListedIterator operator+(ListedIterator i, difference_type n) noexcept { return i += n; }
  [[nodiscard]] friend ListedIterator operator+(difference_type n, ListedIterator i) noexcept { return i += n; }
  [[nodiscard]] friend ListedIterator operator-(ListedIterator i, difference_type n) noexcept { return i -= n; }
  [[nodiscard]] friend difference_type operator-(ListedIterator a, ListedIterator b) noexcept { return a.at_ - b.at_; }
  [[nodiscard]] friend auto operator<=>(ListedIterator, ListedIterator) noexcept = default;

 private:
  std::byte* const* at_ = nullptr;
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_ABI {

/// Move-only. Requires: the pool outlives the handle. Thread safety: destruction and reset(): that of the pool;
/// otherwise that of a pointer. For operator[], size(), reset() and swap() see OwnedSlots.
template <class T, class Owner> class [[nodiscard]] BatchHandle : public detail::OwnedSlots<T, Owner, detail::Listed> {
  using Base = detail::OwnedSlots<T, Owner, detail::Listed>;

 public:
  using iterator = detail::ListedIterator<T>;
  constexpr BatchHandle() noexcept = default;
  BatchHandle(BatchHandle&&) noexcept = default;
  BatchHandle& operator=(BatchHandle&&) noexcept = default;
  BatchHandle(BatchHandle const&, FASTALLOC_ADVICE("fastalloc: objects have one owner; std::move() it")) = delete;
  FASTALLOC_ADVISES("fastalloc: objects have one owner; std::move() it") operator=(BatchHandle const&) = delete;

  [[nodiscard]] iterator begin() const noexcept { return iterator(this->slots_.list); }
  [[nodiscard]] iterator end() const noexcept { return begin() + static_cast<std::ptrdiff_t>(this->size_); }
  friend void swap(BatchHandle& a, BatchHandle& b) noexcept { a.swap(b); }

 private:
  template <class> friend class detail::Batches;
  using Base::Base;
};

}  // namespace fastalloc::inline FASTALLOC_ABI
