// SPDX-License-Identifier: MIT OR Apache-2.0
// Upstream: a std::pmr::memory_resource as a storage policy, and big blocks allocated from it without a pool.
//
//   | bytes for the user | padding | BigBlock |      a big block; one list of all serves to release them together
//
// The record lies behind the bytes, where their size locates it, so that alignment in front costs nothing.
//
// Blocks of slots have one of few sizes, powers of two, whatever their class: a block that one class releases is kept
// for the next class that needs one, and a deallocated big block for a request of the same size, until release_kept().
//
// An exception of the resource becomes null here: the pools above never see one in the middle of a change. A request
// that may throw has a UpstreamRefusal, which keeps the exception until the pools are whole again.
#pragma once

#include <fastalloc/lifetime/hooks.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/pool_layout.hpp>
#include <fastalloc/storage/heap_storage.hpp>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory_resource>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The exception with which an upstream resource last refused memory to this thread, during the UpstreamRefusal's
/// lifetime. One inside another belongs to a resource that is the other's upstream.
class UpstreamRefusal {
 public:
  UpstreamRefusal() noexcept : outer_(std::exchange(innermost(), this)) {}
  UpstreamRefusal(UpstreamRefusal const&) = delete;
  UpstreamRefusal& operator=(UpstreamRefusal const&) = delete;
  ~UpstreamRefusal() { innermost() = outer_; }

  /// Requires: an exception is being handled.
  static void note() noexcept {
#if FASTALLOC_EXCEPTIONS
    if (UpstreamRefusal* const here = innermost()) here->exception_ = std::current_exception();
#endif
  }
  /// Throws: the exception noted; returns if there is none.
  void rethrow() const {
#if FASTALLOC_EXCEPTIONS
    if (exception_ != nullptr) std::rethrow_exception(exception_);
#endif
  }

 private:
  static UpstreamRefusal*& innermost() noexcept {
#if FASTALLOC_HAS_THREADS
    static thread_local constinit UpstreamRefusal* here = nullptr;
#else
    static constinit UpstreamRefusal* here = nullptr;
#endif
    return here;
  }

  UpstreamRefusal* outer_;
  std::exception_ptr exception_{};
};

struct BigBlock {
  BigBlock* next;
  BigBlock* previous;
  std::size_t bytes;      ///< as acquired, including this record
  std::size_t alignment;  ///< as acquired

  [[nodiscard]] std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1) - bytes; }
};

