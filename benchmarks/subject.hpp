// SPDX-License-Identifier: MIT OR Apache-2.0
// What a subject of a measurement is: the adaptor of a pool or an allocator. It hands out owners: a raw pointer, or the
// RAII type that its user would hold.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// 64 bytes, of which construction writes 8.
struct Object {
  explicit Object(std::uint64_t v) noexcept : value(v) {}
  std::uint64_t value;
  std::byte rest[56];
};
static_assert(sizeof(Object) == 64);

template <class S>
concept Subject = requires(S& subject, typename S::owner& owner, std::uint64_t value) {
  requires std::constructible_from<S, std::size_t>;             // room for n objects
  { subject.make(value) } -> std::same_as<typename S::owner>;   // one more object
  { subject.kill(owner) };                                      // frees it now
  { S::object(owner) } -> std::convertible_to<Object const*>;   // where it lives
  requires std::same_as<decltype(S::owner_frees), bool const>;  // RAII: destroying the owner frees as well
};

template <class S>
concept BatchSubject = Subject<S> && requires(S& subject, std::vector<typename S::owner>& owners) {
  subject.make_batch(std::size_t{}, owners.begin(), std::uint64_t{});
};

/// The object behind `p` may be read and written by someone else from here on.
inline void escape(void const* p) noexcept { asm volatile("" : : "r"(p) : "memory"); }

/// The same sequence of indices for every subject, at the price of one multiplication each.
class Random {
 public:
  explicit Random(std::uint64_t seed = 88172645463325252U) noexcept : state_(seed) {}
  std::uint32_t next() noexcept {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  std::size_t below(std::size_t n) noexcept { return static_cast<std::size_t>(std::uint64_t{next()} * n >> 32); }

 private:
  std::uint64_t state_;
};

}  // namespace bench
