// SPDX-License-Identifier: MIT OR Apache-2.0
// foonathan/memory: its memory_pool for nodes, with room for all objects in the first block.
#include "workloads.hpp"

#include <foonathan/memory/memory_pool.hpp>

namespace bench {
namespace {

struct Foonathan {
  using Pool = foonathan::memory::memory_pool<>;
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Foonathan(std::size_t n) : pool(sizeof(Object), Pool::min_block_size(sizeof(Object), n)) {}
  Object* make(std::uint64_t value) { return ::new (pool.allocate_node()) Object(value); }
  void kill(Object* object) { pool.deallocate_node(object); }
  static Object const* object(Object* object) { return object; }
  Pool pool;
};

}  // namespace

void add_foonathan_cases() {
  add_cases<Foonathan>("foonathan::memory_pool");
  add_build<Foonathan>("foonathan::memory_pool");
}

}  // namespace bench
