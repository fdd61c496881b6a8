// SPDX-License-Identifier: MIT OR Apache-2.0
// Hostile: a Tracked whose operators are all its own, and deleted. A header that writes `&object`, `f(object), true`,
// `object == other`, `new T` or the like of a user's T does not compile with it.
#pragma once

#include "support/tracked.hpp"

#include <cstddef>
#include <memory>

namespace test {

struct Hostile : Tracked {
  using Tracked::Tracked;
  Hostile(Hostile const&) = delete;
  Hostile& operator=(Hostile const&) = delete;

  void operator&() const = delete;
  void operator*() const = delete;
  void operator->() const = delete;
  void operator!() const = delete;
  void operator~() const = delete;
  void operator+() const = delete;
  void operator-() const = delete;
  void operator++() const = delete;
  void operator--() const = delete;
  template <class... Any> void operator()(Any&&...) const = delete;
  template <class Any> void operator[](Any&&) const = delete;
  template <class Any> operator Any() const = delete;
  template <class Any> operator Any&() const = delete;
  explicit operator bool() const = delete;

#define TEST_DELETE(op)                                                         \
  template <class Any> friend void operator op(Hostile const&, Any&&) = delete; \
  template <class Any> friend void operator op(Hostile&, Any&&) = delete;       \
  template <class Any> friend void operator op(Hostile&&, Any&&) = delete;      \
  friend void operator op(Hostile const&, Hostile const&) = delete
  TEST_DELETE(->*);
  TEST_DELETE(==);
  TEST_DELETE(!=);
  TEST_DELETE(<=>);
  TEST_DELETE(<);
  TEST_DELETE(>);
  TEST_DELETE(<=);
  TEST_DELETE(>=);
  TEST_DELETE(&&);
  TEST_DELETE(||);
  TEST_DELETE(+);
  TEST_DELETE(-);
  TEST_DELETE(*);
  TEST_DELETE(/);
  TEST_DELETE(%);
  TEST_DELETE(&);
  TEST_DELETE(|);
  TEST_DELETE(^);
  TEST_DELETE(<<);
  TEST_DELETE(>>);
#undef TEST_DELETE
  template <class Any> void operator,(Any&&) const = delete;
  template <class Any> friend void operator,(Any&&, Hostile const&) = delete;
  friend void swap(Hostile&, Hostile&) = delete;

  static void* operator new(std::size_t) = delete;
  static void* operator new(std::size_t, void*) = delete;
  static void* operator new[](std::size_t) = delete;
  static void operator delete(void*) = delete;
  static void operator delete[](void*) = delete;
};

/// What a function object may return: no operator of it may be used.
struct Result {
  template <class Any> void operator,(Any&&) const = delete;
};

}  // namespace test
