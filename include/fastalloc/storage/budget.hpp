// SPDX-License-Identifier: MIT OR Apache-2.0
// MemoryBudget: the bytes that a group of pools may hold together. Budgeted<Storage>: a storage that keeps to one.
//
//   MemoryBudget level(64 << 20);
//   GrowingPool<Enemy, Budgeted<>> enemies(config, Budgeted<>(level));
//   GrowingPool<Shot, Budgeted<>> shots(config, Budgeted<>(level));
//
//   in_use() == the bytes of all blocks that the pools hold       in_use() <= limit()
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/storage/heap_storage.hpp>

#include <atomic>
#include <utility>

namespace fastalloc::inline FASTALLOC_MODE {

/// Requires: it outlives its pools; otherwise its destructor reports the bytes in use. Thread safety: any function but
/// construction and destruction may be called at any time. Complexity: 1 step, and 1 for each thread that interferes.
class MemoryBudget {
 public:
  /// Called with the bytes that a pool wants in vain, on the thread that wants them. Return true to try again, after
  /// giving back memory of the group, as by shrink_to_fit() of another pool (see Storage for what a storage may use).
  using Exceeded = bool (*)(MemoryBudget& budget, std::size_t bytes, void* context);

  /// `limit`: bytes. Without `exceeded`, a request above the limit fails.
  explicit constexpr MemoryBudget(std::size_t limit, Exceeded exceeded = nullptr, void* context = nullptr) noexcept
      : limit_(limit), exceeded_(exceeded), context_(context) {}
  ~MemoryBudget() {
    if (std::size_t const bytes = in_use(); bytes != 0) [[unlikely]]
      detail::report(Error{.code = ErrorCode::live_handles,
                           .requested = bytes,
                           .text =
                               "a MemoryBudget is destroyed while pools hold the requested bytes of it; destroy the "
                               "pools first, or let the budget live longer",
                           .unit = "bytes"});
  }
  MemoryBudget(MemoryBudget const&) = delete;
  MemoryBudget& operator=(MemoryBudget const&) = delete;

  // relaxed, everywhere: the number is all that threads share.
  [[nodiscard]] std::size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }
  /// Effects: sets the limit. Returns: an error, and changes nothing, if more bytes are in use.
  Result<void> set_limit(std::size_t bytes) noexcept {
    if (std::size_t const held = in_use(); bytes < held)
      return Error{.requested = bytes,
                   .limit = held,
                   .text = "the pools of a MemoryBudget hold more bytes (the limit) than it is to have; give some back "
                           "first, as by shrink_to_fit()",
                   .unit = "bytes"};
    limit_.store(bytes, std::memory_order_relaxed);
    return {};
  }

  /// Effects: counts `bytes` as in use, after asking `exceeded` where they are too many. Returns: false if they stay
  /// too many.
  [[nodiscard]] bool take(std::size_t bytes) noexcept {
    for (;;) {
      std::size_t now = in_use();
      for (std::size_t most = limit(); now <= most && bytes <= most - now; most = limit())
        if (in_use_.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed)) return true;
      if (exceeded_ == nullptr || !exceeded_(*this, bytes, context_)) return false;
    }
  }
  void give(std::size_t bytes) noexcept { in_use_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> limit_;
  std::atomic<std::size_t> in_use_{0};
  Exceeded exceeded_;
  void* context_;
};

/// When to use: pools that grow share a bound on their bytes, in whatever proportion. Takes memory from S.
template <class S> class Budgeted {
  static_assert(
      Storage<S> && !requires { requires S::is_borrowed; },
      "fastalloc: a budget bounds what a storage acquires; write Budgeted<HeapStorage> or Budgeted<PageStorage>");

 public:
  static constexpr bool can_grow = S::can_grow;

  explicit Budgeted(MemoryBudget& budget, S storage = S()) : budget_(&budget), storage_(std::move(storage)) {}

  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    refused_ = !budget_->take(bytes);
    if (refused_) return nullptr;
    void* const block = storage_.acquire(bytes, alignment);
    if (block == nullptr) budget_->give(bytes);
    return block;
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    storage_.release(block, bytes, alignment);
    budget_->give(bytes);
  }
  void explain(Error& error) const noexcept {
    if (refused_) {
      error.text = "the MemoryBudget of this group of pools (the limit) has no room for the requested bytes; raise it "
                   "with set_limit(), give memory of the group back, or lower the growth";
      error.limit = budget_->limit();
    } else if constexpr (ExplainsFailure<S>) {
      storage_.explain(error);
    }
  }
  [[nodiscard]] bool is_prefaulted() const noexcept {
    if constexpr (Prefaults<S>) return storage_.is_prefaulted();
    else return false;
  }

  [[nodiscard]] std::size_t page_bytes() const noexcept {
    if constexpr (requires { storage_.page_bytes(); }) return storage_.page_bytes();
    else return 1;
  }

  [[nodiscard]] MemoryBudget& budget() const noexcept { return *budget_; }
  /// The storage that the memory comes from, as for PageStorage::note().
  [[nodiscard]] S const& storage() const noexcept { return storage_; }

 private:
  MemoryBudget* budget_;
  FASTALLOC_NO_UNIQUE_ADDRESS S storage_;
  bool refused_ = false;
};

static_assert(Storage<Budgeted<>> && ExplainsFailure<Budgeted<>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
