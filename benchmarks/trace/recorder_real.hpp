// SPDX-License-Identifier: MIT OR Apache-2.0
// The allocator that the program would have used without the recorder, found by dlsym. dlsym may allocate itself: until
// it has answered, such calls get memory from a small arena that is never given back.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstring>

namespace fastalloc::trace {

struct Real {
  void* (*malloc)(std::size_t);
  void* (*calloc)(std::size_t, std::size_t);
  void* (*realloc)(void*, std::size_t);
  void (*free)(void*);
  void* (*memalign)(std::size_t, std::size_t);
  void* (*aligned_alloc)(std::size_t, std::size_t);
  int (*posix_memalign)(void**, std::size_t, std::size_t);
  void* (*valloc)(std::size_t);
  void* (*pvalloc)(std::size_t);
  int (*execve)(char const*, char* const*, char* const*);
  int (*execv)(char const*, char* const*);
  int (*execvp)(char const*, char* const*);
};
inline constinit Real real_allocator{};
inline constinit std::atomic<bool> real_is_known{false};

// dlsym may allocate. Until it has answered, such calls get memory from here; it is never given back.
inline constinit struct Bootstrap {
  alignas(16) unsigned char bytes[16384];
  std::atomic<std::size_t> used;

  void* allocate(std::size_t size) noexcept {
    std::size_t const rounded = (size + 15) & ~std::size_t{15};
    std::size_t const begin = rounded < size ? sizeof(bytes) : used.fetch_add(rounded, std::memory_order_relaxed);
    return begin < sizeof(bytes) && rounded <= sizeof(bytes) - begin ? bytes + begin : nullptr;
  }
  bool owns(void const* p) const noexcept { return p >= bytes && p < bytes + sizeof(bytes); }
  std::size_t bytes_from(void const* p) const noexcept {
    return static_cast<std::size_t>(bytes + sizeof(bytes) - static_cast<unsigned char const*>(p));
  }
} bootstrap{};

// initial-exec: the first use in a thread must not allocate.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local bool asking_dlsym = false;

template <class Function> inline void look_up(Function& function, char const* name) noexcept {
  void* const symbol = dlsym(RTLD_NEXT, name);
  static_assert(sizeof(function) == sizeof(symbol));
  memcpy(&function, &symbol, sizeof(symbol));
}

// The real functions, or nullptr inside of dlsym's own calls. Threads that come here together store the same values.
inline Real const* real() noexcept {
  if (!real_is_known.load(std::memory_order_acquire)) {
    if (asking_dlsym) {
      return nullptr;
    }
    asking_dlsym = true;
    look_up(real_allocator.malloc, "malloc");
    look_up(real_allocator.calloc, "calloc");
    look_up(real_allocator.realloc, "realloc");
    look_up(real_allocator.free, "free");
    look_up(real_allocator.memalign, "memalign");
    look_up(real_allocator.aligned_alloc, "aligned_alloc");
    look_up(real_allocator.posix_memalign, "posix_memalign");
    look_up(real_allocator.valloc, "valloc");
    look_up(real_allocator.pvalloc, "pvalloc");
    look_up(real_allocator.execve, "execve");
    look_up(real_allocator.execv, "execv");
    look_up(real_allocator.execvp, "execvp");
    asking_dlsym = false;
    real_is_known.store(true, std::memory_order_release);
  }
  return &real_allocator;
}

}  // namespace fastalloc::trace
