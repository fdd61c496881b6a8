// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolResource, SynchronizedPoolResource: std::pmr::memory_resource over pools of raw slots, one pool per size class.
//
//   allocate(bytes, alignment)        class by one table lookup; its PoolCore: last-freed slot, else stack, bump
//                                     pointer, growth
//   deallocate(p, bytes, alignment)   the same class, because bytes and alignment are the same: no header, no search
//   try_allocate(...)                 null instead of an exception
//   reallocate(p, old, new, ...)      nothing inside a class, else a copy; big blocks over the heap by realloc()
//   above largest_pooled, or aligned to more than 64 bytes: a big block of the upstream resource
//
// All classes share one instantiation of PoolCore, with a slot size known at run time. A class acquires no memory
// before its first use, and grows by blocks of 4 to 32 KiB, later by a sixteenth. Before it does it takes blocks that
// other classes left free. The classes: size_classes.hpp.
#pragma once

#include <fastalloc/adapters/size_classes.hpp>
#include <fastalloc/adapters/upstream.hpp>
#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/pool/pool_core.hpp>
#include <fastalloc/slots/stack_allocator.hpp>
#include <fastalloc/slots/unrolled_lists.hpp>

#include <algorithm>
#include <cstring>
#include <memory>

#if FASTALLOC_HAS_THREADS
#include <fastalloc/cache/thread_cache.hpp>
#endif

namespace fastalloc::inline FASTALLOC_ABI {

/// The configuration of a PoolResource; validated by its constructor.
struct PoolResourceOptions {
  std::size_t initial_slots = 0;  ///< of each class, acquired at its first use; 0 = as many as fit in 4 KiB, at least 3
  /// factor for the slots of a class, up to 32 KiB a growth, and a sixteenth of the class; finite and greater than 1
  double growth_factor = 2.0;
  /// bytes, rounded up to the alignment; at most 4096. Rounded up to a size class. Larger requests go to the upstream
  /// resource
  std::size_t largest_pooled = 4096;
  std::size_t max_slots_per_block = 0;  ///< of each class, the most that one growth adds; 0 = no limit
};

}  // namespace fastalloc::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_MODE {

