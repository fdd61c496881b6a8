// SPDX-License-Identifier: MIT OR Apache-2.0
// The keys axis: a word for each slot, by which a key (index and generation) names one object and never another.
//
//   word     | generation | keyed |       keyed: somebody made a key for the object that is there now
//
// A key holds the keyed word of its time; it is valid exactly while the slot's word equals it. The end of a keyed object
// moves the word on to the next generation, unkeyed; objects for which nobody made a key wear nothing. When a slot's generations are
// used up its word is `worn`, and the slot is not handed out again. Generations begin at a number of the pool's own, so keys of
// other pools are refused: in one process always; in memory that processes share but for a chance of 1 in 2^Bits.
//
//   one block      | slots | words |                         words_[place], defined below known_
//   many blocks    directory_ -> | words, first slot | ...   an entry a page of slots; a block begins a page
//                  a slot ends with its index
//
// Pages outlive the blocks: when a block comes again where one was, its words go on from where they were. So lookups read only memory
// that stays until the pool's end, and need no lock. A page that no slot was handed out from is never touched.
#pragma once

#include <fastalloc/slots/blocks.hpp>
#include <fastalloc/storage/poison.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <new>

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the keys axis: `P::generation_bits`, or 0 for none.
template <class P>
concept KeysPolicy = requires {
  { P::generation_bits } -> std::convertible_to<int>;
};

/// Default: no keys, 0 bytes.
struct NoKeys {
  static constexpr int generation_bits = 0;
};

/// When to use: something outside refers to objects that may be gone: entity ids, network ids, scripts, undo lists. 4 bytes a slot,
/// 8 and an eighth in pools that grow. A slot serves 2^Bits - 1 objects that had keys, and is then retired: capacity() falls by one, until a
/// pool that may acquire blocks needs it again (up to the capacity it began with, with every growth strategy). With LockFree all words are
/// written at construction. Complexity: lookups at most 3 steps, an object's end 1; the first slot of a page of 128 in a pool that grows 128. Growth: linear in the pages.
template <int Bits>
struct BasicGenerations {
  static_assert(Bits >= 1 && Bits <= 31, "fastalloc: a generation has 1 to 31 bits; write Generations for 31");
  static constexpr int generation_bits = Bits;
};

