// SPDX-License-Identifier: MIT OR Apache-2.0
// A game's entities: several kinds, each in a pool of its own, all in one list of handles to their base class.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Entity {
  int health;
  explicit Entity(int h) : health(h) {}
  virtual ~Entity() = default;
  virtual void update() = 0;
};

struct Player final : Entity {
  std::string name;
  Player(std::string n, int h) : Entity(h), name(std::move(n)) {}
  void update() override { std::printf("  %s has %d health\n", name.c_str(), health); }
};

// The base need not come first: the handle knows, and the pool finds the slot all the same.
struct Named {
  char const* kind = "goblin";
  virtual ~Named() = default;
};
struct Goblin final : Named, Entity {
  explicit Goblin(int h) : Entity(h) {}
  void update() override { health -= 10; }
};

class World {
 public:
  void spawn_player(std::string name) { entities_.push_back(players_.allocate(std::move(name), 100)); }

  // How much of something there may be is a decision of the game, so a full pool is no error here.
  bool spawn_goblin(int health) {
    auto goblin = goblins_.try_allocate(health);
    if (!goblin) return false;
    entities_.push_back(std::move(goblin));
    return true;
  }

  void tick() {
    for (auto const& entity : entities_) entity->update();
    // Erasing a handle destroys the entity and frees its slot.
    std::erase_if(entities_, [](auto const& entity) { return entity->health <= 0; });
  }

  // Code that deals with one kind only goes to its pool: objects side by side in memory, no virtual call.
  int strength_of_goblins() {
    int sum = 0;
    goblins_.for_each([&](Goblin const& goblin) { sum += goblin.health; });
    return sum;
  }

  void report(char const* when) {
    std::printf("%s: entities %zu, goblins %zu of %zu, strength %d\n", when, entities_.size(), goblins_.allocated(),
                goblins_.capacity(), strength_of_goblins());
  }

  std::size_t shrink() {
    goblins_.shrink_to_fit();
    return goblins_.capacity();
  }

 private:
  // Pools before handles: members are destroyed in reverse order.
  fastalloc::FixedPool<Player> players_{4};
  fastalloc::GrowingPool<Goblin> goblins_{fastalloc::PoolConfig{
      .capacity = 4, .max_capacity = 10, .growth_strategy = fastalloc::GrowthStrategy::exponential(2.0)}};
  std::vector<fastalloc::Handle<Entity>> entities_;
};

}  // namespace

int main() {
  World world;
  world.spawn_player("Ada");
  int refused = 0;
  for (int i = 0; i != 12; ++i) refused += !world.spawn_goblin(10 * (1 + i % 3));
  std::printf("refused: %d\n", refused);
  world.report("start");

  for (char const* when : {"tick 1", "tick 2", "tick 3"}) {
    world.tick();
    world.report(when);
  }
  std::printf("capacity after shrinking: %zu\n", world.shrink());
  std::printf("room for goblins again: %s\n", world.spawn_goblin(30) ? "yes" : "no");
  world.report("end");
}