/// The slots of one size class.
struct SizeClassUsage {
  std::size_t slot_bytes = 0;
  std::size_t allocated = 0;  ///< slots in use
  std::size_t capacity = 0;   ///< slots
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The policies of PoolResource; SharedResource has those of SynchronizedPoolResource.
struct ResourceOfOneThread {
  using lock = NoLock;
  using caches = NoCaches;
};
#if FASTALLOC_HAS_THREADS
struct SharedResource {
  using lock = AdaptiveLock;
  /// Threads keep up to 16 KiB of a class, and a class grows before it takes them away: the capacity need not be exact,
  /// and two threads that take slots from each other are ten times slower.
  using caches = ThreadCaches<ThreadCache<>::max_cached, false, 16384>;
};
#endif

template <class Kind> class BasicPoolResource : public std::pmr::memory_resource {
  using Lock = typename Kind::lock;
  using Checks = typename Defaults::checks;
  /// Lists in free slots take no memory; where writes to free slots are looked for, nothing must lie in them.
  static constexpr bool guards_slots = Checks::tracks_slots || FASTALLOC_ASAN;
  using Slots = std::conditional_t<guards_slots, StackAllocator, UnrolledLists>;
  using Core = PoolCore<CoreChoices<AnySizeShape<SizeClasses::granule, true>, Slots, UpstreamStorage<Lock>, Lock,
                                    NoStats, Checks, typename Kind::caches>>;

 public:
  static constexpr std::size_t size_classes = SizeClasses::count;
  static constexpr bool is_checked = Checks::tracks_slots;

  /// `upstream`: the source of blocks of slots and of big blocks. Requires: it outlives this resource, and its
  /// functions do not use this resource. Big blocks of std::pmr::new_delete_resource() are from malloc(): neither a
  /// replaced operator new nor a std::new_handler hears of them.
  /// Throws: InvalidConfiguration. Complexity: 1 step for each class; acquires no memory.
  explicit BasicPoolResource(std::pmr::memory_resource* upstream = std::pmr::get_default_resource())
      : BasicPoolResource(PoolResourceOptions{}, upstream) {}
  explicit BasicPoolResource(PoolResourceOptions const& options,
                             std::pmr::memory_resource* upstream = std::pmr::get_default_resource())
      : largest_(SizeClasses::rounded(validated(options, upstream).largest_pooled)), upstream_(upstream),
        options_(options) {
    for (std::size_t index = 0; index != size_classes; ++index) open(index);
  }
  /// From the options of std::pmr's pool resources. `max_blocks_per_chunk` becomes max_slots_per_block, and
  /// `largest_required_pool_block` largest_pooled; 0 stands for the default, and values above 4096 for 4096, as std's
  /// pool resources lower what exceeds their own limits. A template, so that `{...}` stays a PoolResourceOptions.
  template <std::same_as<std::pmr::pool_options> Options>
  explicit BasicPoolResource(Options const& options,
                             std::pmr::memory_resource* upstream = std::pmr::get_default_resource())
      : BasicPoolResource(adopted(options), upstream) {}
  BasicPoolResource(BasicPoolResource const&) = delete;
  BasicPoolResource& operator=(BasicPoolResource const&) = delete;

  /// Effects: releases all memory to the upstream resource, deallocated or not, as std::pmr's pool resources do.
  ~BasicPoolResource() override { std::destroy_n(cores_, size_classes); }

  /// As std::pmr::memory_resource::allocate(), without the virtual call; for constant size and alignment the class is a
  /// constant. Requires: `alignment` is a power of two. Returns: at least `bytes` bytes; a distinct address even for 0
  /// bytes.
  /// Throws: the exception with which the upstream resource refused memory; AllocationFailed (a std::bad_alloc) if it
  /// is the heap, or for a size that no memory could have; InvalidConfiguration for an alignment that is not a power of
  /// two. Nothing changes then, except that free blocks of one class may serve others. A class that cannot grow takes
  /// blocks that other classes left free; if none has room for a slot, it asks once more, for 4 to 16 KiB. The heap
  /// gets all free blocks back before it is asked a last time; other resources only by shrink_to_fit() and release().
  /// Complexity: at most 3 steps, except when a class grows (as a GrowingPool; after 256 KiB of growth, and a sixteenth
  /// of the memory, linear in the free slots of classes that are half free), when a class cannot grow (linear in the
  /// free slots of all classes), or for a big request: that of the upstream resource.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE void* allocate(std::size_t bytes,
                                                       std::size_t alignment = alignof(std::max_align_t)) {
    std::size_t const wanted = slot_bytes(bytes, alignment);
    if (wanted > largest_) [[unlikely]]
      return allocate_big(bytes, alignment);
    Core& core = core_for(wanted);
    Taken taken = core.pop();
    if (taken.slot == nullptr) [[unlikely]]
      taken = pop_or_throw(core);
    poison(taken.slot + bytes, core.stride() - bytes);
    return taken.slot;
  }
  /// As allocate(), but returns null where that throws; the upstream resource's exception is dropped.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE void* try_allocate(std::size_t bytes,
                                                           std::size_t alignment = alignof(std::max_align_t)) noexcept {
    std::size_t const wanted = slot_bytes(bytes, alignment);
    if (wanted > largest_) [[unlikely]]
      return try_allocate_big(bytes, alignment);
    Core& core = core_for(wanted);
    Taken taken = core.pop();
    if (taken.slot == nullptr) [[unlikely]] {
      taken = try_pop_slow(core);
      if (taken.slot == nullptr) return nullptr;
    }
    poison(taken.slot + bytes, core.stride() - bytes);
    return taken.slot;
  }

  /// Effects: makes the block `p` one of `new_bytes` bytes with the same contents, up to the smaller size. Nothing
  /// moves where usable_size() of both sizes is the same; otherwise this is allocate(), a copy and deallocate(), or
  /// realloc() for big blocks of the heap. A null `p` allocates. 0 bytes are a block, too.
  /// Requires: `p` is null, or as for deallocate(p, old_bytes, alignment), with the same checks; after an error handler
  /// has returned the result is null, and nothing changed.
  /// Returns: the block; `p` is no longer one if it differs.
  /// Throws: as allocate(); `p` is unchanged then.
  [[nodiscard]] void* reallocate(void* p, std::size_t old_bytes, std::size_t new_bytes,
                                 std::size_t alignment = alignof(std::max_align_t)) {
    if (p == nullptr) return allocate(new_bytes, alignment);
    return resize(p, old_bytes, new_bytes, alignment, [&] { return allocate(new_bytes, alignment); });
  }
  /// As reallocate(), but returns null where that throws.
  [[nodiscard]] void* try_reallocate(void* p, std::size_t old_bytes, std::size_t new_bytes,
                                     std::size_t alignment = alignof(std::max_align_t)) noexcept {
    if (p == nullptr) return try_allocate(new_bytes, alignment);
    return resize(p, old_bytes, new_bytes, alignment, [&] { return try_allocate(new_bytes, alignment); });
  }

  /// Bytes of the block that a request for `bytes` bytes gets: any size between the two may be given to deallocate(),
  /// and reallocate() up to it moves nothing. Every option of the resource gives the same. With AddressSanitizer the
  /// bytes above those requested are unusable: request good_size() to use them. Complexity: a few steps; for constants
  /// a constant.
  [[nodiscard]] static constexpr std::size_t usable_size(std::size_t bytes,
                                                         std::size_t alignment = alignof(std::max_align_t)) noexcept {
    std::size_t const wanted = slot_bytes(bytes, alignment);
    if (wanted <= SizeClasses::largest) return SizeClasses::rounded(wanted);
    std::size_t whole = bytes;
    return checked_round_up(bytes, alignof(BigBlock), whole) ? whole : bytes;
  }
  /// The size to request instead of `bytes`, so that no byte is wasted: usable_size().
  [[nodiscard]] static constexpr std::size_t good_size(std::size_t bytes,
                                                       std::size_t alignment = alignof(std::max_align_t)) noexcept {
    return usable_size(bytes, alignment);
  }

  /// Requires: `p` is from allocate(bytes, alignment) of this resource and was not deallocated since. With a checks
  /// policy, the error handler is called, and the call ignored, for a pointer that is not the start of an allocation of
  /// this resource, and for a size or alignment that maps to another size class or, for a big block, to another
  /// multiple of sizeof(void*). Sizes and alignments that map to the same are not distinguished; they do no harm.
  /// Complexity: 2 steps; with a checks policy log2 b + 1 more for b blocks of the class, and for a big block linear in
  /// the big blocks in use.
  FASTALLOC_ALWAYS_INLINE void deallocate(void* p, std::size_t bytes,
                                          std::size_t alignment = alignof(std::max_align_t)) noexcept {
    std::size_t const wanted = slot_bytes(bytes, alignment);
    if (wanted > largest_) [[unlikely]]
      return deallocate_big(p, bytes, alignment);
    Core& core = core_for(wanted);
    if constexpr (Checks::tracks_slots)
      if (!core.claim(p)) [[unlikely]]
        return refuse(&core, p, bytes);
    auto* const slot = static_cast<std::byte*>(p);
    unpoison(slot, core.stride());
    core.push(slot);
  }

  [[nodiscard]] std::pmr::memory_resource* upstream() const noexcept { return upstream_.resource(); }
  /// The same, as std::pmr's pool resources call it.
  [[nodiscard]] std::pmr::memory_resource* upstream_resource() const noexcept { return upstream(); }
  [[nodiscard]] PoolResourceOptions options() const noexcept { return options_; }

  /// True if `p` points into memory of this resource: into a slot, in use or not, or a big block. Complexity: log2 b
  /// for the b blocks of each class, and linear in the big blocks in use.
  [[nodiscard]] bool owns(void const* p) const noexcept {
    return std::any_of(cores_, cores_ + size_classes, [&](Core const& core) { return core.owns(p); }) ||
           upstream_.owns(p);
  }

  /// Bytes acquired from the upstream resource and not yet released. Complexity: 1 step.
  [[nodiscard]] std::size_t bytes_held() const noexcept { return upstream_.held(); }
  /// Bytes of the slots in use and of big blocks. Complexity: linear in the classes and the big blocks.
  [[nodiscard]] std::size_t bytes_in_use() const noexcept {
    std::size_t bytes = 0;
    for (std::size_t index = 0; index != size_classes; ++index)
      bytes += cores_[index].allocated() * cores_[index].stride();
    return bytes + upstream_.held_by_big_blocks();
  }
  /// The slots of class `index`, from 0 to size_classes - 1 by increasing size.
  [[nodiscard]] SizeClassUsage usage(std::size_t index) const noexcept {
    return {cores_[index].stride(), cores_[index].allocated(), cores_[index].capacity()};
  }

  /// Effects: releases every block without live slots to the upstream resource. Returns: the bytes released.
  /// Complexity: linear in the free slots.
  std::size_t shrink_to_fit() noexcept {
    std::size_t const before = bytes_held();
    for (Core& core : cores_) release_idle(core);
    upstream_.release_kept();
    std::size_t const after = bytes_held();
    return before > after ? before - after : 0;  // other threads may acquire meanwhile
  }

  /// Effects: releases all memory to the upstream resource, deallocated or not, and resets the resource to its initial
  /// state.
  /// Complexity: linear in the blocks. Thread safety: no other thread may use the resource meanwhile.
  void release() noexcept {
    for (std::size_t index = 0; index != size_classes; ++index) {
      std::destroy_at(cores_ + index);
      open(index);
    }
    upstream_.release_all();
    upstream_.release_kept();
  }

  /// For tests: true when the bookkeeping of all slots is consistent. Complexity: linear.
  [[nodiscard]] bool check_invariants() {
    return std::all_of(cores_, cores_ + size_classes, [](Core& core) { return core.check_invariants(); });
  }

 protected:
  void* do_allocate(std::size_t bytes, std::size_t alignment) final { return allocate(bytes, alignment); }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) final { deallocate(p, bytes, alignment); }
  [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept final { return this == &other; }

 private:
  /// Bytes that a slot for the request needs; more than any class has if its slots would not be aligned.
  FASTALLOC_ALWAYS_INLINE static constexpr std::size_t slot_bytes(std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment <= SizeClasses::granule) [[likely]]
      return bytes;
    if (alignment <= SizeClasses::step) return bytes < alignment ? alignment : bytes;
    bool const fits = alignment <= SizeClasses::max_alignment && bytes <= SizeClasses::largest;
    // Without std::has_single_bit(), which calls a function on older processors.
    if (!fits || (alignment & (alignment - 1)) != 0) return SizeClasses::largest + 1;
    return bytes == 0 ? alignment : (bytes + alignment - 1) & ~(alignment - 1);
  }

  /// Requires: bytes <= largest_. Without the assumption g++ 12 warns where a constant size is above the table.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Core& core_for(std::size_t bytes) noexcept {
    static constexpr auto offsets = SizeClasses::table(sizeof(Core));
    FASTALLOC_ASSUME(bytes <= SizeClasses::largest);
    static_assert(sizeof(Core) * size_classes <= 65536);
    return *reinterpret_cast<Core*>(reinterpret_cast<std::byte*>(cores_) + offsets[SizeClasses::entry(bytes)]);
  }

  static PoolResourceOptions const& validated(PoolResourceOptions const& options, std::pmr::memory_resource* upstream) {
    if (upstream == nullptr)
      fail(Error{.text = "the upstream resource is null; pass one, as std::pmr::new_delete_resource(), or leave "
                         "it out"});
    GrowthStrategy::exponential(options.growth_factor).validate().value();
    if (options.largest_pooled > SizeClasses::largest)
      fail(Error{.requested = options.largest_pooled,
                 .limit = SizeClasses::largest,
                 .text = "largest_pooled is above the largest size class (the limit); lower it: bigger requests go "
                         "to the upstream resource",
                 .unit = "bytes"});
    return options;
  }

  static PoolResourceOptions adopted(std::pmr::pool_options const& options) noexcept {
    PoolResourceOptions result{.max_slots_per_block = options.max_blocks_per_chunk};
    if (std::size_t const largest = options.largest_required_pool_block; largest != 0)
      result.largest_pooled = (std::min)(largest, SizeClasses::largest);
    return result;
  }

  static constexpr std::size_t most_at_first = std::size_t{32} << 10;  ///< bytes of the blocks of a small class
  static constexpr std::size_t share = 16;                             ///< of a large class that a block is

  /// Slots of a block that has `bytes` bytes with its record.
  [[nodiscard]] static std::size_t slots_of(std::size_t bytes, std::size_t stride) noexcept {
    return Core::slots_in(bytes, {stride, SizeClasses::granule});
  }
  /// Bytes of the smallest block that has room for 3 slots.
  static constexpr std::size_t least_block(std::size_t stride) noexcept {
    return greater(std::bit_ceil(3 * stride + 1), Upstream<Lock>::least_block);
  }
  /// Bytes of the smallest block, of 4 KiB or more, that has room for a slot.
  [[nodiscard]] static std::size_t with_a_slot(std::size_t stride) noexcept {
    std::size_t bytes = Upstream<Lock>::least_block;
    while (slots_of(bytes, stride) == 0) bytes *= 2;
    return bytes;
  }
  [[nodiscard]] std::size_t first_slots(std::size_t stride) const noexcept {
    return at_most_a_block(options_.initial_slots != 0 ? options_.initial_slots
                                                       : slots_of(least_block(stride), stride));
  }
  [[nodiscard]] std::size_t at_most_a_block(std::size_t slot_count) const noexcept {
    std::size_t const most = options_.max_slots_per_block;
    return most != 0 && slot_count > most ? most : slot_count;
  }
  /// Bytes of the block by which a class grows; 0 if it adds fewer slots, `more`, than the smallest block has.
  [[nodiscard]] std::size_t block_to_add(std::size_t stride, std::size_t current, std::size_t& more) const {
    more = GrowthStrategy::exponential(options_.growth_factor).slots_to_add(current);
    if (more < least_block(stride) / stride) return 0;
    std::size_t const most = greater(most_at_first, current * stride / share);
    return more < most / stride ? smaller(std::bit_ceil(more * stride), std::bit_floor(most)) : std::bit_floor(most);
  }
  /// Called without a lock, when class `index` with `current` slots is about to grow.
  [[nodiscard]] std::size_t slots_to_add(std::size_t index, std::size_t current) {
    std::size_t const stride = SizeClasses::bytes(index);
    std::size_t more = 0;
    std::size_t const wanted = block_to_add(stride, current, more);
    if (wanted == 0) return at_most_a_block(more);
    if (upstream_.is_time_to_look(wanted))
      for (Core& core : cores_)
        if (&core != cores_ + index && is_idle(core)) release_idle(core);
    std::size_t const kept = upstream_.kept_for(wanted, least_block(stride));
    return at_most_a_block(slots_of(kept != 0 ? kept : wanted, stride));
  }
  /// True if half of a class is free, and enough for a block of another.
  [[nodiscard]] static bool is_idle(Core const& core) noexcept {
    std::size_t const slot_count = core.capacity();
    std::size_t const in_use = core.allocated();
    return in_use <= slot_count / 2 && (slot_count - in_use) * core.stride() >= most_at_first;
  }
  /// Effects: keeps the free blocks of a class for any class.
  static void release_idle(Core& core) noexcept {
    core.release_free_blocks(false, [](GrowingBlock const&) {});
  }
  void open(std::size_t index) noexcept {
    std::size_t const stride = SizeClasses::bytes(index);
    std::construct_at(cores_ + index, UpstreamStorage<Lock>{&upstream_});
    cores_[index].open_empty({.capacity = first_slots(stride),
                              .growth_strategy = GrowthStrategy::custom([resource = this, index](std::size_t current) {
                                return resource->slots_to_add(index, current);
                              }),
                              .alignment = SizeClasses::alignment(index)},
                             {stride, SizeClasses::granule});
  }

  /// Called when a class has no slot. If the upstream resource has no memory for a block, a block of another class is
  /// taken, or else the least one asked for: two blocks at most, where no other thread takes what was acquired. Then
  /// the heap gets all free blocks back, and is asked again. Other resources do not: one that does not hand them out
  /// again, as a std::pmr::monotonic_buffer_resource, would lose them.
  FASTALLOC_COLD Taken pop_slow(Core& core, Error& error) noexcept {
    Taken taken = core.pop_slow(&error);
    if (taken.slot != nullptr) return taken;
    std::size_t const stride = core.stride();
    std::size_t const current = core.capacity();
    std::size_t asked = first_slots(stride);
    if (current != 0)
      if (std::size_t const block = block_to_add(stride, current, asked)) asked = slots_of(block, stride);
    for (Core& other : cores_)
      if (&other != &core) release_idle(other);
    std::size_t const fewest = at_most_a_block(slots_of(least_block(stride), stride));
    std::size_t const kept = upstream_.kept_for((std::numeric_limits<std::size_t>::max)() / 8, with_a_slot(stride));
    std::size_t const slot_count = kept != 0 ? at_most_a_block(slots_of(kept, stride)) : fewest;
    if ((kept != 0 || slot_count < asked) && core.reserve(current + slot_count, error)) taken = core.pop_slow(&error);
    if (taken.slot == nullptr && upstream_.is_heap() && upstream_.release_kept() != 0 &&
        core.reserve(core.capacity() + smaller(asked, fewest), error))
      taken = core.pop_slow(&error);
    return taken;
  }
  FASTALLOC_COLD Taken pop_or_throw(Core& core) {
    UpstreamRefusal const refusal;
    Error error;
    Taken const taken = pop_slow(core, error);
    if (taken.slot == nullptr) {
      refusal.rethrow();
      error.text = no_memory;
      fail(error);
    }
    return taken;
  }
  FASTALLOC_COLD Taken try_pop_slow(Core& core) noexcept {
    Error error;
    return pop_slow(core, error);
  }

  FASTALLOC_COLD void* try_allocate_big(std::size_t bytes, std::size_t alignment) noexcept {
    if (!std::has_single_bit(alignment)) return nullptr;
    (void)cores_[0].capacity();  // from now on the upstream is notified of forks
    std::size_t const usable = usable_size(bytes, alignment);
    void* const data = upstream_.allocate(usable, alignment);
    if (data != nullptr || Upstream<Lock>::whole_bytes(usable) == 0 || !upstream_.is_heap()) return data;
    for (Core& core : cores_) release_idle(core);
    return upstream_.release_kept() != 0 ? upstream_.allocate(usable, alignment) : nullptr;
  }
  FASTALLOC_COLD void* allocate_big(std::size_t bytes, std::size_t alignment) {
    UpstreamRefusal const refusal;
    if (void* const data = try_allocate_big(bytes, alignment)) return data;
    refusal.rethrow();
    if (!std::has_single_bit(alignment))
      fail(Error{.code = ErrorCode::invalid_alignment,
                 .requested = alignment,
                 .text = "the requested alignment is not a power of two; use alignof(T)",
                 .unit = "bytes"});
    fail(Error{.code = ErrorCode::allocation_failed, .requested = bytes, .text = no_memory, .unit = "bytes"});
  }
  FASTALLOC_COLD void deallocate_big(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    if (!upstream_.template deallocate<Checks::tracks_slots>(p, usable_size(bytes, alignment)))
      refuse(nullptr, p, bytes);
  }

  /// `renew`: allocates the new block, or returns null, or throws.
  template <class Renew>
  FASTALLOC_NOINLINE void* resize(void* p, std::size_t old_bytes, std::size_t new_bytes, std::size_t alignment,
                                  Renew&& renew) {
    std::size_t const wanted = slot_bytes(old_bytes, alignment);
    Core* const core = wanted > largest_ ? nullptr : &core_for(wanted);
    if constexpr (Checks::tracks_slots)
      if (!is_block(core, p, usable_size(old_bytes, alignment))) return refuse(core, p, old_bytes), nullptr;
    bool const fits = usable_size(old_bytes, alignment) == usable_size(new_bytes, alignment);
    if (fits && Upstream<Lock>::whole_bytes(new_bytes) != 0) {
      if (core != nullptr) {
        auto* const slot = static_cast<std::byte*>(p);
        unpoison(slot, core->stride());
        poison(slot + new_bytes, core->stride() - new_bytes);
      }
      return p;
    }
    if (core == nullptr && slot_bytes(new_bytes, alignment) > largest_)
      if (void* const moved =
              upstream_.reallocate(p, usable_size(old_bytes, alignment), usable_size(new_bytes, alignment)))
        return moved;
    void* const block = renew();
    if (block == nullptr) return nullptr;
    std::memcpy(block, p, (std::min)(old_bytes, new_bytes));
    deallocate(p, old_bytes, alignment);
    return block;
  }
  /// True if `p` is a slot in use of `core`, or, for null, a big block with `usable` bytes.
  [[nodiscard]] bool is_block(Core const* core, void const* p, std::size_t usable) const noexcept {
    Error ignored;
    if (core != nullptr) return core->check_in_use(p, ignored);
    std::size_t const whole = Upstream<Lock>::whole_bytes(usable);
    return whole != 0 && upstream_.find(p) == whole;
  }

  /// `core`: the class that the call names; null for a big block.
  FASTALLOC_COLD void refuse(Core const* core, void const* p, std::size_t bytes) noexcept {
    Error error{.code = ErrorCode::invalid_handle};
    if constexpr (Checks::tracks_slots)
      if (core != nullptr) (void)core->check_in_use(p, error, true);
    error.address = p;
    error.requested = bytes;
    error.unit = "bytes";
    if (error.code == ErrorCode::invalid_handle) {
      bool const elsewhere = std::any_of(cores_, cores_ + size_classes,
                                         [&](Core const& other) { return &other != core && other.owns(p); });
      error.text =
          elsewhere || upstream_.find(p) != 0
              ? "a block is deallocated with another size or alignment than it was allocated with; pass the same"
              : "the pointer is not the start of a block of this resource, or no more; deallocate it once, where it "
                "was allocated";
    }
    report(error);
  }

  static constexpr char const* no_memory =
      "the upstream resource has no memory; free some, or give the resource a larger upstream";

  std::size_t largest_;  ///< bytes
  union {
    mutable Core cores_[size_classes];
  };
  Upstream<Lock> upstream_;
  PoolResourceOptions options_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: std::pmr containers of one thread, or of several threads under one lock. Size: 13 KiB, per block of
/// slots about 100 bytes, per class in use up to 2 KiB. (With debug checks or AddressSanitizer 8 bytes a slot more.)
/// Thread safety: one thread at a time.
class PoolResource final : public detail::BasicPoolResource<detail::ResourceOfOneThread> {
 public:
  using BasicPoolResource::BasicPoolResource;
};

#if FASTALLOC_HAS_THREADS
/// When to use: several threads share the memory of containers, or memory moves between threads. The caches of
/// ThreadSafePool stand in front of each class: most operations take no lock. The upstream resource need not be
/// thread-safe. Size: 19 KiB, and for each thread and class in use 128 bytes to 2 KiB by operator new, and up to 16 KiB
/// of slots that the thread keeps.
/// Thread safety: any thread may call any function at any time, except release(). Threads may end before the resource,
/// and the resource may be destroyed before its threads end. After fork() the child has the resource as it was; the
/// upstream resource must tolerate calls in the child while another thread was using it.
class SynchronizedPoolResource final : public detail::BasicPoolResource<detail::SharedResource> {
 public:
  using BasicPoolResource::BasicPoolResource;
};
#endif

}  // namespace fastalloc::inline FASTALLOC_MODE
