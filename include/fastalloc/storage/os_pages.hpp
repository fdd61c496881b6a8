// SPDX-License-Identifier: MIT OR Apache-2.0
// The operating system calls of PageStorage. They do not throw, allocate or keep state, and return 0 or an errno.
//
//   map_pages        whole pages at an aligned address   mmap, munmap of the rest
//   map_huge_pages   reserved huge pages                 mmap(MAP_HUGETLB), Linux; aligned above one page: 4.17,
//                                                        else it may fail
//   advise_huge      transparent huge pages              madvise(MADV_HUGEPAGE), Linux
//   advise_small     no transparent huge pages           madvise(MADV_NOHUGEPAGE), Linux
//   populate         brings the pages in                 madvise(MADV_POPULATE_WRITE), Linux 5.14; else a write to each
//   lock_pages       keeps them in memory                mlock; munmap unlocks
//   bind_to_node     takes them from a NUMA node         mbind, Linux
//
// Other threads may map any free part of the address space at any time. So no range is unmapped twice, and MAP_FIXED is
// not used: when it fails for lack of huge pages, it has already unmapped the range, and another thread may take it.
//
// mbind and move_pages are called directly: libnuma's numa_tonode_memory() makes the same call, and a header should not
// require linking a library. The policy is MPOL_PREFERRED, as in libnuma: with MPOL_BIND a full node ends the program
// (the OOM killer).
#pragma once

#include <fastalloc/storage/storage.hpp>

#if FASTALLOC_POSIX
#define FASTALLOC_HAS_PAGES 1
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__linux__)
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#else
#define FASTALLOC_HAS_PAGES 0
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// `bytes` rounded up to whole pages; 0 on overflow. Requires: `unit` is a power of two.
constexpr std::size_t whole_pages(std::size_t bytes, std::size_t unit) noexcept {
  std::size_t const rounded = (bytes + (unit - 1)) & ~(unit - 1);
  return rounded >= bytes ? rounded : 0;
}

#if FASTALLOC_HAS_PAGES

inline std::size_t page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

#if defined(MAP_ANONYMOUS)
inline constexpr int private_pages = MAP_PRIVATE | MAP_ANONYMOUS;
#else
inline constexpr int private_pages = MAP_PRIVATE | MAP_ANON;
#endif

/// Reserved address space without memory that contains `bytes` bytes at a multiple of `alignment`: [begin, begin +
/// bytes). begin is null when there is none.
class Reservation {
 public:
  Reservation(std::size_t bytes, std::size_t alignment, int flags = 0) noexcept
      : bytes_(bytes), all_(bytes + alignment) {
    void* const base = all_ < bytes ? MAP_FAILED : ::mmap(nullptr, all_, PROT_NONE, private_pages | flags, -1, 0);
    if (base == MAP_FAILED) return;
    base_ = static_cast<std::byte*>(base);
    begin_ = base_ + (alignment - reinterpret_cast<std::uintptr_t>(base_) % alignment) % alignment;
  }
  [[nodiscard]] std::byte* begin() const noexcept { return begin_; }
  /// Returns: false, and everything stays reserved, when there are too many mappings; the kernel may have merged
  /// neighbours.
  [[nodiscard]] bool drop() const noexcept { return ::munmap(base_, all_) == 0; }
  /// Effects: unmaps all but [begin, begin + bytes). Returns: begin; null when there are too many mappings for that.
  /// Then nothing is left or, as after a failed drop(), address space without memory.
  [[nodiscard]] std::byte* trim() const noexcept {
    std::size_t const before = static_cast<std::size_t>(begin_ - base_), behind = all_ - before - bytes_;
    if (before != 0 && ::munmap(base_, before) != 0) return (void)drop(), nullptr;
    if (behind == 0 || ::munmap(begin_ + bytes_, behind) == 0) return begin_;
    return ::munmap(begin_, bytes_ + behind), nullptr;  // not the part before: another thread may have it by now
  }