/// Lock: guards all members, and the resource itself, which need not be thread-safe.
template <class Lock> class Upstream {
 public:
  explicit Upstream(std::pmr::memory_resource* resource) noexcept : resource_(resource) {}
  Upstream(Upstream const&) = delete;
  Upstream& operator=(Upstream const&) = delete;
  ~Upstream() { release_all(), release_kept(); }

  [[nodiscard]] std::pmr::memory_resource* resource() const noexcept { return resource_; }
  /// True when the heap can be used directly: blocks of at least 4 MiB then lie on huge pages, and memory of the
  /// default alignment costs a quarter of an aligned new in glibc.
  [[nodiscard]] bool is_heap() const noexcept { return resource_ == std::pmr::new_delete_resource(); }
  /// Bytes acquired from the resource and not yet released.
  [[nodiscard]] std::size_t held() const noexcept {
    Guard guard(lock_);
    return held_;
  }
  /// Bytes of the big blocks, including their records.
  [[nodiscard]] std::size_t held_by_big_blocks() const noexcept {
    Guard guard(lock_);
    std::size_t bytes = 0;
    for (BigBlock const* block = big_; block != nullptr; block = block->next) bytes += block->bytes;
    return bytes;
  }

  static constexpr std::size_t least_block = 4096;   ///< bytes; of a block of slots
  static constexpr std::size_t least_kept = 64;      ///< bytes; of a directory
  static constexpr std::size_t kept_alignment = 64;  ///< bytes; of all that is kept
  static constexpr std::size_t sizes_kept = 18;      ///< 64 bytes to 8 MiB
  /// Memory of a class: a block of slots, or its directory. A class fills a block up to the last slot and the record.
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    Guard guard(lock_);
    std::size_t const size = size_kept(bytes);
    if (size == 0) return acquire_here(bytes, alignment);
    if (Kept* const kept = kept_[index_of(size)]) {
      unpoison(kept, size);
      kept_[index_of(size)] = kept->next;
      return kept;
    }
    return acquire_here(size, kept_alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    Guard guard(lock_);
    std::size_t const size = size_kept(bytes);
    if (size == 0) return release_here(block, bytes, alignment);
    Kept*& first = kept_[index_of(size)];
    first = ::new (block) Kept{first};
    poison(first + 1, size - sizeof(Kept));
  }

  /// Returns: the bytes of a kept block for a class that would acquire `wanted`: this size, or up to eight times as
  /// much, or else the largest below, but no less than `least`, a power of two; 0 if none is kept.
  [[nodiscard]] std::size_t kept_for(std::size_t wanted, std::size_t least) const noexcept {
    Guard guard(lock_);
    std::size_t below = 0;
    for (std::size_t size = least, i = index_of(size); i != sizes_kept && size <= 8 * wanted; ++i, size *= 2) {
      if (kept_[i] == nullptr) continue;
      if (size >= wanted) return size;
      below = size;
    }
    return below;
  }
  /// Effects: gives the blocks kept back to the resource, big ones too. Returns: their bytes.
  std::size_t release_kept() noexcept {
    Guard guard(lock_);
    std::size_t const before = held_;
    for (std::size_t i = 0; i != sizes_kept; ++i)
      while (Kept* const kept = kept_[i]) {
        unpoison(kept, least_kept << i);
        kept_[i] = kept->next;
        release_here(kept, least_kept << i, kept_alignment);
      }
    drop_big(0, 0);
    return before - held_;
  }
  /// Notes that a class grows by `bytes`. Returns: true once in a sixteenth of the bytes held, or 256 KiB: often enough
  /// to look for idle blocks of other classes.
  [[nodiscard]] bool is_time_to_look(std::size_t bytes) noexcept {
    Guard guard(lock_);
    grown_ += bytes;
    if (grown_ < greater(held_ / 16, std::size_t{256} << 10)) return false;
    grown_ = 0;
    return true;
  }

  /// A big block. Returns: null when there is no memory, or the size exceeds that of any object.
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
    std::size_t const whole = whole_bytes(bytes);
    if (whole == 0) return nullptr;
    std::size_t const aligned = alignment < alignof(BigBlock) ? alignof(BigBlock) : alignment;
    Guard guard(lock_);
    std::byte* data = whole < least_big_kept ? nullptr : take_kept(whole, aligned);
    if (data == nullptr) data = static_cast<std::byte*>(acquire_big(whole, aligned));
    if (data == nullptr) return nullptr;
    push_big(data, whole, aligned);
    return data;
  }
  /// Makes a big block one of another size with the same contents, in place or by moving pages. Requires: as for
  /// deallocate(). Returns: null, with the block as it was, where that takes a copy, or there is no memory.
  [[nodiscard]] void* reallocate(void* data, std::size_t bytes, std::size_t new_bytes) noexcept {
    std::size_t const whole = whole_bytes(new_bytes);
    Guard guard(lock_);
    BigBlock* const block = record_of(data, whole_bytes(bytes));
    if (whole == 0 || !is_malloc(block->alignment)) return nullptr;
    BigBlock const old = *block;  // the bytes may move, and become fewer
    pop_big(block);
    void* const moved = std::realloc(data, whole);
    if (moved == nullptr) return push_big(static_cast<std::byte*>(data), old.bytes, old.alignment), nullptr;
    held_ += whole - old.bytes;
    push_big(static_cast<std::byte*>(moved), whole, old.alignment);
    return moved;
  }
  /// Requires: `data` is a big block, allocated with `bytes` (no requirement if checked). Returns: false if it is not.
  template <bool checked> bool deallocate(void* data, std::size_t bytes) noexcept {
    Guard guard(lock_);
    if constexpr (checked)
      if (std::size_t const whole = whole_bytes(bytes); whole == 0 || find_here(data) != whole) return false;
    BigBlock* const block = record_of(data, whole_bytes(bytes));
    pop_big(block);
    keep(block);
    return true;
  }
  /// Returns: whole_bytes() of big block `data`; 0 when there is no such block. Complexity: linear in the big blocks.
  [[nodiscard]] std::size_t find(void const* data) const noexcept {
    Guard guard(lock_);
    return find_here(data);
  }
  /// True if `p` points into a big block. Complexity: linear in the big blocks.
  [[nodiscard]] bool owns(void const* p) const noexcept {
    Guard guard(lock_);
    auto const at = reinterpret_cast<std::uintptr_t>(p);
    for (BigBlock* block = big_; block != nullptr; block = block->next)
      if (at - reinterpret_cast<std::uintptr_t>(block->data()) < block->bytes) return true;
    return false;
  }
  /// Effects: releases all big blocks.
  void release_all() noexcept {
    Guard guard(lock_);
    while (BigBlock* const block = big_) {
      big_ = block->next;
      release_here(block);
    }
  }

  /// Called in the child of a fork, where the thread that held the lock may not exist. If one held it, the child loses
  /// what was kept, since a list may be half changed; of the big blocks `next` is right at any moment.
  void stay_alone() noexcept {
    if constexpr (requires { lock_.try_lock(); })
      if (!lock_.try_lock()) {
        for (Kept*& kept : kept_) kept = nullptr;
        kept_big_ = nullptr;
        big_kept_ = big_bytes_kept_ = 0;
        BigBlock* previous = nullptr;
        for (BigBlock* block = big_; block != nullptr; block = block->next)
          block->previous = std::exchange(previous, block);
      }
    std::construct_at(&lock_);
  }

  /// Bytes of a big block with its record; 0 when they exceed the size of any object.
  static constexpr std::size_t whole_bytes(std::size_t bytes) noexcept {
    std::size_t whole = 0;
    bool const fits = checked_round_up(bytes, alignof(BigBlock), whole) && checked_add(whole, sizeof(BigBlock), whole);
    return fits && whole <= static_cast<std::size_t>((std::numeric_limits<std::ptrdiff_t>::max)()) ? whole : 0;
  }

  /// The power of two that a block of `bytes` nearly fills; 0 for other sizes.
  static constexpr std::size_t size_kept(std::size_t bytes) noexcept {
    if (bytes > least_kept << (sizes_kept - 1)) return 0;
    std::size_t const size = greater(std::bit_ceil(bytes), least_kept);
    return size - bytes <= greater(size / 4, least_block) ? size : 0;
  }

 private:
  struct Kept {
    Kept* next;
  };
  static constexpr std::size_t index_of(std::size_t size) noexcept {
    return static_cast<std::size_t>(std::countr_zero(size / least_kept));
  }
  [[nodiscard]] std::size_t find_here(void const* data) const noexcept {
    for (BigBlock* block = big_; block != nullptr; block = block->next)
      if (block->data() == data) return block->bytes;
    return 0;
  }
  static BigBlock* record_of(void* data, std::size_t whole) noexcept {
    return reinterpret_cast<BigBlock*>(static_cast<std::byte*>(data) + whole) - 1;
  }
  /// A big block kept since its deallocation. Returns: null if none has this size.
  std::byte* take_kept(std::size_t whole, std::size_t alignment) noexcept {
    for (BigBlock** at = &kept_big_; BigBlock* const block = *at; at = &block->next) {
      if (block->bytes != whole || block->alignment != alignment) continue;
      *at = block->next;
      --big_kept_;
      big_bytes_kept_ -= whole;
      unpoison(block->data(), whole);
      return block->data();
    }
    return nullptr;
  }
  /// Containers request the same sizes again when they are filled again, and the heap may return the pages meanwhile.
  /// Other resources get their blocks back at once, as from std::pmr's pool resources.
  void keep(BigBlock* block) noexcept {
    std::size_t const most = greater(held_ / 16, std::size_t{1} << 20);
    if (block->bytes < least_big_kept || block->bytes > most || !is_heap()) return release_here(block);
    drop_big(most_big_kept - 1, most - block->bytes);
    block->next = std::exchange(kept_big_, block);
    ++big_kept_;
    big_bytes_kept_ += block->bytes;
    poison(block->data(), block->bytes - sizeof(BigBlock));
  }
  /// Effects: releases the big blocks kept longest, except `count` of at most `bytes` bytes in all.
  void drop_big(std::size_t count, std::size_t bytes) noexcept {
    if (big_kept_ <= count && big_bytes_kept_ <= bytes) return;
    BigBlock** at = &kept_big_;
    for (; *at != nullptr && count != 0 && (*at)->bytes <= bytes; at = &(*at)->next, --count) bytes -= (*at)->bytes;
    for (BigBlock* block = std::exchange(*at, nullptr); block != nullptr;) {
      BigBlock* const gone = std::exchange(block, block->next);
      --big_kept_;
      big_bytes_kept_ -= gone->bytes;
      unpoison(gone->data(), gone->bytes);
      release_here(gone);
    }
  }
  void push_big(std::byte* data, std::size_t whole, std::size_t alignment) noexcept {
    BigBlock* const second = big_;
    auto* const block = ::new (static_cast<void*>(record_of(data, whole))) BigBlock{second, nullptr, whole, alignment};
    std::atomic_signal_fence(std::memory_order_release);  // for a fork; see stay_alone()
    big_ = block;
    if (second != nullptr) second->previous = block;
  }
  void pop_big(BigBlock* block) noexcept {
    (block->previous != nullptr ? block->previous->next : big_) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
  }
  /// Big blocks of the heap are from malloc(), since operator new has no realloc().
  [[nodiscard]] bool is_malloc(std::size_t alignment) const noexcept {
    return is_heap() && alignment <= alignof(std::max_align_t);
  }
  void* acquire_big(std::size_t bytes, std::size_t alignment) noexcept {
    if (!is_malloc(alignment)) return acquire_here(bytes, alignment);
    expect_no_lock();
    void* const memory = std::malloc(bytes);
    if (memory != nullptr) held_ += bytes;
    return memory;
  }
  void release_here(BigBlock* block) noexcept {
    if (!is_malloc(block->alignment)) return release_here(block->data(), block->bytes, block->alignment);
    held_ -= block->bytes;
    std::free(block->data());
  }
  void* acquire_here(std::size_t bytes, std::size_t alignment) noexcept {
    expect_no_lock();
    void* memory = nullptr;
    if (is_heap())
      memory =
          is_plain(bytes, alignment) ? ::operator new(bytes, std::nothrow) : HeapStorage().acquire(bytes, alignment);
    else {
      FASTALLOC_TRY { memory = resource_->allocate(bytes, alignment); }
      FASTALLOC_CATCH_ALL { UpstreamRefusal::note(); }
    }
    if (memory != nullptr) held_ += bytes;
    return memory;
  }
  void release_here(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    held_ -= bytes;
    if (is_heap())
      is_plain(bytes, alignment) ? ::operator delete(block) : HeapStorage().release(block, bytes, alignment);
    else resource_->deallocate(block, bytes, alignment);
  }
  static bool is_plain(std::size_t bytes, std::size_t alignment) noexcept {
    return alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__ && bytes < HeapStorage::huge_block;
  }

  std::pmr::memory_resource* resource_;
  BigBlock* big_ = nullptr;  ///< the newest first
  std::size_t held_ = 0;     ///< bytes
  std::size_t grown_ = 0;    ///< bytes; see is_time_to_look()
  Kept* kept_[sizes_kept] = {};
  static constexpr std::size_t least_big_kept = std::size_t{64} << 10;  ///< bytes; a heap serves smaller ones well
  static constexpr std::size_t most_big_kept = 16;
  BigBlock* kept_big_ = nullptr;    ///< through `next`, the last one deallocated first
  std::size_t big_kept_ = 0;        ///< their number
  std::size_t big_bytes_kept_ = 0;  ///< bytes
  FASTALLOC_NO_UNIQUE_ADDRESS mutable Lock lock_{};
};

/// The storage policy: the resource behind an Upstream.
template <class Lock> struct UpstreamStorage {
  static constexpr bool can_grow = true;
  Upstream<Lock>* upstream = nullptr;

  void stay_alone() const noexcept { upstream->stay_alone(); }
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return upstream->acquire(bytes, alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    upstream->release(block, bytes, alignment);
  }
};

static_assert(Storage<UpstreamStorage<NoLock>>);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
