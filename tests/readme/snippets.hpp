// SPDX-License-Identifier: MIT OR Apache-2.0
// What the ```cpp blocks of README.md and cmake/docs take for granted; see snippets.cmake.
#pragma once

#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/debug/trace.hpp>
#include <fastalloc/fastalloc.hpp>

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
