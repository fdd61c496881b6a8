// SPDX-License-Identifier: MIT OR Apache-2.0
// Storages for tests, over the heap; one account for the program.
//
//   CountingStorage   counts blocks and bytes; each block must come back with the values it was acquired with, and the
//                     bytes in front of it and behind it must be as they were
//   FailingStorage    the same, and has no memory once storage_account().fail_after(n) acquisitions are used up
#pragma once

#include <fastalloc/storage/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <new>
#include <string>

namespace test {

/// What the storages below handed out and got back.
class StorageAccount {
 public:
  static constexpr std::size_t margin = 64;  ///< bytes, at least, around each block
  static constexpr unsigned char canary = 0xA5;

  /// FailingStorage serves `acquisitions` more requests, then none until allow().
  void fail_after(std::size_t acquisitions) { left_ = acquisitions; }
  void allow() { left_ = std::numeric_limits<std::size_t>::max(); }

  [[nodiscard]] std::size_t blocks() const { return live_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t acquired() const { return acquired_; }  ///< blocks, ever
  [[nodiscard]] std::size_t refused() const { return refused_; }    ///< requests, ever
  [[nodiscard]] std::string const& first_mistake() const { return mistake_; }
  void forgive() { mistake_.clear(); }

  /// True when every block's surroundings are untouched.
  bool check() {
    for (auto const& [block, size] : live_) check_margins(block, size);
    return mistake_.empty();
  }

  void* acquire(std::size_t bytes, std::size_t alignment, bool may_fail) {
    if (may_fail && left_ == 0) return ++refused_, nullptr;
    if (may_fail && left_ != std::numeric_limits<std::size_t>::max()) --left_;
    std::size_t const before = alignment > margin ? alignment : margin;
    if (bytes > std::numeric_limits<std::size_t>::max() / 2) return ++refused_, nullptr;
    auto* const memory =
        static_cast<unsigned char*>(::operator new(before + bytes + margin, std::align_val_t{before}, std::nothrow));
    if (memory == nullptr) return ++refused_, nullptr;
    std::memset(memory, canary, before + bytes + margin);
    live_.emplace(memory + before, Size{bytes, alignment});
    bytes_ += bytes;
    ++acquired_;
    return memory + before;
  }

  void release(void* memory, std::size_t bytes, std::size_t alignment) {
    auto* const block = static_cast<unsigned char*>(memory);
    auto const found = live_.find(block);
    if (found == live_.end()) return mistake("a block came back that was not handed out");
    if (found->second.bytes != bytes || found->second.alignment != alignment)
      mistake("a block came back with other values than it was acquired with");
    check_margins(block, found->second);
    bytes_ -= found->second.bytes;
    std::size_t const before = found->second.alignment > margin ? found->second.alignment : margin;
    std::memset(block, canary, found->second.bytes);  // an upstream may write to what it got back, also under ASan
    live_.erase(found);
    ::operator delete(block - before, std::align_val_t{before});
  }

 private:
  struct Size {
    std::size_t bytes;
    std::size_t alignment;
  };

  void mistake(char const* text) {
    if (mistake_.empty()) mistake_ = text;
  }
  void check_margins(unsigned char const* block, Size size) {
    for (std::size_t i = 0; i != margin; ++i)
      if (block[size.bytes + i] != canary || (block - margin)[i] != canary)
        return mistake("something wrote outside its block");
  }

  std::map<unsigned char*, Size> live_;
  std::size_t bytes_ = 0;
  std::size_t acquired_ = 0;
  std::size_t refused_ = 0;
  std::size_t left_ = std::numeric_limits<std::size_t>::max();
  std::string mistake_;
};

inline StorageAccount& storage_account() {
  static StorageAccount the_account;
  return the_account;
}

struct CountingStorage {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return storage_account().acquire(bytes, alignment, false);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    storage_account().release(block, bytes, alignment);
  }
};

struct FailingStorage {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return storage_account().acquire(bytes, alignment, true);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    storage_account().release(block, bytes, alignment);
  }
};

static_assert(fastalloc::Storage<CountingStorage> && fastalloc::Storage<FailingStorage>);

}  // namespace test
