// SPDX-License-Identifier: MIT OR Apache-2.0
// PageStorage: blocks of whole pages straight from the operating system: huge, prefaulted, locked, from a NUMA node.
//
//   FixedPool<Order, PageStorage> pool(
//       PoolConfig{.capacity = 100'000, .pre_initialize = true},
//       PageStorage{{.huge_pages = HugePages::reserved, .lock_memory = true, .numa_node = 0}});
//   if (pool.storage().has_note()) std::puts(pool.storage().note().to_string().c_str());
//
// If the system cannot provide a requested feature, the storage still returns memory and keeps a note on what is
// missing and how to get it. With `required`, it returns no memory, and the note becomes the pool's error.
#pragma once

#include <fastalloc/storage/os_pages.hpp>
#include <fastalloc/storage/storage.hpp>

#if FASTALLOC_HAS_PAGES

#include <fastalloc/atomic_ref.hpp>
#include <fastalloc/error.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// none: pages of the usual size, even on a system set to "always". transparent: blocks of at least a huge page begin
/// at one, and the kernel is advised to use them; it may split them again. reserved: from the kernel's own stock
/// (hugetlbfs: sysctl vm.nr_hugepages=N); they stay whole and are never swapped, and every block takes whole ones, the
/// directory of a growing pool included.
enum class HugePages : unsigned char { none, transparent, reserved };

/// The subjects of notes, the gravest first.
enum class PageFeature : unsigned char { lock_memory, prefault, huge_pages, numa_node };

/// The requests of a PageStorage to the system.
struct PageOptions {
  HugePages huge_pages = HugePages::transparent;
  /// brings in all pages before acquire() returns: no page fault later
  bool prefault = false;
  /// prefault, and keeps the pages in memory: never swapped or written back
  bool lock_memory = false;
  /// address space only: the system sets no memory aside, and pages come at their first use. For capacities above what
  /// the machine has; a page that is missing then ends the program. Not with prefault, lock_memory or reserved pages
  bool reserve_only = false;
  int numa_node = -1;                                 ///< the preferred node, while it has memory; -1: any
  std::size_t huge_page_size = std::size_t{2} << 20;  ///< bytes; a size the processor has: 2 MiB, 1 GiB, ...
  /// a missing feature is a failure, except transparent huge pages, which are advice
  bool required = false;
};

/// When to use: where a page fault or swapping at the first touch would come at the wrong time; where page walks
/// dominate; to choose a NUMA node. Every block is a separate mapping in whole pages, and begins at a page: do not use
/// it for many small pools, nor for more than a dozen that are used in turn (CacheColour in storage.hpp).
///
/// Linux has all features; other POSIX systems map, prefault and lock, and note the rest. With prefault or lock_memory
/// the kernel clears all pages of a block during the call: do not grow from a real-time thread. After fork() the
/// child's memory is not locked, and both processes copy pages at their next write.
/// Thread safety: as the pool's storage; any thread may read notes at any time.
class PageStorage {
 public:
  static constexpr bool can_grow = true;

  constexpr PageStorage(PageOptions options = {}) noexcept : options_(options) {}
  /// Copies the options only: notes are about the blocks of their storage.
  constexpr PageStorage(PageStorage const& other) noexcept : options_(other.options_) {}
  /// Copies the options; the notes about its own blocks stay.
  constexpr PageStorage& operator=(PageStorage const& other) noexcept { return options_ = other.options_, *this; }

