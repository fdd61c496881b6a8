// SPDX-License-Identifier: MIT OR Apache-2.0
// A histogram of all 64-bit values in 30 KiB that are allocated once: 64 buckets for each power of two, as HdrHistogram
// has them.
//
//   bucket of v = v                        up to 127: exact
//               = 64 * e + (v >> e)        e = bit_width(v) - 7: the highest 7 bits of v say which
//
// A bucket is 2^e wide and begins at 64 * 2^e or more, so what quantile() returns is less than 1/64 above the value
// that stands at that place. Maximum and count are exact.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <ostream>
#include <vector>

namespace bench {

class Histogram {
 public:
  Histogram() : counts_(buckets) {}  // written here, so that record() meets no page for the first time

  /// Not inlined: one place that a program can run once before its code is needed.
#if defined(__GNUC__)
  [[gnu::noinline]]
#endif
  void record(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The value below or at which the share `q` of all values lies, or up to 1/64 more; quantile(1) is the maximum. 0 of
  /// an empty histogram.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    auto const wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i != buckets; ++i) {
      below += counts_[i];
      if (below != 0 && below >= wanted) return std::min(last_of(i), max_);
    }
    return max_;
  }

  void merge(Histogram const& other) noexcept {
    for (std::size_t i = 0; i != buckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  /// One line: the maximum, the number of used buckets, and of each of those its number and its count.
  friend std::ostream& operator<<(std::ostream& out, Histogram const& histogram) {
    out << histogram.max_ << ' '
        << buckets - static_cast<std::size_t>(std::count(histogram.counts_.begin(), histogram.counts_.end(), 0U));
    for (std::size_t i = 0; i != buckets; ++i)
      if (histogram.counts_[i] != 0) out << ' ' << i << ' ' << histogram.counts_[i];
    return out << '\n';
  }
  /// Replaces `histogram` by what was written so; what is no such line sets failbit.
  friend std::istream& operator>>(std::istream& in, Histogram& histogram) {
    Histogram read;
    std::size_t used = 0;
    in >> read.max_ >> used;
    for (std::size_t i = 0; in && i != used; ++i) {
      std::size_t bucket = 0;
      std::uint64_t count = 0;
      if (!(in >> bucket >> count) || bucket >= buckets) {
        in.setstate(std::ios::failbit);
        break;
      }
      read.counts_[bucket] += count;
      read.count_ += count;
    }
    if (in) histogram = std::move(read);
    return in;
  }

 private:
  static constexpr std::size_t buckets = 64 * (64 - 7) + 128;

  static int shift_of(std::uint64_t value) noexcept { return std::max(0, static_cast<int>(std::bit_width(value)) - 7); }
  static std::size_t bucket_of(std::uint64_t value) noexcept {
    int const shift = shift_of(value);
    return 64 * static_cast<std::size_t>(shift) + static_cast<std::size_t>(value >> shift);
  }
  /// The highest value of a bucket.
  static std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < 128) return bucket;
    std::size_t const shift = bucket / 64 - 1;
    // the very last one wraps around to the greatest number
    return ((std::uint64_t{bucket} - 64 * shift + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bench
