// SPDX-License-Identifier: MIT OR Apache-2.0
// The state of a recording, and Recording: the right to write down one call. Locks nothing while real allocator code
// runs. What the recorder does itself (opening files, asking dlsym) may call malloc again: `recording_here` sends such
// calls straight through.
#pragma once

#include "recorder_naming.hpp"
#include "recorder_table.hpp"

#include <pthread.h>

#include <bit>

namespace fastalloc::trace {

inline constexpr std::uint64_t no_object = ~std::uint64_t{0};

// Lies in a page that the kernel replaces by zeros in a forked child, which reads as: the mutex is unlocked (so it is
// in glibc and in musl), nothing is started, there is no file. So no handler of a fork is needed, and none can come too
// late.
struct State {
  pthread_mutex_t mutex;
  pid_t pid;  // 0 before the first event
  bool is_off;
  std::uint64_t objects;  // numbers given
  std::uint32_t threads;  // numbers given
  std::uint32_t thread;   // of the last event
  TraceFile file;
  AddressTable table;
};

inline constinit std::atomic<State*> shared_state{nullptr};
inline constinit bool is_wiped_on_fork = true;

// initial-exec: the first use in a thread must not allocate.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local bool recording_here = false;

// Thread numbers belong to one file: a forked child numbers anew.
struct ThreadNumber {
  std::uint32_t incarnation;
  std::uint32_t number;
};
[[gnu::tls_model("initial-exec")]] inline constinit thread_local ThreadNumber this_thread{};

inline State* create_state() noexcept {
  void* const memory = mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return nullptr;
  }
  State* expected = nullptr;
  if (!shared_state.compare_exchange_strong(expected, static_cast<State*>(memory), std::memory_order_acq_rel)) {
    munmap(memory, sizeof(State));
    return expected;
  }
  is_wiped_on_fork = madvise(memory, sizeof(State), MADV_WIPEONFORK) == 0;
  return static_cast<State*>(memory);
}

// The right to record one call: locks, keeps errno, and is false inside of the recorder's own calls.
class Recording {
 public:
  Recording() noexcept : errno_(errno) {
    // Before libc has set the environment there is no name for the file: a few calls of the dynamic linker go by.
    if (recording_here || environ == nullptr) {
      return;
    }
    State* state = shared_state.load(std::memory_order_acquire);
    if (state == nullptr && (state = create_state()) == nullptr) {
      return;
    }
    recording_here = true;
    if (!is_wiped_on_fork && state->pid != 0 && state->pid != getpid()) {
      memset(static_cast<void*>(state), 0, sizeof(State));
    }
    pthread_mutex_lock(&state->mutex);
    state_ = state;
    if (state->pid == 0) {
      state->pid = getpid();
      state->is_off = !open_file(state->file);
    }
  }
  ~Recording() {
    if (state_ != nullptr) {
      pthread_mutex_unlock(&state_->mutex);
      recording_here = false;
    }
    errno = errno_;
  }
  Recording(Recording const&) = delete;
  Recording& operator=(Recording const&) = delete;

  explicit operator bool() const noexcept { return state_ != nullptr && !state_->is_off; }

  std::uint64_t take(void const* address) noexcept {
    std::uint64_t object = 0;
    return state_->table.take(address, object) ? object : no_object;
  }
  void put_back(void const* address, std::uint64_t object) noexcept {
    if (object != no_object && !state_->table.insert(address, object)) {
      stop(strerror(ENOMEM));
    }
  }

  void allocation(Kind kind, void const* address, std::uint64_t size, std::uint64_t alignment = 1,
                  std::uint64_t old = no_object) noexcept {
    // Freed by a road that we do not see (for one, inside of the allocator).
    if (std::uint64_t const stale = take(address); stale != no_object) {
      release(stale);
    }
    Encoder event = begin_event();
    event.head(kind, size);
    if (kind == Kind::allocate_aligned) {
      event.extra(static_cast<std::uint64_t>(std::bit_width(alignment) - 1));
    } else if (kind == Kind::reallocate) {
      event.extra(state_->objects - 1 - old);
    }
    if (append(event)) {
      put_back(address, state_->objects++);
    }
  }
  void release(std::uint64_t object) noexcept {
    if (object != no_object) {
      Encoder event = begin_event();
      event.head(Kind::free, state_->objects - 1 - object);
      append(event);
    }
  }

 private:
  Encoder begin_event() noexcept {
    std::uint32_t const incarnation = incarnations.load(std::memory_order_relaxed);
    if (this_thread.incarnation != incarnation) {
      this_thread = {incarnation, state_->threads++};
    }
    Encoder event;
    if (this_thread.number != state_->thread) {
      event.head(Kind::thread, this_thread.number);
      state_->thread = this_thread.number;
    }
    return event;
  }

  bool append(Encoder const& event) noexcept {
    if (state_->is_off) {
      return false;
    }
    if (state_->file.event_bytes() + event.size > max_event_bytes) {
      stop("the limit of 128 MiB is reached");
    } else if (!state_->file.append(event, 1)) {
      stop(strerror(errno));
    }
    return !state_->is_off;
  }

  void stop(char const* why) noexcept {
    state_->is_off = true;
    state_->file.finish(Ending::stopped);
    complain(why, state_->file.path(), "the recording ends here; the program goes on");
  }

  State* state_ = nullptr;
  int errno_;
};

// The file of this process, locked, if it has one. A child of vfork runs in its parent's memory and does not own the
// file.
template <class Action> inline void with_own_file(Action const& action) noexcept {
  State* const state = shared_state.load(std::memory_order_acquire);
  if (state == nullptr || recording_here || state->pid != getpid()) {
    return;
  }
  recording_here = true;
  pthread_mutex_lock(&state->mutex);
  if (!state->is_off) {
    action(state->file);
  }
  pthread_mutex_unlock(&state->mutex);
  recording_here = false;
}

}  // namespace fastalloc::trace
