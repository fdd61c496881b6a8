// SPDX-License-Identifier: MIT OR Apache-2.0
// Two processes that trade objects of one pool: each builds some, hands them over by key or by index, and ends those it
// gets.
#pragma once

#include <vector>

#include "concurrency/memory/shared_memory.hpp"

namespace test {

struct Front {
  std::atomic<std::uint64_t> signal{0};
  std::atomic<std::uint64_t> taken{0};
  Ring there;  ///< from the one that created the pool
  Ring back;
};

/// Named in full: the default checks depend on how a program is compiled.
using TradedPool = fastalloc::FixedPool<Item, fastalloc::ExternalStorage, fastalloc::LockFree, fastalloc::Generations,
                                        fastalloc::AtomicStats, fastalloc::FullChecks>;

/// Sends `count` items and receives as many. Returns: true when each that came was whole, the next one, and another
/// process's.
template <class Pool> bool trade(Pool& pool, Ring& out, Ring& in, std::uint64_t count) {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t waiting = 0;  // for room in the ring
  bool waits = false;
  std::vector<typename Pool::handle_type> own;
  auto const by_key = [](std::uint64_t number) { return Pool::has_keys && number % 2 == 0; };
  while (sent != count || received != count) {
    bool moved = false;
    if (sent != count && !waits) {
      if (auto handle = pool.try_allocate(sent)) {
        waiting = pool.index_of(handle);
        if constexpr (Pool::has_keys)
          if (by_key(sent)) waiting = pool.key(handle).value();
        (void)handle.release();
        waits = true;
      }
    }
    if (waits && out.try_push(waiting)) {
      waits = false;
      ++sent;
      moved = true;
    }
    if (std::uint64_t value = 0; in.try_pop(value)) {
      Item* item = nullptr;
      if constexpr (Pool::has_keys)
        if (by_key(received)) item = pool.get(fastalloc::Key::from_value(value));
      if (!by_key(received)) item = pool.object_at(static_cast<std::size_t>(value));
      if (item == nullptr || !item->is_whole() || item->index != received || item->owner == ::getpid()) return false;
      auto const handle = pool.adopt(item);
      if (!handle) return false;
      ++received;
      moved = true;
    }
    if (own.size() < 3) {  // and some that go nowhere
      if (auto handle = pool.try_allocate(received)) own.push_back(std::move(handle));
    } else {
      for (auto const& handle : own)
        if (!handle->is_whole() || handle->owner != ::getpid()) return false;
      own.clear();
    }
    if (!moved) ::sched_yield();
  }
  return true;
}

}  // namespace test
