// SPDX-License-Identifier: MIT OR Apache-2.0
// SpanHandle<T, Owner>: owns n adjacent objects in a pool, as one array; what allocate_n() returns. Three words.
#pragma once

#include <fastalloc/handle/owned_slots.hpp>

#include <span>

namespace fastalloc::inline FASTALLOC_ABI {

/// Move-only. Requires: the pool outlives the handle. Thread safety: that of the pool for destruction and reset();
/// otherwise that of a pointer. What it shares with BatchHandle (operator[], size(), reset(), swap()) stands in
/// OwnedSlots.
template <class T, class Owner>
class [[nodiscard]] SpanHandle : public detail::OwnedSlots<T, Owner, detail::Adjacent<sizeof(T)>> {
  using Base = detail::OwnedSlots<T, Owner, detail::Adjacent<sizeof(T)>>;

 public:
  constexpr SpanHandle() noexcept = default;
  SpanHandle(SpanHandle&&) noexcept = default;
  SpanHandle& operator=(SpanHandle&&) noexcept = default;
  SpanHandle(SpanHandle const&, FASTALLOC_ADVICE("fastalloc: objects have one owner; std::move() the handle")) = delete;
  FASTALLOC_ADVISES("fastalloc: objects have one owner; std::move() the handle") operator=(SpanHandle const&) = delete;

  /// The first object, or null when empty.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* data() const noexcept {
    return this->size_ == 0 ? nullptr : Base::object_in(this->slots_.first);
  }
  [[nodiscard]] T* begin() const noexcept { return data(); }
  [[nodiscard]] T* end() const noexcept { return data() + this->size_; }
  /// A std::span<T> can be made from the handle itself, too, as from any array.
  [[nodiscard]] std::span<T> span() const noexcept { return {data(), this->size_}; }
  friend void swap(SpanHandle& a, SpanHandle& b) noexcept { a.swap(b); }

 private:
  template <class Pool, class U, class O> friend class detail::Batches;
  using Base::Base;
};

}  // namespace fastalloc::inline FASTALLOC_ABI
