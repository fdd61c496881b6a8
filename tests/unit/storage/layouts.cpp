// SPDX-License-Identifier: MIT OR Apache-2.0
// The layout of blocks, for every size of a slot: sums of integers, whose answer does not depend on flags, so that only
// the plain debug build has this file (CMakeLists.txt). required_bytes.cpp tries the same on memory.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "support/catch.hpp"

using namespace fastalloc;

namespace {

// 1800 of these functions: gcc is quick to evaluate them, and slow to translate them; clang is the reverse.
#ifdef __clang__
#define EVALUATED
#else
#define EVALUATED constexpr
#endif

/// The parts of a block lie one behind the other, aligned and whole, and nothing is wasted but to alignment.
template <class Policy, class Checks, std::size_t Size> EVALUATED bool is_laid_out() {
  using Layout = detail::PoolLayout<SlotShape<Size, 1, false, 0, link_bytes<Policy>(false, Size)>, Policy, Checks>;
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    std::size_t const stride = Layout::stride(alignment);
    if (stride < Size || stride % alignment != 0 || stride - Size >= alignment) return false;
    for (std::size_t n : {1U, 2U, 63U, 64U, 65U, 1000U}) {
      auto const plan = Layout::block(n, stride);
      std::size_t const note = link_bytes<Policy>(false, Size) != 0 ? 24 : 0;  // what was found about links
      std::size_t const marks = Checks::tracks_slots ? (n / 32 + 1) * 4 + note : 0;
      std::size_t const metadata = Layout::Slots::metadata_bytes(n, 1);
      std::size_t const sum = n * stride + marks + metadata;
      bool const whole = plan.valid && plan.slot_bytes == n * stride && plan.tail >= plan.slot_bytes &&
                         (marks == 0 || plan.tail % 4 == 0) && plan.metadata >= plan.tail + marks &&
                         (metadata == 0 || plan.metadata % alignof(std::size_t) == 0) &&
                         plan.bytes >= plan.metadata + metadata;
      if (!whole || plan.bytes < sum || plan.bytes - sum >= alignof(std::size_t)) return false;
    }
  }
  return true;
}
#undef EVALUATED

template <class Policy, std::size_t... Sizes> std::size_t laid_out(std::index_sequence<Sizes...>) {
  constexpr std::size_t least = link_bytes<Policy>(false, 1) == 0 ? 1 : link_bytes<Policy>(false, 1);
  // An array, since compilers limit the depth of fold expressions.
  bool const right[] = {
      (is_laid_out<Policy, NoChecks, Sizes + least>() && is_laid_out<Policy, DebugChecks, Sizes + least>())...};
  return static_cast<std::size_t>(std::count(std::begin(right), std::end(right), true));
}

}  // namespace

TEMPLATE_TEST_CASE("trap: required_bytes is wrong: every size from 1 to 300", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  CHECK(laid_out<TestType>(std::make_index_sequence<300>{}) == 300);
}