  /// Effects: maps `bytes` bytes, rounded up to whole pages, and applies the options. A missing feature leaves a note.
  /// Returns: null when there is no memory or a required feature is missing; nothing stays mapped then (but see
  /// release()).
  /// Complexity: a few system calls; linear in the pages with prefault or lock_memory.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    failure_ = {};
    if (options_.reserve_only && (is_prefaulted() || options_.huge_pages == HugePages::reserved)) {
      failed_ = PageFeature::prefault;
      failure_ = {contradiction, bytes, 0};
      return nullptr;
    }
    if (options_.numa_node < -1 && !miss(PageFeature::numa_node, {negative_node, 0, 0})) return nullptr;
    std::size_t const size = detail::whole_pages(bytes, detail::page_size());
    if (size == 0) return nullptr;
    if (options_.huge_pages == HugePages::reserved) {
      std::byte* const block = acquire_reserved(bytes, alignment);
      if (block != nullptr || failure_.text != nullptr) return block;
    }
    bool const huge = options_.huge_pages != HugePages::none && is_huge_page_size() && bytes >= options_.huge_page_size;
    std::byte* const block = detail::map_pages(
        size, huge && alignment < options_.huge_page_size ? options_.huge_page_size : alignment, options_.reserve_only);
    if (block == nullptr) return nullptr;
    if (options_.huge_pages == HugePages::none) detail::advise_small(block, size);
    int const advised = huge ? detail::advise_huge(block, size) : 0;
    if (advised != 0 && options_.huge_pages == HugePages::transparent)
      keep(PageFeature::huge_pages, {advised == ENOSYS ? not_here : no_transparent, size, 0});
    State state = bring_in(block, size);
    if (state == State::short_of_pages)
      state = miss(PageFeature::prefault, {not_brought_in, size, 0}) ? State::ready : State::failed;
    if (state == State::ready && secure(block, size, detail::page_size())) return block;
    ::munmap(block, size);
    return nullptr;
  }

  /// A process at its limit of mappings (sysctl vm.max_map_count) cannot always release a block: the kernel merges
  /// neighbours into one mapping, and releasing its middle makes two. Such a block stays mapped, with its pages, until
  /// the process ends.
  void release(void* block, std::size_t bytes, std::size_t) noexcept {
    // EINVAL: a mapping of reserved huge pages, which can only be released in whole ones. Do not retry after any other
    // failure: the block may have other pages, and the memory behind it may belong to another thread.
    if (::munmap(block, detail::whole_pages(bytes, detail::page_size())) != 0 && errno == EINVAL &&
        options_.huge_pages == HugePages::reserved)
      ::munmap(block, detail::whole_pages(bytes, options_.huge_page_size));
  }

  /// The reason why acquire() returned null, if a required feature was missing.
  void explain(Error& error) const noexcept {
    if (failure_.text != nullptr) describe(failed_, failure_, error);
  }
  /// True when acquire() brings in every page itself, as far as the system can.
  [[nodiscard]] constexpr bool is_prefaulted() const noexcept { return options_.prefault || options_.lock_memory; }

  [[nodiscard]] constexpr PageOptions const& options() const noexcept { return options_; }
  /// Bytes of the greatest pages that a block may have, for calls that the kernel rounds to them.
  [[nodiscard]] constexpr std::size_t page_bytes() const noexcept {
    return options_.huge_pages == HugePages::reserved ? options_.huge_page_size : 1;
  }

  /// True when a requested feature was not available.
  [[nodiscard]] bool has_note() const noexcept { return note().code != detail::no_error; }
  [[nodiscard]] bool has_note(PageFeature feature) const noexcept { return text_of(feature) != nullptr; }

  /// The gravest missing feature; if none is missing, the note says so, and has_note() is false. Of several blocks, the
  /// first that missed a feature is noted, and that note stays.
  [[nodiscard]] Error note() const noexcept {
    for (std::size_t f = 0; f != features; ++f)
      if (has_note(static_cast<PageFeature>(f))) return note(static_cast<PageFeature>(f));
    return nothing();
  }
  /// The note on one feature.
  [[nodiscard]] Error note(PageFeature feature) const noexcept {
    Error error = nothing();
    if (has_note(feature)) describe(feature, notes_[static_cast<std::size_t>(feature)], error);
    return error;
  }

 private:
  static constexpr std::size_t features = 4;
  static constexpr char const* lock_limited =
      "the memory cannot be locked: the process may lock no more than RLIMIT_MEMLOCK (the limit) in all; raise it "
      "(ulimit -l unlimited, memlock in "
      "/etc/security/limits.conf, LimitMEMLOCK= of a service), or grant CAP_IPC_LOCK. Unless that is required, "
      "unlocked memory is in use";
  static constexpr char const* lock_refused =
      "the system cannot lock the memory, or does not let this process; free memory, or grant CAP_IPC_LOCK. Unless "
      "that is required, unlocked memory is in use";
  static constexpr char const* not_brought_in =
      "the pages cannot be brought in: memory is short, here or in the control group; free some, or raise memory.max. "
      "Unless that is required, "
      "pages are brought in at their first use";
  static constexpr char const* no_transparent = "transparent huge pages are switched off, or not there; type echo "
                                                "madvise > /sys/kernel/mm/transparent_hugepage/enabled, or ask for "
                                                "HugePages::none. Normal pages are in use";
  static constexpr char const* no_reserved =
      "too few reserved huge pages are free (the limit, or none); reserve more (sysctl vm.nr_hugepages=N, N: bytes of "
      "all blocks / bytes of a huge "
      "page), or ask for HugePages::transparent. Unless that is required, other pages are in use";
  static constexpr char const* no_such_size =
      "there are no reserved huge pages of this size; ls /sys/kernel/mm/hugepages shows the sizes for "
      "PageOptions::huge_page_size. Unless that is "
      "required, other pages are in use";
  static constexpr char const* no_node = "there is no such NUMA node with memory that this process may use; numactl "
                                         "--hardware lists them. Unless that is required, memory of any node is in use";
  static constexpr char const* negative_node = "PageOptions::numa_node is negative; write 0 or more, or -1 for any "
                                               "node. Unless that is required, memory of any node is in use";
  static constexpr char const* contradiction =
      "PageOptions::reserve_only takes address space without memory, but prefault, lock_memory and reserved huge pages "
      "take memory at once; keep one of the two";
  static constexpr char const* node_refused = "the system does not let this process choose a NUMA node; allow mbind in "
                                              "the sandbox (CAP_SYS_NICE in containers). Unless that is required, "
                                              "memory of any node is in use";
  static constexpr char const* not_here =
      "this system does not offer that; leave the option out. Unless that is required, memory without it is in use";
  static constexpr char const* node_full = "the NUMA node has too little free memory; numactl --hardware shows how "
                                           "much. Unless that is required, memory of other nodes is in use, too";

  [[nodiscard]] static Error nothing() noexcept { return {.code = detail::no_error, .text = "nothing was refused"}; }

  struct Missing {
    char const* text = nullptr;  ///< null: nothing is missing
    std::size_t requested = 0;   ///< bytes, or the number of the node
    std::size_t limit = 0;       ///< bytes; 0: not applicable
  };

  static void describe(PageFeature feature, Missing const& missing, Error& error) noexcept {
    bool const is_wrong = missing.text == negative_node || missing.text == contradiction;
    error.code = is_wrong ? ErrorCode::invalid_configuration : ErrorCode::allocation_failed;
    error.text = missing.text;
    error.requested = missing.requested;
    error.limit = missing.limit;
    error.unit = feature == PageFeature::numa_node ? "as NUMA node" : "bytes";
  }

  [[nodiscard]] char const* text_of(PageFeature feature) const noexcept {
    // acquire: pairs with the release in keep(): the values of a note are visible with its text.
    return detail::AtomicRef(notes_[static_cast<std::size_t>(feature)].text).load(std::memory_order_acquire);
  }
  void keep(PageFeature feature, Missing missing) noexcept {
    if (has_note(feature)) return;
    Missing& note = notes_[static_cast<std::size_t>(feature)];
    note.requested = missing.requested;
    note.limit = missing.limit;
    detail::AtomicRef(note.text).store(missing.text, std::memory_order_release);  // release: see text_of()
  }
  /// Notes a missing feature. Returns: false when it is required.
  [[nodiscard]] bool miss(PageFeature feature, Missing missing) noexcept {
    if (!options_.required) return keep(feature, missing), true;
    failed_ = feature;
    failure_ = missing;
    return false;
  }

  [[nodiscard]] constexpr bool is_huge_page_size() const noexcept {
    return options_.huge_page_size >= 4096 && (options_.huge_page_size & (options_.huge_page_size - 1)) == 0;
  }

  /// Returns: null, with a note or a failure, when there are too few, or they cannot be brought in (the control group's
  /// limit); touching them then would end the program.
  [[nodiscard]] std::byte* acquire_reserved(std::size_t bytes, std::size_t alignment) noexcept {
    std::size_t const page = options_.huge_page_size;
    std::size_t const size = is_huge_page_size() ? detail::whole_pages(bytes, page) : 0;
    int error = EINVAL;
    if (std::byte* const block = size == 0 ? nullptr : detail::map_huge_pages(size, alignment, page, error)) {
      State const state = bring_in(block, size);
      if (state == State::ready && secure(block, size, page)) return block;
      ::munmap(block, size);
      if (state != State::short_of_pages) return nullptr;
    }
    Missing missing{no_reserved, size, 0};
    if (error == EINVAL) missing = {no_such_size, page, 0};
    else if (error == ENOSYS) missing.text = not_here;
    else missing.limit = detail::free_huge_bytes(page);
    (void)miss(PageFeature::huge_pages, missing);
    return nullptr;
  }

  enum class State : unsigned char { ready, short_of_pages, failed };

  /// Effects: applies node and prefault to untouched pages.
  [[nodiscard]] State bring_in(std::byte* block, std::size_t size) noexcept {
    if (options_.numa_node >= 0) {
      int const error = detail::bind_to_node(block, size, options_.numa_node);
      if (error != 0 && !miss_node(error == EINVAL ? no_node : error == ENOSYS ? not_here : node_refused))
        return State::failed;
    }
    return is_prefaulted() && detail::populate(block, size) != 0 ? State::short_of_pages : State::ready;
  }
  /// Effects: locks the pages, of `page` bytes each, and verifies their node. Returns: false on failure.
  [[nodiscard]] bool secure(std::byte* block, std::size_t size, std::size_t page) noexcept {
    if (options_.lock_memory && detail::lock_pages(block, size) != 0) {
      std::size_t const limit = detail::lock_limit();
      bool const limited = limit != detail::no_limit;
      if (!miss(PageFeature::lock_memory, {limited ? lock_limited : lock_refused, size, limited ? limit : 0}))
        return false;
    }
    bool const known = is_prefaulted() && options_.numa_node >= 0;
    return !known || detail::all_on_node(block, size, page, options_.numa_node) || miss_node(node_full);
  }
  [[nodiscard]] bool miss_node(char const* text) noexcept {
    return miss(PageFeature::numa_node, {text, static_cast<std::size_t>(options_.numa_node), 0});
  }

  PageOptions options_;
  PageFeature failed_ = PageFeature::lock_memory;  ///< the subject of failure_
  Missing failure_{};
  mutable Missing notes_[features]{};
};

static_assert(Storage<PageStorage> && ExplainsFailure<PageStorage> && Prefaults<PageStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE

#else

namespace fastalloc::inline FASTALLOC_MODE {

/// No mmap on this system: using the class does not compile.
class PageStorage {
 public:
  static constexpr bool can_grow = true;
  template <class Bytes> [[nodiscard]] void* acquire(Bytes, std::size_t) noexcept {
    static_assert(sizeof(Bytes) == 0, "fastalloc: PageStorage needs the mmap() of POSIX, which this system lacks; "
                                      "use HeapStorage, or ExternalStorage "
                                      "over memory that you acquired and locked (VirtualAlloc, VirtualLock)");
    return nullptr;
  }
  void release(void*, std::size_t, std::size_t) noexcept {}
};

static_assert(Storage<PageStorage>);

}  // namespace fastalloc::inline FASTALLOC_MODE

#endif

#undef FASTALLOC_HAS_PAGES
