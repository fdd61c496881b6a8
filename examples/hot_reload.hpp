// SPDX-License-Identifier: MIT OR Apache-2.0
// What the program hot_reload.cpp and its library hot_reload_library.cpp have in common.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <vector>

/// Plain data. A virtual function would be a pointer into the library, which goes away.
struct Enemy {
  int position = 0;
  int steps = 0;
};
using Enemies = fastalloc::FixedPool<Enemy, fastalloc::Generations>;

/// The state of the game. It belongs to the program, so it outlives each version of the library.
struct Game {
  Enemies enemies{100};
  std::vector<Enemies::handle_type> living;
};

/// The code of the game, which the library exports as `game_code`.
struct GameCode {
  int version;
  void (*spawn)(Game& game);
  void (*step)(Game& game);
};
