// SPDX-License-Identifier: MIT OR Apache-2.0
// The raw free list: the least that a free list can do. An intrusive list, linked in address order over one array, raw
// pointers, no destructor, no look at whether anything is left.
#pragma once

#include "subject.hpp"

#include <memory>
#include <new>

namespace bench {

class Limit {
 public:
  using owner = Object*;
  static constexpr bool owner_frees = false;

  explicit Limit(std::size_t n) : memory_(std::make_unique_for_overwrite<Slot[]>(n)), head_(memory_.get()) {
    for (std::size_t i = 0; i != n; ++i) ::new (&memory_[i]) Link{i + 1 == n ? nullptr : memory_.get() + i + 1};
  }

  Object* make(std::uint64_t value) {
    Slot* const slot = head_;
    head_ = std::launder(reinterpret_cast<Link*>(slot))->next;
    return ::new (slot) Object(value);
  }
  void kill(Object* object) { head_ = reinterpret_cast<Slot*>(::new (object) Link{head_}); }
  static Object const* object(Object* object) { return object; }

 private:
  struct alignas(64) Slot {
    std::byte bytes[64];
  };
  struct Link {
    Slot* next;
  };

  std::unique_ptr<Slot[]> memory_;
  Slot* head_;
};

}  // namespace bench
