// SPDX-License-Identifier: MIT OR Apache-2.0
// What the example needs of a Cortex-M: turning interrupts off, the SysTick timer, and printing by semihosting, which a
// debugger or QEMU serves: BKPT 0xAB with the number of the call in r0 and its argument in r1.
#pragma once

#include <cstdint>

namespace cortex_m {

/// Masks interrupts. Returns: the mask there was. This and the next one are what InterruptLock takes.
inline std::uint32_t mask_interrupts() noexcept {
  std::uint32_t before = 0;
  asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(before) : : "memory");
  return before;
}
inline void restore_interrupts(std::uint32_t before) noexcept {
  asm volatile("msr primask, %0" : : "r"(before) : "memory");
}
inline void wait_for_interrupt() noexcept { asm volatile("wfi" : : : "memory"); }

/// Calls systick_handler() every `cycles` cycles of the processor.
inline void start_systick(std::uint32_t cycles) noexcept {
  auto* const systick = reinterpret_cast<std::uint32_t volatile*>(0xE000E010);
  systick[1] = cycles - 1;  // reload value, 24 bits
  systick[2] = 0;           // current value
  systick[0] = 7;           // processor clock, interrupt, on
}
inline void stop_systick() noexcept { *reinterpret_cast<std::uint32_t volatile*>(0xE000E010) = 0; }

inline std::uint32_t semihosting_call(std::uint32_t number, void const* argument) noexcept {
  register std::uint32_t r0 asm("r0") = number;
  register void const* r1 asm("r1") = argument;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

inline void print(char const* text) noexcept { semihosting_call(0x04, text); }
inline void print(std::uint32_t number) noexcept {
  char digits[11];
  char* at = digits + sizeof digits - 1;
  *at = '\0';
  do *--at = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  print(at);
}

/// Ends the program; QEMU ends with the same status.
[[noreturn]] inline void exit(std::uint32_t status) noexcept {
  std::uint32_t const block[2] = {0x20026 /* the application exits */, status};
  for (;;) semihosting_call(0x20, block);
}

}  // namespace cortex_m
