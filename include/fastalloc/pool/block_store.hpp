// SPDX-License-Identifier: MIT OR Apache-2.0
// BlockStore: acquires the blocks of a pool, divides them by PoolLayout, keeps the directory, and releases everything.
//
// It does not know which slots are in use; bind() tells the slot allocator about every change of the blocks. A failed
// acquisition changes nothing.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/pool/pool_config.hpp>
#include <fastalloc/pool/pool_layout.hpp>
#include <fastalloc/storage/poison.hpp>
#include <fastalloc/storage/storage.hpp>

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct Nothing {};

/// Stands for a number that is always N.
template <std::size_t N> struct Constant {
  constexpr operator std::size_t() const noexcept { return N; }
};

/// Memory in transit between a storage and a pool. A pool with a lock calls its storage with the lock free: under the
/// lock it tries a change and notes the bytes it needs; then it unlocks, acquires them, and tries again.
struct Purse {
  struct Item {
    std::byte* memory;
    std::size_t bytes;
  };
  /// A block, its directory, the old directory, and memory of a size no longer wanted.
  static constexpr std::size_t room = 4;

  /// Returns: memory of exactly this size; null if there is none, and notes the size as wanted.
  [[nodiscard]] std::byte* take(std::size_t bytes) noexcept {
    for (std::size_t i = 0; i != count; ++i) {
      if (items[i].bytes != bytes) continue;
      std::byte* const memory = items[i].memory;
      items[i] = items[--count];
      return memory;
    }
    wanted = bytes;
    return nullptr;
  }
  void put(std::byte* memory, std::size_t bytes) noexcept { items[count++] = {memory, bytes}; }

  Item items[room] = {};
  std::size_t count = 0;
  std::size_t wanted = 0;  ///< bytes
};

/// The block of a pool that processes share; the specialization is in pool/shared_memory.hpp.
template <class Shape, class Checks, class Layout> struct ProcessBlock {
  static_assert(!Shape::spans_processes, "fastalloc: processes may share this pool, which has a header of its own; add "
                                         "#include <fastalloc/pool/shared_memory.hpp>");
  /// Not reached: such pools refuse to attach.
  static PoolConfig config_in(ExternalStorage const&, SlotType const&) noexcept { return {.capacity = 1}; }
};

template <class Storage, class Layout, std::size_t Size> class SegmentRegion;  // in pool/compact_handles.hpp
/// Blocks in segments, of pools with CompactHandles; the specialization is in pool/compact_handles.hpp.
template <class Store> class SegmentStore {
  static_assert(sizeof(Store) == 0, "fastalloc: CompactHandles has a header of its own; add "
                                    "#include <fastalloc/pool/compact_handles.hpp>");
};

template <class Shape, class SlotPolicy, class StorageState, class Checks>
class BlockStore : public BlockLookup<Shape>::Blocks {
  template <class> friend class SegmentStore;
  using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
  using Slots = typename Layout::Slots;
  using Plan = typename Layout::Plan;
  using Span = ProcessBlock<Shape, Checks, Layout>;
  static constexpr bool growing = Shape::growing;
  static constexpr bool is_borrowed = requires { requires StorageState::is_borrowed; };

 public:
  /// True if the allocator keeps the bump pointer: TaggedList.
  static constexpr bool owns_bump_pointer = requires { requires Slots::owns_bump_pointer; };
  using Block = BlockOf<growing>;
  static constexpr std::size_t block_alignment = Layout::block_alignment;

  constexpr BlockStore() noexcept = default;
  explicit constexpr BlockStore(StorageState storage) : storage_(std::move(storage)) {}
  explicit constexpr BlockStore(Nothing) noexcept {}
  BlockStore(BlockStore const&) = delete;
  BlockStore& operator=(BlockStore const&) = delete;

  ~BlockStore() {
    if constexpr (Shape::spans_processes)
      if (this->count() != 0 && !is_attached()) header().end(number_);
    for (std::size_t b = this->count(); b-- != 0;) release(&(*this)[b]);  // the first of a group holds its memory
    if constexpr (Shape::keyed && growing)
      keys_.clear([&](std::byte* memory, std::size_t bytes) { give_back(memory, bytes); });
    if constexpr (growing) give_back(many_.directory, many_.directory_bytes);
  }

