// SPDX-License-Identifier: MIT OR Apache-2.0
// Hot reload: a library with the game's code is unloaded and another version is loaded, while the objects live on.
//
// Use it where code changes under a running program: games, simulators, plug-ins. The program makes the pool, so
// nothing in it points into the library; libraries allocate in it, and release. Objects, handles and keys outlive a
// version. T has no virtual functions, since those are addresses in the library. Build both with one compiler and the
// same flags.
#include "hot_reload.hpp"

#include <dlfcn.h>

#include <cstdio>

namespace {

class Library {
 public:
  explicit Library(char const* path) : path_(path), library_(::dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) std::printf("%s\n", ::dlerror());
    else code_ = static_cast<GameCode const*>(::dlsym(library_, "game_code"));
  }
  Library(Library const&) = delete;
  Library& operator=(Library const&) = delete;
  ~Library() {
    if (library_ == nullptr) return;
    ::dlclose(library_);
    if (::dlopen(path_, RTLD_NOW | RTLD_NOLOAD) != nullptr)
      std::fprintf(stderr, "%s is still loaded; compile it with -fvisibility=hidden\n", path_);
  }
  explicit operator bool() const { return code_ != nullptr; }
  GameCode const* operator->() const { return code_; }

 private:
  char const* path_;
  void* library_;
  GameCode const* code_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  char const* const versions[] = {argc > 2 ? argv[1] : HOT_RELOAD_1, argc > 2 ? argv[2] : HOT_RELOAD_2};
  Game game;
  fastalloc::Key first;  // a script remembers the first enemy
  for (char const* const path : versions) {
    Library const code(path);
    if (!code) return 1;
    code->spawn(game);
    for (int i = 0; i != 10; ++i) code->step(game);
    if (!first) first = game.enemies.key(game.living.front());
    std::printf("version %d: %zu enemies; the first is at %d\n", code->version, game.enemies.allocated(),
                game.enemies.get(first)->position);
    game.enemies.rebind();  // before the library goes: what it was the first to use is this program's now
  }
  game.living.erase(game.living.begin());  // no version is loaded
  std::printf("without a library: %zu enemies; the first is %s\n", game.enemies.allocated(),
              game.enemies.contains(first) ? "here" : "gone");
}
