// SPDX-License-Identifier: MIT OR Apache-2.0
// CompactHandles: a policy for handles of one word. The object's address leads to the pool: slots lie in segments whose
// first bytes name it (slots/segments.hpp).
//
//   fastalloc::FixedPool<Order, fastalloc::CompactHandles> orders(100'000);
//   auto order = orders.allocate(7, "bolts");                        // sizeof(order) == sizeof(void*)
//   fastalloc::CompactHandle<Base> base = std::move(order);          // erased: one word, too
//
// A pool has a block in each segment; the segments that are added together come from one acquisition, the last one is
// as long as its slots need, and each begins with up to 2 KiB for its head. So a pool of n slots takes n strides, 1 to
// 2 % and a page. (Where a stride is a power of two, the head takes a slot, if that is more. Segments of slots above
// half a MiB hold fewer than 128, down to 3.)
#pragma once

#include <fastalloc/pool/block_store.hpp>
#include <fastalloc/pool/pool_objects.hpp>
#include <fastalloc/slots/segments.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: many handles in containers, moved, sorted, or reached in random order. A vector of them takes half the
/// memory. A release reads the segment's head first: a handle that never leaves its function is 0.3 ns slower (figures:
/// benchmarks/README.md). Handles of a pool of static storage duration are one word with Bound<pool>, too.
/// Storage: HeapStorage, PageStorage, InlineStorage<N> (the pool then takes P::segment_bytes more, since it has room
/// for its slots at a multiple of them: 1 to 2 times the slots, or more if those are few, or their bytes no multiple of
/// 8), one that aligns and can grow, or ExternalStorage with a span at a multiple of P::required_alignment() (not with
/// Generations). Not with LockFree (except InlineStorage<N>), HeapFallback, save() and allocate_at(key). Slots of a run
/// lie in one segment.
/// Complexity: as without, and one step a release. With b blocks: b is the number of segments; the block of an address
/// is found in one step on average, not in log2 b.
struct CompactHandles {
  static constexpr bool compacts_handles = true;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The memory of a pool with InlineStorage: room for its block wherever a multiple of `segment_bytes` lies. An aligned
/// member would align each class around it: pools took 4 to 12 times the bytes of their slots.
template <class Storage, class Layout, std::size_t Size> class SegmentRegion {
  static constexpr auto plan = Layout::block(Storage::slot_count, Size);
  static constexpr bool one_stride = Size % Layout::block_alignment == 0;  // whatever PoolConfig::alignment

 public:
  static constexpr bool can_grow = false, is_borrowed = true;
  static constexpr std::size_t fixed_alignment = Layout::block_alignment;
  /// The slots and the head lie in them.
  static constexpr std::size_t segment_bytes =
      greater(std::bit_ceil(one_stride ? plan.data + plan.slot_bytes : plan.bytes), fixed_alignment);

  constexpr SegmentRegion() noexcept = default;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    auto* const memory = static_cast<std::byte*>(region_.acquire(bytes + room, alignment));
    return memory == nullptr ? nullptr : memory + (-reinterpret_cast<std::uintptr_t>(memory) & (segment_bytes - 1));
  }
  void release(void*, std::size_t, std::size_t) noexcept {}

 private:
  static constexpr std::size_t room = segment_bytes - fixed_alignment;
  typename Storage::template region<plan.bytes + room, fixed_alignment> region_;
};

/// What a BlockStore does with segments.
template <class Shape, class SlotPolicy, class StorageState, class Checks>
class SegmentStore<BlockStore<Shape, SlotPolicy, StorageState, Checks>> {
  using Store = BlockStore<Shape, SlotPolicy, StorageState, Checks>;
  using Layout = PoolLayout<Shape, SlotPolicy, Checks>;
  using Slots = typename Layout::Slots;
  using Segments = std::conditional_t<(Shape::segment > 1), BlockSegments<Shape::segment>, SegmentMap<64, 1>>;

 public:
  static std::size_t slots_per_segment(Store const& store) noexcept { return slots_per_segment(store.stride()); }

  /// Bytes of a span for exactly `slot_count` slots; SIZE_MAX if there are too many.
  static constexpr std::size_t span_bytes(std::size_t slot_count, std::size_t stride) noexcept {
    std::size_t const each = slots_per_segment(stride);
    std::size_t const bytes = each == 0 || slot_count == 0 ? 0 : group_bytes(slot_count, each, stride);
    if (bytes == 0) return (std::numeric_limits<std::size_t>::max)();
    return bytes + Layout::directory(slot_count, (slot_count - 1) / each + 1).bytes;
  }
  /// The number of slots that fit in a span. Complexity: logarithmic.
  static std::size_t slots_in(std::size_t bytes, std::size_t stride) noexcept {
    std::size_t low = 0;
    for (std::size_t n = bytes / stride; n != 0;) {
      std::size_t const half = (n + 1) / 2;
      bool const fits = span_bytes(low + half, stride) <= bytes;
      low = fits ? low + half : low;
      n = fits ? n - half : half - 1;
    }
    return low;
  }

