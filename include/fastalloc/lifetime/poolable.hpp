// SPDX-License-Identifier: MIT OR Apache-2.0
// Poolable, is_poolable: opt a type in to hooks. Pools never call on_acquire() and on_release() of other types.
//
//   struct Order : fastalloc::Poolable {                 derive from Poolable; or, without a base:
//     void on_acquire();                                 template <>
//     void on_release() noexcept;                        inline constexpr bool fastalloc::is_poolable<Order> = true;
//   };
//
// Rejected: a warning for other types with such members. Most are widgets and locks unrelated to pools.
#pragma once

#include <type_traits>

namespace fastalloc::inline FASTALLOC_STATE {

/// An empty base. sizeof(T) stays the same, unless T's first member is Poolable, too: two bases of one type need two
/// addresses. An aggregate gets the base as an element: T{{}, 1, 2}, pool.allocate(fastalloc::Poolable{}, 1, 2). For
/// aggregates, final types and third-party types specialise is_poolable instead.
struct Poolable {};

/// True if pools call `void T::on_acquire()` when they hand out a T, and `void T::on_release()` when it is returned.
/// T has at least one of them. Derived classes inherit the value from Poolable (private bases count), not from a
/// specialisation; `= false` opts out. Specialise it right after T, so that every file sees the same value. To make
/// sure that hooks are called, write static_assert(fastalloc::is_poolable<T>) next to T.
template <class T> inline constexpr bool is_poolable = std::is_base_of_v<Poolable, T>;

}  // namespace fastalloc::inline FASTALLOC_STATE