 private:
  std::size_t bytes_;
  std::size_t all_;
  std::byte* base_ = nullptr;
  std::byte* begin_ = nullptr;
};

/// Requires: `bytes` is in whole pages. `reserve_only`: the system sets no memory aside. Returns: null when there is no
/// memory.
inline std::byte* map_pages(std::size_t bytes, std::size_t alignment, bool reserve_only = false) noexcept {
#if defined(MAP_NORESERVE)
  int const flags = reserve_only ? MAP_NORESERVE : 0;
#else
  int const flags = 0 * reserve_only;  // a system that never sets memory aside
#endif
  if (alignment <= page_size()) {
    void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, private_pages | flags, -1, 0);
    return pages == MAP_FAILED ? nullptr : static_cast<std::byte*>(pages);
  }
  Reservation const space(bytes, alignment, flags);
  std::byte* const pages = space.begin() == nullptr ? nullptr : space.trim();
  if (pages == nullptr || ::mprotect(pages, bytes, PROT_READ | PROT_WRITE) == 0) return pages;
  ::munmap(pages, bytes);
  return nullptr;
}

inline int lock_pages(std::byte* pages, std::size_t bytes) noexcept { return ::mlock(pages, bytes) == 0 ? 0 : errno; }

inline constexpr std::size_t no_limit = ~std::size_t{0};

/// Bytes that an unprivileged process may lock in total.
inline std::size_t lock_limit() noexcept {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return no_limit;
  return static_cast<std::size_t>(limit.rlim_cur);
}

#if defined(__linux__)

/// Effects: reads the start of a small file into `buffer`. Returns: `buffer`; empty when the file cannot be read.
template <std::size_t Size> char const* read_file(char const* path, char (&buffer)[Size]) noexcept {
  int const file = ::open(path, O_RDONLY | O_CLOEXEC);
  ::ssize_t const count = file < 0 ? -1 : ::read(file, buffer, Size - 1);
  if (file >= 0) ::close(file);
  buffer[count > 0 ? count : 0] = '\0';
  return buffer;
}

/// Bytes in reserved huge pages of this size that are neither used nor promised.
inline std::size_t free_huge_bytes(std::size_t huge_page) noexcept {
  auto const pages = [&](char const* which) {
    char path[96];
    char text[24];
    std::snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s", huge_page / 1024, which);
    std::size_t number = 0;
    for (char const* digit = read_file(path, text); *digit >= '0' && *digit <= '9'; ++digit)
      number = number * 10 + static_cast<std::size_t>(*digit - '0');
    return number;
  };
  std::size_t const free = pages("free_hugepages");
  std::size_t const promised = pages("resv_hugepages");
  return free > promised ? (free - promised) * huge_page : 0;
}

/// Requires: `bytes` is in whole huge pages. Returns: null, and sets an errno, when they are not available.
inline std::byte* map_huge_pages(std::size_t bytes, std::size_t alignment, std::size_t huge_page, int& error) noexcept {
  // MAP_HUGE_SHIFT and MAP_FIXED_NOREPLACE, which older headers lack
  constexpr int size_shift = 26, no_replace = 0x100000;
  int log = 0;
  while (std::size_t{1} << log < huge_page) ++log;
  int const flags = private_pages | MAP_HUGETLB | static_cast<int>(static_cast<unsigned>(log) << size_shift);
  auto const map = [&](void* address, int fixed) {
    void* const pages = ::mmap(address, bytes, PROT_READ | PROT_WRITE, flags | fixed, -1, 0);
    error = pages == MAP_FAILED ? errno : 0;
    return pages == MAP_FAILED ? nullptr : static_cast<std::byte*>(pages);
  };
  if (alignment <= huge_page) return map(nullptr, 0);
  // Finds an address and gives it back first; another thread may take it before the next call. Kernels without the flag
  // treat the address as a hint.
  for (int attempts = 16; attempts != 0; --attempts) {
    Reservation const space(bytes, alignment);
    if (space.begin() == nullptr || !space.drop()) break;
    std::byte* const pages = map(space.begin(), no_replace);
    if (pages == space.begin() || (pages == nullptr && error != EEXIST)) return pages;
    if (pages != nullptr) ::munmap(pages, bytes);
  }
  return error = ENOMEM, nullptr;
}