static_assert(KeysPolicy<NoKeys> && KeysPolicy<Generations>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_STATE {

/// Shared by pools of all modes, so not in one of their namespaces. The numbers at which pools begin, one after the other scattered (a multiple of an odd constant meets each value once).
FASTALLOC_ONE std::atomic<std::uint32_t> generation_seed{0};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_MODE {

using GenerationWord = std::uint32_t;

/// A number that no other pool of the process gets.
[[nodiscard]] inline GenerationWord next_generation_seed() noexcept {
  constexpr GenerationWord step = 0x9E3779B9U;
  if constexpr (std::atomic<GenerationWord>::is_always_lock_free) {
    return generation_seed.fetch_add(step, std::memory_order_relaxed);  // relaxed: a number that nobody else gets
  } else {  // one core that cannot add at once (Cortex-M0): a pool that an interrupt handler opens meanwhile may get the same number
    GenerationWord const number = generation_seed.load(std::memory_order_relaxed);  // relaxed: as above
    generation_seed.store(number + step, std::memory_order_relaxed);                // relaxed: as above
    return number;
  }
}

/// Written under the pool's lock, and seen by those who look without it, with all that was written before.
template <class V> FASTALLOC_ALWAYS_INLINE void publish(V& place, std::type_identity_t<V> value) noexcept {
  std::atomic_ref(place).store(value, std::memory_order_release);  // release: pairs with the acquire in look()
}
/// `shared`: without the lock, while others may publish.
template <bool shared, class V> [[nodiscard]] FASTALLOC_ALWAYS_INLINE V look(V const& place) noexcept {
  if constexpr (!shared) return place;
  else return std::atomic_ref(const_cast<V&>(place)).load(std::memory_order_acquire);  // acquire: pairs with the release in publish()
}

/// What words do; where they are is for the classes below.
template <int Bits>
class GenerationWords {
 public:
  static constexpr GenerationWord worn = 0;

  /// The generation of the object's key; it gets one where it has none yet. By threads that own the object.
  [[nodiscard]] static GenerationWord key(GenerationWord& word) noexcept {
    std::atomic_ref const at(word);
    GenerationWord const now = at.load(std::memory_order_relaxed) | 1;  // relaxed: owners hear of objects in order
    at.store(now, std::memory_order_release);                           // release: pairs with the acquire in is()
    return now & ~GenerationWord{1};
  }
  /// True when the word is that of a key. No word is 1, so the key 0 is never valid.
  template <bool shared> [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool is(GenerationWord& word, GenerationWord generation) noexcept {
    if constexpr (!shared) return word == (generation | 1);
    else return std::atomic_ref(word).load(std::memory_order_acquire) == (generation | 1);  // acquire: pairs with the release in key()
  }
  [[nodiscard]] static bool is_worn(GenerationWord& word) noexcept {
    return std::atomic_ref(word).load(std::memory_order_relaxed) == worn;  // relaxed: written by the slot's last owner
  }
  /// The object's end.
  FASTALLOC_ALWAYS_INLINE void end(GenerationWord& word) const noexcept {
    std::atomic_ref const at(word);
    GenerationWord const now = at.load(std::memory_order_relaxed);  // relaxed: owners hear of objects in order
    if ((now & 1) != 0) at.store(next(now), std::memory_order_release);  // release: the object was still there for those who found it
  }

 protected:
  void seed(GenerationWord number) noexcept { start_ = next(number | 1, 0); }
  GenerationWord start_ = 0;  ///< of slots that nothing lived in yet

 private:
  [[nodiscard]] GenerationWord next(GenerationWord now, GenerationWord last) const noexcept {
    constexpr GenerationWord mask = static_cast<GenerationWord>((std::uint64_t{2} << Bits) - 1);
    GenerationWord const after = (now + 1) & mask;
    GenerationWord const valid = after == worn ? 2 : after;
    return valid == last ? worn : valid;
  }
  [[nodiscard]] GenerationWord next(GenerationWord now) const noexcept { return next(now, start_); }
};

/// For pools without keys.
struct NoGenerations {
  static constexpr std::size_t block_bytes(std::size_t) noexcept { return 0; }
};

/// The words of a pool of one block.
template <class Shape>
class BlockGenerations : public GenerationWords<Shape::generation_bits> {
 public:
  static constexpr std::size_t block_bytes(std::size_t slot_count) noexcept { return slot_count * sizeof(GenerationWord); }

  /// `at_once`: fresh() will not be called.
  /// `number`: what the words follow from.
  void bind(std::byte* memory, std::size_t slot_count, bool at_once, GenerationWord number) noexcept {
    this->seed(number);
    words_ = reinterpret_cast<GenerationWord*>(memory);
    if (!at_once) return;
    for (std::size_t i = 0; i != slot_count; ++i) words_[i] = this->start_;
    publish(known_, slot_count);
  }
  /// The words are those that another process bound to this memory.
  void join(std::byte* memory, std::size_t slot_count, GenerationWord number) noexcept {
    this->seed(number);
    words_ = reinterpret_cast<GenerationWord*>(memory);
    publish(known_, slot_count);
  }
  /// A slot is handed out for the first time; for the second where it was not used after all.
  FASTALLOC_ALWAYS_INLINE void fresh(std::byte*, Block const&, std::size_t place) noexcept {
    if (place < known_) return;
    words_[place] = this->start_;
    publish(known_, place + 1);
  }
  template <class Blocks> [[nodiscard]] std::size_t index(std::byte const* slot, Blocks const& blocks) const noexcept {
    return blocks.place(blocks[0], slot);
  }
  [[nodiscard]] GenerationWord& word_at(std::size_t index) const noexcept { return words_[index]; }

  /// The slot of a key, or null where it is stale. `shared`: other threads change the pool meanwhile.
  template <bool shared, class Blocks>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find(std::size_t index, GenerationWord generation, Blocks const& blocks) const noexcept {
    if (index >= look<shared>(known_)) return nullptr;
    return this->template is<shared>(words_[index], generation) ? blocks[0].data + index * blocks.stride() : nullptr;
  }

 private:
  GenerationWord* words_ = nullptr;
  std::size_t known_ = 0;  ///< words that have a value
};

/// The words of a pool of many blocks.
template <class Shape>
class PagedGenerations : public GenerationWords<Shape::generation_bits> {
  using Block = GrowingBlock;
  static constexpr std::size_t page_slots = 128;
  static constexpr std::size_t page_bytes = page_slots * sizeof(GenerationWord);
  /// Of the directory.
  struct Entry {
    GenerationWord* words;  ///< `unused`, which no key equals, before the first slot is handed out
    std::byte* base;        ///< the first slot of the page; before that, the memory for the words
  };
  static inline GenerationWord unused[page_slots] = {};
  /// What was acquired, in a list.
  struct Memory {
    Memory* next;
    std::size_t bytes;
  };

 public:
  static constexpr std::size_t max_pages = (std::uint64_t{1} << 32) / page_slots;  ///< a key has 32 bits for the index
  static constexpr std::size_t block_bytes(std::size_t) noexcept { return 0; }
  static constexpr std::size_t max_slots = max_pages * page_slots - 1;
  static constexpr std::size_t pages_for(std::size_t slot_count) noexcept { return slot_count / page_slots + (slot_count % page_slots != 0); }

  /// The first page of `count` that no block has. Complexity: linear in the blocks; quadratic where some in the middle went.
  template <class Blocks> [[nodiscard]] static std::size_t find_pages(std::size_t count, Blocks const& blocks) noexcept {
    std::size_t page = 0;
    for (std::size_t b = 0; b != blocks.count();) {
      std::size_t const end = blocks[b].page + pages_for(blocks[b].slot_count);
      bool const overlaps = blocks[b].page < page + count && page < end;
      page = overlaps ? end : page;
      b = overlaps ? 0 : b + 1;
    }
    return page;
  }

  /// Effects: there is a directory with `pages` entries. `acquire(bytes)` returns memory or null. Returns: false, and
  /// nothing changed, where there is none.
  template <class Acquire> [[nodiscard]] bool reserve(std::size_t pages, Acquire&& acquire) noexcept {
    if (this->start_ == 0) this->seed(next_generation_seed());
    if (pages <= pages_) return true;
    Entry* entries = directory_;
    if (pages > room_) {
      std::size_t const room = pages < 2 * room_ ? 2 * room_ : pages;
      entries = reinterpret_cast<Entry*>(remember(room * sizeof(Entry), acquire));
      if (entries == nullptr) return false;
      for (std::size_t p = 0; p != pages_; ++p) ::new (static_cast<void*>(&entries[p])) Entry(directory_[p]);
      room_ = room;
      publish(directory_, entries);
    }
    std::byte* words = remember((pages - pages_) * page_bytes, acquire);
    if (words == nullptr) return false;
    for (std::size_t p = pages_; p != pages; ++p, words += page_bytes)
      ::new (static_cast<void*>(&entries[p])) Entry{unused, words};
    publish(pages_, pages);
    return true;
  }
  /// Calls release(memory, bytes) for all that was acquired.
  template <class Release> void clear(Release&& release) noexcept {
    while (memory_ != nullptr) {
      Memory* const memory = std::exchange(memory_, memory_->next);
      release(reinterpret_cast<std::byte*>(memory), memory->bytes);
    }
  }

  void fresh(std::byte* slot, Block const& block, std::size_t place) noexcept {
    if (place % page_slots == 0) open(slot, directory_[block.page + place / page_slots]);
    auto const index = static_cast<std::uint32_t>(block.page * page_slots + place);
    unpoison(slot, Shape::size);
    std::memcpy(slot + Shape::index_offset, &index, sizeof index);
    if constexpr (Shape::poisons) poison(slot, Shape::payload);
  }
  template <class Blocks> [[nodiscard]] std::size_t index(std::byte const* slot, Blocks const&) const noexcept {
    std::uint32_t index = 0;
    std::memcpy(&index, slot + Shape::index_offset, sizeof index);
    return index;
  }
  [[nodiscard]] GenerationWord& word_at(std::size_t index) const noexcept {
    return look<true>(look<true>(directory_)[index / page_slots].words)[index % page_slots];
  }

  template <bool shared, class Blocks>
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::byte* find(std::size_t index, GenerationWord generation, Blocks const& blocks) const noexcept {
    if (index / page_slots >= look<shared>(pages_)) return nullptr;
    Entry& entry = look<shared>(directory_)[index / page_slots];
    if (!this->template is<shared>(look<shared>(entry.words)[index % page_slots], generation)) return nullptr;
    return entry.base + index % page_slots * blocks.stride();
  }

 private:
  void open(std::byte* slot, Entry& entry) noexcept {
    GenerationWord* words = entry.words;
    if (words == unused) {
      words = reinterpret_cast<GenerationWord*>(entry.base);
      for (std::size_t i = 0; i != page_slots; ++i) words[i] = this->start_;
    }
    entry.base = slot;
    publish(entry.words, words);
  }
  template <class Acquire> [[nodiscard]] std::byte* remember(std::size_t bytes, Acquire&& acquire) noexcept {
    std::byte* const memory = acquire(bytes + sizeof(Memory));
    if (memory == nullptr) return nullptr;
    memory_ = ::new (static_cast<void*>(memory)) Memory{memory_, bytes + sizeof(Memory)};
    return memory + sizeof(Memory);
  }

  Entry* directory_ = nullptr;
  std::size_t pages_ = 0;  ///< entries that have a value
  std::size_t room_ = 0;   ///< entries there is memory for
  Memory* memory_ = nullptr;
};

/// The table of a pool whose slots are of this shape.
template <class Shape>
using GenerationTable = std::conditional_t<Shape::generation_bits == 0, NoGenerations,
                                           std::conditional_t<Shape::growing, PagedGenerations<Shape>, BlockGenerations<Shape>>>;

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
