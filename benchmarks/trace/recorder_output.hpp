// SPDX-License-Identifier: MIT OR Apache-2.0
// The file that the recorder writes, as shared memory: what is stored belongs to the kernel at once, so that nothing is
// lost when the program is killed, aborts, or leaves by _exit. One window of the file is mapped at a time, and the
// header always. No descriptor is kept: programs close descriptors that they do not know, and their numbers are used
// again.
//
// Invariant: the events in [sizeof(Header), position_) are whole, and header_->bytes says so.
// Zero bytes are a closed file: the page that holds it is wiped in a forked child, which opens its own.
#pragma once

#include "format.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

namespace fastalloc::trace {

// malloc is no cancellation point, but opening and closing files are.
class NoCancellation {
 public:
  NoCancellation() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancellation() { pthread_setcancelstate(before_, nullptr); }
  NoCancellation(NoCancellation const&) = delete;
  NoCancellation& operator=(NoCancellation const&) = delete;

 private:
  int before_ = 0;
};

class TraceFile {
 public:
  enum class Existing { replace, keep };

  // Creates the file. False with errno set when that fails; EEXIST means that there is one to keep.
  bool open(char const* path, Existing existing, char const* program) noexcept {
    NoCancellation guard;
    // An old file is unlinked, never truncated: another program may have it mapped.
    struct stat status = {};
    if (existing == Existing::replace && lstat(path, &status) == 0) {
      if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return false;
      }
      unlink(path);
    }
    int const descriptor = ::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0) {
      return false;
    }
    strncpy(path_, path, sizeof(path_) - 1);
    fstat(descriptor, &status);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    bool const mapped = map_header(descriptor, program) && map_window(descriptor);
    int const error = errno;
    close(descriptor);
    errno = error;
    return mapped;
  }

  // Adds the bytes of `events` events (0 or 1). False when the file cannot grow; nothing was added then.
  bool append(Encoder const& event, std::uint64_t events) noexcept {
    std::uint64_t const end = position_ + event.size;
    if ((end > window_end_ || is_cut_) && !extend(end)) {
      return false;
    }
    memcpy(window_ + (position_ - window_begin_), event.bytes, event.size);
    for (std::size_t i = 0; i != event.size; ++i) {
      checksum_ = checksum_add(checksum_, event.bytes[i]);
    }
    position_ = end;
    events_ += events;
    // Release: a reader of the file that sees this size also sees the events below it, even if we are killed here.
    std::atomic_ref(header_->bytes).store(position_ - sizeof(Header), std::memory_order_release);
    if (header_->ending != Ending::none) {
      finish(header_->ending);
    }
    return true;
  }

  // Marks the file as ended and cuts it to length. A few events may still follow, as exit() tidies up after its
  // handlers; each of them costs some system calls.
  void finish(Ending ending) noexcept {
    NoCancellation guard;
    header_->events = events_;
    header_->checksum = checksum_;
    header_->ending = ending;  // last: it says that the other two are valid
    is_cut_ = true;
    if (int const descriptor = reopen(); descriptor >= 0) {
      [[maybe_unused]] int const cut = ftruncate(descriptor, static_cast<off_t>(position_));
      close(descriptor);
    }
  }

  // After an end that did not come: exec failed.
  void resume() noexcept { header_->ending = Ending::none; }

  std::uint64_t event_bytes() const noexcept { return position_ - sizeof(Header); }
  char const* path() const noexcept { return path_; }

 private:
  static constexpr std::uint64_t window_step = std::uint64_t{1} << 16;  // a multiple of every page size
  static constexpr std::uint64_t window_size = 2 * window_step;

  bool map_header(int descriptor, char const* program) noexcept {
    void* const memory = resize(descriptor, sizeof(Header))
                             ? mmap(nullptr, sizeof(Header), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
                             : MAP_FAILED;
    if (memory == MAP_FAILED) {
      return false;
    }
    madvise(memory, sizeof(Header), MADV_DONTFORK);
    header_ = static_cast<Header*>(memory);
    memcpy(header_->magic, magic, sizeof(magic));
    header_->version = version;
    header_->pid = static_cast<std::uint32_t>(getpid());
    strncpy(header_->program, program, sizeof(header_->program) - 1);
    position_ = sizeof(Header);
    checksum_ = checksum_start;
    return true;
  }

  // Maps the window that starts just below position_.
  bool map_window(int descriptor) noexcept {
    std::uint64_t const begin = position_ / window_step * window_step;
    void* const memory =
        resize(descriptor, begin + window_size)
            ? mmap(nullptr, window_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, static_cast<off_t>(begin))
            : MAP_FAILED;
    if (memory == MAP_FAILED) {
      return false;
    }
    madvise(memory, window_size, MADV_DONTFORK);
    if (window_ != nullptr) {
      munmap(window_, window_size);
    }
    window_ = static_cast<std::uint8_t*>(memory);
    window_begin_ = begin;
    window_end_ = begin + window_size;
    return true;
  }

  // Makes the bytes up to `end` writable.
  bool extend(std::uint64_t end) noexcept {
    NoCancellation guard;
    int const descriptor = reopen();
    if (descriptor < 0) {
      return false;
    }
    bool const extended = end > window_end_ ? map_window(descriptor) : resize(descriptor, window_end_);
    int const error = errno;
    close(descriptor);
    errno = error;
    is_cut_ = is_cut_ && !extended;
    return extended;
  }

  // Reserves the blocks as well: a store into a mapped page that finds the disk full kills the program.
  static bool resize(int descriptor, std::uint64_t size) noexcept {
    if (int const error = posix_fallocate(descriptor, 0, static_cast<off_t>(size)); error != 0) {
      errno = error;
      return false;
    }
    return true;
  }

  int reopen() const noexcept {
    int const descriptor = ::open(path_, O_RDWR | O_CLOEXEC);
    struct stat status = {};
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
      return descriptor;
    }
    if (descriptor >= 0) {
      close(descriptor);
      errno = ESTALE;
    }
    return -1;
  }

  Header* header_;
  std::uint8_t* window_;
  std::uint64_t window_begin_;  // file offsets
  std::uint64_t window_end_;
  std::uint64_t position_;  // file offset of the next event
  std::uint64_t events_;
  std::uint64_t checksum_;
  bool is_cut_;  // the file ends at position_, not at window_end_
  dev_t device_;
  ino_t inode_;
  char path_[PATH_MAX];
};

}  // namespace fastalloc::trace
