// SPDX-License-Identifier: MIT OR Apache-2.0
// Names that the ```cpp blocks of README.md and cmake/docs take for granted; see snippets.cmake.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

using fastalloc::NoLock;

struct Order {
  int id;
  std::string item;
};

struct Node {
  int value;
};

struct Unit {
  int health = 100;
  void hit() { --health; }
};

struct Particle {
  float x = 0, y = 0, life = 1;
};

/// Runs a block. It ends the program where the block throws, or where the library reports an error.
inline void run(char const* block, void (*f)()) {
  static char const* running;
  running = block;
  fastalloc::set_error_handler([](fastalloc::Error const& error) noexcept {
    std::fprintf(stderr, "%s: %s\n", running, error.to_string().c_str());
    std::exit(1);
  });
#if FASTALLOC_EXCEPTIONS
  try {
    f();
  } catch (std::exception const& error) {
    std::fprintf(stderr, "%s: %s\n", block, error.what());
    std::exit(1);
  }
#else
  f();
#endif
}
