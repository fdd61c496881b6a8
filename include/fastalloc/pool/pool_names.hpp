// SPDX-License-Identifier: MIT OR Apache-2.0
// The names of pools (PoolConfig::name), in a list of the program, so that pools without a name pay nothing.
//
//   pool_names -> | pool, next, room, characters | -> ...      an entry is reused when its pool is gone, and never
//                                                              freed
//
// Without locks: errors are reported in signal handlers, and in children of a fork.
#pragma once

#include <fastalloc/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

namespace fastalloc::detail::inline FASTALLOC_STATE {

struct PoolName {
  std::atomic<void const*> pool;  ///< null: free; `this`: being written
  PoolName* next;
  std::size_t room;    ///< bytes
  std::size_t length;  ///< bytes; the characters follow this object

  [[nodiscard]] char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
};
FASTALLOC_ONE std::atomic<PoolName*> pool_names{nullptr};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Returns: the name of the pool at this address; empty if it has none. Valid while the pool lives. Complexity: linear
/// in the names.
[[nodiscard]] inline std::string_view name_of(void const* pool) noexcept {
  // acquire, twice: pair with the releases in set_name()
  for (PoolName* at = pool_names.load(std::memory_order_acquire); at != nullptr; at = at->next)
    if (at->pool.load(std::memory_order_acquire) == pool) return {at->text(), at->length};
  return {};
}

/// Returns: false without memory.
inline bool set_name(void const* pool, std::string_view name) noexcept {
  PoolName* at = pool_names.load(std::memory_order_acquire);  // acquire: as in name_of()
  for (void const* free = nullptr; at != nullptr; at = at->next, free = nullptr)
    // acquire: pairs with the release in forget_name(). relaxed: a failure is another thread's entry.
    if (at->room >= name.size() &&
        at->pool.compare_exchange_strong(free, at, std::memory_order_acquire, std::memory_order_relaxed))
      break;
  bool const is_new = at == nullptr;
  if (is_new) {
    std::size_t const room = name.size() < 32 ? 32 : name.size();
    void* const memory = ::operator new(sizeof(PoolName) + room, std::nothrow);
    if (memory == nullptr) return false;
    at = ::new (memory) PoolName{nullptr, nullptr, room, 0};
  }
  std::memcpy(at->text(), name.data(), name.size());
  at->length = name.size();
  at->pool.store(pool, std::memory_order_release);  // release: publishes the characters
  if (!is_new) return true;
  at->next = pool_names.load(std::memory_order_relaxed);  // relaxed: compare_exchange reads it again
  // release: publishes the entry. relaxed: a failure only reloads.
  while (!pool_names.compare_exchange_weak(at->next, at, std::memory_order_release, std::memory_order_relaxed)) {}
  return true;
}

inline void forget_name(void const* pool) noexcept {
  for (PoolName* at = pool_names.load(std::memory_order_acquire); at != nullptr; at = at->next)  // acquire: as above
    // relaxed: the thread that ends the pool saw it named. release: reads of the characters came before.
    if (at->pool.load(std::memory_order_relaxed) == pool) return at->pool.store(nullptr, std::memory_order_release);
}

}  // namespace fastalloc::detail::inline FASTALLOC_ABI
