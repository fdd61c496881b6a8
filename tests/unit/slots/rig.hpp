// SPDX-License-Identifier: MIT OR Apache-2.0
// A slot allocator alone, with blocks of its own, next to a model of what it should hold.
#pragma once

#include <fastalloc/slots/unrolled_lists.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace test {

template <class Policy, bool Growing, std::size_t Size = 16> class SlotRig {
 public:
  static constexpr std::size_t link = fastalloc::link_bytes<Policy>(Growing, Size);
  using Slots = typename Policy::template Slots<fastalloc::SlotShape<Size, 8, Growing, 0, link>>;
  static constexpr bool lowest_first = fastalloc::TracksOccupancy<Slots>;
  static constexpr bool marks = fastalloc::MarksReturns<Slots>;
  /// Neither: the slots of one part of the address space after those of another.
  static constexpr bool any_order = std::same_as<Policy, fastalloc::detail::UnrolledLists>;

  SlotRig() { blocks_.set_stride(Size); }

  void add_block(std::size_t slots) {
    sync();
    auto& block = memory_.emplace_back(std::make_unique<Memory>());
    block->bytes.resize(slots * Size / 8 + 1);
    auto* const data = reinterpret_cast<std::byte*>(block->bytes.data());
    block->record = fastalloc::GrowingBlock{{.data = data, .end = data + slots * Size, .slot_count = slots}, total()};
    bind_with(block.get());
  }

  /// Removes the block if all of its slots are free. Returns false otherwise.
  bool remove_block(std::size_t number, bool same_memory) requires Growing {
    sync();
    Memory const& gone = *memory_[number];
    auto const inside = [&](std::byte* slot) { return slot >= gone.record.data && slot < gone.record.end; };
    auto const returned = static_cast<std::size_t>(std::count_if(model_.begin(), model_.end(), inside));
    if (returned != gone.record.high_water) return false;
    allocator.erase_if(inside, blocks_);
    std::erase_if(model_, inside);
    low_water_ = model_.size();
    directory_.erase(std::find(directory_.begin(), directory_.end(), &memory_[number]->record));
    blocks_.set_directory(directory_.data(), directory_.size());
    bind(same_memory);
    memory_.erase(memory_.begin() + static_cast<std::ptrdiff_t>(number));
    return true;
  }

  /// A slot for the first time; null when all were handed out.
  std::byte* untouched() {
    for (auto const& m : memory_) {
      if (m->high_water == m->record.slot_count) continue;
      std::byte* const slot = m->record.data + m->high_water++ * Size;
      if constexpr (fastalloc::HearsOfUntouchedSlots<Slots>) allocator.untouched(slot, blocks_);
      live_.push_back(slot);
      return slot;
    }
    return nullptr;
  }

  /// Takes a slot and compares with the model.
  bool pop() {
    std::byte* expected = nullptr;
    if (any_order && !model_.empty()) {
      std::byte* const slot = allocator.pop(blocks_);
      live_.push_back(slot);
      return std::erase(model_, slot) == 1;
    }
    if (!model_.empty()) {
      auto const at = lowest_first ? std::min_element(model_.begin(), model_.end(), std::less<>{}) : model_.end() - 1;
      expected = *at;
      model_.erase(at);
      low_water_ = std::min(low_water_, model_.size());
    }
    std::byte* const slot = allocator.pop(blocks_);
    if (slot != nullptr) live_.push_back(slot);
    return slot == expected;
  }

  void push(std::size_t which) {
    std::byte* const slot = live_[which];
    live_[which] = live_.back();
    live_.pop_back();
    model_.push_back(slot);
    allocator.push(slot, blocks_);
  }

  bool drain() requires marks {
    std::vector<std::byte*> drained;
    bool const right = allocator.low_water() == low_water_;
    allocator.drain([&](std::byte* slot) { drained.push_back(slot); }, blocks_);
    std::vector<std::byte*> expected(model_.begin() + static_cast<std::ptrdiff_t>(low_water_), model_.end());
    std::sort(drained.begin(), drained.end());
    std::sort(expected.begin(), expected.end());
    low_water_ = model_.size();
    return right && drained == expected && allocator.low_water() == low_water_;
  }

  /// True when the allocator holds what the model holds.
  bool agrees() {
    sync();
    std::vector<std::byte*> held;
    allocator.for_each([&](std::byte* slot) { held.push_back(slot); }, blocks_);
    std::vector<std::byte*> expected = model_;
    bool right = allocator.size() == expected.size();
    if constexpr (marks) right = right && allocator.low_water() == low_water_;
    std::sort(held.begin(), held.end());
    std::sort(expected.begin(), expected.end());
    if constexpr (lowest_first) right = right && bits_agree(expected);
    return right && held == expected;
  }

  [[nodiscard]] std::size_t live() const { return live_.size(); }
  [[nodiscard]] std::size_t blocks() const { return memory_.size(); }
  [[nodiscard]] fastalloc::Blocks<Growing> const& map() const { return blocks_; }

  Slots allocator{};

 private:
  struct Memory {
    std::vector<std::uint64_t> bytes;
    fastalloc::GrowingBlock record;
    std::size_t high_water = 0;
  };

  [[nodiscard]] std::size_t total() const {
    std::size_t sum = 0;
    for (std::size_t b = 0; b != blocks_.count(); ++b) sum += blocks_[b].slot_count;
    return sum;
  }

  void bind_with(Memory* block) {
    if constexpr (Growing) {
      directory_.reserve(256);
      directory_.push_back(&block->record);
      blocks_.set_directory(directory_.data(), directory_.size());
    } else {
      blocks_[0] = block->record;
    }
    bind(false);
  }

  void bind(bool same_memory) {
    std::size_t const bytes = Slots::metadata_bytes(total(), blocks_.count());
    std::vector<std::uint64_t> memory;
    if (!same_memory) memory.assign(bytes / 8 + 2, 0xA5A5A5A5A5A5A5A5);
    allocator.bind(reinterpret_cast<std::byte*>(same_memory ? metadata_.data() : memory.data()), blocks_);
    if (!same_memory) metadata_.swap(memory);  // the old memory is valid until here
    if (!same_memory) guard_ = bytes;
  }

  void sync() {
    for (auto const& m : memory_) m->record.high_water = m->high_water;
    if constexpr (!Growing)
      if (!memory_.empty()) blocks_[0].high_water = memory_[0]->high_water;
    auto const* const bytes = reinterpret_cast<unsigned char const*>(metadata_.data());
    for (std::size_t i = guard_; i < metadata_.size() * 8; ++i) CHECK(bytes[i] == 0xA5);  // nothing behind its memory
  }

  bool bits_agree(std::vector<std::byte*> const& sorted) const {
    for (std::size_t b = 0; b != blocks_.count(); ++b)
      for (std::size_t w = 0; w != fastalloc::words_for(blocks_[b].high_water); ++w) {
        std::size_t const bits = allocator.free_bits(blocks_[b].word + w, blocks_);
        for (std::size_t i = 0; i != fastalloc::word_bits && w * fastalloc::word_bits + i < blocks_[b].high_water;
             ++i) {
          bool const free =
              std::binary_search(sorted.begin(), sorted.end(), blocks_[b].data + (w * fastalloc::word_bits + i) * Size);
          if (free != ((bits >> i & 1) != 0)) return false;
        }
      }
    return true;
  }

  fastalloc::Blocks<Growing> blocks_;
  std::vector<fastalloc::GrowingBlock*> directory_;
  std::vector<std::uint64_t> metadata_;
  std::size_t guard_ = 0;
  std::vector<std::unique_ptr<Memory>> memory_;
  std::vector<std::byte*> model_;  ///< returned slots, in the order they came back
  std::vector<std::byte*> live_;
  std::size_t low_water_ = 0;
};

}  // namespace test
