// SPDX-License-Identifier: MIT OR Apache-2.0
// SegmentBlocks: the table that finds the block of an address, wherever the segments lie.
#include <fastalloc/slots/segments.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "support/catch.hpp"

using namespace fastalloc;

namespace {

constexpr std::size_t bytes = 256;  // of a segment; slots of 8 bytes from byte 64 on, and the record at the end
using SegmentsOfTest = detail::SegmentBlocks<bytes>;
static_assert(sizeof(GrowingBlock) + 64 + 8 <= bytes && sizeof(SegmentsOfTest) == sizeof(Blocks<true>));

/// Room for segments, most of which is never touched.
class Land {
 public:
  explicit Land(std::size_t segments) : memory_(std::malloc((segments + 2) * bytes)) {
    REQUIRE(memory_ != nullptr);
    auto const begin = reinterpret_cast<std::uintptr_t>(memory_);
    first_ = static_cast<std::byte*>(memory_) + (bytes - begin % bytes);
  }
  Land(Land const&) = delete;
  Land& operator=(Land const&) = delete;
  ~Land() { std::free(memory_); }

  [[nodiscard]] std::byte* at(std::size_t segment) const { return first_ + segment * bytes; }

 private:
  void* memory_;
  std::byte* first_;
};

/// Blocks of `slots` slots in segments of the land.
class Map {
 public:
  explicit Map(Land const& land) : land_(land) { blocks_.set_stride(8); }

  void set(std::vector<std::size_t> const& numbers, std::size_t slots = 10) {
    directory_.assign(numbers.size() * SlotShape<8, 8, true, 0, 0, true, 0, 0, 0, false, 32, bytes>::entries, nullptr);
    std::size_t first = 0;
    for (std::size_t i = 0; i != numbers.size(); ++i) {
      std::byte* const base = land_.at(numbers[i]);
      std::byte* const record = base + bytes - sizeof(GrowingBlock);
      directory_[i] = ::new (static_cast<void*>(record)) GrowingBlock{
          {.data = base + 64, .end = base + 64 + slots * 8, .slot_count = slots, .high_water = slots}, first};
      first += slots;
    }
    blocks_.set_directory(directory_.data(), numbers.size());
  }
  /// The first `count` entries stay, as after shrink_to_fit().
  void cut(std::size_t count) { blocks_.set_directory(blocks_.directory(), count); }

  [[nodiscard]] SegmentsOfTest const& blocks() const { return blocks_; }

  struct Steps {
    double mean = 0;
    std::size_t most = 0;
  };
  /// Entries that the searches for all blocks look at before the right one.
  [[nodiscard]] Steps steps() const {
    Steps result;
    std::size_t const size = 2 * blocks_.count();
    GrowingBlock* const* const table = blocks_.directory() + blocks_.count();
    for (std::size_t i = 0; i != size; ++i) {
      if (table[i] == nullptr) continue;
      std::size_t const steps = (i + size - SegmentsOfTest::home(table[i], size)) % size;
      result.mean += static_cast<double>(steps) / static_cast<double>(blocks_.count());
      result.most = std::max(result.most, steps);
    }
    return result;
  }
  /// All that a search tells of a segment that has, or has not, a block of ten slots.
  [[nodiscard]] bool tells(std::size_t number, bool has) const {
    std::byte* const base = land_.at(number);
    GrowingBlock const* const block =
        has ? reinterpret_cast<GrowingBlock*>(base + bytes - sizeof(GrowingBlock)) : nullptr;
    for (std::size_t const offset : {64U, 65U, 72U, 143U})
      if (blocks_.find(base + offset) != block || blocks_.find_near(base + offset) != block) return false;
    for (std::size_t const offset : {std::size_t{0}, std::size_t{63}, std::size_t{144}, bytes - 1})
      if (blocks_.find(base + offset) != nullptr || blocks_.find_near(base + offset) != nullptr) return false;
    return !has || blocks_.behind(base) == block;
  }

 private:
  Land const& land_;
  std::vector<GrowingBlock*> directory_;
  SegmentsOfTest blocks_;
};

std::vector<std::size_t> every(std::size_t distance, std::size_t count) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i != count; ++i) numbers.push_back(1 + i * distance);
  return numbers;
}

}  // namespace

TEST_CASE("segments: no blocks, and one") {
  Land const land(4);
  Map map(land);
  CHECK(map.blocks().find(nullptr) == nullptr);
  CHECK(map.blocks().find_near(&land) == nullptr);
  map.set({});
  CHECK(map.tells(1, false));
  map.set({2});
  CHECK(map.tells(1, false));
  CHECK(map.tells(2, true));
  CHECK(map.tells(3, false));
  CHECK(map.blocks().find(nullptr) == nullptr);
  CHECK(map.blocks().find(reinterpret_cast<void*>(~std::uintptr_t{0})) == nullptr);
}

TEST_CASE("segments: found and not found at any distance, by a few looks") {
  // The Fibonacci numbers are the worst distances for a hash by the golden ratio alone.
  for (std::size_t const distance : {1U, 2U, 3U, 8U, 55U, 64U, 144U, 512U, 987U}) {
    Land const land(300 * distance + 2);
    Map map(land);
    for (std::size_t const count : {8U, 300U}) {
      map.set(every(distance, count));
      bool right = true;
      for (std::size_t i = 0; i != count; ++i) {
        std::size_t const number = 1 + i * distance;
        right = right && map.tells(number, true) && (distance == 1 || map.tells(number + 1, false)) &&
                (distance == 1 || i == 0 || map.tells(number - 1, false));
      }
      right = right && map.tells(0, false) && map.tells(count * distance + 1, false);
      CHECK(right);
      auto const steps = map.steps();
      CAPTURE(distance, count, steps.mean, steps.most);
      CHECK((count < 300 || steps.mean <= 4));  // the addresses differ from run to run: 1.6 at most, as a rule
      CHECK((distance > 1 || steps.most <= 8));
    }
  }
}

TEST_CASE("segments: thousands side by side take as many looks as eight") {
  Land const land(10'000);
  Map map(land);
  for (std::size_t const count : {1U, 2U, 7U, 8U, 63U, 500U, 4'096U, 9'000U}) {
    map.set(every(1, count));
    auto const steps = map.steps();
    CAPTURE(count, steps.mean, steps.most);
    CHECK(steps.mean <= 0.6);
    CHECK(steps.most <= 8);
  }
}

TEST_CASE("segments: random ones come and go") {
  constexpr std::size_t most = 3'000;
  Land const land(most);
  Map map(land);
  std::mt19937 random(7);
  for (int round = 0; round != 40; ++round) {
    std::vector<std::size_t> numbers;
    std::vector<char> has(most);
    auto const share = 1 + random() % 9;
    for (std::size_t i = 1; i != most - 1; ++i)
      if (random() % 10 < share) numbers.push_back(i), has[i] = 1;
    map.set(numbers);
    CHECK(map.steps().mean < 1.5);
    auto const all = [&] {
      for (std::size_t i = 0; i != most; ++i)
        if (!map.tells(i, has[i] != 0)) return false;
      return true;
    };
    CHECK(all());
    std::size_t const kept = random() % numbers.size();
    for (std::size_t i = kept; i != numbers.size(); ++i) has[numbers[i]] = 0;
    map.cut(kept);
    CHECK(all());
  }
}