  /// As BlockStore::add(): blocks of `slot_count` slots together, from one acquisition.
  static bool add(Store& store, std::size_t slot_count, bool touch, Slots& allocator, Error& error,
                  Purse* purse) noexcept {
    std::size_t const each = slots_per_segment(store);
    if (each == 0) {
      error.code = ErrorCode::invalid_alignment;
      error.text = "a segment of CompactHandles has no room for a slot of the requested alignment; lower it, or leave "
                   "CompactHandles out";
      error.requested = store.alignment_;
      error.unit = "bytes";
      return false;
    }
    std::size_t const more = (slot_count - 1) / each;  // full segments
    std::size_t const last = slot_count - more * each;
    std::size_t bytes = group_bytes(slot_count, each, store.stride());
    if (bytes == 0) {
      error.code = ErrorCode::invalid_configuration;  // growth turns it into allocation_failed
      error.requested = slot_count;
      error.limit = Layout::max_bytes / Segments::bytes * each;
      error.text = "the slots times the size of one are more than can be addressed; lower the capacity or the growth";
      return false;
    }
    auto const directory = Layout::directory(store.slots_with(slot_count), store.count() + more + 1);
    constexpr bool in_span = !StorageState::can_grow;  // all in one acquisition: the directory behind the segments
    std::size_t const group = bytes - 1;
    if constexpr (in_span) bytes += directory.bytes;
    std::byte* const memory = store.acquire(bytes, touch, error, purse);
    if (memory == nullptr) return false;
    if (Segments::base_of(memory) != reinterpret_cast<std::uintptr_t>(memory)) {
      store.give_back(memory, bytes, purse);
      error = Error{.code = ErrorCode::invalid_alignment,
                    .requested = store.alignment_,
                    .text = "the storage returned memory without the requested alignment, by which handles find their "
                            "pool; let acquire() respect it, or leave CompactHandles out",
                    .unit = "bytes",
                    .address = memory};
      return false;
    }
    std::byte* const entries = in_span ? memory + group : store.acquire(directory.bytes, touch, error, purse);
    [[maybe_unused]] std::size_t paged = 0;
    bool ready = entries != nullptr;
    if constexpr (Shape::keyed)
      ready = ready && store.reserve_words(last, touch, paged, error, purse, more * whole_pages(each));
    if (!ready) {
      store.give_back(entries, directory.bytes, purse);
      store.give_back(memory, bytes, purse);
      return false;
    }
    auto** const sorted = reinterpret_cast<GrowingBlock**>(entries + directory.metadata);
    std::size_t const count = store.count();
    std::size_t b = 0, first = 0;
    for (std::size_t i = 0; i != count; ++i) first = greater(first, store[i].first + store[i].slot_count);
    for (; b != count && before(store[b].data, memory); ++b) sorted[b] = &store[b];
    for (std::size_t i = b; i != count; ++i) sorted[i + more + 1] = &store[i];
    for (std::size_t i = 0; i != more + 1; ++i) {
      std::byte* const segment = memory + i * Segments::bytes;
      GrowingBlock* const block = divide(store, segment, i == more ? last : each);
      block->first = first + i * each;
      block->bytes = i == 0 ? group + 1 : 0;  // without the directory, whose bytes are counted where it is replaced
      if (i != 0) sorted[b + i - 1]->next = block;
      sorted[b + i] = block;
      if constexpr (Shape::keyed) store.keys_.join(*block, i == more ? paged : each);
    }
    store.replace_directory(entries, directory.bytes, sorted, count + more + 1, allocator, purse);
    return true;
  }

  /// `data`: of the first block of a group, of `bytes` bytes; of another one if that is 0.
  static void release(Store& store, std::byte* data, std::size_t bytes) noexcept {
    if constexpr (Shape::segment == 1) {  // the bytes do not count the head
      std::size_t const front = round_up(Layout::front, Layout::block_alignment);
      store.give_back(data - front, bytes + front);
    } else if (bytes != 0) store.give_back(reinterpret_cast<std::byte*>(Segments::base_of(data)), bytes);
  }

  /// As SlotSupply::detach_free_blocks() needs it: keeps the blocks that were acquired together with one in use.
  template <class Goes> static void keep_groups(Store& store, Goes const& goes) noexcept {
    for (std::size_t b = 0; b != store.count(); ++b) {
      if (store[b].bytes == 0) continue;  // not the first of its group
      bool all = true;
      for (auto* block = &store[b]; block != nullptr; block = block->next) all = all && goes(*block);
      for (auto* block = &store[b]; !all && block != nullptr; block = block->next)
        if (goes(*block)) block->marked = 0;
    }
  }
  [[nodiscard]] static std::size_t slots_together(GrowingBlock const& block) noexcept {
    std::size_t sum = 0;
    if (block.bytes != 0)
      for (auto const* one = &block; one != nullptr; one = one->next) sum += one->slot_count;
    return sum;
  }

  /// Writes the head of the only segment.
  static void mark(Store const& store, std::byte* memory) noexcept requires(Shape::segment == 1) {
    if (memory != nullptr) write(memory, {store.owner_, nullptr});
  }

