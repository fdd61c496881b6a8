// SPDX-License-Identifier: MIT OR Apache-2.0
// BitmapAllocator: one bit a slot, set while the slot is returned; always hands out the lowest address.
//
//   level 2                    |1|            bit i of level k+1 is set when word i of level k is not zero
//   level 1          |1|0|...  |              (a hierarchical bitmap: find-first-set once per level)
//   level 0    |0110|0000|...                 one bit a slot
//   word_      |1010|                         the lowest word that is not zero, checked out of level 0
//
// While a word is checked out, level 0 holds zero for it and the summary bits ignore it:
//   size() == (recent_ ? 1 : 0) + popcount(word_) + popcount(level 0)
//   the checked-out word < every nonzero word of level 0;    pop() returns recent_ when it is lower than all of them
// pop() and push() therefore mostly work on a member. The levels change only when a word becomes empty or nonempty;
// three read-modify-write chains per operation would take 16 ns instead of 4 (benchmarks/README.md). A slot that is
// returned and taken again at once never becomes a bit.
// Words of level 0 are cleared at the first use of their first slot, so construction is O(slots / 4096).
#pragma once

#include <fastalloc/slots/slot_allocator.hpp>

#include <bit>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: compact live sets (churn over millions of objects), iteration in address order, 1 bit a slot.
/// Complexity, for L levels (2 for 64 slots, 3 for 4096, 4 for a million, 5 for 64 million): most calls take 1 step.
/// pop() at most 2 L: one word per level down to the lowest bit, and one per level up while words become empty. push()
/// at most 2 L: one word is checked in, another out. Finding a block of a GrowingPool, unless it is the last one found,
/// is a binary search of log2 b + 1 steps. Only bind, for_each, erase_if, find_run and pop_run loop over words.
struct BitmapAllocator {
  static constexpr bool is_slot_policy = true;
  using takes_any_size = BitmapAllocator;  ///< see PoolTypes::shares_code

