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

  LiveIterator(Pool& pool, LiveCursor<typename Pool::Supply> const& at) noexcept : cursor_(at), pool_(&pool) { skip(); }

  /// Returns: the index of the slot, even if the object is gone; SIZE_MAX at the end. Requires: the block is not gone.
  [[nodiscard]] std::size_t index() const noexcept {
    return cursor_.slot() == nullptr ? static_cast<std::size_t>(-1) : pool_->core_.index_of(cursor_.slot());
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

  /// The range from the slot of `index` on, in address order; if that object is gone, from the next one. All of it if
  /// the pool has no such slot: for SIZE_MAX, and after shrink_to_fit() took the block. (Slot 0 of a growing pool need
  /// not have the lowest address.) Needs <fastalloc/pool/looking.hpp>. A loop over 20 objects a frame, round and round:
  ///   std::size_t next = std::size_t(-1);                               // the beginning
  ///   auto const rest = pool.live().from(next);                         // each frame
  ///   auto it = rest.begin();
  ///   for (int n = 0; n != 20 && it != rest.end(); ++n, ++it) update(*it);
  ///   next = it.index();
  [[nodiscard]] auto from(std::size_t index) const noexcept { return Looking<Pool>::template rest<T>(*pool_, index); }

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
