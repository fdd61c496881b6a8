// SPDX-License-Identifier: MIT OR Apache-2.0
// Poolable, is_poolable: which types have their hooks called. Other people's on_acquire() and on_release() are left alone.
//
//   struct Order : fastalloc::Poolable {                 derives from Poolable; or, without a base:
//     void on_acquire();                                 template <>
//     void on_release() noexcept;                        inline constexpr bool fastalloc::is_poolable<Order> = true;
//   };
//
// A warning for types that have such members and are not poolable lost: most of them are widgets and locks, and mean neither pools nor us.
#pragma once

#include <type_traits>

namespace fastalloc {

/// An empty base: sizeof(T) stays as it is, unless T's first member is Poolable, too (two objects of one type have two addresses).
/// An aggregate then has one element more, its base: pool.allocate(fastalloc::Poolable{}, 1, 2), T{{}, 1, 2}. Specialise is_poolable for
/// aggregates, final types and types of others instead.
struct Poolable {};

/// True where pools call `void T::on_acquire()` when they hand out a T, and `void T::on_release()` when it comes back. T has at least one of
/// them. Derived classes inherit that from Poolable (by private bases, too), not from a specialisation; `= false` takes it back. Specialise it
/// right behind T, so that every file sees the same. `static_assert(fastalloc::is_poolable<T>)` beside T says that hooks are meant.
template <class T> inline constexpr bool is_poolable = std::is_base_of_v<Poolable, T>;

}  // namespace fastalloc