 private:
  /// Bytes in front of a segment's slots, at most.
  static constexpr std::size_t most_front(std::size_t stride) noexcept {
    return round_up(Segments::most_head_bytes, stride & (~stride + 1));
  }
  /// 0 if none fits.
  static constexpr std::size_t slots_per_segment(std::size_t stride) noexcept {
    std::size_t const front = most_front(stride);
    if (stride > Segments::bytes || front + Layout::block(1, stride).bytes > Segments::bytes) return 0;
    std::size_t n = (Segments::bytes - front) / stride;
    while (front + Layout::block(n, stride).bytes > Segments::bytes) {
      std::size_t const less = (front + Layout::block(n, stride).bytes - Segments::bytes) / (2 * stride);
      n -= greater(less, 1);
    }
    return n;
  }
  /// Bytes of the segments of `slot_count` slots, an odd number (BlockStore::alignment_of()); 0 on overflow.
  static constexpr std::size_t group_bytes(std::size_t slot_count, std::size_t each, std::size_t stride) noexcept {
    std::size_t const more = (slot_count - 1) / each;
    std::size_t bytes = 0;
    bool const fits =
        checked_multiply(more, Segments::bytes, bytes) &&
        checked_add(bytes, round_up(most_front(stride) + Layout::block(slot_count - more * each, stride).bytes, 16) + 1,
                    bytes);
    return fits && bytes <= Layout::max_bytes / 2 ? bytes : 0;
  }
  static bool before(std::byte const* a, std::byte const* b) noexcept {
    return reinterpret_cast<std::uintptr_t>(a) < reinterpret_cast<std::uintptr_t>(b);
  }
  static constexpr std::size_t whole_pages(std::size_t slot_count) noexcept {
    return GenerationTable<Shape>::pages_for(slot_count) * GenerationTable<Shape>::page_slots;
  }
  static void write(std::byte* at, SegmentHead const& head) noexcept {
    ::new (static_cast<void*>(at)) SegmentHead(head);
    if constexpr (Shape::poisons) poison(at, sizeof head);
  }
  static GrowingBlock* divide(Store const& store, std::byte* segment, std::size_t slot_count) noexcept {
    auto const plan = Layout::block(slot_count, store.stride());
    std::byte* const head = Segments::head_at(segment);
    std::byte* const data = Segments::first_slot(head, store.stride());
    auto* const block =
        ::new (static_cast<void*>(data + plan.metadata)) GrowingBlock{Store::divide(data, plan, slot_count)};
    write(head, {store.owner_, block});
    return block;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// The owner of a handle of one word: the object's address leads to it. Takes no space.
template <class Owner> requires(is_compact<Owner>) class OwnerWord<Owner> {
  using Target = typename OwnerOf<Owner>::type;

 public:
  constexpr OwnerWord() noexcept = default;
  constexpr explicit OwnerWord(Target*) noexcept {}
  [[nodiscard]] constexpr OwnerWord copy() const noexcept { return {}; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static Target* target(void const* object) noexcept {
    return static_cast<Target*>(SegmentMap<Target::segment_bytes, Target::head_places>::head_of(object).owner);
  }
  [[nodiscard]] static AnyOwner* any(void const* object) noexcept {
    return object != nullptr ? target(object) : nullptr;
  }
  [[nodiscard]] static constexpr bool inside() noexcept { return false; }
  // Not templates, as in Bound.
  FASTALLOC_ALWAYS_INLINE static void release(void* object) noexcept {
    target(object)->release_from_handle(static_cast<typename Target::value_type*>(object));
  }
  [[nodiscard]] static auto share(void* object) noexcept {
    return target(object)->share_from_handle(static_cast<typename Target::value_type*>(object));
  }
  static constexpr bool has_usual_segments() noexcept {
    return std::same_as<SegmentMap<Target::segment_bytes, Target::head_places>, UsualSegments>;
  }
};

/// The same for CompactHandle<T>: any part of the object leads to its pool.
template <> class OwnerWord<InSegment> {
 public:
  constexpr OwnerWord() noexcept = default;
  constexpr explicit OwnerWord(AnyOwner*) noexcept {}
  template <class O> [[nodiscard]] static OwnerWord erase(OwnerWord<O>, void const*, bool) noexcept {
    static_assert(OwnerWord<O>::has_usual_segments(),
                  "fastalloc: a CompactHandle<T> finds the segments of pools with slots of at most 2048 bytes that are "
                  "not in InlineStorage; use Handle<T>");
    return {};
  }
  [[nodiscard]] constexpr OwnerWord copy() const noexcept { return {}; }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static AnyOwner* any(void const* object) noexcept {
    return object != nullptr ? UsualSegments::head_of(object).owner : nullptr;
  }
  [[nodiscard]] static constexpr bool inside() noexcept { return true; }
  FASTALLOC_ALWAYS_INLINE static void release(void const volatile* object) noexcept {
    void* const part = const_cast<void*>(object);
    OwnerWord<AnyOwner>(UsualSegments::head_of(part).owner, true).release(part);
  }
  template <class T> static void share(T*) noexcept { OwnerWord<AnyOwner>().share(static_cast<T*>(nullptr)); }
  static constexpr bool has_usual_segments() noexcept { return true; }
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI
