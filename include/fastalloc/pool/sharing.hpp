// SPDX-License-Identifier: MIT OR Apache-2.0
// Sharing: owners of objects that a pool knows by address or by key. BasicPool declares and documents the functions.
//
// lock(key) beside the last release: the key finds the slot; the counts in it, which are atomic and stay readable, gain
// an owner if they belong to a shared, live object; the key is looked up again. If it still names the slot, the counts
// were those of its object, since keys end after the last owner and before the next object. Otherwise the new owner is
// dropped again. Model: tests/spin/lock_key.pml.
#pragma once

#include <fastalloc/handle/shared_handle.hpp>
#include <fastalloc/pool/basic_pool.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class Derived, class T, class Kind, class... Ps> class Sharing<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;

 public:
  explicit Sharing(Pool& pool) noexcept : pool_(pool) {}

  [[nodiscard]] SharedHandle<T> share(T* object) {
    if (object == nullptr) return {};
    if constexpr (Pool::Checks::tracks_slots)
      if (!pool_.verify_live(object, Pool::type)) return {};
    CountsRef const counts = counts_of(object);
    if (counts.is_dead()) return {};
    if (!counts.is_shared()) counts.set_shared(&pool_);
    else counts.template add<SharedCounts::strong>();
    return {object, counts};
  }
  [[nodiscard]] SharedHandle<T> adopt(T* object) {
    if (object == nullptr) return {};
    if constexpr (Pool::Checks::tracks_slots)
      if (!pool_.verify_live(object, Pool::type)) return {};
    if (!counts_of(object).is_shared()) return pool_.report_unshared(object, Pool::type), SharedHandle<T>();
    return {object, counts_of(object)};
  }
  /// find(key): the object's slot, or null.
  template <class Find> [[nodiscard]] SharedHandle<T> lock(Find&& find) noexcept {
    T* const object = find();
    if (object == nullptr || !counts_of(object).lock_shared()) return {};
    SharedHandle<T> owner(object, counts_of(object));
    if (find() != object) owner.reset();
    return owner;
  }

  static void add(T* object) noexcept { counts_of(object).template add<SharedCounts::strong>(); }
  static bool drop(T* object) noexcept { return counts_of(object).template drop<SharedCounts::strong>(); }

 private:
  static CountsRef counts_of(T* object) noexcept { return Pool::counts_of(reinterpret_cast<std::byte*>(object)); }

  Pool& pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
