// SPDX-License-Identifier: MIT OR Apache-2.0
// Filters of system calls, for a forked child: a filter cannot be taken off again.
//
//   Calls{}.deny(SYS_mbind, EPERM).install()     a call fails as on a system that does not offer it
//   Calls::only({SYS_write, SYS_exit_group})     any other call kills the process, by SIGSYS
//
// FASTALLOC_HAS_SECCOMP: 0 where the system has no such filters, or the processor is none of those below.
#pragma once

#include <fastalloc/config.hpp>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64))
#define FASTALLOC_HAS_SECCOMP 1
#else
#define FASTALLOC_HAS_SECCOMP 0
#endif

#if FASTALLOC_HAS_SECCOMP

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace test {

class Calls {
 public:
  Calls() {
#if defined(__x86_64__)
    constexpr std::uint32_t arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    constexpr std::uint32_t arch = AUDIT_ARCH_AARCH64;
#else
    constexpr std::uint32_t arch = AUDIT_ARCH_RISCV64;
#endif
    load(offsetof(seccomp_data, arch));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0));
    answer(SECCOMP_RET_KILL_PROCESS);  // another architecture has other numbers
    load(offsetof(seccomp_data, nr));
  }

  /// The call fails with `error`.
  Calls& deny(long call, int error) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    answer(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
    return *this;
  }
  /// The same, where the low half of argument `which` is `value`.
  Calls& deny(long call, int error, unsigned which, std::uint32_t value) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 4));
    load(static_cast<std::uint32_t>(offsetof(seccomp_data, args) + which * sizeof(std::uint64_t)));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    answer(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
    load(offsetof(seccomp_data, nr));
    return *this;
  }
  /// Returns: false where the system has no filters.
  bool install() { return install(SECCOMP_RET_ALLOW); }

  /// Any other call than these ends the process.
  static bool only(std::initializer_list<long> calls) {
    Calls filter;
    for (long const call : calls) {
      filter.code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
      filter.answer(SECCOMP_RET_ALLOW);
    }
    return filter.install(SECCOMP_RET_KILL_PROCESS);
  }

 private:
  void load(std::size_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }
  void answer(std::uint32_t value) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, value)); }
  bool install(std::uint32_t otherwise) {
    answer(otherwise);
    sock_fprog const program{static_cast<unsigned short>(code_.size()), code_.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
  }

  std::vector<sock_filter> code_;
};

}  // namespace test

#endif
