// SPDX-License-Identifier: MIT OR Apache-2.0
// ExactDivider and the directory of blocks.
#include <fastalloc/slots/blocks.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"

using namespace fastalloc;

namespace {
bool divides(std::size_t divisor, std::size_t quotient) {
  return ExactDivider(divisor)(quotient * divisor) == quotient;
}
}  // namespace

TEST_CASE("exact divider: every stride up to 5000, first, last and middle multiples") {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  bool all = true;
  for (std::size_t divisor = 1; divisor <= 5000; ++divisor)
    for (std::size_t const quotient :
         {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::min(std::size_t{1000003}, most / divisor),
          most / divisor / 2, most / divisor})
      all = all && divides(divisor, quotient);
  CHECK(all);
}

TEST_CASE("exact divider: random strides of all magnitudes") {
  std::mt19937_64 random(11);
  bool all = true;
  for (int i = 0; i != 200000; ++i) {
    auto const divisor = static_cast<std::size_t>((random() >> (random() % 60)) | 1) << (random() % 4);
    if (divisor == 0) continue;
    all = all && divides(divisor, static_cast<std::size_t>(random()) %
                                      (std::numeric_limits<std::size_t>::max() / divisor + (divisor != 1)));
  }
  CHECK(all);
  CHECK(divides(std::numeric_limits<std::size_t>::max(), 1));
  CHECK(divides((std::numeric_limits<std::size_t>::max() >> 1) + 1, 1));
  static_assert(ExactDivider(24)(240) == 10);
}

TEST_CASE("blocks: one block") {
  std::vector<std::byte> memory(24 * 10);
  Blocks<false> blocks;
  blocks.set_stride(24);
  CHECK(blocks.count() == 0);
  CHECK(blocks.find(memory.data()) == nullptr);
  blocks[0] = Block{.data = memory.data(), .end = memory.data() + 240, .slot_count = 10};
  CHECK(blocks.count() == 1);
  for (std::size_t i = 0; i != 10; ++i) CHECK(blocks.index_of(memory.data() + 24 * i) == i);
  CHECK(blocks.find(memory.data()) == &blocks[0]);
  CHECK(blocks.find(memory.data() + 239) == &blocks[0]);
  CHECK(blocks.find(memory.data() + 240) == nullptr);
  CHECK(blocks.find(memory.data() - 1) == nullptr);
  CHECK(blocks.find(nullptr) == nullptr);
}

TEST_CASE("blocks: many blocks, added in any order, are found by address") {
  constexpr std::size_t count = 33;
  constexpr std::size_t stride = 40;
  std::vector<std::byte> memory(count * 100 * stride);
  std::vector<GrowingBlock> records(count);
  std::vector<GrowingBlock*> directory(count);
  std::mt19937 random(5);
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i != count; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  Blocks<true> blocks;
  blocks.set_stride(stride);
  std::size_t first = 0;
  for (std::size_t n = 0; n != count; ++n) {
    std::size_t const slots = 1 + random() % 99;
    std::byte* const data = memory.data() + order[n] * 100 * stride;
    records[n] = GrowingBlock{{.data = data, .end = data + slots * stride, .slot_count = slots}, first};
    first += slots;
    directory[n] = &records[n];
    blocks.set_directory(directory.data(), n + 1);
    CHECK(blocks.count() == n + 1);
    std::size_t word = 0;
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      CHECK((b == 0 || blocks[b - 1].data < blocks[b].data));
      CHECK(blocks[b].word == word);
      word += words_for(blocks[b].slot_count);
      for (std::size_t w = blocks[b].word; w != word; ++w) CHECK(&blocks.of_word(w) == &blocks[b]);
    }
    for (std::size_t b = 0; b <= n; ++b) {
      GrowingBlock const& block = records[b];
      CHECK(blocks.find(block.data) == &block);
      CHECK(blocks.find(block.end - 1) == &block);
      CHECK((blocks.find(block.end) == nullptr || blocks.find(block.end)->data == block.end));
      CHECK(&blocks.of(block.end - stride) == &block);
      CHECK(blocks.index_of(block.data) == block.first);
      CHECK(blocks.index_of(block.end - stride) == block.first + block.slot_count - 1);
    }
  }
  CHECK(blocks.find(memory.data() - 1) == nullptr);
}
