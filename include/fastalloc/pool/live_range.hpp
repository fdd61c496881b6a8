// SPDX-License-Identifier: MIT OR Apache-2.0
// LiveRange: the result of BasicPool::live(): a forward range over the live objects in address order.
#pragma once

#include <fastalloc/pool/live_cursor.hpp>

#if __STDC_HOSTED__
#include <iterator>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Pool: a BasicPool. T: its object type, maybe const.
template <class Pool, class T> class LiveIterator {
 public:
  using value_type = std::remove_const_t<T>;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using pointer = T*;
#if __STDC_HOSTED__
  using iterator_category = std::forward_iterator_tag;
#endif

  /// The end iterator.
  constexpr LiveIterator() noexcept = default;
  FASTALLOC_ALWAYS_INLINE explicit LiveIterator(Pool& pool) noexcept : cursor_(pool.core_.supply()), pool_(&pool) {
    skip();
  }

  /// Requires: not at the end; the object is live.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T& operator*() const noexcept { return *Pool::object_in(cursor_.slot()); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* operator->() const noexcept { return Pool::object_in(cursor_.slot()); }

  /// Requires: not at the end. The object may be gone, and so may its block.
  FASTALLOC_ALWAYS_INLINE LiveIterator& operator++() noexcept { return cursor_.next(), skip(), *this; }
  FASTALLOC_ALWAYS_INLINE LiveIterator operator++(int) noexcept {
    LiveIterator const before = *this;
    return ++*this, before;
  }
  [[nodiscard]] friend bool operator==(LiveIterator const& a, LiveIterator const& b) noexcept {
    return a.cursor_.slot() == b.cursor_.slot();
  }

 private:
  FASTALLOC_ALWAYS_INLINE void skip() noexcept {
    while (cursor_.slot() != nullptr && !pool_->holds_object(cursor_.slot())) cursor_.next();
  }

  LiveCursor<typename Pool::Supply> cursor_;
  Pool* pool_ = nullptr;
};

template <class Pool, class T> class LiveRange {
 public:
  using iterator = LiveIterator<Pool, T>;
  explicit LiveRange(Pool& pool) noexcept : pool_(&pool) {}
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE iterator begin() const noexcept { return iterator(*pool_); }
  [[nodiscard]] iterator end() const noexcept { return {}; }
  [[nodiscard]] bool empty() const noexcept { return begin() == end(); }

 private:
  Pool* pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#if __STDC_HOSTED__
template <class Pool, class T>
inline constexpr bool std::ranges::enable_view<fastalloc::detail::LiveRange<Pool, T>> = true;
template <class Pool, class T>
inline constexpr bool std::ranges::enable_borrowed_range<fastalloc::detail::LiveRange<Pool, T>> = true;
#endif
