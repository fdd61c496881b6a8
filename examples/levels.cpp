// SPDX-License-Identifier: MIT OR Apache-2.0
// Levels of a game that move: each owns a pool and the handles made from it, in a MovablePool.
//
// A level is returned by the function that loads it, kept in a vector, swapped and erased. The members of a class may
// stand in either order: a pool whose owner is gone ends with its last handle. So an item that the player took along
// stays valid after its level is unloaded. A level that does not fit into memory is an error to look at.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Item {
  std::string name;
  int weight;
};

using Items = fastalloc::MovablePool<fastalloc::GrowingPool<Item>>;

class Level {
 public:
  [[nodiscard]] static fastalloc::Result<Level> load(std::string name, std::size_t item_count) {
    auto items = Items::try_create({.capacity = item_count});
    if (!items) return items.error();
    Level level(std::move(name), *std::move(items));
    for (std::size_t i = 0; i != item_count; ++i)
      level.handles_.push_back(level.items_->allocate(level.name_ + "'s item " + std::to_string(i), 10));
    return level;
  }

  /// The level's last item.
  [[nodiscard]] Items::handle_type pop() {
    auto item = std::move(handles_.back());
    handles_.pop_back();
    return item;
  }
  void print() const { std::printf("  %s: %zu items\n", name_.c_str(), items_ ? items_->allocated() : 0); }

 private:
  Level(std::string name, Items items) : name_(std::move(name)), items_(std::move(items)) {}

  std::string name_;
  Items items_;
  std::vector<Items::handle_type> handles_;
};

}  // namespace

int main() {
  std::vector<Level> levels;
  for (char const* name : {"cave", "forest", "tower"})
    if (auto level = Level::load(name, 3 + levels.size())) levels.push_back(*std::move(level));

  std::puts("The forest comes first:");
  std::swap(levels[0], levels[1]);
  for (Level const& level : levels) level.print();

  std::puts("The player takes an item along, and the forest is unloaded:");
  fastalloc::Handle<Item> const bag = levels[0].pop();
  levels.erase(levels.begin());
  for (Level const& level : levels) level.print();
  std::printf("  in the bag: %s\n", bag->name.c_str());

  auto const empty = Level::load("void", 0);
  std::printf("A level without items: %s\n", empty ? "loaded" : "refused");
}