/// Returns: EINVAL when the kernel has no transparent huge pages, or they are disabled for the system or the process.
inline int advise_huge(std::byte* pages, std::size_t bytes) noexcept {
#if defined(MADV_HUGEPAGE)
  if (::madvise(pages, bytes, MADV_HUGEPAGE) != 0) return errno;
  char text[64];
  bool const never = std::strstr(read_file("/sys/kernel/mm/transparent_hugepage/enabled", text), "[never]") != nullptr;
  return never || ::prctl(PR_GET_THP_DISABLE, 0L, 0L, 0L, 0L) == 1 ? EINVAL : 0;
#else
  return (void)pages, (void)bytes, ENOSYS;
#endif
}

inline void advise_small([[maybe_unused]] std::byte* pages, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(MADV_NOHUGEPAGE)
  (void)::madvise(pages, bytes, MADV_NOHUGEPAGE);  // a kernel that refuses has no huge pages
#endif
}

inline int populate(std::byte* pages, std::size_t bytes) noexcept {
  constexpr int populate_write = 23;  // MADV_POPULATE_WRITE, which older headers lack
  if (::madvise(pages, bytes, populate_write) == 0) return 0;
  if (errno == ENOMEM || errno == EFAULT || errno == EHWPOISON) return errno;  // touching them would end the program
  return touch_pages(pages, bytes), 0;
}

inline int bind_to_node(std::byte* pages, std::size_t bytes, int node) noexcept {
  constexpr int most_nodes = 1024;
  constexpr int word = 8 * sizeof(unsigned long);
  constexpr long preferred = 1;  // MPOL_PREFERRED
  if (node < 0 || node >= most_nodes) return EINVAL;
  unsigned long mask[most_nodes / word] = {};
  mask[node / word] = 1UL << node % word;
  // The kernel reads one bit less than maxnode.
  if (::syscall(SYS_mbind, pages, bytes, preferred, mask, static_cast<unsigned long>(most_nodes) + 1, 0UL) == 0)
    return 0;
  return errno == ENOSYS && node == 0 ? 0 : errno;  // a kernel without NUMA has one node
}

/// False when a page, one every `step` bytes, is on another node. Pages not yet present are on no node.
inline bool all_on_node(std::byte* pages, std::size_t bytes, std::size_t step, int node) noexcept {
  constexpr std::size_t at_once = 128;
  for (std::size_t at = 0; at < bytes;) {
    void* addresses[at_once];
    int nodes[at_once];
    std::size_t count = 0;
    for (; count != at_once && at < bytes; at += step) addresses[count++] = pages + at;
    // a query only; not permitted everywhere
    if (::syscall(SYS_move_pages, 0, count, addresses, nullptr, nodes, 0) != 0) return true;
    for (std::size_t i = 0; i != count; ++i)
      if (nodes[i] >= 0 && nodes[i] != node) return false;
  }
  return true;
}

#else

inline std::size_t free_huge_bytes(std::size_t) noexcept { return 0; }
inline std::byte* map_huge_pages(std::size_t, std::size_t, std::size_t, int& error) noexcept {
  return error = ENOSYS, nullptr;
}
inline int advise_huge(std::byte*, std::size_t) noexcept { return ENOSYS; }
inline void advise_small(std::byte*, std::size_t) noexcept {}
inline int populate(std::byte* pages, std::size_t bytes) noexcept { return touch_pages(pages, bytes), 0; }
inline int bind_to_node(std::byte*, std::size_t, int) noexcept { return ENOSYS; }
inline bool all_on_node(std::byte*, std::size_t, std::size_t, int) noexcept { return true; }

#endif
#endif

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
