// SPDX-License-Identifier: MIT OR Apache-2.0
// The library of hot_reload.cpp: two versions of the game's code, by GAME_VERSION. Compile it with -fvisibility=hidden.
#include "hot_reload.hpp"

extern "C" __attribute__((visibility("default"))) GameCode const game_code;

GameCode const game_code{
    .version = GAME_VERSION,
    .spawn = [](Game& game) { game.living.push_back(game.enemies.allocate()); },
    .step =
        [](Game& game) {
          game.enemies.for_each([](Enemy& enemy) {
            enemy.position += GAME_VERSION == 1 ? -1 : 1;  // version 1 walks the wrong way
            ++enemy.steps;
          });
        },
};
