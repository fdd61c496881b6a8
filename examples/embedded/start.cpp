// SPDX-License-Identifier: MIT OR Apache-2.0
// From reset to run(): vector table, .data and .bss, and the functions that compilers call without being asked. No
// constructors run at start-up (the linker script refuses an image that has some), and there is no heap.
#include "cortex_m.hpp"

#include <cstddef>
#include <cstdint>

// Of the linker script.
extern "C" std::uint32_t stack_top[], data_begin[], data_end[], data_image[], bss_begin[], bss_end[];

extern "C" int run();               // main.cpp
extern "C" void systick_handler();  // sensor_queue.cpp

extern "C" void reset_handler() {
  std::uint32_t const* from = data_image;
  for (std::uint32_t* to = data_begin; to != data_end;) *to++ = *from++;
  for (std::uint32_t* to = bss_begin; to != bss_end;) *to++ = 0;
  cortex_m::exit(static_cast<std::uint32_t>(run()));
}

namespace {

void unexpected_exception() {
  cortex_m::print("an exception or interrupt that nobody handles\n");
  cortex_m::exit(2);
}

struct VectorTable {
  std::uint32_t* stack;
  void (*handlers[15])();
};

// What the processor reads at reset. Handlers 1 to 15 are those of the core: reset, NMI, hard fault, ..., PendSV,
// SysTick.
[[gnu::section(".vectors"), gnu::used]] constexpr VectorTable vector_table = {
    stack_top,
    {reset_handler, unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
     unexpected_exception, nullptr, nullptr, nullptr, nullptr, unexpected_exception, unexpected_exception, nullptr,
     unexpected_exception, systick_handler}};

}  // namespace

// The attribute: else the compiler sees what these loops do, and calls the function itself.
#define PLAIN_LOOP gnu::used, gnu::optimize("no-tree-loop-distribute-patterns")
extern "C" {
[[PLAIN_LOOP]] void* memcpy(void* to, void const* from, std::size_t n) {
  for (std::size_t i = 0; i != n; ++i) static_cast<char*>(to)[i] = static_cast<char const*>(from)[i];
  return to;
}
[[PLAIN_LOOP]] void* memmove(void* to, void const* from, std::size_t n) {
  if (to <= from) return memcpy(to, from, n);
  while (n-- != 0) static_cast<char*>(to)[n] = static_cast<char const*>(from)[n];
  return to;
}
[[PLAIN_LOOP]] void* memset(void* to, int value, std::size_t n) {
  for (std::size_t i = 0; i != n; ++i) static_cast<char*>(to)[i] = static_cast<char>(value);
  return to;
}
[[PLAIN_LOOP]] int memcmp(void const* a, void const* b, std::size_t n) {
  for (std::size_t i = 0; i != n; ++i) {
    int const difference = static_cast<unsigned char const*>(a)[i] - static_cast<unsigned char const*>(b)[i];
    if (difference != 0) return difference;
  }
  return 0;
}
}
