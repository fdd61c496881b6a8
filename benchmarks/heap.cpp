// SPDX-License-Identifier: MIT OR Apache-2.0
// What comes with the compiler: new, std::unique_ptr, malloc, std::pmr. Other general allocators are measured by
// running the subject "new" again with them in LD_PRELOAD (bench.cpp).
#include "heap.hpp"
#include "workloads.hpp"

#include <memory>

namespace bench {
namespace {

struct Unique {
  using owner = std::unique_ptr<Object>;
  static constexpr bool owner_frees = true;
  explicit Unique(std::size_t) {}
  owner make(std::uint64_t value) { return std::make_unique<Object>(value); }
  void kill(owner& object) { object.reset(); }
  static Object const* object(owner const& object) { return object.get(); }
};

}  // namespace

void add_heap_cases() {
  add_cases<New>("new");
  add_cases<Unique>("unique_ptr");
  add_cases<Malloc>("malloc");
  add_cases<Pmr<std::pmr::unsynchronized_pool_resource>>("std::pmr pool");
}

}  // namespace bench
