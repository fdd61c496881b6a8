// SPDX-License-Identifier: MIT OR Apache-2.0
// Configurations that cannot be used: each is refused with an error of its own, by value and by exception alike.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <limits>
#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/death.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Particle {
  std::uint64_t words[8];
};
using Fixed = FixedPool<Particle>;
using Growing = GrowingPool<Particle>;
constexpr std::size_t most = std::numeric_limits<std::size_t>::max();

/// The error of try_create(); the constructor must throw the same.
template <class Pool> Error refused(PoolConfig const& config) {
  auto const result = Pool::try_create(config);
  REQUIRE_FALSE(result.has_value());
  Error const error = result.error();
  std::string const text = error.to_string();
  CHECK_THAT(text, ContainsSubstring("type (anonymous namespace)::Particle") ||
                       ContainsSubstring("type {anonymous}::Particle"));
  CHECK_THAT(text, ContainsSubstring(";"));  // what is wrong; what to do
#if FASTALLOC_EXCEPTIONS
  try {
    Pool const pool(config);
    FAIL("the constructor accepted what try_create refused");
  } catch (InvalidConfiguration const& e) {
    CHECK(e.error().code == error.code);
    CHECK(std::string(e.what()) == text);
  } catch (AllocationFailed const& e) {
    CHECK(error.code == ErrorCode::allocation_failed);
    CHECK(std::string(e.what()) == text);
  }
#endif
  return error;
}

/// Refused by both kinds of pool and by validate(), which must agree.
Error refused(PoolConfig const& config) {
  Error const error = refused<Growing>(config);
  CHECK(std::string(refused<Fixed>(config).message()) == error.message());
  auto const valid = config.validate();
  REQUIRE_FALSE(valid.has_value());
  CHECK(std::string(valid.error().message()) == error.message());
  return error;
}

/// Has no memory, and nothing to say about it.
struct SilentStorage {
  static constexpr bool can_grow = true;
  void* acquire(std::size_t, std::size_t) noexcept { return nullptr; }
  void release(void*, std::size_t, std::size_t) noexcept {}
  void explain(Error& error) const noexcept { error = Error{.code = ErrorCode::allocation_failed}; }
};

PoolConfig growing_by(GrowthStrategy strategy) { return {.capacity = 4, .growth_strategy = strategy}; }

}  // namespace

TEST_CASE("bad input: capacity 0") {
  Error const error = refused(PoolConfig{.capacity = 0});
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.to_string(), ContainsSubstring("capacity is 0") && ContainsSubstring("at least 1"));
}

TEST_CASE("bad input: max_capacity below capacity") {
  Error const error = refused(PoolConfig{.capacity = 10, .max_capacity = 9});
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.to_string(), ContainsSubstring("capacity 10 slots") && ContainsSubstring("limit 9 slots") &&
                                    ContainsSubstring("raise"));
  CHECK(Growing::try_create(PoolConfig{.capacity = 10, .max_capacity = 10}).has_value());
}

TEST_CASE("bad input: alignments that are no power of two") {
  for (std::size_t const alignment : {std::size_t{3}, std::size_t{48}, std::size_t{65}, most}) {
    Error const error = refused(PoolConfig{.capacity = 4, .alignment = alignment});
    CHECK(error.code == ErrorCode::invalid_alignment);
    CHECK_THAT(error.to_string(), ContainsSubstring("requested " + std::to_string(alignment) + " bytes") &&
                                      ContainsSubstring("power of two"));
  }
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2)
    CHECK(Fixed::try_create(PoolConfig{.capacity = 4, .alignment = alignment}).has_value());
}

TEST_CASE("bad input: an alignment so great that no memory has it") {
  for (std::size_t const alignment : {most / 2 + 1, most / 4 + 1}) {
    CHECK(refused<Fixed>(PoolConfig{.capacity = 1, .alignment = alignment}).code != ErrorCode::pool_exhausted);
    CHECK(refused<Growing>(PoolConfig{.capacity = 3, .alignment = alignment}).code != ErrorCode::pool_exhausted);
  }
}

TEST_CASE("bad input: factors of exponential growth") {
  double const infinity = std::numeric_limits<double>::infinity();
  for (double const factor :
       {1.0, 0.5, 0.0, -0.0, -2.0, infinity, -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    Error const error = refused(growing_by(GrowthStrategy::exponential(factor)));
    CHECK(error.code == ErrorCode::invalid_configuration);
    CHECK_THAT(error.to_string(), ContainsSubstring("factor ") && ContainsSubstring("greater than 1"));
  }
  CHECK_THAT(refused(growing_by(GrowthStrategy::exponential(0.5))).to_string(), ContainsSubstring("factor 0.5"));
  CHECK(growing_by(GrowthStrategy::exponential(1.0 + std::numeric_limits<double>::epsilon())).validate().has_value());
}

TEST_CASE("bad input: linear growth by 0") {
  Error const error = refused(growing_by(GrowthStrategy::linear(0)));
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.to_string(), ContainsSubstring("0 slots") && ContainsSubstring("n >= 1"));
}

TEST_CASE("bad input: a null growth function") {
  std::size_t (*const none)(std::size_t) = nullptr;
  Error const error = refused(growing_by(GrowthStrategy::custom(none)));
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.to_string(), ContainsSubstring("null"));
}

