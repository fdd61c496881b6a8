// SPDX-License-Identifier: MIT OR Apache-2.0
// The adaptor of our own pools.
#pragma once

#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <chrono>

namespace bench {

template <class Pool>
concept Waits = requires(Pool& pool) { pool.allocate_for(std::chrono::seconds(1), std::uint64_t{}); };

/// `First` slots at construction, or as many as are needed when 0. `Owner`: the typed handle, or the erased one.
template <class Pool, std::size_t First = 0, class Owner = typename Pool::handle_type> struct Ours {
  using owner = Owner;
  static constexpr bool owner_frees = true;
  explicit Ours(std::size_t n) : pool(First != 0 ? First : n) {}
  explicit Ours(fastalloc::PoolConfig const& config) : pool(config) {}
  // Always inlined, as a pool's own functions are: what is measured is not this wrapper.
  [[gnu::always_inline]] owner make(std::uint64_t value) { return pool.allocate(value); }
  owner try_make(std::uint64_t value) { return pool.try_allocate(value); }
  owner wait_make(std::chrono::seconds limit, std::uint64_t value) requires Waits<Pool> {
    return pool.allocate_for(limit, value);
  }
  void kill(owner& object) { object.reset(); }
  static Object const* object(owner const& object) { return object.get(); }
  void make_batch(std::size_t n, typename std::vector<owner>::iterator out, std::uint64_t value) {
    pool.allocate_batch(n, out, value);
  }
  Pool pool;
};

}  // namespace bench
