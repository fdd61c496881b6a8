// SPDX-License-Identifier: MIT OR Apache-2.0
// CountingResource: an upstream memory resource that keeps account. Each block must come back with the bytes and the
// alignment that it was asked for with; at its end nothing may be out. It may be told to fail.
#pragma once

#include "support/catch.hpp"

#include <fastalloc/error.hpp>

#include <cstddef>
#include <cstring>
#include <limits>
#include <map>
#include <memory_resource>
#include <new>

namespace test {

class CountingResource : public std::pmr::memory_resource {
 public:
  /// What it throws when it has no memory.
  enum class Failure { bad_alloc, other };

  ~CountingResource() override {
    CHECK(live_.empty());
    CHECK(mistakes_ == 0);
  }

  /// Serves `requests` more, then none until allow().
  void fail_after(std::size_t requests, Failure failure = Failure::bad_alloc) { left_ = requests, failure_ = failure; }
  void allow() { left_ = std::numeric_limits<std::size_t>::max(); }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t blocks() const { return live_.size(); }
  [[nodiscard]] std::size_t requests() const { return requests_; }
  [[nodiscard]] std::size_t refused() const { return refused_; }
#if FASTALLOC_EXCEPTIONS
  /// True if the exception being handled is the one that this resource throws.
  [[nodiscard]] bool is_current_exception() const {
    try {
      throw;
    } catch (int value) {
      return failure_ == Failure::other && value == 42;
    } catch (fastalloc::AllocationFailed const&) {
      return false;
    } catch (std::bad_alloc const&) {
      return failure_ == Failure::bad_alloc;
    } catch (...) {
      return false;
    }
  }
#endif
  [[nodiscard]] std::size_t mistakes() const { return mistakes_; }

 private:
  struct Size {
    std::size_t bytes, alignment;
  };

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    ++requests_;
    if (left_ == 0 || bytes > std::numeric_limits<std::size_t>::max() / 4) return refuse();
    if (left_ != std::numeric_limits<std::size_t>::max()) --left_;
    void* const block = ::operator new(bytes, std::align_val_t{alignment});
    live_[block] = {bytes, alignment};
    bytes_ += bytes;
    return block;
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    auto const found = live_.find(block);
    if (found == live_.end() || found->second.bytes != bytes || found->second.alignment != alignment) {
      ++mistakes_;
      return;
    }
    std::memset(block, 0xEE, bytes);  // a resource may write to what it got back, also under ASan
    live_.erase(found);
    bytes_ -= bytes;
    ::operator delete(block, std::align_val_t{alignment});
  }
  [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override {
    return this == &other;
  }

  void* refuse() {
    ++refused_;
#if FASTALLOC_EXCEPTIONS
    if (failure_ == Failure::other) throw 42;
    throw std::bad_alloc();
#else
    return nullptr;
#endif
  }

  std::map<void*, Size> live_;
  std::size_t bytes_ = 0;
  std::size_t requests_ = 0;
  std::size_t refused_ = 0;
  std::size_t mistakes_ = 0;
  std::size_t left_ = std::numeric_limits<std::size_t>::max();
  Failure failure_ = Failure::bad_alloc;
};

}  // namespace test
