// SPDX-License-Identifier: MIT OR Apache-2.0
// libfastalloc-record.so: preloaded into any dynamically linked program, it writes down every call that allocates or
// frees (format.hpp), and passes it on to the allocator that the program would have used without it.
//
//   FASTALLOC_TRACE=app.trace LD_PRELOAD=./libfastalloc-record.so app
//
// A call is recorded at a moment when nobody else can own the address: an allocation after the real one, a free before
// it. One mutex makes these moments one order; it is never held while real allocator code runs.
#include "recorder_real.hpp"
#include "recorder_session.hpp"

#include <sys/syscall.h>
#include <unistd.h>

extern "C" int __cxa_atexit(void (*function)(void*), void* argument, void* library) noexcept;

static_assert(std::endian::native == std::endian::little, "the file is little-endian and written as it lies in memory");

#define RECORDED extern "C" [[gnu::visibility("default")]]

namespace fastalloc::trace {
namespace {

void end_recording() noexcept {
  with_own_file([](TraceFile& file) { file.finish(Ending::regular); });
}

template <class Exec, class... Arguments> int replace_process(Exec exec, Arguments... arguments) noexcept {
  end_recording();
  int const result = exec(arguments...);
  int const error = errno;
  with_own_file([](TraceFile& file) { file.resume(); });
  errno = error;
  return result;
}

// Begins the file before main can copy the environment, which rename_for_children changes. Handlers run in reverse
// order, and this comes before the one of the dynamic linker is registered: so ours follows the destructors of all
// libraries, as long as it is tied to no library (the null pointer). A destructor of our own would run amid theirs.
[[gnu::constructor]] void prepare() noexcept {
  real();
  Recording begin;
  __cxa_atexit([](void*) { end_recording(); }, nullptr, nullptr);
  at_quick_exit(end_recording);
}

void* allocated(void* address, Kind kind, std::uint64_t size, std::uint64_t alignment = 1) noexcept {
  if (address != nullptr) {
    if (Recording recording; recording) {
      recording.allocation(kind, address, size, alignment);
    }
  }
  return address;
}

std::size_t page_size() noexcept { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace
}  // namespace fastalloc::trace

using namespace fastalloc::trace;

RECORDED void* malloc(std::size_t size) noexcept {
  Real const* const next = real();
  return next == nullptr ? bootstrap.allocate(size) : allocated(next->malloc(size), Kind::allocate, size);
}

RECORDED void* calloc(std::size_t count, std::size_t size) noexcept {
  Real const* const next = real();
  if (next == nullptr) {
    return size != 0 && count > sizeof(bootstrap.bytes) / size ? nullptr : bootstrap.allocate(count * size);
  }
  return allocated(next->calloc(count, size), Kind::allocate_zeroed, std::uint64_t{count} * size);
}

RECORDED void free(void* address) noexcept {
  if (address == nullptr || bootstrap.owns(address)) {
    return;
  }
  if (Recording recording; recording) {
    recording.release(recording.take(address));
  }
  if (Real const* const next = real()) {
    next->free(address);
  }
}

// The old object leaves the table before the real call, since its address may be another thread's at once; the event
// stands where the call ends. Both lie within the call, as the order of concurrent calls demands.
RECORDED void* realloc(void* old, std::size_t size) noexcept {
  if (old == nullptr) {
    return malloc(size);
  }
  if (bootstrap.owns(old)) {
    void* const moved = malloc(size);
    if (moved != nullptr) {
      std::size_t const most = bootstrap.bytes_from(old);
      memcpy(moved, old, size < most ? size : most);
    }
    return moved;
  }
  std::uint64_t object = no_object;
  if (Recording recording; recording) {
    object = recording.take(old);
  }
  Real const* const next = real();
  void* const address = next == nullptr ? nullptr : next->realloc(old, size);
  if (Recording recording; recording) {
    if (address != nullptr) {
      recording.allocation(object == no_object ? Kind::allocate : Kind::reallocate, address, size, 1, object);
    } else if (size == 0) {
      recording.release(object);
    } else {
      recording.put_back(old, object);
    }
  }
  return address;
}

RECORDED void* memalign(std::size_t alignment, std::size_t size) noexcept {
  Real const* const next = real();
  return next == nullptr ? nullptr
                         : allocated(next->memalign(alignment, size), Kind::allocate_aligned, size, alignment);
}

RECORDED void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  Real const* const next = real();
  return next == nullptr ? nullptr
                         : allocated(next->aligned_alloc(alignment, size), Kind::allocate_aligned, size, alignment);
}

RECORDED int posix_memalign(void** result, std::size_t alignment, std::size_t size) noexcept {
  Real const* const next = real();
  int const error = next == nullptr ? ENOMEM : next->posix_memalign(result, alignment, size);
  if (error == 0) {
    allocated(*result, Kind::allocate_aligned, size, alignment);
  }
  return error;
}

RECORDED void* valloc(std::size_t size) noexcept {
  Real const* const next = real();
  return next == nullptr ? nullptr : allocated(next->valloc(size), Kind::allocate_aligned, size, page_size());
}

RECORDED void* pvalloc(std::size_t size) noexcept {
  Real const* const next = real();
  std::size_t const page = page_size();
  return next == nullptr
             ? nullptr
             : allocated(next->pvalloc(size), Kind::allocate_aligned, (size + page - 1) / page * page, page);
}

// Programs that leave by these run no destructors.
RECORDED void _exit(int status) {
  end_recording();
  for (;;) {
    syscall(SYS_exit_group, status);
  }
}
RECORDED void _Exit(int status) noexcept { _exit(status); }

RECORDED int execve(char const* path, char* const* arguments, char* const* environment) noexcept {
  return replace_process(real()->execve, path, arguments, environment);
}
RECORDED int execv(char const* path, char* const* arguments) noexcept {
  return replace_process(real()->execv, path, arguments);
}
RECORDED int execvp(char const* file, char* const* arguments) noexcept {
  return replace_process(real()->execvp, file, arguments);
}