  /// `alignment`: of every slot; 0 for T's own.
  void configure(SlotType const& type, std::size_t alignment) noexcept {
    if constexpr (keeps_alignment) alignment_ = greater(greater(alignment, type.align), Layout::block_alignment);
    this->set_stride(Layout::stride(type.size, type.align, alignment));
  }

  /// Effects: adds a block of `slot_count` slots; with `touch`, touches every page. Takes the memory from the purse if
  /// given, else from the storage. On failure nothing changes; Purse::wanted is then 0 if the failure is final.
  /// Requires: Block::high_water is up to date.
  bool add(std::size_t slot_count, bool touch, Slots& allocator, Error& error, Purse* purse = nullptr) noexcept {
    if constexpr (Shape::segment > 1)
      return SegmentStore<BlockStore>::add(*this, slot_count, touch, allocator, error, purse);
    auto const plan = Layout::block(slot_count, this->stride(), alignment_);
    if (!plan.valid) {
      error.code = ErrorCode::invalid_configuration;  // growth turns it into allocation_failed
      error.requested = slot_count;
      error.limit =
          (growing ? (std::numeric_limits<std::size_t>::max)() / 32 : Layout::max_fixed_bytes) / this->stride();
      error.limit = smaller(error.limit, Layout::max_slots);
      if (Shape::keyed && Shape::index_bits < 32 && error.limit == Layout::max_slots)
        error.text = "the keys of this pool name fewer slots (the limit); lower the capacity, or give BasicGenerations "
                     "more index bits";
      else
        error.text =
            growing || error.limit == 0 || error.limit >= slot_count
                ? "the slots times the size of one are more than can be addressed; lower the capacity or the "
                  "growth"
                : "the slots times the size of one are more than a block of this pool can address (the limit); "
                  "lower the capacity, or use GrowingPool";
      return false;
    }
    if constexpr (std::same_as<StorageState, ExternalStorage> && !Shape::spans_processes) {
      if (storage_.attaches()) {  // passed as an ExternalStorage, so no static_assert caught it
        error = Error{.text = "this pool cannot attach to one that is there, and would take its memory; attach with a "
                              "FixedPool<T, ExternalStorage, LockFree>, "
                              "or create a pool with ExternalStorage(span)"};
        return false;
      }
    }
    if constexpr (Shape::spans_processes)
      if (is_attached()) return attach(plan, slot_count, allocator, error);
    std::byte* const memory = acquire(plan.bytes, touch, error, purse);
    if (memory == nullptr) return false;
    std::byte* const data = memory + plan.data;
    if constexpr (Shape::spans_processes) {
      number_ = Span::create(memory, Span::describe(plan, slot_count, this->stride(), alignment_));
    }
    if constexpr (growing) {
      // The generation words come last: existing ones stay, and they determine how many a new block needs.
      auto const directory = Layout::directory(slots_with(slot_count), this->count() + 1);
      std::byte* const entries = acquire(directory.bytes, touch, error, purse);
      [[maybe_unused]] std::size_t paged = 0;
      bool ready = entries != nullptr;
      if constexpr (Shape::keyed) ready = ready && reserve_words(slot_count, touch, paged, error, purse);
      if (!ready) {
        give_back(entries, directory.bytes, purse);
        give_back(memory, plan.bytes, purse);
        return false;
      }
      auto* const record =
          ::new (static_cast<void*>(data + plan.metadata)) GrowingBlock{divide(data, plan, slot_count)};
      record->bytes = plan.bytes;
      extend_directory(record, entries, directory, allocator, purse);
      if constexpr (Shape::keyed) keys_.join(*record, paged);
    } else {
      if constexpr (Shape::segment != 0) SegmentStore<BlockStore>::mark(*this, memory);
      bind(data, plan, slot_count, allocator);
    }
    return true;
  }
  /// Slots that were acquired together with a block; 0 if they count with another one.
  [[nodiscard]] std::size_t slots_together(Block const& block) const noexcept requires growing {
    if constexpr (Shape::segment > 1) return SegmentStore<BlockStore>::slots_together(block);
    return block.slot_count;
  }
  [[nodiscard]] std::size_t longest_run() const noexcept requires(Shape::segment > 1) {
    return SegmentStore<BlockStore>::slots_per_segment(*this);
  }
  static constexpr char const* too_long =
      "a pool with CompactHandles has no more adjacent slots than lie in a segment; take shorter runs, or leave "
      "CompactHandles out";
  /// For CompactHandles: names the pool. Call it before the first block is added.
  void set_owner(AnyOwner* owner) noexcept requires(Shape::segment != 0) { owner_ = owner; }
  /// Effects: acquires the memory that the purse wants. Returns: false, with the error, if the storage has none.
  bool fill(Purse& purse, bool touch, Error& error) noexcept {
    if (purse.count + 1 == Purse::room) empty(purse);
    std::byte* const memory = acquire(purse.wanted, touch, error);
    if (memory != nullptr) purse.put(memory, purse.wanted);
    return memory != nullptr;
  }
  void empty(Purse& purse) noexcept {
    while (purse.count != 0) --purse.count, give_back(purse.items[purse.count].memory, purse.items[purse.count].bytes);
  }

