// SPDX-License-Identifier: MIT OR Apache-2.0
// plf::colony: a container with stable addresses, used as a pool; the owner of an object is its iterator.
#include "workloads.hpp"

#include <plf_colony.h>

namespace bench {
namespace {

struct Colony {
  using owner = plf::colony<Object>::iterator;
  static constexpr bool owner_frees = false;
  explicit Colony(std::size_t n) { colony.reserve(n); }
  owner make(std::uint64_t value) { return colony.emplace(value); }
  void kill(owner const& object) { colony.erase(object); }
  static Object const* object(owner const& object) { return &*object; }
  plf::colony<Object> colony;
};

}  // namespace

void add_colony_cases() { add_cases<Colony>("plf::colony"); }

}  // namespace bench
