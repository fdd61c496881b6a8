// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools that a program and a library with symbols of its own (-fvisibility=hidden) both use.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <array>

namespace hidden {

struct Item {
  int value = 0;
  explicit Item(int v) : value(v) {}
};
using Inline = fastalloc::ThreadSafePool<Item, fastalloc::InlineStorage<64>>;
using Keyed = fastalloc::GrowingPool<Item, fastalloc::Generations>;
using Fixed = fastalloc::FixedPool<Item>;

struct Functions {
  void (*use)(Inline& pool);
  void (*reserve)(Keyed& pool, std::size_t slots);
  fastalloc::Key (*strange_key)();
  /// Asks for a slot for each of the requests. Their functions allocate an object and release it at once. Notes how
  /// many of these functions ran at a time at most.
  void (*ask)(Inline& pool, std::array<fastalloc::SlotRequest, 3>& requests, int& most);
};
/// Of a library that has no pool of threads: pools in memory that outlives it.
struct ReloadFunctions {
  Fixed* (*make)(void* memory);
  fastalloc::Handle<Item> (*allocate)(Fixed& pool, int value);
  void (*rebind)(Fixed& pool);
};

}  // namespace hidden