  /// Effects: adds the single block of inline storage. Cannot fail.
  template <std::size_t InlineSlots> void add_inline(Slots& allocator) noexcept {
    static constexpr auto plan = Layout::block(InlineSlots, Shape::size);
    static_assert(plan.valid, "fastalloc: InlineStorage<N> has more slots than can be addressed; lower N");
    if constexpr (keeps_alignment) alignment_ = Layout::block_alignment;
    this->set_stride(Layout::stride(0));
    auto* const memory = static_cast<std::byte*>(storage_.acquire(plan.bytes, Layout::block_alignment));
    if constexpr (Shape::segment != 0) SegmentStore<BlockStore>::mark(*this, memory);
    bind(memory + plan.data, plan, InlineSlots, allocator);
  }

  /// Sets the directory's length. Requires: the caller moved the remaining blocks to its first `count` entries.
  void cut_directory(std::size_t count, Slots& allocator) noexcept requires growing {
    this->set_directory(this->directory(), count);
    allocator.bind(many_.directory, *this);
  }
  /// Effects: replaces the directory by one of its exact size, if memory is available. `slot_count`: of all blocks.
  /// Returns: false if the purse must be filled first.
  bool trim_directory(std::size_t slot_count, Slots& allocator, Purse* purse) noexcept requires growing {
    std::size_t const count = this->count();
    auto const plan = Layout::directory(slot_count, count);
    if (count != 0 && plan.bytes == many_.directory_bytes) return true;
    Error unused;
    std::byte* const memory = count == 0 ? nullptr : acquire(plan.bytes, false, unused, purse);
    if (memory == nullptr && count != 0) return purse == nullptr;
    auto** const entries = reinterpret_cast<Block**>(memory + plan.metadata);
    for (std::size_t b = 0; b != count; ++b) entries[b] = &(*this)[b];
    replace_directory(memory, plan.bytes, entries, count, allocator, purse);
    return true;
  }

  [[nodiscard]] StorageState const& storage() const noexcept { return storage_; }
  [[nodiscard]] auto& keys() noexcept { return keys_; }
  [[nodiscard]] auto const& keys() const noexcept { return keys_; }

  /// True if another pool made the block.
  [[nodiscard]] constexpr bool is_attached() const noexcept {
    if constexpr (Shape::spans_processes) return storage_.attaches();
    else return false;
  }
  [[nodiscard]] auto& header() noexcept requires(Shape::spans_processes) { return Span::header(storage_); }

