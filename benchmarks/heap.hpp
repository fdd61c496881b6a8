// SPDX-License-Identifier: MIT OR Apache-2.0
// Adaptors of what several suites take from the standard library.
#pragma once

#include "subject.hpp"

#include <cstdlib>
#include <memory_resource>
#include <new>

namespace bench {

struct New {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit New(std::size_t) {}
  Object* make(std::uint64_t value) { return new Object(value); }
  void kill(Object* object) { delete object; }
  static Object const* object(Object* object) { return object; }
};

struct Malloc {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Malloc(std::size_t) {}
  Object* make(std::uint64_t value) {
    void* const memory = std::malloc(sizeof(Object));
    if (memory == nullptr) throw std::bad_alloc();
    return ::new (memory) Object(value);
  }
  void kill(Object* object) { std::free(object); }
  static Object const* object(Object* object) { return object; }
};

template <class Resource> struct Pmr {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Pmr(std::size_t) {}
  Object* make(std::uint64_t value) { return ::new (resource.allocate(sizeof(Object), alignof(Object))) Object(value); }
  void kill(Object* object) { resource.deallocate(object, sizeof(Object), alignof(Object)); }
  static Object const* object(Object* object) { return object; }
  Resource resource;
};

}  // namespace bench