TEST_CASE("bad input: every mistake has words of its own") {
  std::size_t (*const none)(std::size_t) = nullptr;
  std::set<std::string> texts;
  for (PoolConfig const& config :
       {PoolConfig{}, PoolConfig{.capacity = 2, .max_capacity = 1}, PoolConfig{.capacity = 2, .alignment = 12},
        growing_by(GrowthStrategy::linear(0)), growing_by(GrowthStrategy::exponential(1)),
        growing_by(GrowthStrategy::custom(none))})
    texts.insert(refused(config).message());
  texts.insert(refused<Fixed>(PoolConfig{.capacity = most}).message());
  CHECK(texts.size() == 7);
}

TEST_CASE("trap: capacity times the size of a slot overflows") {
  constexpr std::size_t size = sizeof(Particle);
  for (std::size_t const capacity :
       {most, most - 1, most / size + 1, most / size, most / size - 1, most / size - 10, most / size - 1000,
        most / size - 40000, most / size - 1000000, most / size / 2 + 1, most / size / 2, most / size / 2 - 1,
        most / 2 + 1, most / 4 + 1}) {
    CAPTURE(capacity);
    CHECK(refused<Fixed>(PoolConfig{.capacity = capacity}).requested != 0);
    CHECK(refused<Growing>(PoolConfig{.capacity = capacity}).requested != 0);
    auto const bitmap = GrowingPool<Particle, BitmapAllocator>::try_create(PoolConfig{.capacity = capacity});
    CHECK_FALSE(bitmap.has_value());
    auto const tiny = FixedPool<char, FreeListAllocator>::try_create(PoolConfig{.capacity = capacity, .alignment = 64});
    CHECK_FALSE(tiny.has_value());
  }
  Error const error = refused<Fixed>(PoolConfig{.capacity = most / size + 1});
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.to_string(),
             ContainsSubstring(std::to_string(most / size + 1)) && ContainsSubstring("lower the capacity"));
}

TEST_CASE("bad input: more memory than the heap has") {
  constexpr bool is_64_bit = sizeof(std::size_t) == 8;
  if (!is_64_bit) return;  // there may be memory for all that a program of 32 bits can ask for
  constexpr std::size_t capacity = std::size_t{1} << (is_64_bit ? 50 : 0);
  Error const error = refused<Growing>(PoolConfig{.capacity = capacity});
  CHECK(error.code == ErrorCode::allocation_failed);
  CHECK(error.requested >= capacity * sizeof(Particle));
  CHECK_THAT(error.to_string(), ContainsSubstring(" bytes") && ContainsSubstring("lower the capacity"));
}

TEST_CASE("bad input: the builder refuses what the configuration refuses") {
  auto const built = PoolConfig::builder()
                         .capacity(8)
                         .max_capacity(32)
                         .growth_strategy(GrowthStrategy::linear(4))
                         .alignment(64)
                         .pre_initialize()
                         .try_build();
  REQUIRE(built.has_value());
  CHECK((built->capacity == 8 && built->max_capacity == 32 && built->alignment == 64 && built->pre_initialize));
  CHECK(built->growth_strategy.slots_to_add(100) == 4);
  auto const refused_build = PoolConfig::builder().capacity(8).alignment(7).try_build();
  REQUIRE_FALSE(refused_build.has_value());
  CHECK(refused_build.error().code == ErrorCode::invalid_alignment);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(PoolConfig::builder().build(), InvalidConfiguration);
  CHECK_THROWS_AS(PoolConfig::builder().capacity(1).growth_strategy(GrowthStrategy::linear(0)).build(),
                  InvalidConfiguration);
#else
  CHECK(test::run_in_child([] { (void)PoolConfig::builder().build(); }).aborted);
#endif
}

TEMPLATE_TEST_CASE("bad input: growth of a pool of threads that cannot grow", "", (ThreadSafePool<Particle, LockFree>),
                   (ThreadSafePool<Particle, InlineStorage<8>>)) {
  Error const error = refused<TestType>(growing_by(GrowthStrategy::linear(4)));
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK_THAT(error.message(), ContainsSubstring("cannot grow; set growth_strategy to none()"));
}

TEMPLATE_TEST_CASE("bad input: an error needs no text", "", (FixedPool<int, SilentStorage>),
                   (GrowingPool<int, SilentStorage>), (ThreadSafePool<int, SilentStorage>),
                   (ThreadLocalPool<int, SilentStorage>)) {
  auto const result = TestType::try_create({.capacity = 4});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::allocation_failed);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(TestType(4), AllocationFailed);
#endif
}

TEST_CASE("bad input: more than InlineStorage holds") {
  using Pool = FixedPool<Particle, InlineStorage<4>>;
  Error const error = refused<Pool>(PoolConfig{.capacity = 5});
  CHECK(error.code == ErrorCode::invalid_configuration);
  CHECK((error.capacity == 5 && error.limit == 4));
  CHECK(refused<Pool>(PoolConfig{.capacity = 4, .alignment = 4096}).code == ErrorCode::invalid_alignment);
  CHECK(Pool::try_create(PoolConfig{.capacity = 3}).has_value());
}
