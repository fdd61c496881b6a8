// SPDX-License-Identifier: MIT OR Apache-2.0
// Generations: a word for each slot, by which a key (index and generation) names one object of its pool, and never
// another.
//
//   word     | reserved | generation | keyed |       keyed: the object that lives there now has a key
//                                                   reserved: no object lives there, and the generation is given away
//
// A key holds the slot's keyed word at its creation, and is valid while the slot's word equals it. The end of a keyed
// object advances the word to the next generation, unkeyed; objects without keys use up no generations. When a slot's
// generations are used up, its word is `exhausted` permanently: objects live there as before, and key() returns the key
// that names nothing. A reserved word equals no key's, so get() finds nothing before build().
//
// Generations begin at a number specific to the pool, so keys of other pools are refused, except with a chance of 1 in
// 2^Bits - 1. The numbers of one process (of each library, if it hides its symbols) are spread by the golden ratio: a
// key of a pool made k pools earlier or later finds nothing until 2^Bits / 3k keyed objects have lived in one slot.
// With 30 bits and a hundred pools, that is 3.5 million objects a slot.
//
//   one block      | slots | words |                      words_[place], defined below known_
//   many blocks    directory_ -> | words, first slot |    an entry per page: 128 words, of adjacent slots of one block
//                                | words, addresses  | the same, of single slots: remainders of blocks, small blocks
//                  a slot ends with its index
//
// A word's index is its page's number times 128 plus its place there. Pages, and the words of singles, come from a list
// at a slot's first use, and return to it with its block; they outlive blocks, and their words continue where they
// were. So lookups read only memory that stays until the pool's end, and need no lock. Pages whose slots were never
// handed out are not touched.
#pragma once

#include <fastalloc/arithmetic.hpp>
#include <fastalloc/atomic_ref.hpp>
#include <fastalloc/slots/blocks.hpp>
#include <fastalloc/slots/keys.hpp>
#include <fastalloc/slots/short_key.hpp>
#include <fastalloc/storage/poison.hpp>

#include <cstdint>
#include <cstring>
#include <new>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: something outside refers to objects that may be gone: entity ids, network ids, scripts, undo lists.
/// Costs 4 bytes a slot; 8 and an eighth in growing pools, up to 16 in blocks of fewer than 128 slots. A slot serves
/// 2^Bits - 1 objects with keys; later objects get the key that names nothing. With LockFree all words are written at
/// construction. Complexity: lookups at most 3 steps, an object's end 1; in a growing pool the first slot of a page of
/// 128 takes 128. Growth: linear in the new block's pages.
///
/// BasicGenerations<Bits>: keys of 8 bytes with generations of so many bits; Generations: 30.
/// BasicGenerations<IndexBits, GenerationBits>: keys of 4 bytes where that is at most 32 bits in all; a pool of more
/// than 2^IndexBits slots is an error. Generations32: 20 bits of index, so 1,048,576 slots, and 4095 objects with keys
/// a slot.
template <int Bits, int GenerationBits> struct BasicGenerations {
  static constexpr int index_bits = GenerationBits == 0 ? 32 : Bits;
  static constexpr int generation_bits = GenerationBits == 0 ? Bits : GenerationBits;
  static_assert(generation_bits >= 1 && generation_bits <= 31,
                "fastalloc: a generation has 1 to 31 bits; write Generations for 30");
  static_assert(
      index_bits >= 1 && index_bits <= 32,
      "fastalloc: the index in a key has 1 to 32 bits; write BasicGenerations<20, 12>, or Generations for 32");
  using Key = typename std::conditional_t<(index_bits + generation_bits <= 32),
                                          std::type_identity<ShortKey<index_bits, generation_bits>>,
                                          std::type_identity<fastalloc::Key>>::type;
};

