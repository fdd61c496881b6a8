// SPDX-License-Identifier: MIT OR Apache-2.0
// The adaptor of our own pools.
#pragma once

#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

namespace bench {

/// `First` slots at construction, or as many as are needed when 0. `Owner`: the typed handle, or the erased one.
template <class Pool, std::size_t First = 0, class Owner = typename Pool::handle_type>
struct Ours {
  using owner = Owner;
  static constexpr bool owner_frees = true;
  explicit Ours(std::size_t n) : pool(First != 0 ? First : n) {}
  owner make(std::uint64_t value) { return pool.allocate(value); }
  void kill(owner& object) { object.reset(); }
  static Object const* object(owner const& object) { return object.get(); }
  void make_batch(std::size_t n, typename std::vector<owner>::iterator out, std::uint64_t value) {
    pool.allocate_batch(n, out, value);
  }
  Pool pool;
};

}  // namespace bench
