// SPDX-License-Identifier: MIT OR Apache-2.0
// SpanHandle<T, Owner>: owns n adjacent objects in a pool, as one array; made by allocate_n(). Three words.
#pragma once

#include <fastalloc/handle/owned_slots.hpp>

#include <span>

namespace fastalloc::inline FASTALLOC_ABI {

/// Move-only. Requires: the pool outlives the handle. Thread safety: destruction and reset(): that of the pool;
/// otherwise that of a pointer. For operator[], size(), reset() and swap() see OwnedSlots.
template <class T, class Owner>
class [[nodiscard]] SpanHandle : public detail::OwnedSlots<T, Owner, detail::Adjacent<sizeof(T)>> {
  using Base = detail::OwnedSlots<T, Owner, detail::Adjacent<sizeof(T)>>;

 public:
  constexpr SpanHandle() noexcept = default;
  SpanHandle(SpanHandle&&) noexcept = default;
  SpanHandle& operator=(SpanHandle&&) noexcept = default;
  SpanHandle(SpanHandle const&, FASTALLOC_ADVICE("fastalloc: objects have one owner; std::move() it")) = delete;
  FASTALLOC_ADVISES("fastalloc: objects have one owner; std::move() it") operator=(SpanHandle const&) = delete;

  /// The first object, or null if empty.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* data() const noexcept {
    return this->size_ == 0 ? nullptr : Base::object_in(this->slots_.first);
  }
  [[nodiscard]] T* begin() const noexcept { return data(); }
  [[nodiscard]] T* end() const noexcept { return data() + this->size_; }
  /// The array as a span. The handle also converts to std::span<T> itself, as any array does.
  [[nodiscard]] std::span<T> span() const noexcept { return {data(), this->size_}; }
  friend void swap(SpanHandle& a, SpanHandle& b) noexcept { a.swap(b); }

 private:
  template <class> friend class detail::Batches;
  using Base::Base;
};

}  // namespace fastalloc::inline FASTALLOC_ABI
