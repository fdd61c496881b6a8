// SPDX-License-Identifier: MIT OR Apache-2.0
// What the tests of memory that processes share have in common: the memory, mapped as often as one likes, and
// processes.
//
//   Memory          bytes of POSIX shared memory; where that is not permitted of a memfd, or else of a file without a
//                   name
//   Mapping         of a Memory, at an address of its own
//   in_process(f)   a forked process; returns its number.   ended_well(process)
//   Ring            hands numbers from one process to another, in order
//   Item            cookie ^ index
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sched.h>
#include <span>
#include <utility>

namespace test {

class Mapping {
 public:
  Mapping(int file, std::size_t bytes) : bytes_(bytes) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) data_ = static_cast<std::byte*>(at);
  }
  Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (data_ == nullptr) return;
    // another mapping may come here, and a forked process has a copy of all poison
    fastalloc::detail::unpoison(data_, bytes_);
    ::munmap(data_, bytes_);
  }
  explicit operator bool() const { return data_ != nullptr; }
  [[nodiscard]] std::byte* data() const { return data_; }
  /// Without the first page, which is the test's own.
  [[nodiscard]] std::span<std::byte> pool() const { return {data_ + 4096, bytes_ - 4096}; }
  template <class T> [[nodiscard]] T& front() const {
    static_assert(sizeof(T) <= 4096);
    return *reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

class Memory {
 public:
  /// With room for a pool of `bytes` bytes, and a page in front. All bytes are 0.
  explicit Memory(std::size_t bytes) : bytes_((bytes + 2 * 4096 - 1) / 4096 * 4096) {
    char name[64];
    std::snprintf(name, sizeof name, "/fastalloc-test-%ld", static_cast<long>(::getpid()));
    file_ = ::shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file_ >= 0) ::shm_unlink(name);
#if defined(__linux__)
    if (file_ < 0) file_ = ::memfd_create("fastalloc-test", 0);
#endif
    if (file_ < 0) {
      char path[] = "/tmp/fastalloc-test-XXXXXX";
      file_ = ::mkstemp(path);
      if (file_ >= 0) ::unlink(path);
    }
    if (file_ >= 0) ::fcntl(file_, F_SETFD, 0);  // programs that are started may have it
    if (file_ < 0 || ::ftruncate(file_, static_cast<::off_t>(bytes_)) != 0 || !map()) usable_ = false;
  }
  Memory(Memory const&) = delete;
  Memory& operator=(Memory const&) = delete;
  ~Memory() {
    if (file_ >= 0) ::close(file_);
  }
  /// False where this system permits no memory that processes share.
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] Mapping map() const { return {file_, bytes_}; }
  [[nodiscard]] int file() const { return file_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  int file_ = -1;
  bool usable_ = true;
};

/// Runs f in a forked process, for a minute at most. f returns whether all was well.
template <class F>::pid_t in_process(F&& f) {
  std::fflush(nullptr);
  ::pid_t const child = ::fork();
  if (child != 0) return child;
  // Catch2's handlers
  for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM, SIGTERM}) std::signal(signal, SIG_DFL);
  ::alarm(60);
  ::_exit(f() ? 0 : 1);
}
inline bool ended_well(::pid_t process) {
  int status = 0;
  return process > 0 && ::waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// One process writes, another reads.
class Ring {
 public:
  static constexpr std::uint64_t size = 32;
  [[nodiscard]] bool try_push(std::uint64_t value) {
    std::uint64_t const at = end_.load(std::memory_order_relaxed);          // relaxed: only this process writes it
    if (at - begin_.load(std::memory_order_acquire) == size) return false;  // acquire: the cell was read
    cells_[at % size] = value;
    end_.store(at + 1, std::memory_order_release);  // release: the cell, and the object that it names
    return true;
  }
  [[nodiscard]] bool try_pop(std::uint64_t& value) {
    std::uint64_t const at = begin_.load(std::memory_order_relaxed);  // relaxed: only this process writes it
    if (end_.load(std::memory_order_acquire) == at) return false;     // acquire: pairs with the release in try_push()
    value = cells_[at % size];
    begin_.store(at + 1, std::memory_order_release);  // release: the cell may be written again
    return true;
  }

 private:
  std::atomic<std::uint64_t> begin_{0};
  std::atomic<std::uint64_t> end_{0};
  std::uint64_t cells_[size] = {};
};

/// An object whose bytes say whether they are whole; of process `owner`.
struct Item {
  static constexpr std::uint64_t cookie = 0x9E3779B97F4A7C15;

  explicit Item(std::uint64_t i) : index(i), word(cookie ^ i), owner(::getpid()) {}
  [[nodiscard]] bool is_whole() const { return word == (cookie ^ index); }

  std::uint64_t index;
  std::uint64_t word;
  ::pid_t owner;
};

}  // namespace test