static_assert(KeysPolicy<Generations> && KeysPolicy<Generations32>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Writes under the pool's lock. Publishes the value, and all earlier writes, to readers without the lock.
template <class V> FASTALLOC_ALWAYS_INLINE void publish(V& place, std::type_identity_t<V> value) noexcept {
  AtomicRef(place).store(value, std::memory_order_release);  // release: pairs with the acquire in look()
}
/// `shared`: reads without the lock, while other threads may publish.
template <bool shared, class V> [[nodiscard]] FASTALLOC_ALWAYS_INLINE V look(V const& place) noexcept {
  if constexpr (!shared) return place;
  // acquire: pairs with the release in publish()
  else return AtomicRef(const_cast<V&>(place)).load(std::memory_order_acquire);
}

/// The operations on words; the classes below place them.
template <int Bits> class GenerationWords {
 public:
  static constexpr GenerationWord exhausted = 0;
  static constexpr bool can_reserve = Bits < 31;
  static constexpr GenerationWord reserved = can_reserve ? GenerationWord{1} << 31 : 0;

  /// True for a generation that key() may return.
  [[nodiscard]] static constexpr bool is_generation(GenerationWord generation) noexcept {
    return generation > 1 && (generation & ~(mask - 1)) == 0;
  }
  /// True if the word's slot holds no object yet.
  [[nodiscard]] bool is_reserved(GenerationWord& word) const noexcept {
    // relaxed: the lock orders reservations
    return reserved_count_ != 0 && (AtomicRef(word).load(std::memory_order_relaxed) & reserved) != 0;
  }
  [[nodiscard]] std::size_t reserved_count() const noexcept { return reserved_count_; }
  /// Gives away the generation of a slot without an object. Returns: it; 0 when none is left. Requires: the lock.
  [[nodiscard]] GenerationWord reserve_word(GenerationWord& word) noexcept {
    GenerationWord const now = word;
    if (now != exhausted) change(word, now | reserved), ++reserved_count_;
    return now;
  }
  /// Ends a reservation; `word` becomes `now`. Requires: the lock.
  void unreserve_word(GenerationWord& word, GenerationWord now) noexcept { change(word, now), --reserved_count_; }
  /// Ends the object, or the reservation. Requires: the lock.
  void end_or_cancel(GenerationWord& word) noexcept {
    if (is_reserved(word)) unreserve_word(word, after(word & ~reserved));
    else end(word);
  }
  /// The word behind that of a key.
  [[nodiscard]] GenerationWord after(GenerationWord generation) const noexcept { return next(generation | 1); }
  /// Sets the word of a slot whose object the caller owns.
  static void change(GenerationWord& word, GenerationWord now) noexcept {
    AtomicRef(word).store(now, std::memory_order_release);  // release: pairs with the acquire in is()
  }

  /// The generation of the object's key, assigned at the first call. Returns: 0 when none is left. Requires: the
  /// calling thread owns the object.
  [[nodiscard]] static GenerationWord key(GenerationWord& word) noexcept {
    AtomicRef const at(word);
    GenerationWord const now = at.load(std::memory_order_relaxed);  // relaxed: the handover between owners orders it
    if (now == exhausted) [[unlikely]]
      return 0;
    FASTALLOC_ASSUME(now != 1);
    at.store(now | 1, std::memory_order_release);  // release: pairs with the acquire in is()
    return now & ~GenerationWord{1};
  }
  /// True when the word is `wanted`. No word is 1, so the key 0 is never valid.
  template <bool shared>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool is(GenerationWord& word, GenerationWord wanted) noexcept {
    if constexpr (!shared) return word == wanted;
    // acquire: pairs with the release in key()
    else return AtomicRef(word).load(std::memory_order_acquire) == wanted;
  }
  /// Ends the object.
  FASTALLOC_ALWAYS_INLINE void end(GenerationWord& word) const noexcept {
    AtomicRef const at(word);
    GenerationWord const now = at.load(std::memory_order_relaxed);  // relaxed: the handover between owners orders it
    // release: readers that found the object saw it alive
    if ((now & 1) != 0) at.store(next(now), std::memory_order_release);
  }

 protected:
  /// `number`: any value; the distances between numbers carry over to the first generations of pools.
  void seed(GenerationWord number) noexcept {
    constexpr std::uint64_t values = (std::uint64_t{1} << Bits) - 1;  // 1 to `values`
    start_ = static_cast<GenerationWord>(1 + (number * values >> 32)) << 1;
  }
  GenerationWord start_ = 0;           ///< the first word of slots never used
  GenerationWord reserved_count_ = 0;  ///< slots

 private:
  static constexpr GenerationWord mask = static_cast<GenerationWord>((std::uint64_t{2} << Bits) - 1);
  [[nodiscard]] GenerationWord next(GenerationWord now) const noexcept {
    GenerationWord const after = (now + 1) & mask;
    GenerationWord const valid = after == 0 ? 2 : after;
    return valid == start_ ? exhausted : valid;
  }
};

/// The words of a pool of one block.
template <class Shape> class BlockGenerations : public GenerationWords<Shape::generation_bits> {
 public:
  static constexpr std::size_t block_bytes(std::size_t slot_count) noexcept {
    return slot_count * sizeof(GenerationWord);
  }

  /// `at_once`: untouched() will not be called. `number`: the seed of the words.
  void bind(std::byte* memory, std::size_t slot_count, bool at_once,
            GenerationWord number = next_generation_seed()) noexcept {
    this->seed(number);
    words_ = reinterpret_cast<GenerationWord*>(memory);
    if (!at_once) return;
    for (std::size_t i = 0; i != slot_count; ++i) words_[i] = this->start_;
    publish(known_, slot_count);
  }
  /// Joins the words that another process bound to this memory.
  void join(std::byte* memory, std::size_t slot_count, GenerationWord number) noexcept {
    this->seed(number);
    words_ = reinterpret_cast<GenerationWord*>(memory);
    publish(known_, slot_count);
  }
  // For SavedState.
  [[nodiscard]] std::size_t known() const noexcept { return known_; }
  [[nodiscard]] GenerationWord const* words() const noexcept { return words_; }
  [[nodiscard]] GenerationWord start() const noexcept { return this->start_; }
  /// Effects: replaces all words by `count` others. Requires: no thread looks a key up meanwhile.
  void restore(std::byte const* words, std::size_t count, GenerationWord start,
               GenerationWord reserved_slots) noexcept {
    if (count != 0) std::memcpy(words_, words, count * sizeof(GenerationWord));
    known_ = count;
    this->start_ = start;
    this->reserved_count_ = reserved_slots;
  }
  /// Called at a slot's first use; again if the slot was not used after all.
  FASTALLOC_ALWAYS_INLINE void untouched(std::byte*, Block const&, std::size_t place, std::size_t) noexcept {
    if (place < known_) return;
    words_[place] = this->start_;
    publish(known_, place + 1);
  }
  /// Ends the keys of all slots that were handed out.
  void end_all(Block const& block, std::size_t) noexcept {
    for (std::size_t i = 0; i != block.high_water; ++i) this->end_or_cancel(words_[i]);
  }
  template <class Blocks> [[nodiscard]] std::size_t index(std::byte const* slot, Blocks const& blocks) const noexcept {
    return blocks.place(blocks[0], slot);
  }
  [[nodiscard]] GenerationWord& word_at(std::size_t index) const noexcept { return words_[index]; }

  /// The slot of an index whose word is `wanted`. Returns: null if the word is another one. `shared`: other threads
  /// change the pool meanwhile.
  template <bool shared, class Blocks>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find(std::size_t index, GenerationWord wanted,
                                                        Blocks const& blocks) const noexcept {
    if (index >= look<shared>(known_)) return nullptr;
    return this->template is<shared>(words_[index], wanted) ? blocks[0].data + index * blocks.stride() : nullptr;
  }

 private:
  GenerationWord* words_ = nullptr;
  std::size_t known_ = 0;  ///< initialised words
};

/// The words of a pool of several blocks. Data that lookups do not read change under the pool's lock.
///
/// known_ / page_slots pages were opened; the directory continues with those that blocks will open. spare_pages_ and
/// spare_singles_ are those that no present block will need:
///   spare_pages_   == pages in the list + pages never opened - pages that blocks have not opened yet
///   spare_singles_ == singles in the list - singles that blocks have not opened yet
template <class Shape> class PagedGenerations : public GenerationWords<Shape::generation_bits> {
  using Block = GrowingBlock;
  using Index = std::uint32_t;

 public:
  static constexpr std::size_t page_slots = 128;

 private:
  static constexpr std::size_t page_bytes = page_slots * sizeof(GenerationWord);
  static constexpr Index none = 0xFFFF'FFFE;    ///< ends a list
  static constexpr std::uintptr_t singles = 1;  ///< in Entry::base; a page's first slot is at an even address
  /// Of the directory. Addresses are biased: those that index 0 would have if the page began with it.
  struct Entry {
    std::uintptr_t words;
    std::uintptr_t base;  ///< or + `singles`: of their addresses. In a listed page: the index of the next one
  };
  /// A piece of acquired memory, in a list.
  struct Memory {
    Memory* next;
    std::size_t bytes;
  };

 public:
  static_assert(Shape::index_bits >= 7,
                "fastalloc: a pool that grows keeps generations in pages of 128 slots; give the index 7 bits or more");
  /// The index `none` is no slot's.
  static constexpr std::size_t max_pages =
      (std::uint64_t{1} << Shape::index_bits) / page_slots - (Shape::index_bits == 32 ? 1 : 0);
  static constexpr std::size_t max_slots = max_pages * page_slots;
  static constexpr std::size_t block_bytes(std::size_t) noexcept { return 0; }
  static constexpr std::size_t pages_for(std::size_t slot_count) noexcept {
    return slot_count / page_slots + (slot_count % page_slots != 0);
  }

  /// Slots of a new block that go into pages of their own. The others, fewer than a third of a page, are singles,
  /// unless the pool is small.
  [[nodiscard]] std::size_t paged(std::size_t slot_count) const noexcept {
    std::size_t const rest = slot_count % page_slots;
    return 3 * rest < page_slots && made_ >= 2 ? slot_count - rest : slot_count;
  }

  /// Effects: provides the words of a block of `slot_count` slots, `paged` of them in pages. `acquire(bytes)` returns
  /// memory or null.
  /// Returns: false without memory, or (`full`) when no index is left. Complexity: linear in the new pages.
  template <class Acquire>
  [[nodiscard]] bool reserve(std::size_t slot_count, std::size_t paged, bool& full, Acquire&& acquire) noexcept {
    if (this->start_ == 0) this->seed(next_generation_seed());
    std::size_t const wanted = pages_for(paged);
    std::size_t const pages = wanted > spare_pages_ ? wanted - spare_pages_ : 0;
    bool const needs_singles = slot_count - paged > spare_singles_;
    full = pages + needs_singles > max_pages - made_;
    if (full || !widen(made_ + pages + needs_singles, acquire)) return false;
    if (pages != 0) {
      std::byte* words = remember(pages * page_bytes, acquire);
      if (words == nullptr) return false;
      for (std::size_t p = 0; p != pages; ++p, words += page_bytes)
        ::new (static_cast<void*>(&directory_[made_++])) Entry{reinterpret_cast<std::uintptr_t>(words), 0};
      spare_pages_ += static_cast<Index>(pages);
    }
    if (!needs_singles) return true;
    std::byte* const memory = remember(page_slots * sizeof(std::uintptr_t) + page_bytes, acquire);
    if (memory != nullptr) add_singles(memory);
    return memory != nullptr;
  }
  /// Registers a new block. Requires: reserve() was called for it.
  void join(Block& block, std::size_t paged) noexcept {
    block.paged = paged;
    spare_pages_ -= static_cast<Index>(pages_for(paged));
    spare_singles_ -= static_cast<Index>(block.slot_count - paged);
  }
  /// Removes a block. Requires: Block::high_water is up to date, and no key of it is valid. Complexity: linear in its
  /// pages.
  void leave(Block const& block, std::size_t stride) noexcept {
    for (std::size_t place = 0; place < block.paged && place < block.high_water; place += page_slots)
      push_page(index_in(block.data + place * stride));
    for (std::size_t place = block.paged; place < block.high_water; ++place)
      push_single(index_in(block.data + place * stride));
    spare_pages_ += static_cast<Index>(pages_for(block.paged));
    spare_singles_ += static_cast<Index>(block.slot_count - block.paged);
  }
  /// Ends the keys of all slots of a block that were handed out. Reads one slot a page, and each single.
  void end_all(Block const& block, std::size_t stride) noexcept {
    for (std::size_t place = 0, n = 0; place < block.high_water; place += n) {
      std::size_t const index = index_in(block.data + place * stride);
      n = place < block.paged ? smaller(page_slots, smaller(block.paged, block.high_water) - place) : 1;
      for (std::size_t i = 0; i != n; ++i) this->end_or_cancel(word_at(index + i));
    }
  }
  /// Effects: the slots of a block are untouched again. Requires: as leave().
  void restart(Block& block, std::size_t stride) noexcept { leave(block, stride), join(block, block.paged); }
  /// Calls release(memory, bytes) for all acquired memory.
  template <class Release> void clear(Release&& release) noexcept {
    while (memory_ != nullptr) {
      Memory* const memory = std::exchange(memory_, memory_->next);
      release(reinterpret_cast<std::byte*>(memory), memory->bytes);
    }
  }

  /// Of all acquired memory.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (Memory const* memory = memory_; memory != nullptr; memory = memory->next) sum += memory->bytes;
    return sum;
  }

  /// Called at a slot's first use.
  void untouched(std::byte* slot, Block const& block, std::size_t place, std::size_t stride) noexcept {
    Index const index = place >= block.paged      ? pop_single(slot)
                        : place % page_slots == 0 ? pop_page(slot, stride)
                                                  : index_in(slot - stride) + 1;
    unpoison(slot, Shape::size);
    std::memcpy(slot + Shape::index_offset, &index, sizeof index);
    if constexpr (Shape::poisons) poison(slot, Shape::payload);
  }
  /// Reverts untouched(): the slot was not used, and its first use is still to come.
  void unused(std::byte const* slot, Block const& block, std::size_t place) noexcept {
    if (place >= block.paged) push_single(index_in(slot));
    else if (place % page_slots == 0) push_page(index_in(slot));
  }
  template <class Blocks> [[nodiscard]] std::size_t index(std::byte const* slot, Blocks const&) const noexcept {
    return index_in(slot);
  }
  [[nodiscard]] GenerationWord& word_at(std::size_t index) const noexcept {
    return word_in(look<true>(directory_)[index / page_slots], index);
  }

  template <bool shared, class Blocks>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find(std::size_t index, GenerationWord wanted,
                                                        Blocks const& blocks) const noexcept {
    if (index >= look<shared>(known_)) return nullptr;
    Entry const& entry = look<shared>(directory_)[index / page_slots];
    if (!this->template is<shared>(word_in(entry, index), wanted)) return nullptr;
    std::uintptr_t const base = look<shared>(entry.base);
    if ((base & singles) != 0) [[unlikely]]
      return reinterpret_cast<std::byte*>(look<shared>(single_in(base, index)));
    return reinterpret_cast<std::byte*>(base + index * blocks.stride());
  }

 private:
  static Index index_in(std::byte const* slot) noexcept {
    Index index = 0;
    std::memcpy(&index, slot + Shape::index_offset, sizeof index);
    return index;
  }
  static GenerationWord& word_in(Entry const& entry, std::size_t index) noexcept {
    return *reinterpret_cast<GenerationWord*>(entry.words + index * sizeof(GenerationWord));
  }
  /// The address of a single slot; for a listed one, the index of the next.
  static std::uintptr_t& single_in(std::uintptr_t base, std::size_t index) noexcept {
    return *reinterpret_cast<std::uintptr_t*>(base - singles + index * sizeof(std::uintptr_t));
  }
  std::uintptr_t& single(std::size_t index) noexcept { return single_in(directory_[index / page_slots].base, index); }

  /// Initialises the words of a page; `base` as in Entry.
  void open_page(Entry& entry, std::uintptr_t words, std::uintptr_t base) noexcept {
    for (std::size_t i = 0; i != page_slots; ++i) reinterpret_cast<GenerationWord*>(words)[i] = this->start_;
    ::new (static_cast<void*>(&entry)) Entry{words - known_ * sizeof(GenerationWord), base};
    publish(known_, known_ + page_slots);
  }
  Index pop_page(std::byte* slot, std::size_t stride) noexcept {
    Index const index = free_page_ != none ? free_page_ : static_cast<Index>(known_);
    Entry& entry = directory_[index / page_slots];
    std::uintptr_t const base = reinterpret_cast<std::uintptr_t>(slot) - index * stride;
    if (index != free_page_) return open_page(entry, entry.words, base), index;
    free_page_ = static_cast<Index>(entry.base);
    publish(entry.base, base);
    return index;
  }
  void push_page(Index index) noexcept {
    publish(directory_[index / page_slots].base, std::exchange(free_page_, index));
  }
  Index pop_single(std::byte* slot) noexcept {
    Index const index = free_single_;
    free_single_ = static_cast<Index>(single(index));
    publish(single(index), reinterpret_cast<std::uintptr_t>(slot));
    return index;
  }
  void push_single(Index index) noexcept { publish(single(index), std::exchange(free_single_, index)); }

  /// Effects: adds a page of singles, before the pages never opened.
  void add_singles(std::byte* memory) noexcept {
    Entry& entry = directory_[known_ / page_slots];
    if (made_ != known_ / page_slots) ::new (static_cast<void*>(&directory_[made_])) Entry(entry);
    ++made_;
    auto* const addresses = reinterpret_cast<std::uintptr_t*>(memory);
    for (std::size_t i = page_slots; i-- != 0;)
      addresses[i] = std::exchange(free_single_, static_cast<Index>(known_ + i));
    spare_singles_ += static_cast<Index>(page_slots);
    open_page(entry, reinterpret_cast<std::uintptr_t>(addresses + page_slots),
              reinterpret_cast<std::uintptr_t>(addresses) - known_ * sizeof *addresses + singles);
  }
  /// Effects: makes room for `pages` entries in the directory.
  template <class Acquire> [[nodiscard]] bool widen(std::size_t pages, Acquire&& acquire) noexcept {
    if (pages <= room_) return true;
    std::size_t const room = pages < 2 * std::size_t{room_} ? 2 * std::size_t{room_} : pages;
    auto* const entries = reinterpret_cast<Entry*>(remember(room * sizeof(Entry), acquire));
    if (entries == nullptr) return false;
    for (std::size_t p = 0; p != made_; ++p) ::new (static_cast<void*>(&entries[p])) Entry(directory_[p]);
    room_ = static_cast<Index>(room);
    publish(directory_, entries);
    return true;
  }
  template <class Acquire> [[nodiscard]] std::byte* remember(std::size_t bytes, Acquire&& acquire) noexcept {
    std::byte* const memory = acquire(bytes + sizeof(Memory));
    if (memory == nullptr) return nullptr;
    memory_ = ::new (static_cast<void*>(memory)) Memory{memory_, bytes + sizeof(Memory)};
    return memory + sizeof(Memory);
  }

  Entry* directory_ = nullptr;
  std::size_t known_ = 0;  ///< initialised words; a multiple of page_slots
  Memory* memory_ = nullptr;
  Index room_ = 0;  ///< entries that fit into the memory
  Index made_ = 0;  ///< initialised entries
  Index spare_pages_ = 0;
  Index spare_singles_ = 0;
  Index free_page_ = none;  ///< the list of opened pages without a block, by their first index
  Index free_single_ = none;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
