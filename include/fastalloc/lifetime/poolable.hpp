// SPDX-License-Identifier: MIT OR Apache-2.0
// Poolable, is_poolable: which types have their hooks called. Any other type's on_acquire() and on_release() are left
// alone.
//
//   struct Order : fastalloc::Poolable {                 derives from Poolable; or, without a base:
//     void on_acquire();                                 template <>
//     void on_release() noexcept;                        inline constexpr bool fastalloc::is_poolable<Order> = true;
//   };
//
// A warning for other types that have such members lost: most are widgets and locks, and mean no pool.
#pragma once

#include <type_traits>

namespace fastalloc {

/// An empty base. sizeof(T) stays as it is, unless T's first member is Poolable, too: two bases of one type need two
/// addresses. An aggregate gets one element more, the base: T{{}, 1, 2}, pool.allocate(fastalloc::Poolable{}, 1, 2).
/// Specialise is_poolable for aggregates, final types and types of others instead.
struct Poolable {};

/// True where pools call `void T::on_acquire()` when they hand out a T, and `void T::on_release()` when it comes back.
/// T has at least one of them. Derived classes inherit that from Poolable (private bases count), not from a
/// specialisation; `= false` takes it back. Specialise it right behind T: every file must see the same. To be sure that
/// hooks are called, write static_assert(fastalloc::is_poolable<T>) beside T.
template <class T> inline constexpr bool is_poolable = std::is_base_of_v<Poolable, T>;

}  // namespace fastalloc