  /// Effects: gives a block's memory back to the storage. Returns: its bytes.
  std::size_t release(Block* block) noexcept {
    std::size_t bytes = 0;  // a copy: the record may lie in the released memory
    if constexpr (growing || !is_borrowed || FASTALLOC_ASAN) bytes = bytes_of(*block);
    if constexpr (Shape::segment != 0) SegmentStore<BlockStore>::release(*this, block->data, bytes);
    else give_back(block->data, bytes);
    return bytes;
  }
  /// The bytes of all blocks, of the directory, and of keys.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (std::size_t b = 0; b != this->count(); ++b) sum += bytes_of((*this)[b]);
    if constexpr (growing) sum += many_.directory_bytes;
    if constexpr (Shape::keyed && growing) sum += keys_.bytes();
    return sum;
  }

  /// True if a file with other checks made some block.
  [[nodiscard]] bool is_mixed() const noexcept {
    for (std::size_t b = 0; b != this->count(); ++b)
      if (((*this)[b].tail != nullptr) != Checks::tracks_slots) return true;
    return false;
  }

 private:
  [[nodiscard]] std::size_t bytes_of(Block const& block) const noexcept {
    if constexpr (growing) return block.bytes;
    else {
      using Others = PoolLayout<Shape, SlotPolicy, std::conditional_t<Checks::tracks_slots, NoChecks, DebugChecks>>;
      bool const as_here = (block.tail != nullptr) == Checks::tracks_slots;  // false: made by a file with other checks
      return as_here ? bytes_from_slots<Layout>(block) : bytes_from_slots<Others>(block);
    }
  }
  template <class L> [[nodiscard]] std::size_t bytes_from_slots(Block const& block) const noexcept {
    auto const plan = L::block(block.slot_count, this->stride());
    return plan.bytes - plan.data;
  }
  static fastalloc::Block block_at(std::byte* data, Plan const& plan, std::size_t slot_count) noexcept {
    std::byte* const tail = Checks::tracks_slots ? data + plan.tail : nullptr;
    return {.data = data, .end = data + plan.slot_bytes, .tail = tail, .slot_count = slot_count};
  }
  /// Returns: the record of new memory, after initializing the bytes that must be set from the start.
  static fastalloc::Block divide(std::byte* data, Plan const& plan, std::size_t slot_count) noexcept {
    if constexpr (Checks::tracks_slots) std::memset(data + plan.tail, 0, Layout::tail_bytes(slot_count));
    // Under LockFree untouched slots are not announced in time to unpoison the counts that iterations read.
    if constexpr (Shape::poisons && !(Shape::counted && owns_bump_pointer)) poison(data, plan.slot_bytes);
    return block_at(data, plan, slot_count);
  }
  /// Binds to another pool's block and its contents.
  bool attach(Plan const& plan, std::size_t slot_count, Slots& allocator, Error& error) noexcept
      requires(Shape::spans_processes) {
    if (!Span::may_attach(storage_, Span::describe(plan, slot_count, this->stride(), alignment_), error)) return false;
    std::byte* const memory = acquire(plan.bytes, false, error);
    if (memory == nullptr) return false;
    std::byte* const data = memory + plan.data;
    (*this)[0] = block_at(data, plan, slot_count);
    if constexpr (Shape::keyed) keys_.join(data + plan.words, slot_count, header().number());
    allocator.join(data + plan.metadata);
    return true;
  }
  void bind(std::byte* data, Plan const& plan, std::size_t slot_count, Slots& allocator) noexcept requires(!growing) {
    (*this)[0] = divide(data, plan, slot_count);
    if constexpr (Shape::spans_processes && Shape::keyed)
      keys_.bind(data + plan.words, slot_count, owns_bump_pointer, number_);
    else if constexpr (Shape::keyed) keys_.bind(data + plan.words, slot_count, owns_bump_pointer);
    allocator.bind(data + plan.metadata, *this);
  }

  /// `more`: slots whose generations lie in whole pages, of further blocks.
  bool reserve_words(std::size_t slot_count, bool touch, std::size_t& paged, Error& error, Purse* purse,
                     std::size_t more = 0) noexcept {
    paged = keys_.paged(slot_count);
    bool full = false;
    if (keys_.reserve(slot_count + more, paged + more, full,
                      [&](std::size_t bytes) noexcept { return acquire(bytes, touch, error, purse); }))
      return true;
    if (full)
      error =
          Error{.requested = slot_count,
                .limit = keys_.max_slots,
                .text = "keys cannot name so many slots (the limit); let the pool grow less, or leave Generations out"};
    return false;
  }

  /// The number of slots in all blocks, plus `more`.
  [[nodiscard]] std::size_t slots_with(std::size_t more) const noexcept {
    for (std::size_t b = 0; b != this->count(); ++b) more += (*this)[b].slot_count;
    return more;
  }
  void extend_directory(Block* record, std::byte* memory, Plan const& plan, Slots& allocator, Purse* purse) noexcept {
    std::size_t const count = this->count();
    auto** const entries = reinterpret_cast<Block**>(memory + plan.metadata);
    for (std::size_t b = 0; b != count; ++b) {
      entries[b] = &(*this)[b];
      if (std::size_t const end = entries[b]->first + entries[b]->slot_count; end > record->first) record->first = end;
    }
    entries[count] = record;
    replace_directory(memory, plan.bytes, entries, count + 1, allocator, purse);
  }

  void replace_directory(std::byte* memory, std::size_t bytes, Block** entries, std::size_t count, Slots& allocator,
                         Purse* purse) noexcept {
    this->set_directory(entries, count);
    allocator.bind(memory, *this);
    give_back(std::exchange(many_.directory, memory), std::exchange(many_.directory_bytes, bytes), purse);
  }

  [[nodiscard]] std::byte* acquire(std::size_t bytes, bool touch, Error& error, Purse* purse = nullptr) noexcept {
    if (purse != nullptr) return purse->take(bytes);
    auto* const memory = static_cast<std::byte*>(storage_.acquire(bytes, alignment_of(bytes)));
    if (memory != nullptr) {
      if (touch && !is_prefaulted()) touch_pages(memory, bytes);
      return memory;
    }
    error.code = ErrorCode::allocation_failed;
    error.text = "the storage has no memory of the requested size; lower the capacity or the growth, or free memory";
    error.requested = bytes;
    error.unit = "bytes";
    if constexpr (std::same_as<StorageState, ExternalStorage>) {
      error.code = ErrorCode::invalid_configuration;
      error.text = "the span is too small for the requested bytes; pass P::required_bytes(capacity) bytes, or lower "
                   "the capacity";
      error.limit = storage_.bytes().size();
      if (!storage_.is_aligned(alignment_)) {
        error.code = ErrorCode::invalid_alignment;
        error.text = "the span does not begin at a multiple of the requested alignment; align it, as in "
                     "alignas(P::required_alignment())";
        error.requested = alignment_;
        error.limit = 0;
        error.address = storage_.bytes().data();
      }
    } else if constexpr (!StorageState::can_grow) {
      error.text = "the storage has no room for the requested bytes at this alignment; give T the alignment (alignas), "
                   "or use HeapStorage";
      if (alignment_ > Layout::block_alignment) error.code = ErrorCode::invalid_alignment;
    }
    if constexpr (ExplainsFailure<StorageState>) storage_.explain(error);
    return nullptr;
  }

  void give_back(std::byte* memory, std::size_t bytes, Purse* purse = nullptr) noexcept {
    if (memory == nullptr) return;
    unpoison(memory, bytes);
    if (purse != nullptr) return purse->put(memory, bytes);
    if constexpr (!is_borrowed) storage_.release(memory, bytes, alignment_of(bytes));
  }
  /// Segments have an odd number of bytes: all else does without their alignment.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::size_t alignment_of([[maybe_unused]] std::size_t bytes) const noexcept {
    if constexpr (Shape::segment > 1)
      if (bytes % 2 == 0) return greater(alignof(std::uint64_t), Layout::metadata_alignment);
    return alignment_;
  }

  [[nodiscard]] bool is_prefaulted() const noexcept {
    if constexpr (Prefaults<StorageState>) return storage_.is_prefaulted();
    return false;
  }

  struct Many {
    std::byte* directory = nullptr;  ///< starts with the slot allocator's metadata
    std::size_t directory_bytes = 0;
  };

  static constexpr bool keeps_alignment = !requires { StorageState::fixed_alignment; };
  /// Bytes; the alignment of every acquisition.
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<keeps_alignment, std::size_t, Constant<Layout::block_alignment>>
      alignment_{};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<growing, Many, Nothing> many_{};
  struct NoNumber {};
  /// The number of a pool that this one created.
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<Shape::spans_processes, std::uint32_t, NoNumber> number_{};
  struct NoOwner {};
  FASTALLOC_NO_UNIQUE_ADDRESS std::conditional_t<Shape::segment != 0, AnyOwner*, NoOwner> owner_{};
  FASTALLOC_NO_UNIQUE_ADDRESS GenerationTable<Shape> keys_{};
  FASTALLOC_NO_UNIQUE_ADDRESS StorageState storage_{};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
