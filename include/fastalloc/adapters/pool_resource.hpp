// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolResource, SynchronizedPoolResource: std::pmr::memory_resource over pools of raw slots, one pool per size class.
//
//   allocate(bytes, alignment)        class by one table lookup; its PoolCore: last-freed slot, else stack, bump
//                                     pointer, growth
//   deallocate(p, bytes, alignment)   the same class, because bytes and alignment are the same: no header, no search
//   above largest_pooled, or aligned to more than 64 bytes: a big block of the upstream resource
//
// All classes share one instantiation of PoolCore, with a slot size known at run time. A class acquires no memory
// before its first use. The classes: size_classes.hpp.
#pragma once

#include <fastalloc/adapters/size_classes.hpp>
#include <fastalloc/adapters/upstream.hpp>
#include <fastalloc/cache/no_cache.hpp>
#include <fastalloc/pool/pool_core.hpp>
#include <fastalloc/slots/stack_allocator.hpp>

#include <algorithm>
#include <memory>

#if FASTALLOC_HAS_THREADS
#include <fastalloc/cache/thread_cache.hpp>
#endif

namespace fastalloc::inline FASTALLOC_ABI {

struct PoolResourceOptions {
  std::size_t initial_slots = 0;  ///< of each class, acquired at its first use; 0 = about 4 KiB worth, at least 4
  double growth_factor = 2.0;     ///< factor for the slots of a class; finite and greater than 1
  /// bytes, rounded up to the alignment; at most 4096. Larger requests go to the upstream resource
  std::size_t largest_pooled = 4096;
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
  using Core = PoolCore<CoreChoices<AnySizeShape<SizeClasses::granule, true>, StackAllocator, UpstreamStorage<Lock>,
                                    Lock, NoStats, Checks, typename Kind::caches>>;

 public:
  static constexpr std::size_t size_classes = SizeClasses::count;
  static constexpr bool is_checked = Checks::tracks_slots;

  /// `upstream`: the source of blocks of slots and of big blocks. Requires: it outlives this resource, and its
  /// functions do not use this resource.
  /// Throws: InvalidConfiguration. Complexity: 1 step for each class; acquires no memory.
  explicit BasicPoolResource(std::pmr::memory_resource* upstream = std::pmr::get_default_resource())
      : BasicPoolResource(PoolResourceOptions{}, upstream) {}
  explicit BasicPoolResource(PoolResourceOptions const& options,
                             std::pmr::memory_resource* upstream = std::pmr::get_default_resource())
      : largest_(validated(options, upstream).largest_pooled), upstream_(upstream), options_(options) {
    for (std::size_t index = 0; index != size_classes; ++index) open(index);
  }
  BasicPoolResource(BasicPoolResource const&) = delete;
  BasicPoolResource& operator=(BasicPoolResource const&) = delete;

  /// Effects: releases all memory to the upstream resource, deallocated or not, as std::pmr's pool resources do.
  ~BasicPoolResource() override { std::destroy_n(cores_, size_classes); }

  /// As std::pmr::memory_resource::allocate(), without the virtual call; for constant size and alignment the class is a
  /// constant. Requires: `alignment` is a power of two. Returns: at least `bytes` bytes; a distinct address even for 0
  /// bytes.
  /// Throws: AllocationFailed (a std::bad_alloc), whatever the upstream resource throws; nothing changes then.
  /// Complexity: at most 3 steps, except when a class grows (as a GrowingPool) or for a big request: that of the
  /// upstream resource.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE void* allocate(std::size_t bytes,
                                                       std::size_t alignment = alignof(std::max_align_t)) {
    std::size_t const wanted = slot_bytes(bytes, alignment);
    if (wanted > largest_) [[unlikely]]
      return allocate_big(bytes, alignment);
    Core& core = core_for(wanted);
    Taken taken = core.pop();
    if (taken.slot == nullptr) [[unlikely]]
      taken = pop_slow(core);
    poison(taken.slot + bytes, core.stride() - bytes);
    return taken.slot;
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
      return deallocate_big(p, bytes);
    Core& core = core_for(wanted);
    if constexpr (Checks::tracks_slots)
      if (!core.claim(p)) [[unlikely]]
        return refuse(&core, p, bytes);
    auto* const slot = static_cast<std::byte*>(p);
    unpoison(slot, core.stride());
    core.push(slot);
  }

