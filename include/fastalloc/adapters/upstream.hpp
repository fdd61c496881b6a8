// SPDX-License-Identifier: MIT OR Apache-2.0
// Upstream: a std::pmr::memory_resource as a storage policy, and big blocks allocated from it without a pool.
//
//   | bytes for the user | padding | BigBlock |      a big block; one list of all serves to release them together
//
// The record lies behind the bytes, where their size locates it, so that alignment in front costs nothing. An exception
// of the resource becomes null here: the pools above never see one in the middle of a change. A request that may throw
// has a UpstreamRefusal, which keeps the exception until the pools are whole again.
#pragma once

#include <fastalloc/lifetime/hooks.hpp>
#include <fastalloc/lock/lock.hpp>
#include <fastalloc/pool/pool_layout.hpp>
#include <fastalloc/storage/heap_storage.hpp>

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
  ~Upstream() { release_all(); }

  [[nodiscard]] std::pmr::memory_resource* resource() const noexcept { return resource_; }
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

  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    Guard guard(lock_);
    return acquire_here(bytes, alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    Guard guard(lock_);
    release_here(block, bytes, alignment);
  }

  /// A big block. Returns: null when there is no memory, or the size exceeds that of any object.
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
    std::size_t const whole = whole_bytes(bytes);
    if (whole == 0) return nullptr;
    std::size_t const aligned = alignment < alignof(BigBlock) ? alignof(BigBlock) : alignment;
    Guard guard(lock_);
    auto* const data = static_cast<std::byte*>(acquire_here(whole, aligned));
    if (data == nullptr) return nullptr;
    auto* const block = ::new (static_cast<void*>(record_of(data, whole))) BigBlock{big_, nullptr, whole, aligned};
    if (BigBlock* const second = std::exchange(big_, block)) second->previous = block;
    return data;
  }
  /// Requires: `data` is a big block, allocated with `bytes` (no requirement if checked). Returns: false if it is not.
  template <bool checked> bool deallocate(void* data, std::size_t bytes) noexcept {
    Guard guard(lock_);
    if constexpr (checked)
      if (std::size_t const whole = whole_bytes(bytes); whole == 0 || find_here(data) != whole) return false;
    BigBlock* const block = record_of(data, whole_bytes(bytes));
    (block->previous != nullptr ? block->previous->next : big_) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    release_here(data, block->bytes, block->alignment);
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
      release_here(block->data(), block->bytes, block->alignment);
    }
  }

  /// Called in the child of a fork, where the thread that held the lock may not exist.
  void stay_alone() noexcept { std::construct_at(&lock_); }

  /// Bytes of a big block with its record; 0 when they exceed the size of any object.
  static constexpr std::size_t whole_bytes(std::size_t bytes) noexcept {
    std::size_t whole = 0;
    bool const fits = checked_round_up(bytes, alignof(BigBlock), whole) && checked_add(whole, sizeof(BigBlock), whole);
    return fits && whole <= static_cast<std::size_t>((std::numeric_limits<std::ptrdiff_t>::max)()) ? whole : 0;
  }

 private:
  [[nodiscard]] std::size_t find_here(void const* data) const noexcept {
    for (BigBlock* block = big_; block != nullptr; block = block->next)
      if (block->data() == data) return block->bytes;
    return 0;
  }
  static BigBlock* record_of(void* data, std::size_t whole) noexcept {
    return reinterpret_cast<BigBlock*>(static_cast<std::byte*>(data) + whole) - 1;
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
  /// True when the heap can be used directly: blocks of at least 4 MiB then lie on huge pages, and memory of the
  /// default alignment costs a quarter of an aligned new in glibc.
  [[nodiscard]] bool is_heap() const noexcept { return resource_ == std::pmr::new_delete_resource(); }
  static bool is_plain(std::size_t bytes, std::size_t alignment) noexcept {
    return alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__ && bytes < HeapStorage::huge_block;
  }

  std::pmr::memory_resource* resource_;
  BigBlock* big_ = nullptr;  ///< the newest first
  std::size_t held_ = 0;     ///< bytes
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