  template <class Shape> class Slots {
    using Block = BlockOf<Shape::growing>;
    using Word = std::size_t;
    static constexpr std::size_t bits = word_bits;
    static constexpr std::size_t max_levels = bits == 64 ? 11 : 7;

   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool keeps_last_freed = false;  // the lowest address comes first, not the last-freed slot

    static constexpr std::size_t metadata_bytes(std::size_t slot_count, std::size_t blocks) noexcept {
      std::size_t words = slot_count / bits + blocks;  // each block begins a new word
      std::size_t total = words;
      while (words > 1) total += words = words_for(words);
      return total * sizeof(Word);
    }

    void bind(std::byte* memory, Blocks<growing> const& blocks) noexcept {
      check_in();
      ++changes_;
      Word const* const old = level_[0];
      level_[0] = reinterpret_cast<Word*>(memory);
      std::size_t words = blocks.count();
      for (std::size_t b = 0; b != blocks.count(); ++b) {
        words += blocks[b].slot_count / bits;
        // Ascending order: where the memory is the same, words only move down.
        for (std::size_t i = 0; i != words_for(blocks[b].high_water); ++i)
          level_[0][blocks[b].word + i] = old[old_word(blocks[b]) + i];
      }
      for (levels_ = 1; words > 1; ++levels_) {
        level_[levels_] = level_[levels_ - 1] + words;
        words = words_for(words);
        for (std::size_t i = 0; i != words; ++i) level_[levels_][i] = 0;
      }
      for (std::size_t b = 0; b != blocks.count(); ++b)
        for (std::size_t i = 0; i != words_for(blocks[b].high_water); ++i)
          if (level_[0][blocks[b].word + i] != 0) set_summary(blocks[b].word + i);
    }

    FASTALLOC_ALWAYS_INLINE void untouched(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      Block const& block = detail::BlockLookup<Shape>::of(blocks, slot);
      std::size_t const place = blocks.place(block, slot);
      if (place % bits == 0) level_[0][block.word + place / bits] = 0;
    }

    FASTALLOC_ALWAYS_INLINE std::byte* pop(Blocks<growing> const& blocks) noexcept {
      if (recent_ != nullptr && is_lowest(recent_, blocks)) {
        --size_;
        return std::exchange(recent_, nullptr);
      }
      if (word_ == 0 && !check_out_lowest(blocks)) return nullptr;
      std::byte* const slot = data_ + lowest(word_) * stride_;
      word_ &= word_ - 1;
      --size_;
      return slot;
    }

    FASTALLOC_ALWAYS_INLINE void push(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      ++size_;
      std::byte* const before = std::exchange(recent_, slot);
      if (before != nullptr) insert(before, blocks);
    }

    [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t size() const noexcept { return size_; }

    template <class F> void for_each(F&& f, Blocks<growing> const& blocks) const {
      if (recent_ != nullptr) f(recent_);
      for (std::size_t b = 0; b != blocks.count(); ++b) {
        for (std::size_t i = 0; i != words_for(blocks[b].high_water); ++i) {
          for (Word word = bits_of(blocks[b].word + i); word != 0; word &= word - 1)
            f(blocks[b].data + (i * bits + lowest(word)) * blocks.stride());
        }
      }
    }

    /// Complexity: linear in size() and in slots / 64.
    template <class Predicate> void erase_if(Predicate&& predicate, Blocks<growing> const& blocks) noexcept {
      check_in();
      ++changes_;
      if (recent_ != nullptr && predicate(recent_)) recent_ = nullptr, --size_;
      for (std::size_t b = 0; b != blocks.count(); ++b) {
        for (std::size_t i = 0; i != words_for(blocks[b].high_water); ++i) {
          Word& word = level_[0][blocks[b].word + i];
          Word const before = word;
          for (Word rest = before; rest != 0; rest &= rest - 1) {
            if (!predicate(blocks[b].data + (i * bits + lowest(rest)) * blocks.stride())) continue;
            word &= ~(rest & (~rest + 1));
            --size_;
          }
          if (before != 0 && word == 0) clear_summary(blocks[b].word + i);
        }
      }
    }

    /// Complexity: one step per 64 slots that were handed out, and per 4096 slots.
    void clear(Blocks<growing> const& blocks) noexcept {
      recent_ = nullptr;
      word_ = current_ = size_ = 0;
      ++changes_;
      for (std::size_t b = 0; b != blocks.count(); ++b)
        for (std::size_t i = 0; i != words_for(blocks[b].high_water); ++i) level_[0][blocks[b].word + i] = 0;
      if (levels_ > 1)
        for (Word* word = level_[1]; word <= level_[levels_ - 1]; ++word) *word = 0;
    }

    [[nodiscard]] Word free_bits(std::size_t word, Blocks<growing> const& blocks) const noexcept {
      if (recent_ == nullptr) return bits_of(word);
      Block const& block = detail::BlockLookup<Shape>::of(blocks, recent_);
      std::size_t const place = blocks.place(block, recent_);
      return bits_of(word) | (block.word + place / bits == word ? Word{1} << place % bits : 0);
    }

    /// Moves all bits into level 0. Later returns show in recent_, all other changes of level 0 in changes_.
    std::size_t settle(Blocks<growing> const& blocks) noexcept {
      if (recent_ != nullptr) insert(std::exchange(recent_, nullptr), blocks), ++changes_;
      check_in();
      return changes_;
    }
    [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_settled(std::size_t since) const noexcept {
      return recent_ == nullptr && changes_ == since;
    }

    /// First fit by address. Complexity: a few steps and log n more for each word of the block up to the run.
    [[nodiscard]] std::size_t find_run(std::size_t n, Block const& block,
                                       Blocks<growing> const& blocks) const noexcept {
      if (n > block.slot_count) return block.slot_count;
      std::size_t begin = 0;  // of the run that reaches the current word
      for (std::size_t first = 0; first < block.high_water; first += bits) {
        Word free = free_bits(block.word + first / bits, blocks);
        // untouched, or behind the end of the block
        if (block.high_water - first < bits) free |= ~Word{0} << (block.high_water - first);
        std::size_t const end = first + static_cast<std::size_t>(std::countr_one(free));
        if ((end < block.slot_count ? end : block.slot_count) - begin >= n) return begin;
        if (free == ~Word{0}) continue;
        if (n < bits)
          if (std::size_t const at = run_in(free, n); at != bits && first + at <= block.slot_count - n)
            return first + at;
        begin = first + bits - static_cast<std::size_t>(std::countl_one(free));
      }
      return block.slot_count - begin >= n ? begin : block.slot_count;
    }
    void pop_run(std::size_t place, std::size_t n, Block const& block) noexcept {
      size_ -= n;
      while (n != 0) {
        std::size_t const word = block.word + place / bits;
        std::size_t const rest = bits - place % bits;
        std::size_t const count = n < rest ? n : rest;
        level_[0][word] &= ~(~Word{0} >> (bits - count) << place % bits);
        if (level_[0][word] == 0) clear_summary(word);
        place += count;
        n -= count;
      }
    }

   private:
    template <class> friend class fastalloc::detail::SavedState;

    /// The lowest of n adjacent set bits; `bits` when there are none. Each step halves the remaining length of the runs
    /// that start at a bit.
    static std::size_t run_in(Word word, std::size_t n) noexcept {
      for (std::size_t step = 1, left = n - 1; left != 0 && word != 0; step *= 2) {
        std::size_t const by = step < left ? step : left;
        word &= word >> by;
        left -= by;
      }
      return lowest(word);
    }
    static std::size_t old_word([[maybe_unused]] Block const& block) noexcept {
      if constexpr (growing) return block.old_word;
      else return 0;
    }
    static std::size_t lowest(Word word) noexcept { return static_cast<std::size_t>(std::countr_zero(word)); }

    [[nodiscard]] Word bits_of(std::size_t word) const noexcept {
      return word + 1 == current_ ? word_ : level_[0][word];
    }

    void set_summary(std::size_t word) noexcept {
      for (std::size_t level = 1; level < levels_; ++level, word /= bits) {
        Word const before = level_[level][word / bits];
        level_[level][word / bits] = before | Word{1} << word % bits;
        if (before != 0) return;
      }
    }
    void clear_summary(std::size_t word) noexcept {
      for (std::size_t level = 1; level < levels_; ++level, word /= bits)
        if ((level_[level][word / bits] &= ~(Word{1} << word % bits)) != 0) return;
    }

    void check_in() noexcept {
      if (word_ != 0) {
        level_[0][current_ - 1] = word_;
        set_summary(current_ - 1);
      }
      word_ = 0;
      current_ = 0;
    }

    void check_out(std::size_t word, Word also, Blocks<growing> const& blocks) noexcept {
      ++changes_;
      Word const stored = level_[0][word];
      if (stored != 0) {
        level_[0][word] = 0;
        clear_summary(word);
      }
      word_ = stored | also;
      current_ = word + 1;
      Block const& block = blocks.of_word(word);
      stride_ = blocks.stride();
      data_ = block.data + (word - block.word) * bits * stride_;
    }

    bool check_out_lowest(Blocks<growing> const& blocks) noexcept {
      if (size_ == (recent_ != nullptr ? 1 : 0)) return false;
      std::size_t word = 0;
      for (std::size_t level = levels_ - 1; level != 0; --level) word = word * bits + lowest(level_[level][word]);
      check_out(word, 0, blocks);
      return true;
    }

    /// If no word is checked out and slots other than recent_ are free, checks out the lowest word first.
    [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool is_lowest(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      if (word_ == 0 && !check_out_lowest(blocks)) return true;
      return reinterpret_cast<std::uintptr_t>(slot) < reinterpret_cast<std::uintptr_t>(data_ + lowest(word_) * stride_);
    }

    FASTALLOC_ALWAYS_INLINE void insert(std::byte* slot, Blocks<growing> const& blocks) noexcept {
      Block const& block = detail::BlockLookup<Shape>::of(blocks, slot);
      std::size_t const place = blocks.place(block, slot);
      std::size_t const word = block.word + place / bits;
      Word const bit = Word{1} << place % bits;
      if (word + 1 == current_) {
        word_ |= bit;
      } else if (word + 1 < current_) {
        check_in();
        check_out(word, bit, blocks);
      } else {
        Word const before = level_[0][word];
        level_[0][word] = before | bit;
        if (before == 0) set_summary(word);
      }
    }

    std::byte* recent_ = nullptr;  ///< the last-freed slot, in none of the words
    Word word_ = 0;                ///< bits of the checked-out word
    std::size_t current_ = 0;      ///< its number plus 1; 0 while no word is checked out
    std::byte* data_ = nullptr;    ///< the slot of bit 0 of word_
    std::size_t stride_ = 0;       ///< bytes
    std::size_t size_ = 0;         ///< returned slots
    std::size_t changes_ = 0;      ///< see settle()
    std::size_t levels_ = 0;
    Word* level_[max_levels] = {};
  };
};

static_assert(SlotAllocator<BitmapAllocator>);
static_assert(SlotAllocatorState<BitmapAllocator::Slots<SlotShape<16, 8, false>>>);
static_assert(DropsAll<BitmapAllocator::Slots<SlotShape<16, 8, true>>>);
static_assert(TakesRuns<BitmapAllocator::Slots<SlotShape<16, 8, false>>>);
static_assert(TracksOccupancy<BitmapAllocator::Slots<SlotShape<16, 8, true>>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
