// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/pool/growth_strategy.hpp>

#include <initializer_list>
#include <limits>

#include "support/catch.hpp"

using fastalloc::GrowthStrategy;

TEST_CASE("growth strategy: none never adds") {
  auto const none = GrowthStrategy::none();
  CHECK_FALSE(none.grows());
  CHECK(none.slots_to_add(0) == 0);
  CHECK(none.slots_to_add(1000) == 0);
  CHECK(none.validate().has_value());
}

TEST_CASE("growth strategy: linear adds the same each time") {
  auto const linear = GrowthStrategy::linear(7);
  CHECK(linear.grows());
  for (std::size_t const current : std::initializer_list<std::size_t>{0, 1, 7, 1000000})
    CHECK(linear.slots_to_add(current) == 7);
}

TEST_CASE("growth strategy: exponential multiplies and adds at least one") {
  auto const doubling = GrowthStrategy::exponential(2.0);
  CHECK(10 + doubling.slots_to_add(10) == 20);
  CHECK(20 + doubling.slots_to_add(20) == 40);
  CHECK(doubling.slots_to_add(0) == 1);
  auto const slow = GrowthStrategy::exponential(1.01);
  CHECK(slow.slots_to_add(1) == 1);
  CHECK(slow.slots_to_add(10) == 1);
  CHECK(slow.slots_to_add(1000) == 10);
  CHECK(GrowthStrategy::exponential(1.5).slots_to_add(100) == 50);
}

TEST_CASE("growth strategy: exponential does not overflow") {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (double const factor : {2.0, 1e18, 1e300, std::numeric_limits<double>::max()})
    for (std::size_t const current : {most, most / 2, most / 3, std::size_t{5}}) {
      auto const strategy = GrowthStrategy::exponential(factor);
      CHECK(strategy.slots_to_add(current) >= 1);
      CHECK(strategy.slots_to_add(current) <= most / 2);
    }
}

TEST_CASE("growth strategy: custom asks the function, which may have state") {
  std::size_t calls = 0;
  auto const custom = GrowthStrategy::custom([&calls](std::size_t current) { return ++calls, current / 2; });
  CHECK(custom.is_custom());
  CHECK(custom.slots_to_add(10) == 5);
  auto const copy = custom;
  CHECK(copy.slots_to_add(8) == 4);
  CHECK(calls == 2);
  auto const pointer = GrowthStrategy::custom(+[](std::size_t current) { return current + 1; });
  CHECK(pointer.slots_to_add(3) == 4);
  std::size_t a = 1;
  std::size_t b = 2;
  std::size_t c = 3;
  a += b;
  b += c;
  c += a;
  CHECK(GrowthStrategy::custom([&a, &b, &c](std::size_t n) { return n + a + b + c; }).slots_to_add(1) == 15);
}
