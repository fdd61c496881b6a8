// SPDX-License-Identifier: MIT OR Apache-2.0
// The histogram of the latency benchmark, against sorted values.
#include "hdr_histogram.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <sstream>
#include <vector>

namespace {

using bench::Histogram;

constexpr double shares[] = {0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

/// The value at the place that Histogram::quantile() means.
std::uint64_t exact(std::vector<std::uint64_t> const& sorted, double q) {
  auto const place = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return sorted[place == 0 ? 0 : place - 1];
}

void require_close(Histogram const& histogram, std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  REQUIRE(histogram.count() == values.size());
  REQUIRE(histogram.max() == values.back());
  for (double q : shares) {
    std::uint64_t const wanted = exact(values, q);
    std::uint64_t const got = histogram.quantile(q);
    CAPTURE(q, wanted, got);
    REQUIRE(got >= wanted);
    REQUIRE(got - wanted <= wanted / 64);
  }
  REQUIRE(histogram.quantile(1) == values.back());
}

/// Values of all magnitudes up to 2^bits.
std::vector<std::uint64_t> values_up_to(int bits, std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> values;
  while (values.size() != n)
    values.push_back(random() >> (64 - bits + static_cast<int>(random() % static_cast<unsigned>(bits))));
  return values;
}

Histogram histogram_of(std::vector<std::uint64_t> const& values) {
  Histogram histogram;
  for (std::uint64_t value : values) histogram.record(value);
  return histogram;
}

}  // namespace

TEST_CASE("histogram: quantiles are at most 1/64 above the value, the maximum is exact") {
  for (int bits : {1, 6, 7, 8, 9, 20, 40, 63, 64})
    for (unsigned seed : {1U, 2U, 3U}) {
      auto const values = values_up_to(bits, 20'000, seed);
      CAPTURE(bits, seed);
      require_close(histogram_of(values), values);
    }
}

TEST_CASE("histogram: every value by itself, on both sides of each power of two") {
  for (int shift = 0; shift != 64; ++shift)
    for (std::uint64_t value : {(std::uint64_t{1} << shift) - 1, std::uint64_t{1} << shift,
                                (std::uint64_t{1} << shift) + 1, UINT64_MAX - (std::uint64_t{1} << shift)}) {
      CAPTURE(value);
      require_close(histogram_of({value}), {value});
      // the maximum does not cut the bucket's end
      require_close(histogram_of({value, UINT64_MAX}), {value, UINT64_MAX});
    }
}

TEST_CASE("histogram: values up to 127 have buckets of their own") {
  std::vector<std::uint64_t> values;
  for (std::uint64_t i = 0; i != 128; ++i) values.push_back(i);
  Histogram const histogram = histogram_of(values);
  for (std::size_t i = 0; i != 128; ++i) REQUIRE(histogram.quantile(static_cast<double>(i + 1) / 128) == i);
}

TEST_CASE("histogram: an empty one") {
  Histogram const histogram;
  REQUIRE(histogram.count() == 0);
  REQUIRE(histogram.max() == 0);
  REQUIRE(histogram.quantile(0.5) == 0);
  REQUIRE(histogram.quantile(1) == 0);
}

TEST_CASE("histogram: merged is as if recorded in one") {
  auto values = values_up_to(50, 5'000, 4);
  auto const more = values_up_to(30, 7'000, 5);
  Histogram merged = histogram_of(values);
  merged.merge(histogram_of(more));
  values.insert(values.end(), more.begin(), more.end());
  require_close(merged, values);
  Histogram const one = histogram_of(values);
  for (double q : shares) REQUIRE(merged.quantile(q) == one.quantile(q));
  merged.merge(Histogram());
  require_close(merged, values);
}

TEST_CASE("histogram: written and read again") {
  auto const values = values_up_to(64, 5'000, 6);
  Histogram const histogram = histogram_of(values);
  std::stringstream text;
  text << histogram << Histogram() << histogram_of({7});
  Histogram read;
  REQUIRE(text >> read);
  require_close(read, values);
  REQUIRE(text >> read);
  REQUIRE(read.count() == 0);
  REQUIRE(text >> read);
  require_close(read, {7});
}

TEST_CASE("histogram: what is no histogram is refused and changes nothing") {
  for (char const* line : {"", "x", "5 1", "5 2 3 1", "5 1 5000 1", "5 1 3 x"}) {
    std::istringstream text(line);
    Histogram read = histogram_of({9});
    CAPTURE(line);
    REQUIRE_FALSE(text >> read);
    REQUIRE(read.count() == 1);
    REQUIRE(read.max() == 9);
  }
}
