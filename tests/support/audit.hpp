// SPDX-License-Identifier: MIT OR Apache-2.0
// Audit: at the end of its scope every object that was built in it is destroyed, every block is back, no mistake was
// made.
#pragma once

#include "support/catch.hpp"
#include "support/test_storage.hpp"
#include "support/tracked.hpp"

namespace test {

/// Declare one first in a test case.
class Audit {
 public:
  Audit() = default;
  Audit(Audit const&) = delete;
  Audit& operator=(Audit const&) = delete;
  ~Audit() {
    CHECK(ledger().live() == live_);
    CHECK(ledger().first_mistake() == "");
    CHECK(storage_account().first_mistake() == "");
    CHECK(storage_account().blocks() == blocks_);
    CHECK_FALSE(fuse().lit());
    ledger().forgive();
    storage_account().forgive();
    storage_account().allow();
    fuse().put_out();
  }

  /// Tracked objects that were built in this scope and still live.
  [[nodiscard]] std::size_t live() const { return ledger().live() - live_; }
  [[nodiscard]] std::size_t built() const { return ledger().built() - built_; }
  [[nodiscard]] std::size_t destroyed() const { return ledger().destroyed() - destroyed_; }

 private:
  std::size_t live_ = ledger().live();
  std::size_t built_ = ledger().built();
  std::size_t destroyed_ = ledger().destroyed();
  std::size_t blocks_ = storage_account().blocks();
};

}  // namespace test
