// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Lockfree: its stack of fixed size as the free list of an array.
#include "limit.hpp"
#include "thread_workloads.hpp"

#include <boost/lockfree/stack.hpp>

namespace bench {
namespace {

class LockfreeStack {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit LockfreeStack(std::size_t n) : slots_(std::make_unique_for_overwrite<Slot[]>(n)), free_(n) {
    for (std::size_t i = n; i-- != 0;) free_.bounded_push(&slots_[i]);
  }
  Object* try_make(std::uint64_t value) {
    void* slot = nullptr;
    return free_.pop(slot) ? ::new (slot) Object(value) : nullptr;
  }
  Object* make(std::uint64_t value) { return try_make(value); }
  void kill(Object* object) { free_.bounded_push(object); }
  static Object const* object(Object* object) { return object; }

 private:
  struct alignas(64) Slot {
    std::byte bytes[64];
  };
  std::unique_ptr<Slot[]> slots_;
  boost::lockfree::stack<void*, boost::lockfree::fixed_sized<true>> free_;
};

}  // namespace

void add_lockfree_cases() { add_thread_cases<LockfreeStack>("boost::lockfree::stack"); }

}  // namespace bench
