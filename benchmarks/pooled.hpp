// SPDX-License-Identifier: MIT OR Apache-2.0
// The adaptor of a class with an operator new of its own.
#pragma once

#include "subject.hpp"

#include <fastalloc/adapters/pooled.hpp>

namespace bench {

template <class... Policies>
struct PooledObject final : Object, fastalloc::Pooled<PooledObject<Policies...>, Policies...> {
  using Object::Object;
};
static_assert(sizeof(PooledObject<>) == sizeof(Object));

template <class... Policies> struct PooledNew {
  using Own = PooledObject<Policies...>;
  using owner = Own*;
  static constexpr bool owner_frees = false;
  explicit PooledNew(std::size_t) {}
  owner make(std::uint64_t value) { return new Own(value); }
  void kill(owner object) { delete object; }
  static Object const* object(owner object) { return object; }
};

}  // namespace bench
