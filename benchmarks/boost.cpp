// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Pool. object_pool keeps its free list sorted, so a free is O(n): measured with a thousand objects only.
#include "workloads.hpp"

#include <boost/pool/object_pool.hpp>
#include <boost/pool/pool.hpp>

namespace bench {
namespace {

struct BoostPool {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit BoostPool(std::size_t n) : pool(sizeof(Object), n) {}
  Object* make(std::uint64_t value) { return ::new (pool.malloc()) Object(value); }
  void kill(Object* object) { pool.free(object); }
  static Object const* object(Object* object) { return object; }
  boost::pool<> pool;
};

struct BoostObjectPool {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit BoostObjectPool(std::size_t n) : pool(n) {}
  Object* make(std::uint64_t value) { return pool.construct(value); }
  void kill(Object* object) { pool.destroy(object); }
  static Object const* object(Object* object) { return object; }
  boost::object_pool<Object> pool;
};

}  // namespace

void add_boost_cases() {
  add_cases<BoostPool>("boost::pool");
  add_cases<BoostObjectPool>("boost::object_pool", true);
}

}  // namespace bench