  [[nodiscard]] std::pmr::memory_resource* upstream() const noexcept { return upstream_.resource(); }
  [[nodiscard]] PoolResourceOptions options() const noexcept { return options_; }

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
    std::size_t bytes = 0;
    for (Core& core : cores_) bytes += core.release_free_blocks(false, [](GrowingBlock const&) {});
    return bytes;
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
    bool const fits = alignment <= SizeClasses::max_alignment && bytes <= SizeClasses::largest;
    if (!fits || !std::has_single_bit(alignment)) return SizeClasses::largest + 1;
    return bytes == 0 ? alignment : (bytes + alignment - 1) & ~(alignment - 1);
  }

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE Core& core_for(std::size_t bytes) noexcept {
    static constexpr auto offsets = SizeClasses::table(sizeof(Core));
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

  [[nodiscard]] std::size_t first_slots(std::size_t stride) const noexcept {
    return options_.initial_slots != 0 ? options_.initial_slots
                                       : std::max<std::size_t>(SizeClasses::largest / stride, 4);
  }
  void open(std::size_t index) noexcept {
    std::size_t const stride = SizeClasses::bytes(index);
    std::construct_at(cores_ + index, UpstreamStorage<Lock>{&upstream_});
    cores_[index].open_empty({.capacity = first_slots(stride),
                              .growth_strategy = GrowthStrategy::exponential(options_.growth_factor),
                              .alignment = SizeClasses::alignment(index)},
                             {stride, SizeClasses::granule});
  }

  /// Called when a class has no slot. If the upstream resource has no memory for a block of the growth factor's size,
  /// tries the slots kept by threads, then smaller blocks.
  FASTALLOC_COLD Taken pop_slow(Core& core) {
    Error error;
    Taken taken = core.pop_slow(&error);
    if (taken.slot == nullptr) core.trim(), taken = core.pop_slow(&error);
    for (std::size_t more = (std::max)(core.capacity(), first_slots(core.stride()));
         taken.slot == nullptr && (more /= 2) != 0;)
      if (core.reserve(core.capacity() + more, error)) taken = core.pop_slow(&error);
    if (taken.slot == nullptr) {
      error.text = no_memory;
      fail(error);
    }
    return taken;
  }
  FASTALLOC_COLD void* allocate_big(std::size_t bytes, std::size_t alignment) {
    Error error{.code = ErrorCode::allocation_failed, .requested = bytes, .text = no_memory, .unit = "bytes"};
    if (!std::has_single_bit(alignment)) {
      error = {.code = ErrorCode::invalid_alignment,
               .requested = alignment,
               .text = "the requested alignment is not a power of two; use alignof(T)",
               .unit = "bytes"};
      fail(error);
    }
    (void)cores_[0].capacity();  // from now on the upstream is notified of forks
    if (void* const data = upstream_.allocate(bytes, alignment)) return data;
    fail(error);
  }
  FASTALLOC_COLD void deallocate_big(void* p, std::size_t bytes) noexcept {
    if (!upstream_.template deallocate<Checks::tracks_slots>(p, bytes)) refuse(nullptr, p, bytes);
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

/// When to use: std::pmr containers of one thread, or of several threads under one lock. Size: 7.5 KiB, and 8 bytes a
/// slot, which are touched when slots are returned.
/// Thread safety: one thread at a time.
class PoolResource final : public detail::BasicPoolResource<detail::ResourceOfOneThread> {
 public:
  using BasicPoolResource::BasicPoolResource;
};

#if FASTALLOC_HAS_THREADS
/// When to use: several threads share the memory of containers, or memory moves between threads. The caches of
/// ThreadSafePool stand in front of each class: most operations take no lock. The upstream resource need not be
/// thread-safe. Size: 11 KiB, and for each thread and class in use 2 KiB by operator new, and up to 16 KiB of slots
/// that the thread keeps.
/// Thread safety: any thread may call any function at any time, except release(). Threads may end before the resource,
/// and the resource may be destroyed before its threads end. After fork() the child has the resource as it was; the
/// upstream resource must tolerate calls in the child while another thread was using it.
class SynchronizedPoolResource final : public detail::BasicPoolResource<detail::SharedResource> {
 public:
  using BasicPoolResource::BasicPoolResource;
};
#endif

}  // namespace fastalloc::inline FASTALLOC_MODE
