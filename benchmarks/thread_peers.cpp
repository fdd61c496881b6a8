// SPDX-License-Identifier: MIT OR Apache-2.0
// What one has without this library: new, std::pmr, a free list behind a lock, a lock-free free list, locks.
#include "heap.hpp"
#include "limit.hpp"
#include "thread_workloads.hpp"

#include <mutex>

namespace bench {
namespace {

/// The raw free list behind a lock.
template <class Lock> class LockedList {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit LockedList(std::size_t n) : list_(n), left_(n) {}
  Object* try_make(std::uint64_t value) {
    std::lock_guard const guard(lock_);
    if (left_ == 0) return nullptr;
    --left_;
    return list_.make(value);
  }
  Object* make(std::uint64_t value) { return try_make(value); }
  void kill(Object* object) {
    std::lock_guard const guard(lock_);
    ++left_;
    list_.kill(object);
  }
  static Object const* object(Object* object) { return object; }

 private:
  alignas(64) Lock lock_;
  Limit list_;
  std::size_t left_;
};

/// A Treiber stack: the head is an index and a tag that changes with each pop. Links lie in the part of an object that
/// nobody writes, since a slow pop may read the link of a slot that has an owner again.
class Treiber {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Treiber(std::size_t n) : slots_(std::make_unique_for_overwrite<Slot[]>(n)) {
    for (std::size_t i = n; i-- != 0;) kill(::new (&slots_[i]) Object(0));
  }
  Object* try_make(std::uint64_t value) {
    for (std::uint64_t head = head_.load(std::memory_order_acquire);;) {
      auto const code = static_cast<std::uint32_t>(head);
      if (code == 0) return nullptr;
      Slot& slot = slots_[code - 1];
      std::uint64_t const next = link(&slot).load(std::memory_order_relaxed);
      std::uint64_t const tag = (head >> 32) + 1;
      if (head_.compare_exchange_weak(head, tag << 32 | next, std::memory_order_acquire))
        return ::new (&slot) Object(value);
    }
  }
  Object* make(std::uint64_t value) { return try_make(value); }
  void kill(Object* object) {
    auto* const slot = reinterpret_cast<Slot*>(object);
    auto const code = static_cast<std::uint64_t>(slot - slots_.get() + 1);
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    do link(slot).store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    while (!head_.compare_exchange_weak(head, head >> 32 << 32 | code, std::memory_order_release,
                                        std::memory_order_relaxed));
  }
  static Object const* object(Object* object) { return object; }

 private:
  struct alignas(64) Slot {
    std::byte bytes[64];
  };
  static std::atomic_ref<std::uint32_t> link(Slot* slot) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(slot->bytes + offsetof(Object, rest)));
  }

  std::unique_ptr<Slot[]> slots_;
  alignas(64) std::atomic<std::uint64_t> head_ = 0;  ///< tag, 1 + index or 0
};

}  // namespace

void add_thread_peer_cases() {
  add_thread_cases<New>("new");
  add_thread_cases<Pmr<std::pmr::synchronized_pool_resource>>("std::pmr synchronized pool");
  add_thread_cases<LockedList<std::mutex>>("list, std::mutex");
  add_thread_cases<LockedList<Spin>>("list, spin lock");
  add_thread_cases<Treiber>("Treiber stack");
  add_prodcons<Nothing>("ring");
  add_lock<std::mutex>("std::mutex");
  add_lock<Spin>("spin lock");
}

}  // namespace bench
