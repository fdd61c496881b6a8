// SPDX-License-Identifier: MIT OR Apache-2.0
// StrictLock: a lock policy for one thread that notes when it is locked twice: user code ran while it was held.
#pragma once

#include "support/tracked.hpp"

namespace test {

class StrictLock {
 public:
  static constexpr bool is_thread_safe = false;
  void lock() noexcept {
    if (held_) ledger().mistake("a lock was taken while it was held");
    held_ = true;
  }
  void unlock() noexcept {
    if (!held_) ledger().mistake("a lock was given back that was not held");
    held_ = false;
  }

 private:
  bool held_ = false;
};

}  // namespace test
